//! The Sprig function library, without `env` and `expandenv`, which Argo removes.
//!
//! Source: <https://masterminds.github.io/sprig/> (3.3).
//! Differs: functions that need randomness, keys or the network fail, as this crate has none of them.

mod cases;
mod dates;
mod decimal;
mod dicts;
pub(crate) mod encode;
mod lists;
mod math;
mod paths;
mod regexes;
mod semver;
mod strings;
mod types;

use super::budget::Budget;
use super::env::Env;
use super::error::Fail;
use super::value::Value;

/// What a family of functions answers: `None` when the name or the arguments are not its own.
type Answer = Option<Result<Value, Fail>>;

const NAMES: &str = " \
    ago date date_in_zone date_modify dateInZone dateModify duration durationRound htmlDate htmlDateInZone \
    must_date_modify mustDateModify mustToDate now toDate unixEpoch abbrev abbrevboth trunc trim upper lower title \
    untitle substr repeat trimall trimAll trimSuffix trimPrefix nospace initials swapcase snakecase camelcase kebabcase \
    wrap wrapWith contains hasPrefix hasSuffix quote squote cat indent nindent replace plural sha1sum sha256sum \
    sha512sum adler32sum toString atoi int64 int float64 seq toDecimal split splitList splitn toStrings until untilStep \
    add1 add sub div mod mul add1f addf subf divf mulf biggest max min maxf minf ceil floor round join sortAlpha default \
    empty coalesce all any compact mustCompact fromJson toJson toPrettyJson toRawJson mustFromJson mustToJson \
    mustToPrettyJson mustToRawJson ternary deepCopy mustDeepCopy typeOf typeIs typeIsLike kindOf kindIs deepEqual base \
    dir clean ext isAbs osBase osClean osDir osExt osIsAbs b64enc b64dec b32enc b32dec tuple list dict get set unset \
    hasKey pluck keys pick omit merge mergeOverwrite mustMerge mustMergeOverwrite values append push mustAppend mustPush \
    prepend mustPrepend first mustFirst rest mustRest last mustLast initial mustInitial reverse mustReverse uniq \
    mustUniq without mustWithout has mustHas slice mustSlice concat dig chunk mustChunk semver semverCompare fail \
    regexMatch mustRegexMatch regexFindAll mustRegexFindAll regexFind mustRegexFind regexReplaceAll mustRegexReplaceAll \
    regexReplaceAllLiteral mustRegexReplaceAllLiteral regexSplit mustRegexSplit regexQuoteMeta urlParse urlJoin hello ";

/// Sprig has them; here they fail.
const UNAVAILABLE: &str = " \
    randAlphaNum randAlpha randAscii randNumeric randBytes randInt shuffle uuidv4 getHostByName bcrypt htpasswd \
    genPrivateKey derivePassword buildCustomCert genCA genCAWithKey genSelfSignedCert genSelfSignedCertWithKey \
    genSignedCert genSignedCertWithKey encryptAES decryptAES ";

fn listed(names: &str, name: &str) -> bool {
    names.split_ascii_whitespace().any(|n| n == name)
}

/// Is there such a function?
pub(crate) fn exists(name: &str) -> bool {
    listed(NAMES, name) || listed(UNAVAILABLE, name)
}

/// Calls `sprig.name(args…)`.
pub(crate) fn call(name: &str, args: &[Value], env: &Env<'_>, budget: &Budget<'_>) -> Result<Value, Fail> {
    // The `must` twins differ only where noted in the families.
    let families: [fn(&str, &[Value]) -> Answer; 9] = [
        strings::call,
        types::call,
        lists::call,
        dicts::call,
        math::call,
        cases::call,
        encode::call,
        paths::call,
        semver::call,
    ];
    for family in families {
        if let Some(answer) = family(name, args) {
            return answer;
        }
    }
    if let Some(answer) = regexes::call(name, args, budget) {
        return answer;
    }
    if let Some(answer) = dates::call(name, args, env.now) {
        return answer;
    }
    if listed(UNAVAILABLE, name) {
        return Err(Fail::run(format!("sprig.{name} is not available")));
    }
    if !listed(NAMES, name) {
        return Err(Fail::run("invalid operation: cannot call nil"));
    }
    let kinds: Vec<_> = args.iter().map(Value::type_name).collect();
    Err(Fail::run(format!("cannot call sprig.{name} with arguments of types ({})", kinds.join(", "))))
}

/// Limit of the items or bytes one call may produce.
const OUTPUT_MAX: i64 = 1_000_000;

fn too_much() -> Fail {
    Fail::run("memory budget exceeded")
}
