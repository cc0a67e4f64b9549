//! Numbers with units as people write them: `10ms`, `64k`, `1MiB`, `32`.

use std::fmt;
use std::time::Duration;

/// A parameter of a policy; its unit tells what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantity {
    Records(u64),
    Bytes(u64),
    Time(Duration),
}

/// What [`Quantity::parse`] understands, for error messages.
pub(crate) const EXPECTED: &str = "a number of records such as 32, of bytes such as 65536B, 64k \
     or 1MiB (units B, k or KiB, M or MiB, G or GiB, all powers of 1024), or a time such as 10ms \
     (units ns, us, ms, s, min, h)";

/// From the largest, so that the first that divides is the one to print.
const BYTE_UNITS: [(&str, u64); 4] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const TIME_UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1000),
    ("ns", 1),
];

impl Quantity {
    /// `None` for everything that is not exactly a whole number with a known unit.
    ///
    /// Units are case-sensitive where it matters: `1m` could be a minute or a mebibyte, and `1kB`
    /// a thousand bytes or 1024, so neither is taken.
    pub(crate) fn parse(text: &str) -> Option<Quantity> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        let number: u64 = digits.parse().ok()?;
        let unit = match unit {
            "" => return Some(Quantity::Records(number)),
            "k" | "K" => "KiB",
            "M" => "MiB",
            "G" => "GiB",
            "µs" => "us",
            other => other,
        };
        let times = |units: &[(&str, u64)]| {
            let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
            number.checked_mul(*factor)
        };
        let bytes = times(&BYTE_UNITS).map(Quantity::Bytes);
        bytes.or_else(|| times(&TIME_UNITS).map(|ns| Quantity::Time(Duration::from_nanos(ns))))
    }

    /// The kind in words.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Quantity::Records(_) => "number of records",
            Quantity::Bytes(_) => "number of bytes",
            Quantity::Time(_) => "time",
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut print = |number: u64, units: &[(&str, u64)], zero: &str| match units
            .iter()
            .find(|(_, factor)| number >= *factor && number.is_multiple_of(*factor))
        {
            Some((unit, factor)) => write!(f, "{}{unit}", number / factor),
            None => write!(f, "0{zero}"),
        };
        match *self {
            Quantity::Records(number) => print(number, &[("", 1)], ""),
            Quantity::Bytes(number) => print(number, &BYTE_UNITS, "B"),
            Quantity::Time(time) => {
                // No strategy takes more than an hour. Minutes and hours are for reading only.
                print(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), &TIME_UNITS[2..], "s")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_units() {
        let bytes = |n| Some(Quantity::Bytes(n));
        let micros = |n| Some(Quantity::Time(Duration::from_micros(n)));
        for (text, expected) in [
            ("32", Some(Quantity::Records(32))),
            ("7B", bytes(7)),
            ("64k", bytes(65536)),
            ("64K", bytes(65536)),
            ("1MiB", bytes(1 << 20)),
            ("2G", bytes(2 << 30)),
            ("500us", micros(500)),
            ("500µs", micros(500)),
            ("10ms", micros(10_000)),
            ("1s", micros(1_000_000)),
            ("1min", micros(60_000_000)),
            ("1h", micros(3_600_000_000)),
        ] {
            assert_eq!(Quantity::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_ambiguous_or_too_large() {
        for text in ["", "ms", "1m", "1kB", "1MB", "-1", "+1", "1.5s", " 1", "1 ms", "0x10"] {
            assert_eq!(Quantity::parse(text), None, "{text:?}");
        }
        assert_eq!(Quantity::parse("18446744073709551616"), None);
        assert_eq!(Quantity::parse("99999999999999G"), None);
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(n: u64) {
            let all = [
                Quantity::Records(n),
                Quantity::Bytes(n),
                Quantity::Time(Duration::from_nanos(n)),
                Quantity::Time(Duration::from_millis(n % 10_000)),
                Quantity::Bytes(n % 10_000 * 1024),
            ];
            for quantity in all {
                prop_assert_eq!(Quantity::parse(&quantity.to_string()), Some(quantity));
            }
        }

        #[test]
        fn never_panics(text in "\\PC{0,12}") {
            let _ = Quantity::parse(&text);
        }
    }
}
