//! The numbers of `UringStorage`.

use wal_core::Result;

use crate::file::FileSettings;
use crate::file::range;

/// Sizes and limits of [`UringStorage`](crate::UringStorage).
///
/// ```
/// use wal_fs::UringSettings;
/// assert!(UringSettings::default().queue_depth(8).validate().is_ok());
/// assert!(UringSettings::default().queue_depth(0).validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct UringSettings {
    /// As in [`FileSettings`]: how far zeros are written ahead of the data. Default 1 MiB, 0 to 1 GiB.
    pub preallocate_bytes: u64,
    /// As in [`FileSettings`]: how many removed segments are kept to become new ones. Default 2, 0 to 64.
    pub max_spares: usize,
    /// How many bytes are kept free for when the disk is full; as
    /// [there](crate::FileSettings::reserve_bytes). Default `None`, 0 to 1 GiB.
    pub reserve_bytes: Option<u64>,
    /// How many operations the kernel is given at a time; those beyond wait in this process. A segment
    /// has one at most, and a log writes to one segment. Default 16, 1 to 4096.
    pub queue_depth: u32,
    /// As in [`FileSettings`]: whether one call is believed to make a write durable. Default `None`: on file systems
    /// where that was tried.
    pub trust_write_through: Option<bool>,
    /// As in [`FileSettings`]: whether the log may live where directories cannot be synced, and what that costs.
    /// Default false.
    pub allow_unsynced_names: bool,
}

impl Default for UringSettings {
    fn default() -> Self {
        let files = FileSettings::default();
        UringSettings {
            preallocate_bytes: files.preallocate_bytes,
            max_spares: files.max_spares,
            reserve_bytes: files.reserve_bytes,
            queue_depth: 16,
            trust_write_through: files.trust_write_through,
            allow_unsynced_names: files.allow_unsynced_names,
        }
    }
}

impl UringSettings {
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

    /// Sets [`queue_depth`](Self::queue_depth).
    #[must_use]
    pub const fn queue_depth(mut self, operations: u32) -> Self {
        self.queue_depth = operations;
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
        range("queue_depth", self.queue_depth.into(), 1, 4096)?;
        self.files().validate()
    }

    /// What the files below are kept with.
    pub(super) fn files(&self) -> FileSettings {
        FileSettings::default()
            .preallocate_bytes(self.preallocate_bytes)
            .max_spares(self.max_spares)
            .reserve_bytes(self.reserve_bytes)
            .trust_write_through(self.trust_write_through)
            .allow_unsynced_names(self.allow_unsynced_names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_out_of_range_and_says_so() {
        UringSettings::default().validate().unwrap();
        UringSettings::default().queue_depth(4096).validate().unwrap();
        let error = UringSettings::default().queue_depth(4097).validate().unwrap_err();
        assert!(
            error.to_string().contains("queue_depth is 4097, allowed are 1 to 4096"),
            "{error}"
        );
        UringSettings::default().max_spares(65).validate().unwrap_err();
        UringSettings::default().preallocate_bytes(2 << 30).validate().unwrap_err();
    }
}
