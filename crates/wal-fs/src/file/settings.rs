//! The numbers of `FileStorage`.

use wal_core::{Error, ErrorKind, Result};

/// Sizes and limits of [`FileStorage`](crate::FileStorage).
///
/// ```
/// use wal_fs::FileSettings;
/// let settings = FileSettings::default().preallocate_bytes(4 << 20).max_spares(0);
/// assert!(settings.validate().is_ok());
/// assert!(FileSettings::default().max_spares(1000).validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct FileSettings {
    /// How many bytes of zeros are written ahead of the data at a time, so that most syncs touch
    /// only blocks that were written before. Also the longest run of zeros behind the data of a
    /// log that was not closed. 0 switches it off. It is off where a file system copies on write (btrfs, ZFS,
    /// bcachefs, NILFS), as zeros gain nothing there. Default 1 MiB, 0 to 1 GiB.
    pub preallocate_bytes: u64,
    /// How many removed segments are kept to become new ones. Each takes the space of a segment.
    /// 0 switches recycling off. Default 2, 0 to 64.
    pub max_spares: usize,
    /// How many bytes are kept free for when the disk is full: in files of their own, which a truncation, a recovery
    /// and closing may use. So the log itself can make room. `None`: what segments of the log's size need for that
    /// in most cases, 256 KiB to 8.1 MiB: an end of the log of up to 4 MiB that nothing proves durable can be written again. `Some(0)`: nothing. Where a file system gives each write a new place or compresses (btrfs,
    /// ZFS, bcachefs, NILFS), the space is less sure. Default `None`, 0 to 1 GiB.
    pub reserve_bytes: Option<u64>,
    /// Whether a commit is one write-through call (`pwritev2` with `RWF_DSYNC` on Linux) where that
    /// is possible and [trusted](Self::trust_write_through), instead of a write and an `fdatasync`. As durable, and one call fewer; what it
    /// gains depends on the device. Default false.
    pub write_through: bool,
    /// Whether one call is believed to make a write durable (write-through). `None`: on file systems where that was
    /// tried, which are ext2, ext3, ext4, XFS, btrfs and tmpfs. Elsewhere (f2fs, overlayfs, network file systems,
    /// everything that is not Linux) a durable write is a write and a sync, and
    /// [`Capabilities::write_through`](wal_core::Capabilities::write_through) is false. `Some(true)`: everywhere. Only
    /// for a file system that you have tried yourself: f2fs, for one, may lose acknowledged records then.
    /// `Some(false)`: nowhere. Default `None`.
    pub trust_write_through: Option<bool>,
    /// Whether the log may live where directories cannot be synced (CIFS, vboxsf, some virtiofs). Otherwise opening it
    /// there fails as `Unsupported`.
    ///
    /// The cost: a power loss may take the name of a segment, and every record in it, also those that were
    /// acknowledged as durable; if it takes one from the middle, the log is opened only after a repair. So
    /// [`Wal::claim`](wal_core::Wal::claim) promises nothing for a power loss there. The death of the process costs
    /// nothing. Segments are not recycled there. Where directories can be synced the setting changes nothing, and an
    /// error of the device is an error always. Default false.
    pub allow_unsynced_names: bool,
}

impl Default for FileSettings {
    fn default() -> Self {
        FileSettings {
            preallocate_bytes: 1 << 20,
            max_spares: 2,
            reserve_bytes: None,
            write_through: false,
            trust_write_through: None,
            allow_unsynced_names: false,
        }
    }
}

impl FileSettings {
    /// Sets [`preallocate_bytes`](Self::preallocate_bytes).
    #[must_use]
    pub const fn preallocate_bytes(mut self, bytes: u64) -> Self {
        self.preallocate_bytes = bytes;
        self
    }

    /// Sets [`max_spares`](Self::max_spares).
    #[must_use]
    pub const fn max_spares(mut self, count: usize) -> Self {
        self.max_spares = count;
        self
    }

    /// Sets [`reserve_bytes`](Self::reserve_bytes).
    #[must_use]
    pub const fn reserve_bytes(mut self, bytes: Option<u64>) -> Self {
        self.reserve_bytes = bytes;
        self
    }

    /// Sets [`write_through`](Self::write_through).
    #[must_use]
    pub const fn write_through(mut self, on: bool) -> Self {
        self.write_through = on;
        self
    }

    /// Sets [`trust_write_through`](Self::trust_write_through).
    #[must_use]
    pub const fn trust_write_through(mut self, trust: Option<bool>) -> Self {
        self.trust_write_through = trust;
        self
    }

    /// Sets [`allow_unsynced_names`](Self::allow_unsynced_names).
    #[must_use]
    pub const fn allow_unsynced_names(mut self, allow: bool) -> Self {
        self.allow_unsynced_names = allow;
        self
    }

    /// Checks every range; nothing is ever corrected silently.
    ///
    /// # Errors
    /// `Invalid`, naming the setting, its value and its range.
    pub fn validate(&self) -> Result<()> {
        range("preallocate_bytes", self.preallocate_bytes, 0, 1 << 30)?;
        range("reserve_bytes", self.reserve_bytes.unwrap_or(0), 0, 1 << 30)?;
        range("max_spares", self.max_spares as u64, 0, 64)
    }
}

/// Refuses a setting that is out of its range, and says which it is.
pub(crate) fn range(name: &str, value: u64, min: u64, max: u64) -> Result<()> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Invalid, "check settings")
        .with_detail(format!("{name} is {value}, allowed are {min} to {max}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_out_of_range_and_says_so() {
        FileSettings::default().validate().unwrap();
        FileSettings::default().preallocate_bytes(0).max_spares(0).validate().unwrap();
        let error = FileSettings::default().preallocate_bytes(2 << 30).validate().unwrap_err();
        assert!(error.to_string().contains("preallocate_bytes is 2147483648"), "{error}");
        let error = FileSettings::default().max_spares(65).validate().unwrap_err();
        assert!(error.to_string().contains("max_spares is 65, allowed are 0 to 64"), "{error}");
    }
}
