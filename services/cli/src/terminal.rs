//! Text of others on the user's terminal.
//!
//! Messages, names, parameters and logs say what a workflow or a step wants; a control character among them would move the
//! cursor, change the title or answer for the user. They are made visible: `^[` for escape, `\u{202e}` for what turns the
//! direction of writing. What programs read (`-o json`, `-o yaml`, logs in a pipe) stays exact.

use std::borrow::Cow;

/// Codes of the colours that [`paint`](crate::render) writes.
const COLORS: [&str; 5] = ["0", "31", "32", "33", "36"];

/// What text of one line shows, without control characters; line breaks become blanks.
pub fn line(text: &str) -> Cow<'_, str> {
    clean(text, |c, rest| match c {
        '\n' | '\t' => Kept::As(" "),
        _ => visible(c, rest),
    })
}

/// What text of several lines shows, without control characters but line breaks and tabs.
pub fn lines(text: &str) -> Cow<'_, str> {
    clean(text, |c, rest| if matches!(c, '\n' | '\t') { Kept::Whole(0) } else { visible(c, rest) })
}

/// A word that a shell takes for one, in a command that the user may copy.
pub fn word(text: &str) -> String {
    let shown = line(text);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.=/@:,+".contains(c);
    if !shown.is_empty() && shown.chars().all(is_plain) {
        return shown.into_owned();
    }
    format!("'{}'", shown.replace('\'', "'\\''"))
}

/// What we are about to write to a terminal: as [`lines`], with our colours.
pub fn written(text: &str) -> Cow<'_, str> {
    clean(text, |c, rest| match c {
        '\n' | '\t' => Kept::Whole(0),
        '\u{1b}' => match color(rest).filter(|codes| COLORS.contains(codes)) {
            Some(codes) => Kept::Whole(codes.len() + 2),
            None => visible(c, rest),
        },
        _ => visible(c, rest),
    })
}

/// As [`written`], with all colours: a line of a log, or what a library has painted.
pub fn colored(text: &str) -> Cow<'_, str> {
    clean(text, |c, rest| match c {
        '\n' | '\t' => Kept::Whole(0),
        '\r' if matches!(rest, "" | "\n") => Kept::As(""),
        '\u{1b}' => color(rest).map_or_else(|| visible(c, rest), |codes| Kept::Whole(codes.len() + 2)),
        _ => visible(c, rest),
    })
}

/// What becomes of a character.
enum Kept {
    /// It stays, with so many bytes behind it.
    Whole(usize),
    As(&'static str),
    Escaped,
    Caret(char),
}

fn visible(c: char, _rest: &str) -> Kept {
    match c {
        '\u{0}'..='\u{1f}' => Kept::Caret(char::from(c as u8 + 0x40)),
        '\u{7f}' => Kept::Caret('?'),
        // Line ends of Unicode, and what turns the direction of writing.
        '\u{2028}'
        | '\u{2029}'
        | '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => Kept::Escaped,
        c if c.is_control() => Kept::Escaped,
        _ => Kept::Whole(0),
    }
}

/// The codes of a colour sequence, of which `rest` is all but its escape: `[1;31m`.
fn color(rest: &str) -> Option<&str> {
    let (codes, _) = rest.strip_prefix('[')?.split_once('m')?;
    codes.bytes().all(|c| c.is_ascii_digit() || c == b';').then_some(codes)
}

fn clean(text: &str, judge: impl Fn(char, &str) -> Kept) -> Cow<'_, str> {
    let mut out: Option<String> = None;
    let mut skip = 0;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        let kept = if at < skip { Kept::Whole(0) } else { judge(c, &text[end..]) };
        if let Kept::Whole(more) = kept {
            skip = skip.max(end + more);
            if let Some(out) = &mut out {
                out.push(c);
            }
            continue;
        }
        let out = out.get_or_insert_with(|| text[..at].to_owned());
        match kept {
            Kept::Whole(_) => {}
            Kept::As(other) => out.push_str(other),
            Kept::Caret(letter) => out.extend(['^', letter]),
            Kept::Escaped => out.extend(c.escape_unicode()),
        }
    }
    out.map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Titles, cursor moves, screens, one-byte sequences, answers and turned text.
    const HOSTILE: [&str; 10] = [
        "a\u{1b}]0;PWNED\u{7}b",
        "a\u{1b}[2J\u{1b}[Hb",
        "a\u{9b}31mb",
        "a\u{1b}P+q\u{1b}\\b",
        "a\rb",
        "a\u{8}b",
        "a\u{0}\u{7f}b",
        "a\u{202e}b",
        "a\u{1b}[31;5mb\u{1b}[",
        "a\u{1b}[6nb\u{2028}",
    ];

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for text in HOSTILE {
            for shown in [line(text), lines(text)] {
                assert!(!shown.chars().any(char::is_control) && shown.starts_with('a'), "{shown:?}");
                assert!(!shown.contains(['\u{202e}', '\u{2028}']), "{shown:?}");
            }
            let written = written(text);
            assert!(!written.chars().any(char::is_control), "{written:?}");
        }
        assert_eq!(line("a\u{1b}]0;P\u{7}\nb\tc"), "a^[]0;P^G b c");
        assert_eq!(lines("a\nb\tc"), "a\nb\tc");
        assert!(matches!(lines("plain é 日本"), Cow::Borrowed(_)));
    }

    #[test]
    fn colours_stay_where_they_may() {
        assert_eq!(written("\u{1b}[32m✔\u{1b}[0m \u{1b}[8mhidden"), "\u{1b}[32m✔\u{1b}[0m ^[[8mhidden");
        assert_eq!(colored("\u{1b}[1;31mred\u{1b}[0m\u{1b}[2Jx\r"), "\u{1b}[1;31mred\u{1b}[0m^[[2Jx");
        assert_eq!(colored("10%\r20%"), "10%^M20%");
    }
}
