//! `strftime` as Argo has it for `workflow.creationTimestamp.…`: a few verbs, the others stay as they are.

use jiff::Zoned;

use crate::gotime;

/// The verbs Argo knows, and the Go layout of each.
const VERBS: &[(char, &str)] = &[
    ('a', "Mon"),
    ('A', "Monday"),
    ('b', "Jan"),
    ('B', "January"),
    ('d', "02"),
    ('H', "15"),
    ('I', "03"),
    ('j', "002"),
    ('L', ".000"),
    ('m', "01"),
    ('M', "04"),
    ('p', "PM"),
    ('S', "05"),
    ('y', "06"),
    ('Y', "2006"),
    ('z', "-0700"),
    ('Z', "MST"),
];

/// The letters for which `workflow.creationTimestamp.<letter>` exists.
pub const VARIABLE_VERBS: &str = "aAbBdHILmMpSyYzZ";

/// The time in the given format. An unknown verb is copied.
/// Source: github.com/lestrrat-go/strftime as Argo util/strftime uses it; conformance table misc.json.
pub fn format(format: &str, time: &Zoned) -> String {
    let mut out = String::with_capacity(format.len() + 8);
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            None => out.push('%'),
            Some('%') => out.push('%'),
            Some(verb) => match VERBS.iter().find(|(v, _)| *v == verb) {
                Some((_, layout)) => out.push_str(&gotime::format(time, layout)),
                None => {
                    out.push('%');
                    out.push(verb);
                }
            },
        }
    }
    out
}
