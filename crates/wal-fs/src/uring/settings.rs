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
    /// How many operations the kernel is given at a time; those beyond wait in this process. A segment
    /// has one at most, and a log writes to one segment. Default 16, 1 to 4096.
    pub queue_depth: u32,
}

impl Default for UringSettings {
    fn default() -> Self {
        let FileSettings { preallocate_bytes, max_spares, .. } = FileSettings::default();
        UringSettings { preallocate_bytes, max_spares, queue_depth: 16 }
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

    /// Sets [`queue_depth`](Self::queue_depth).
    #[must_use]
    pub const fn queue_depth(mut self, operations: u32) -> Self {
        self.queue_depth = operations;
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
