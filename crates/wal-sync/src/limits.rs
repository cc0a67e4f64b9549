//! The ranges of parameters, and the errors that name them.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use wal_core::{Error, ErrorKind, Result};

/// Longer waits are a mistake in a unit rather than a wish.
const HOUR: Duration = Duration::from_secs(3600);
/// Below this no timer is exact, and a sync always takes longer.
const MICROSECOND: Duration = Duration::from_micros(1);

/// How long a caller may be made to wait for other appends.
pub(crate) const WAIT: RangeInclusive<Duration> = Duration::ZERO..=HOUR;
/// How old a record may get before it is synced. Zero would be `Always` in disguise.
pub(crate) const AGE: RangeInclusive<Duration> = MICROSECOND..=HOUR;
/// How many records or bytes.
pub(crate) const COUNT: RangeInclusive<u64> = 1..=u64::MAX;

/// `value` if it is in `range`, else an error that names all three.
pub(crate) fn check<T: PartialOrd + fmt::Debug>(
    name: &str,
    value: T,
    range: &RangeInclusive<T>,
) -> Result<T> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(invalid(format!(
        "{name} is {value:?}, allowed are {:?} to {:?}",
        range.start(),
        range.end()
    )))
}

/// An `Invalid` error with this detail.
pub(crate) fn invalid(detail: String) -> Error {
    Error::new(ErrorKind::Invalid, "choose sync strategy").with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_value_and_range() {
        let error = check("delay", Duration::ZERO, &AGE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.detail(), "delay is 0ns, allowed are 1µs to 3600s");
        assert_eq!(check("records", 1, &COUNT).unwrap(), 1);
        assert!(check("records", 0, &COUNT).is_err());
        assert!(check("max_wait", Duration::ZERO, &WAIT).is_ok());
    }
}
