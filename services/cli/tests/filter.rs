//! Filters of output parameters in the program as it is shipped, with its allocator.

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn evaluate(code: &str) -> Output {
    let request = serde_json::json!({"language": "Jq", "code": code, "object": {"a": 1}, "bytes_max": 1000,
        "memory_bytes_max": 64 * 1024 * 1024, "cpu_secs_max": 5});
    let mut command = Command::new(env!("CARGO_BIN_EXE_argosy"));
    command.arg("__filter").env_clear().env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("argosy starts");
    let stdin = child.stdin.take();
    stdin.expect("a pipe").write_all(request.to_string().as_bytes()).expect("written");
    child.wait_with_output().expect("argosy ends")
}

#[test]
fn a_filter_has_the_memory_that_it_may_have_and_no_more() {
    let few = evaluate("[range(1000)] | add");
    assert_eq!(String::from_utf8_lossy(&few.stdout), "{\"Value\":\"499500\"}", "{few:?}");
    let much = evaluate("reduce range(40) as $i (\"x\"; . + .) | length");
    assert!(
        !much.status.success() && String::from_utf8_lossy(&much.stderr).contains("memory allocation of"),
        "{much:?}"
    );
    let deep = evaluate("def f: 1 + f; f");
    assert!(String::from_utf8_lossy(&deep.stderr).contains("overflowed its stack"), "{deep:?}");
}
