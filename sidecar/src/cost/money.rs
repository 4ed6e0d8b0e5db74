//! Dollars, exactly: whole picodollars, so that cents with ten decimals lose nothing.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};

/// Decimals of a dollar that are kept.
const DECIMALS: usize = 12;

/// Picodollars of a microdollar.
const MICRO: i128 = 1_000_000;

/// Digits before the point. Beyond that it is no bill, and sums stay far from overflow.
const DIGITS: usize = 15;

/// An amount of dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(i128);

impl Money {
    /// So many microdollars.
    pub fn from_micro(micro: u64) -> Self {
        Self(i128::from(micro).saturating_mul(MICRO))
    }

    /// So many nanodollars, so many times.
    pub fn from_nanos(nanos: u64, times: u64) -> Self {
        Self(i128::from(nanos).saturating_mul(i128::from(times)).saturating_mul(1_000))
    }

    /// Dollars as people write them: `12.5`, `-0.000001`. `None` for what is no such number, or
    /// finer than a picodollar.
    pub fn from_dollars(text: &str) -> Option<Self> {
        decimal(text, DECIMALS)
    }

    /// Cents as the provider's reports have them.
    pub fn from_cents(text: &str) -> Option<Self> {
        decimal(text, DECIMALS.saturating_sub(2))
    }

    /// How far it is from nothing.
    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }
}

fn decimal(text: &str, decimals: usize) -> Option<Money> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
    let rest = rest.trim_end_matches('0');
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > DIGITS || rest.len() > decimals {
        return None;
    }
    if !all_digits(whole) || !all_digits(rest) || digits.ends_with('.') {
        return None;
    }
    let number: i128 = format!("{whole}{rest:0<decimals$}").parse().ok()?;

    Some(Money(number.saturating_mul(sign)))
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Money {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// Dollars with six decimals, more where there are more.
impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let digits = format!("{:0>13}", self.0.unsigned_abs());
        let (whole, rest) =
            digits.split_at_checked(digits.len().saturating_sub(DECIMALS)).unwrap_or_default();
        let (micro, finer) = rest.split_at_checked(6).unwrap_or_default();

        formatter.pad(&format!("{sign}{whole}.{micro}{}", finer.trim_end_matches('0')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_and_cents_are_read_to_the_last_digit() {
        for (text, shown) in [
            ("0", "0.000000"),
            ("12.5", "12.500000"),
            ("-0.000001", "-0.000001"),
            ("0.000000000001", "0.000000000001"),
            ("1.2300000000000000000", "1.230000"),
            ("123456789012345", "123456789012345.000000"),
        ] {
            assert_eq!(Money::from_dollars(text).unwrap().to_string(), shown, "{text}");
        }
        assert_eq!(Money::from_cents("123.78912").unwrap().to_string(), "1.2378912");
        assert_eq!(Money::from_cents("0.1"), Some(Money::from_micro(1_000)));
        assert_eq!(Money::from_nanos(5_000, 3), Money::from_micro(15));
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for wrong in ["", "-", ".5", "5.", "1e3", "1,000.00", "$1", "+1", "--1", "1 ", "0x1", "NaN"]
        {
            assert_eq!(Money::from_dollars(wrong), None, "{wrong}");
        }
        assert_eq!(Money::from_dollars("0.0000000000001"), None, "finer than we keep");
        assert_eq!(Money::from_dollars("1234567890123456"), None, "no bill");
    }
}
