//! The flags and names that a template gives as for `kubectl`.

use super::error::Error;

/// What was given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// Types and names, in order.
    pub words: Vec<String>,
    pub namespace: Option<String>,
    /// `--selector`
    pub labels: Option<String>,
    /// `--field-selector`
    pub fields: Option<String>,
    pub all: bool,
    pub ignore_not_found: bool,
    pub force: bool,
    pub server_side: bool,
    pub force_conflicts: bool,
    pub field_manager: Option<String>,
    pub grace_period: Option<u32>,
    pub cascade: Option<String>,
    /// `--wait=false`: a deletion is not waited for.
    pub no_wait: bool,
    pub subresource: Option<String>,
}

impl Flags {
    /// Reads those of the action. Errors: `Flag`, `FlagValue`.
    pub fn parse(action: &str, given: &[String]) -> Result<Self, Error> {
        let mut flags = Self::default();
        let mut rest = given.iter();
        while let Some(word) = rest.next() {
            if !word.starts_with('-') || word == "-" {
                flags.words.push(word.clone());
                continue;
            }
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let value_of = |rest: &mut std::slice::Iter<'_, String>| {
                let value = inline.clone().or_else(|| rest.next().cloned());
                value.ok_or_else(|| Error::FlagValue { flag: name.to_owned() })
            };
            let is_on = inline.as_deref() != Some("false");
            match name {
                "-n" | "--namespace" => flags.namespace = Some(value_of(&mut rest)?),
                "-l" | "--selector" => flags.labels = Some(value_of(&mut rest)?),
                "--field-selector" => flags.fields = Some(value_of(&mut rest)?),
                "--field-manager" => flags.field_manager = Some(value_of(&mut rest)?),
                "--subresource" => flags.subresource = Some(value_of(&mut rest)?),
                "--grace-period" => flags.grace_period = value_of(&mut rest)?.parse().ok(),
                "--cascade" => flags.cascade = inline,
                "--all" => flags.all = is_on,
                "--ignore-not-found" => flags.ignore_not_found = is_on,
                "--force" => flags.force = is_on,
                "--now" => flags.grace_period = is_on.then_some(1),
                "--server-side" => flags.server_side = is_on,
                "--force-conflicts" => flags.force_conflicts = is_on,
                "--wait" => flags.no_wait = !is_on,
                // without effect here: how kubectl prints, checks and remembers
                "-o" | "--output" | "--timeout" | "-v" | "--v" | "--request-timeout" => drop(value_of(&mut rest)?),
                "--validate" | "--save-config" | "--overwrite" | "--record" | "--show-managed-fields" => {}
                _ => return Err(Error::Flag { flag: name.to_owned(), action: action.to_owned() }),
            }
        }
        Ok(flags)
    }

    /// Types and names, as pairs; no name: all of the type. Errors: `NoNameOrSelector`.
    pub fn named(&self) -> Result<Vec<(String, Option<String>)>, Error> {
        let pair = |word: &String| word.split_once('/').map(|(kind, name)| (kind.to_owned(), Some(name.to_owned())));
        let Some(first) = self.words.first() else { return Ok(Vec::new()) };
        if first.contains('/') {
            let pairs: Option<Vec<_>> = self.words.iter().map(pair).collect();
            return pairs.ok_or(Error::NoNameOrSelector);
        }
        let names = &self.words[1..];
        let types = first.split(',').map(str::to_owned);
        if names.is_empty() {
            return Ok(types.map(|kind| (kind, None)).collect());
        }
        Ok(types.flat_map(|kind| names.iter().map(move |name| (kind.clone(), Some(name.clone())))).collect())
    }
}
