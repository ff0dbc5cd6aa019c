//! Go's `fmt.Sprintf`.

use crate::expr::Value;
use crate::gofmt;

/// Limit of a width or precision; beyond it Go, too, reports a bad one.
const WIDTH_MAX: i64 = 1_000_000;

#[derive(Debug, Default, Clone, Copy)]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Formats `args` as Go does, mistakes included (`%!d(string=x)`, `%!s(MISSING)`).
/// Source: the documentation of Go's package fmt.
pub fn format(format: &str, args: &[Value]) -> String {
    let mut out = String::with_capacity(format.len());
    let mut args = Args { all: args, next: 0, reordered: false };
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = Flags::default();
        let mut bad = String::new();
        while let Some(c) = chars.peek() {
            match c {
                '+' => flags.plus = true,
                '-' => flags.minus = true,
                '#' => flags.sharp = true,
                ' ' => flags.space = true,
                '0' => flags.zero = true,
                _ => break,
            }
            chars.next();
        }
        let mut index_ok = args.index(&mut chars);
        flags.width = size(&mut chars, &mut args, "%!(BADWIDTH)", &mut bad, &mut flags.minus);
        if chars.peek() == Some(&'.') {
            chars.next();
            index_ok &= args.index(&mut chars);
            let mut negative = false;
            let precision = size(&mut chars, &mut args, "%!(BADPREC)", &mut bad, &mut negative);
            flags.precision = if negative { None } else { Some(precision.unwrap_or(0)) };
        }
        index_ok &= args.index(&mut chars);
        out.push_str(&bad);
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
        } else if !index_ok {
            out.push_str(&format!("%!{verb}(BADINDEX)"));
        } else if let Some(arg) = args.take() {
            write(&mut out, verb, arg, flags);
        } else {
            out.push_str(&format!("%!{verb}(MISSING)"));
        }
    }
    if !args.reordered && args.next < args.all.len() {
        let extra: Vec<_> = args.all[args.next..].iter().map(typed).collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

struct Args<'a> {
    all: &'a [Value],
    next: usize,
    reordered: bool,
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

impl<'a> Args<'a> {
    fn take(&mut self) -> Option<&'a Value> {
        let arg = self.all.get(self.next)?;
        self.next += 1;
        Some(arg)
    }

    /// Reads an argument index such as `[2]`; false when it is not a good one.
    fn index(&mut self, chars: &mut Chars<'_>) -> bool {
        if chars.peek() != Some(&'[') {
            return true;
        }
        self.reordered = true;
        let text: String = chars.by_ref().skip(1).take_while(|c| *c != ']').collect();
        match text.parse::<usize>() {
            Ok(n) if n >= 1 && n <= self.all.len() => {
                self.next = n - 1;
                true
            }
            _ => false,
        }
    }
}

/// A width or precision, in digits or `*`.
fn size(
    chars: &mut Chars<'_>,
    args: &mut Args<'_>,
    complaint: &str,
    bad: &mut String,
    minus: &mut bool,
) -> Option<usize> {
    if chars.peek() == Some(&'*') {
        chars.next();
        match args.take() {
            Some(Value::Int(n)) if n.abs() <= WIDTH_MAX => {
                *minus |= *n < 0;
                return Some(n.unsigned_abs() as usize);
            }
            _ => bad.push_str(complaint),
        }
        return None;
    }
    let mut n: Option<i64> = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        n = Some(n.unwrap_or(0).saturating_mul(10).saturating_add(digit.into()).min(WIDTH_MAX));
        chars.next();
    }
    n.map(|n| n as usize)
}

/// `int=5`, as Go shows an argument it cannot format.
fn typed(arg: &Value) -> String {
    match arg {
        Value::Nil => "<nil>".into(),
        arg => format!("{}={}", arg.type_name(), arg.display()),
    }
}

fn write(out: &mut String, verb: char, arg: &Value, flags: Flags) {
    match (verb, arg) {
        ('T', _) => pad(out, arg.type_name(), flags),
        ('v', Value::Str(s)) if flags.sharp => pad(out, &gofmt::quote(s), flags),
        ('v', Value::Int(n)) => integer(out, 'd', *n, flags),
        ('v', Value::Float(n)) => float(out, 'g', *n, flags),
        ('v', _) => pad(out, &arg.display(), flags),
        (_, Value::Array(items)) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                write(out, verb, item, flags);
            }
            out.push(']');
        }
        ('d' | 'b' | 'o' | 'O' | 'x' | 'X' | 'c' | 'q' | 'U', Value::Int(n)) => integer(out, verb, *n, flags),
        ('d', Value::Duration(n)) => integer(out, verb, *n, flags),
        ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Value::Float(n)) => float(out, verb, *n, flags),
        ('t', Value::Bool(b)) => pad(out, if *b { "true" } else { "false" }, flags),
        ('s', Value::Str(s)) => match flags.precision {
            Some(max) => pad(out, &s.chars().take(max).collect::<String>(), flags),
            None => pad(out, s, flags),
        },
        ('s', Value::Time(_) | Value::Duration(_)) => pad(out, &arg.display(), flags),
        ('q', Value::Str(s)) => pad(out, &gofmt::quote(s), flags),
        ('x', Value::Str(s)) => pad(out, &s.bytes().map(|b| format!("{b:02x}")).collect::<String>(), flags),
        ('X', Value::Str(s)) => pad(out, &s.bytes().map(|b| format!("{b:02X}")).collect::<String>(), flags),
        (_, Value::Nil) => out.push_str(&format!("%!{verb}(<nil>)")),
        _ => out.push_str(&format!("%!{verb}({})", typed(arg))),
    }
}

/// Fills up to the width with spaces, or with zeros before a text when asked.
fn pad(out: &mut String, text: &str, flags: Flags) {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    if flags.minus {
        out.push_str(text);
        out.extend(std::iter::repeat_n(' ', missing));
    } else {
        out.extend(std::iter::repeat_n(if flags.zero { '0' } else { ' ' }, missing));
        out.push_str(text);
    }
}

fn integer(out: &mut String, verb: char, n: i64, flags: Flags) {
    let magnitude = n.unsigned_abs();
    let character = || u32::try_from(n).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
    let (prefix, digits) = match verb {
        'b' => (if flags.sharp { "0b" } else { "" }, format!("{magnitude:b}")),
        'o' => (if flags.sharp { "0" } else { "" }, format!("{magnitude:o}")),
        'O' => ("0o", format!("{magnitude:o}")),
        'x' => (if flags.sharp { "0x" } else { "" }, format!("{magnitude:x}")),
        'X' => (if flags.sharp { "0X" } else { "" }, format!("{magnitude:X}")),
        'c' => return pad(out, &character().to_string(), flags),
        'q' => {
            let mut text = String::from("'");
            gofmt::quote_char(&mut text, character(), '\'');
            text.push('\'');
            return pad(out, &text, flags);
        }
        'U' => {
            return pad(out, &format!("U+{magnitude:04X}"), Flags { zero: false, ..flags });
        }
        _ => ("", magnitude.to_string()),
    };
    let sign = match (n < 0, flags.plus, flags.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    let min = flags.precision.unwrap_or(0);
    let body = if flags.precision == Some(0) && n == 0 { String::new() } else { format!("{digits:0>min$}") };
    signed(out, sign, &format!("{prefix}{body}"), flags, flags.precision.is_none());
}

/// Writes sign and body; zeros for the width go between the two.
fn signed(out: &mut String, sign: &str, body: &str, flags: Flags, zeros_allowed: bool) {
    if flags.zero && !flags.minus && zeros_allowed {
        let missing = flags.width.unwrap_or(0).saturating_sub(sign.len() + body.len());
        out.push_str(sign);
        out.extend(std::iter::repeat_n('0', missing));
        out.push_str(body);
        return;
    }
    pad(out, &format!("{sign}{body}"), Flags { zero: false, ..flags });
}

fn float(out: &mut String, verb: char, n: f64, flags: Flags) {
    let sign = match (n.is_sign_negative() && !n.is_nan(), flags.plus, flags.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    let abs = n.abs();
    if !abs.is_finite() {
        let (sign, name) = if abs.is_nan() { ("", "NaN") } else { (if sign.is_empty() { "+" } else { sign }, "Inf") };
        return pad(out, &format!("{sign}{name}"), Flags { zero: false, ..flags });
    }
    let body = match verb {
        'f' | 'F' => format!("{abs:.*}", flags.precision.unwrap_or(6)),
        'e' | 'E' => exponent(&format!("{abs:.*e}", flags.precision.unwrap_or(6))),
        _ => match flags.precision {
            None => gofmt::value_float(abs),
            Some(precision) => general(abs, precision.max(1)),
        },
    };
    let body = if verb.is_ascii_uppercase() { body.to_uppercase() } else { body };
    signed(out, sign, &body, flags, true);
}

/// `%g` with a precision: the shorter form, without trailing zeros.
fn general(n: f64, precision: usize) -> String {
    let scientific = format!("{n:.*e}", precision - 1);
    let power: i32 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if power < -4 || power >= precision as i32 {
        let (mantissa, e) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        return exponent(&format!("{}e{e}", trim(mantissa)));
    }
    trim(&format!("{n:.*}", (precision as i32 - 1 - power).max(0) as usize))
}

/// `1e7` to `1e+07`.
fn exponent(text: &str) -> String {
    let Some((mantissa, e)) = text.split_once('e') else {
        return text.to_owned();
    };
    let (sign, digits) = match e.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', e),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}
