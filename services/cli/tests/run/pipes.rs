//! Readers that go away, and disks that are full.

use std::process::Stdio;

use crate::support::{FAILS, Here};

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[test]
fn a_closed_pipe_does_not_change_the_exit_code() {
    let here = Here::with(&[
        ("bad.yaml", FAILS),
        ("worse.yaml", "kind: [\n"),
        ("good.yaml", &FAILS.replace("exit 3", "exit 0")),
    ]);
    for (arguments, code) in [
        ("run bad.yaml", 1),
        ("run bad.yaml --log", 1),
        ("run bad.yaml -o json", 1),
        ("run good.yaml", 0),
        ("run worse.yaml", 2),
        ("lint worse.yaml", 2),
        ("lint worse.yaml -o simple", 2),
        ("lint good.yaml", 0),
        ("run nowhere.yaml", 2),
    ] {
        for stderr in [Stdio::null(), closed()] {
            let status = here.command(arguments).stdout(closed()).stderr(stderr).status().expect("argosy starts");
            assert_eq!(status.code(), Some(code), "{arguments}");
        }
    }
}

#[test]
fn what_a_full_disk_lost_is_an_error() {
    let Ok(full) = std::fs::File::options().write(true).open("/dev/full") else { return };
    let here = Here::with(&[("good.yaml", &FAILS.replace("exit 3", "exit 0"))]);
    let output = here.command("run good.yaml -o json").stdout(full).output().expect("argosy starts");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("error: write to standard output: No space left"), "{said}");
}
