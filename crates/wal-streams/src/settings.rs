//! The numbers of a log for streams, each with its unit, default and range.

use wal_core::{Error, ErrorKind, Result};

/// What the shared log does on behalf of its streams. Its own sizes are
/// [`wal_core::Settings`], given to the [`Builder`](wal_core::Builder).
///
/// ```
/// use wal_streams::Settings;
/// assert!(Settings::default().reclaim_bytes(1 << 20).validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct Settings {
    /// A truncation of a stream truncates the shared log as well once this many bytes of frames can be
    /// freed. That costs a checkpoint, a sync and usually a new segment, so a value below the size of a
    /// segment buys little. Default 64 MiB, 0 to 1 TiB.
    pub reclaim_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { reclaim_bytes: 64 << 20 }
    }
}

impl Settings {
    /// Sets [`reclaim_bytes`](Self::reclaim_bytes).
    #[must_use]
    pub const fn reclaim_bytes(mut self, bytes: u64) -> Self {
        self.reclaim_bytes = bytes;
        self
    }

    /// Checks the range.
    ///
    /// # Errors
    /// `Invalid`, naming the setting, its value and its range.
    pub fn validate(&self) -> Result<()> {
        let max = 1 << 40;
        if self.reclaim_bytes <= max {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Invalid, "check settings").with_detail(format!(
            "reclaim_bytes is {}, allowed are 0 to {max}",
            self.reclaim_bytes
        )))
    }
}
