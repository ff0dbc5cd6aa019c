//! Completion in a live shell.

use std::process::Command;

#[test]
fn bash_completes_commands_and_flags() {
    if Command::new("bash").arg("--version").output().is_err() {
        eprintln!("no bash: skipped");
        return;
    }
    let program = env!("CARGO_BIN_EXE_argosy");
    let complete = |words: &str, current: usize| {
        let script = format!(
            "source <('{program}' completion bash); complete -p argosy >/dev/null || exit 3; COMP_WORDS=({words}); \
             COMP_CWORD={current}; _argosy argosy \"${{COMP_WORDS[{current}]}}\" \"${{COMP_WORDS[{current}-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["--norc", "-c", &script]).output().expect("bash starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(complete("argosy re", 1), "resume retry resubmit");
    assert_eq!(complete("argosy template cr", 2), "create");
    assert_eq!(complete("argosy get --node", 2), "--node-field-selector");
    assert_eq!(complete("argosy get -o ''", 3), "name json yaml wide short");
    assert_eq!(complete("argosy list --status Su", 3), "Succeeded");
}
