//! Times of records, as text.

use wal_core::Timestamp;

/// UTC with six digits behind the second, whatever the value: columns stay aligned.
pub(crate) fn show(time: Timestamp) -> String {
    // What lies behind the year 9999 can only come from a clock gone wild.
    let time = i64::try_from(time.as_micros())
        .ok()
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
        .unwrap_or(jiff::Timestamp::MAX);
    format!("{time:.6}")
}

/// Reads a time with its offset from UTC, such as `2026-01-31T12:00:00Z`.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    let time: jiff::Timestamp = text.parse().map_err(|_| {
        format!("{text:?} is no time with its zone, such as 2026-01-31T12:00:00.5Z")
    })?;
    let micros = u64::try_from(time.as_microsecond())
        .map_err(|_| format!("{text:?} lies before 1970, no record does"))?;
    Ok(Timestamp::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn always_prints_six_digits() {
        let micros = |n| show(Timestamp::from_micros(n));
        assert_eq!(micros(1_769_860_800_000_001), "2026-01-31T12:00:00.000001Z");
        assert_eq!(micros(1_769_860_800_000_000), "2026-01-31T12:00:00.000000Z");
        assert_eq!(micros(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(micros(u64::MAX), "9999-12-30T22:00:00.999999Z");
    }

    #[test]
    fn reads_what_it_prints_and_offsets() {
        let noon = Timestamp::from_micros(1_769_860_800_000_000);
        assert_eq!(parse("2026-01-31T12:00:00.000000Z"), Ok(noon));
        assert_eq!(parse("2026-01-31T13:00:00+01:00"), Ok(noon));
        for bad in ["", "yesterday", "2026-01-31", "2026-01-31T12:00:00", "1969-01-01T00:00:00Z"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
