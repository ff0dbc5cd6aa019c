//! `argosay`, the test program of Argo's examples, and `cowsay`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// The subcommand of the executable that leads here.
pub const COMMAND: &str = "__argosay";

/// Runs argosay with the arguments of this process: `EXECUTABLE __argosay [COMMAND ARGUMENT…]`.
pub fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os().skip(2).map(|a| a.to_string_lossy().into_owned()).collect();
    match run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Source: the Argo project's `test/e2e/images/argosay`.
fn run(args: &[String]) -> io::Result<u8> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut out = io::stdout();
    match args.as_slice() {
        [] | ["echo"] => writeln!(out, "hello argo")?,
        ["echo", text] => writeln!(out, "{text}")?,
        ["echo", text, file] => {
            if let Some(parent) = Path::new(file).parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(file, format!("{text}\n"))?;
        }
        ["cat", files @ ..] => {
            for file in files {
                out.write_all(&fs::read(file)?)?;
            }
        }
        ["sleep", text] => std::thread::sleep(duration(text)?),
        ["exit"] => return Ok(0),
        ["exit", code] => {
            return code.parse().map_err(|_| invalid(format!("not an exit code: {code}")));
        }
        ["assert_contains", file, text] => {
            let content = fs::read_to_string(file)?;
            if !content.contains(text) {
                return Err(invalid(format!("expected {file} to contain \"{text}\", got \"{content}\"")));
            }
        }
        ["cowsay", words @ ..] => writeln!(out, "{}", cow(&words.join(" ")))?,
        ["sh", script @ ..] => {
            let status = std::process::Command::new("sh").args(script).status()?;
            return Ok(status.code().unwrap_or(1).clamp(0, 255) as u8);
        }
        _ => {
            return Err(invalid(format!(
                "usage: argosay [cat FILE…|echo [TEXT [FILE]]|exit [CODE]|sleep DURATION|assert_contains FILE TEXT], got {args:?}"
            )));
        }
    }
    Ok(0)
}

/// A duration such as `1m30s`, `500ms` or a plain number of seconds.
fn duration(text: &str) -> io::Result<Duration> {
    let bad = || invalid(format!("not a duration: {text}"));
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match &rest[..letters] {
                "ms" => 0.001,
                "" | "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86400.0,
                _ => return Err(bad()),
            };
        rest = &rest[letters..];
    }
    Duration::try_from_secs_f64(total).map_err(|_| bad())
}

/// A small whale that says something, as of `docker/whalesay`.
fn cow(text: &str) -> String {
    let width = text.chars().count() + 2;
    let (top, bottom) = ("_".repeat(width), "-".repeat(width));
    format!(" {top}\n< {text} >\n {bottom}\n    \\\n     \\\n      ##")
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go_and_of_sleep_are_read() {
        let ms = |text| duration(text).map(|d| d.as_millis()).ok();
        assert_eq!(
            (ms("1m30s"), ms("0.5"), ms("250ms"), ms("5x"), ms("s")),
            (Some(90_000), Some(500), Some(250), None, None)
        );
    }

    #[test]
    fn echo_writes_files_and_cat_fails_without_one() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("a/b").display().to_string();
        let say = |args: &[&str]| run(&args.iter().map(|a| a.to_string()).collect::<Vec<_>>());
        assert_eq!(say(&["echo", "0/100", &file]).ok(), Some(0));
        assert_eq!(fs::read_to_string(&file).ok().as_deref(), Some("0/100\n"));
        assert!(say(&["assert_contains", &file, "1/1"]).is_err());
        assert_eq!(say(&["exit", "3"]).ok(), Some(3));
        assert!(say(&["cat", "/nowhere"]).is_err());
    }
}
