//! What a recovery may do: mode, end, and how closely it looks.

use std::fmt;
use std::str::FromStr;

use wal_core::{Error, ErrorKind, Lsn, Timestamp};

/// What to do about a log that does not end cleanly, or is damaged. No mode is silent: the
/// [`Report`](crate::Report) names everything.
///
/// ```
/// use wal_recovery::Mode;
/// assert_eq!("point-in-time".parse::<Mode>().unwrap(), Mode::PointInTime);
/// assert_eq!(Mode::default().to_string(), "torn-tail");
/// assert!("best-effort".parse::<Mode>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Mode {
    /// Anything wrong is an error: `TornTail` for an incomplete last write, `Corrupt` for the rest.
    Strict,
    /// An incomplete write at the end is cut, as every crash may leave one; damage is an error, and
    /// then nothing is changed.
    #[default]
    TornTail,
    /// The log ends before its first damage. What lies behind is set aside and left out.
    PointInTime,
    /// Everything readable is kept. Damage leaves holes in the LSNs, and the damaged originals are
    /// set aside. A header in which one bit is wrong is corrected. One that is lost is made anew, if the
    /// frames can be told to be the segment's own; if no segment of a log has one and none can be made, a new
    /// log is begun behind its numbers.
    Salvage,
}

impl Mode {
    /// The mode's name, as it is parsed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Strict => "strict",
            Mode::TornTail => "torn-tail",
            Mode::PointInTime => "point-in-time",
            Mode::Salvage => "salvage",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        [Mode::Strict, Mode::TornTail, Mode::PointInTime, Mode::Salvage]
            .into_iter()
            .find(|mode| mode.as_str() == name)
            .ok_or_else(|| {
                Error::new(ErrorKind::Invalid, "parse recovery mode").with_detail(format!(
                    "{name:?} is none of strict, torn-tail, point-in-time, salvage"
                ))
            })
    }
}

/// Where the log is to end. What lies behind is cut off.
///
/// The numbers of the records that are cut are not given out again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Until {
    /// At its last record.
    #[default]
    End,
    /// At this record, which is kept. It may lie inside a batch.
    Lsn(Lsn),
    /// In front of the first record whose time is later. If the clock was ahead for a while, that one may come early:
    /// the order of records is that of their LSNs, and times may go back.
    Time(Timestamp),
}

/// How closely sealed segments are looked at. The last segment is always read in full if it is not
/// sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Verify {
    /// Their headers and footers: costs the number of segments, not their bytes. A footer proves that
    /// every byte before it was durable; rot since then is found when the record is read.
    #[default]
    Footers,
    /// Every byte.
    All,
}
