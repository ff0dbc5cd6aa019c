//! What a call of a function takes, told from its arguments before it is made.

use super::{
    budget::{Budget, VALUE_BYTES},
    error::Fail,
    value::Value,
};

/// Bytes that a number takes as text, at the most.
const NUMBER_BYTES: u64 = 24;
/// Bytes that a character may become when it is escaped or changes its case.
const ESCAPED_BYTES: u64 = 3;
/// Bytes of text that a pattern is looked for in, in the time of a step.
const MATCHED_BYTES: u64 = 8;
/// Memory of a value that is read from JSON, with that of the JSON tree in between.
const PARSED_BYTES: u64 = 4 * VALUE_BYTES;

/// Functions that look at no more than the outside of their arguments.
const CHEAP: &[&str] = &[
    "len",
    "first",
    "last",
    "get",
    "type",
    "typeOf",
    "typeIs",
    "typeIsLike",
    "kindOf",
    "kindIs",
    "default",
    "empty",
    "coalesce",
    "ternary",
    "hasKey",
    "int",
    "int64",
    "float",
    "float64",
    "abs",
    "ceil",
    "floor",
    "round",
    "atoi",
    "now",
    "duration",
    "list",
    "tuple",
    "deepCopy",
    "mustDeepCopy",
    "dig",
    "isAbs",
    "osIsAbs",
    "add",
    "add1",
    "sub",
    "mul",
    "div",
    "mod",
    "plural",
];

/// Functions whose answer is a boolean or a number.
const READING: &[&str] = &[
    "contains",
    "hasPrefix",
    "hasSuffix",
    "indexOf",
    "lastIndexOf",
    "has",
    "mustHas",
    "max",
    "min",
    "mean",
    "median",
    "sum",
    "count",
    "deepEqual",
    "adler32sum",
    "maxf",
    "minf",
    "biggest",
    "all",
    "any",
];

/// Takes what a call of the builtin or function `name` needs. Argument order differs between builtins and Sprig.
pub(crate) fn charge(name: &str, args: &[Value], budget: &Budget<'_>) -> Result<(), Fail> {
    let (name, is_sprig) = match name.strip_prefix("sprig.") {
        Some(name) => (name, true),
        None => (name, false),
    };
    if CHEAP.contains(&name) {
        return budget.items(args.len());
    }
    if READING.contains(&name) {
        return args.iter().try_for_each(|arg| budget.walk(arg));
    }
    amplified(name, is_sprig, args, budget)?;
    // A copy of all that was passed, as texts or as values.
    args.iter().try_for_each(|arg| {
        let unit = if matches!(arg, Value::Str(_)) { 0 } else { VALUE_BYTES };
        budget.made_of(arg, unit)
    })
}

/// What comes on top: of functions that make more than they are given, or take longer than they have items.
fn amplified(name: &str, is_sprig: bool, args: &[Value], budget: &Budget<'_>) -> Result<(), Fail> {
    use Value::{Array, Int, Str};
    let count = |n: i64| usize::try_from(n).unwrap_or(0);
    let times = |a: usize, b: usize| (a as u64).saturating_mul(b as u64);
    match (name, is_sprig, args) {
        ("repeat", false, [Str(s), Int(n)]) | ("repeat", true, [Int(n), Str(s)]) => {
            budget.bytes(times(count(*n), s.len()))
        }
        ("replace", false, [Str(s), Str(old), Str(new), ..]) | ("replace", true, [Str(old), Str(new), Str(s)]) => {
            budget.bytes(times(s.matches(old.as_ref()).count(), new.len()))
        }
        ("join", false, [Array(items), Str(by)]) | ("join", true, [Str(by), Array(items)]) => {
            budget.bytes(times(items.len(), by.len() + NUMBER_BYTES as usize))
        }
        ("indent" | "nindent", true, [Int(n), Str(s)]) => budget.bytes(times(count(*n), s.matches('\n').count() + 1)),
        ("wrap" | "wrapWith", true, [Int(width), .., Str(s)]) => {
            let by = if let [_, Str(by), _] = args { by.len() } else { 1 };
            budget.bytes(times(s.len() / count(*width).max(1) + 1, by).saturating_add(times(s.len(), 4)))
        }
        ("split" | "splitAfter", false, [Str(s), Str(by), ..])
        | ("splitList" | "split", true, [Str(by), Str(s)])
        | ("splitn", true, [Str(by), _, Str(s)]) => budget.texts(s.matches(by.as_ref()).count() + 1, s.len()),
        ("until", true, [Int(n)]) => budget.list(count(n.saturating_abs())),
        ("trim", false, [Str(s), Str(cut)]) | ("trimAll" | "trimall", true, [Str(cut), Str(s)]) => {
            budget.steps(times(s.len(), cut.len()) / 64)
        }
        ("uniq" | "mustUniq", _, [Array(items)]) => budget.steps(times(items.len(), items.len()) / 64),
        ("without" | "mustWithout", true, [Array(items), omit @ ..]) => {
            budget.steps(times(items.len(), omit.len()) / 16)
        }
        ("fromJSON", false, [Str(s)])
        | ("fromJson" | "mustFromJson", true, [Str(s)])
        | ("jsonpath", false, [Str(s), _]) => {
            let parts = s.bytes().filter(|b| matches!(b, b',' | b'[' | b'{' | b':')).count() as u64 + 1;
            budget.bytes(parts.saturating_mul(PARSED_BYTES))
        }
        (_, true, [Str(pattern), Str(s), Str(by)])
            if name.contains("RegexReplaceAll") || name.starts_with("regexReplaceAll") =>
        {
            budget.steps(s.len() as u64 / MATCHED_BYTES)?;
            let found = budget.pattern(pattern).map(|regex| regex.find_iter(s).count());
            // A bad pattern is told by the function itself.
            let Ok(found) = found else { return if budget.is_spent() { found.map(drop) } else { Ok(()) } };
            let groups = if by.contains('$') { times(by.len() / 2 + 1, s.len()) } else { 0 };
            budget.bytes(times(found, by.len()).saturating_add(groups))
        }
        (_, true, [Str(_), Str(s), ..]) if name.to_ascii_lowercase().contains("regex") => {
            budget.steps(s.len() as u64 / MATCHED_BYTES)?;
            budget.texts(s.len() / 16 + 1, s.len())
        }
        _ if is_text_of_all(name) => args.iter().try_for_each(|arg| {
            let indent = if name.contains("retty") || name == "toJSON" { 4 } else { 1 };
            budget.made_of(arg, NUMBER_BYTES * indent)?;
            (1..ESCAPED_BYTES).try_for_each(|_| budget.made_of(arg, 0))
        }),
        _ => Ok(()),
    }
}

/// The function writes its arguments as text, however deep they are.
fn is_text_of_all(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("json")
        || matches!(
            name,
            "string"
                | "toString"
                | "toStrings"
                | "quote"
                | "squote"
                | "cat"
                | "sortAlpha"
                | "upper"
                | "lower"
                | "title"
                | "swapcase"
                | "toDecimal"
                | "join"
                | "urlParse"
                | "sha512sum"
                | "b32enc"
        )
}
