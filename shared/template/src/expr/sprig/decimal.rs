//! Exact decimal sums and products of floats, so that 0.1 + 0.2 is 0.3.

/// A float's shortest decimal form: `digits * 10^-scale`.
#[derive(Clone, Copy)]
pub(super) struct Decimal {
    digits: i128,
    scale: u32,
}

/// Beyond this the exact form does not fit; the caller then uses floats.
const SCALE_MAX: u32 = 18;

impl Decimal {
    pub fn of(n: f64) -> Option<Self> {
        let text = format!("{n}");
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let scale = u32::try_from(fraction.len()).ok().filter(|s| *s <= SCALE_MAX)?;
        Some(Decimal { digits: format!("{whole}{fraction}").parse().ok()?, scale })
    }

    fn at_scale(self, scale: u32) -> Option<i128> {
        self.digits.checked_mul(10i128.checked_pow(scale - self.scale)?)
    }

    pub fn add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        Some(Decimal { digits: self.at_scale(scale)?.checked_add(other.at_scale(scale)?)?, scale })
    }

    pub fn neg(self) -> Self {
        Decimal { digits: -self.digits, scale: self.scale }
    }

    pub fn mul(self, other: Self) -> Option<Self> {
        Some(Decimal { digits: self.digits.checked_mul(other.digits)?, scale: self.scale + other.scale })
    }

    pub fn to_float(self) -> Option<f64> {
        let sign = if self.digits < 0 { "-" } else { "" };
        format!("{sign}{}e-{}", self.digits.unsigned_abs(), self.scale).parse().ok()
    }
}
