//! Figures for people.

use super::report::{BarReport, Bound, Unit};
use wal_tool::number::grouped;

/// Records per second: three digits that mean something.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        r if r >= 99.95e6 => format!("{:.0} M", r / 1e6),
        r if r >= 9.995e6 => format!("{:.1} M", r / 1e6),
        r if r >= 0.9995e6 => format!("{:.2} M", r / 1e6),
        r => grouped(r.round() as u64),
    }
}

/// Microseconds.
pub(super) fn micros(micros: f64) -> String {
    match micros {
        m if m < 9.995 => format!("{m:.2}"),
        m if m < 99.95 => format!("{m:.1}"),
        m => grouped(m.round() as u64),
    }
}

/// What a bar was measured at.
pub(super) fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ratio if value < 0.1 => format!("{value:.4}"),
        Unit::Ratio => format!("{value:.3}"),
        Unit::RecordsPerSecond => rate(value),
        Unit::Bytes => format!("{:.1} MiB", value / f64::from(1 << 20)),
    }
}

/// What is asked for.
pub(super) fn bound(bar: &BarReport) -> String {
    match bar.bound {
        Bound::AtLeast(bound) => format!("≥ {}", value(bound, bar.unit)),
        Bound::AtMost(bound) => format!("≤ {}", value(bound, bar.unit)),
    }
}

/// Whether it was reached, in words.
pub(super) fn verdict(bar: &BarReport) -> &'static str {
    match bar.reached() {
        Some(true) => "reached",
        Some(false) => "not reached",
        None => "not measured",
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::bar;
    use super::*;

    #[test]
    fn rates_have_three_digits_or_a_comma() {
        let told =
            [0.4, 999.6, 12_345.6, 999_499.0, 999_500.0, 9_994_999.0, 17.64e6, 250e6].map(rate);
        assert_eq!(
            told,
            ["0", "1,000", "12,346", "999,499", "1.00 M", "9.99 M", "17.6 M", "250 M"]
        );
    }

    #[test]
    fn times_and_bars() {
        assert_eq!([0.051, 84.26, 1234.5].map(micros), ["0.05", "84.3", "1,235"]);
        assert_eq!(value(0.0042, Unit::Ratio), "0.0042");
        assert_eq!(value(0.9496, Unit::Ratio), "0.950");
        assert_eq!(value(2.5 * 1024.0 * 1024.0, Unit::Bytes), "2.5 MiB");
        assert_eq!(bound(&bar(None, Bound::AtMost(1.25))), "≤ 1.250");
        assert_eq!(verdict(&bar(None, Bound::AtMost(1.25))), "not measured");
        assert_eq!(verdict(&bar(Some(1.0), Bound::AtMost(1.25))), "reached");
    }
}
