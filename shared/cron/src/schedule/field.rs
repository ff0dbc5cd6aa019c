//! One field of a schedule: `*`, `5`, `1-5`, `*/15`, `MON,WED`.

use super::error::Error;

/// What a field may hold.
pub(super) struct Bounds {
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

pub(super) const MINUTE: Bounds = Bounds { min: 0, max: 59, names: &[] };
pub(super) const HOUR: Bounds = Bounds { min: 0, max: 23, names: &[] };
pub(super) const DAY_OF_MONTH: Bounds = Bounds { min: 1, max: 31, names: &[] };
pub(super) const MONTH: Bounds = Bounds {
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
pub(super) const DAY_OF_WEEK: Bounds =
    Bounds { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// The values that a field allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Field {
    bits: u64,
    /// It is `*` or `?`: it asks for nothing. With a step above 1 it does.
    pub is_free: bool,
}

impl Field {
    pub fn has(self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| self.bits >> value & 1 == 1)
    }

    /// The first value from `from` on.
    pub fn first_from(self, from: i8) -> Option<i8> {
        let rest = self.bits >> u32::try_from(from).ok()? << u32::try_from(from).ok()?;
        (rest != 0).then(|| i8::try_from(rest.trailing_zeros()).unwrap_or(i8::MAX))
    }

    /// Parts between commas; empty ones are passed over.
    pub fn parse(text: &str, bounds: &Bounds) -> Result<Self, Error> {
        let mut field = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let part = Self::part(part, bounds)?;
            field.bits |= part.bits;
            field.is_free |= part.is_free;
        }
        Ok(field)
    }

    fn part(text: &str, bounds: &Bounds) -> Result<Self, Error> {
        let text_of = || text.to_owned();
        let (values, step) = text.split_once('/').map_or((text, None), |(values, step)| (values, Some(step)));
        let (low, high) = values.split_once('-').map_or((values, None), |(low, high)| (low, Some(high)));
        let is_star = low == "*" || low == "?";
        let (start, mut end) = if is_star {
            (bounds.min, bounds.max)
        } else {
            let start = bounds.value(low)?;
            match high {
                None => (start, start),
                Some(high) if high.contains('-') => return Err(Error::Hyphens(text_of())),
                Some(high) => (start, bounds.value(high)?),
            }
        };
        let step = match step {
            None => 1,
            Some(step) if step.contains('/') => return Err(Error::Slashes(text_of())),
            Some(step) => {
                // `5/20` goes on to the end.
                if high.is_none() {
                    end = bounds.max;
                }
                number(step)?
            }
        };
        if start < bounds.min {
            return Err(Error::BelowMinimum { start, min: bounds.min, text: text_of() });
        }
        if end > bounds.max {
            return Err(Error::AboveMaximum { end, max: bounds.max, text: text_of() });
        }
        if start > end {
            return Err(Error::BeyondEnd { start, end, text: text_of() });
        }
        let step_wide = usize::try_from(step).unwrap_or(usize::MAX);
        if step_wide == 0 {
            return Err(Error::Step(text_of()));
        }
        let bits = (start..=end).step_by(step_wide).fold(0, |bits, value| bits | 1 << value);
        Ok(Self { bits, is_free: is_star && step <= 1 })
    }
}

impl Bounds {
    fn value(&self, text: &str) -> Result<u32, Error> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        match named.and_then(|index| u32::try_from(index).ok()) {
            Some(index) => Ok(index + self.min),
            None => number(text),
        }
    }
}

/// A number as Go's `strconv.Atoi` reads it, and as it complains.
fn number(text: &str) -> Result<u32, Error> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    match text.parse::<i64>() {
        Ok(number) => match u32::try_from(number) {
            Ok(number) => Ok(number),
            Err(_) if number < 0 => Err(Error::Negative { number, text: text.to_owned() }),
            // Above every maximum, as the number itself.
            Err(_) => Ok(u32::MAX),
        },
        Err(_) => Err(Error::Number {
            text: text.to_owned(),
            reason: if is_number { "value out of range" } else { "invalid syntax" },
        }),
    }
}
