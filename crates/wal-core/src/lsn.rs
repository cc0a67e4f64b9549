//! Positions in the log and points in time.

use std::fmt;

/// Log sequence number: the position of one record in its log.
///
/// LSNs are dense and start at 1. A number under which a record was ever durable is never given to
/// another record, not even after truncation or after the log was emptied. [`Lsn::ZERO`] stands
/// for "before the first record", for instance as the durable position of an empty log.
///
/// ```
/// use wal_core::Lsn;
/// assert_eq!(Lsn::ZERO.next(), Lsn::FIRST);
/// assert_eq!(Lsn::new(7).to_string(), "7");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Lsn(u64);

impl Lsn {
    /// Before the first record.
    pub const ZERO: Lsn = Lsn(0);
    /// The first record of a new log.
    pub const FIRST: Lsn = Lsn(1);
    /// Beyond every record.
    pub const MAX: Lsn = Lsn(u64::MAX);

    /// Wraps a raw number.
    #[must_use]
    #[inline]
    pub const fn new(raw: u64) -> Self {
        Lsn(raw)
    }

    /// The raw number.
    #[must_use]
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The LSN after this one.
    ///
    /// # Panics
    /// Behind [`MAX`](Self::MAX), in every build.
    #[must_use]
    #[inline]
    pub const fn next(self) -> Self {
        self.advance(1)
    }

    /// The LSN before this one; `ZERO` stays `ZERO`.
    #[must_use]
    #[inline]
    pub const fn prev(self) -> Self {
        Lsn(self.0.saturating_sub(1))
    }

    /// The LSN `n` records further on.
    ///
    /// # Panics
    /// Behind [`MAX`](Self::MAX), in every build: a number that wrapped around would be given out twice.
    #[must_use]
    #[inline]
    pub const fn advance(self, n: u64) -> Self {
        match self.0.checked_add(n) {
            Some(lsn) => Lsn(lsn),
            None => panic!("LSNs end at 2^64 - 1"),
        }
    }

    /// How many records lie between `earlier` and `self`; 0 if `earlier` is not earlier.
    #[must_use]
    #[inline]
    pub const fn since(self, earlier: Lsn) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<u64> for Lsn {
    fn from(raw: u64) -> Self {
        Lsn(raw)
    }
}

impl From<Lsn> for u64 {
    fn from(lsn: Lsn) -> Self {
        lsn.0
    }
}

/// The LSNs that one [`append_batch`](crate::Wal::append_batch) was given, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LsnRange {
    /// The batch's first record.
    pub first: Lsn,
    /// The batch's last record.
    pub last: Lsn,
}

impl LsnRange {
    /// From the first LSN to the last, both included.
    ///
    /// # Panics
    /// If `last` comes before `first`.
    #[must_use]
    pub const fn new(first: Lsn, last: Lsn) -> Self {
        assert!(first.0 <= last.0, "a range is not empty");
        LsnRange { first, last }
    }

    /// How many records the batch holds; at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub const fn len(&self) -> u64 {
        self.last.0 - self.first.0 + 1
    }
}

/// Microseconds since the Unix epoch, as read from the log's [`Clock`](crate::Clock).
///
/// A record carries the time of day as it was read. If the clock is set, later records may carry earlier times: the
/// order of records is that of their LSNs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Timestamp = Timestamp(0);
    /// Later than every record.
    pub const MAX: Timestamp = Timestamp(u64::MAX);

    /// Wraps microseconds since the Unix epoch.
    #[must_use]
    #[inline]
    pub const fn from_micros(micros: u64) -> Self {
        Timestamp(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    #[inline]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// So many microseconds later, or earlier if they are negative; ends at the epoch and at [`MAX`](Self::MAX).
    #[must_use]
    #[inline]
    pub const fn saturating_add_micros(self, micros: i64) -> Self {
        Timestamp(self.0.saturating_add_signed(micros))
    }

    /// How many microseconds later this is than `earlier`; negative if it is earlier. Bounded by what an `i64` holds.
    #[must_use]
    #[inline]
    pub const fn micros_since(self, earlier: Timestamp) -> i64 {
        let apart = self.0 as i128 - earlier.0 as i128;
        if apart > i64::MAX as i128 {
            i64::MAX
        } else if apart < i64::MIN as i128 {
            i64::MIN
        } else {
            apart as i64
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
