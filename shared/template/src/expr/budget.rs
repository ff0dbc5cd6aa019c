//! What is left of an evaluation's limits.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use regex::{Regex, RegexBuilder};

use super::{error::Fail, ops::regex_error, value::Value};
use crate::limits::{Allowance, DEPTH_MAX, Limits, PATTERN_BYTES_MAX, exceeded};

/// Memory of a value besides its texts and members.
pub(crate) const VALUE_BYTES: u64 = size_of::<Value>() as u64;
/// Memory of a text besides its bytes.
const TEXT_BYTES: u64 = 16;
/// Items that a function goes over in the time of a step.
const ITEMS_A_STEP: u64 = 16;
/// Bytes of text that a function goes over in that time.
const BYTES_A_STEP: u64 = 64;
/// Steps that compiling a pattern takes at the least.
const PATTERN_STEPS: u64 = 2_000;
/// Compiled patterns that are kept for the rest of an evaluation.
const PATTERNS_MAX: usize = 16;

/// Counts down. What was taken counts against the allowance at the end.
pub(crate) struct Budget<'a> {
    limits: Limits,
    allowance: Option<&'a Allowance>,
    /// Steps at the beginning: no more than the allowance has left.
    granted: u64,
    steps: Cell<u64>,
    bytes: Cell<u64>,
    spent: Cell<bool>,
    patterns: RefCell<HashMap<String, Regex>>,
}

impl<'a> Budget<'a> {
    pub fn new(limits: Limits, allowance: Option<&'a Allowance>) -> Self {
        let granted = limits.expression_steps.min(allowance.map_or(u64::MAX, Allowance::left));
        Self {
            limits,
            allowance,
            granted,
            steps: Cell::new(granted),
            bytes: Cell::new(limits.expression_bytes),
            spent: Cell::new(false),
            patterns: RefCell::default(),
        }
    }

    /// Whether more was asked for than there was. Then nothing is left, so that what hides failures comes to its end too.
    pub fn is_spent(&self) -> bool {
        self.spent.get()
    }

    fn spend(&self) {
        self.spent.set(true);
        self.steps.set(0);
        self.bytes.set(0);
    }

    pub fn steps(&self, count: u64) -> Result<(), Fail> {
        match self.steps.get().checked_sub(count) {
            Some(left) => self.steps.set(left),
            None => {
                self.spend();
                let max = self.limits.expression_steps;
                let shared = self.allowance.filter(|_| self.granted < max);
                let message = shared.map_or_else(|| exceeded("steps", max, "expression_steps"), Allowance::exceed);
                return Err(Fail::limit(message));
            }
        }
        Ok(())
    }

    /// To be asked before the memory is.
    pub fn bytes(&self, count: u64) -> Result<(), Fail> {
        match self.bytes.get().checked_sub(count) {
            Some(left) => self.bytes.set(left),
            None => {
                self.spend();
                let max = self.limits.expression_bytes;
                return Err(Fail::limit(exceeded("bytes of memory", max, "expression_bytes")));
            }
        }
        Ok(())
    }

    /// A text of so many bytes.
    pub fn text(&self, len: usize) -> Result<(), Fail> {
        self.bytes(len as u64 + TEXT_BYTES)
    }

    /// So many items are gone over.
    pub fn items(&self, count: usize) -> Result<(), Fail> {
        self.steps(count as u64 / ITEMS_A_STEP)
    }

    /// A list or map of so many members, which are there already.
    pub fn list(&self, len: usize) -> Result<(), Fail> {
        self.bytes((len as u64).saturating_mul(VALUE_BYTES))
    }

    /// So many texts that are part of another one of so many bytes.
    pub fn texts(&self, count: usize, len: usize) -> Result<(), Fail> {
        self.bytes((count as u64).saturating_mul(VALUE_BYTES + TEXT_BYTES).saturating_add(len as u64))
    }

    /// A variable is read: its texts are copied.
    pub fn copied(&self, json: &serde_json::Value) -> Result<(), Fail> {
        use serde_json::Value as Json;
        match json {
            Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
            Json::String(text) => self.text(text.len()),
            Json::Array(items) => {
                self.list(items.len())?;
                items.iter().try_for_each(|item| self.copied(item))
            }
            Json::Object(map) => {
                self.list(map.len())?;
                map.iter().try_for_each(|(key, item)| {
                    self.text(key.len())?;
                    self.copied(item)
                })
            }
        }
    }

    /// A function goes over the value, to its depths.
    pub fn walk(&self, value: &Value) -> Result<(), Fail> {
        self.size(value).map(drop)
    }

    /// A function makes something of the value that takes as much memory, and `unit` bytes for each item.
    pub fn made_of(&self, value: &Value, unit: u64) -> Result<(), Fail> {
        let size = self.size(value)?;
        self.bytes(size.items.saturating_mul(unit).saturating_add(size.bytes))
    }

    fn size(&self, value: &Value) -> Result<Size, Fail> {
        let mut size = Size { left: self.steps.get().saturating_mul(ITEMS_A_STEP), ..Size::default() };
        size.add(value);
        let too_many = if size.left == 0 { u64::MAX } else { 0 };
        self.steps((size.items / ITEMS_A_STEP + size.bytes / BYTES_A_STEP).saturating_add(too_many))?;
        Ok(size)
    }

    /// Refuses a value that is nested too deeply, as what is made again and again of itself can be.
    pub fn depth(&self, value: &Value) -> Result<(), Fail> {
        if !matches!(value, Value::Array(_) | Value::Map(_)) {
            return Ok(());
        }
        self.walk(value)?;
        if is_deeper(value, DEPTH_MAX) {
            return Err(Fail::limit(format!("makes a value that is nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(())
    }

    /// The compiled pattern. Errors: one that is wrong, or too large once compiled.
    pub fn pattern(&self, pattern: &str) -> Result<Regex, Fail> {
        if let Some(known) = self.patterns.borrow().get(pattern) {
            return Ok(known.clone());
        }
        self.steps(PATTERN_STEPS + pattern.len() as u64)?;
        let regex = RegexBuilder::new(pattern)
            .size_limit(PATTERN_BYTES_MAX)
            .build()
            .map_err(|e| Fail::run(regex_error(&e, pattern)))?;
        let mut patterns = self.patterns.borrow_mut();
        if patterns.len() < PATTERNS_MAX {
            patterns.insert(pattern.to_owned(), regex.clone());
        }
        Ok(regex)
    }
}

impl Drop for Budget<'_> {
    fn drop(&mut self) {
        if let Some(allowance) = self.allowance {
            allowance.take(self.granted - self.steps.get());
        }
    }
}

/// Of a value with all that is in it, as often as it is in it.
#[derive(Default)]
struct Size {
    items: u64,
    bytes: u64,
    /// Items that may still be counted: what is shared can be very many times larger than the memory it takes.
    left: u64,
}

impl Size {
    fn add(&mut self, value: &Value) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        self.items += 1;
        match value {
            Value::Str(text) => self.bytes += text.len() as u64,
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            Value::Map(map) => map.iter().for_each(|(key, item)| {
                self.bytes += key.len() as u64;
                self.add(item);
            }),
            Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Time(_) | Value::Duration(_) => {}
        }
    }
}

fn is_deeper(value: &Value, max: usize) -> bool {
    let Some(max) = max.checked_sub(1) else { return matches!(value, Value::Array(_) | Value::Map(_)) };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, max)),
        Value::Map(map) => map.values().any(|item| is_deeper(item, max)),
        _ => false,
    }
}
