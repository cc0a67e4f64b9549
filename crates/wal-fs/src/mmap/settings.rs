//! The numbers of `MmapStorage`.

use wal_core::Result;

use crate::file::FileSettings;
use crate::file::range;

/// Sizes and limits of [`MmapStorage`](crate::MmapStorage).
///
/// ```
/// use wal_fs::MmapSettings;
/// assert!(MmapSettings::default().window_bytes(8 << 20).validate().is_ok());
/// assert!(MmapSettings::default().window_bytes(0).validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct MmapSettings {
    /// How many bytes are filled with zeros and mapped at once; up to three such windows are mapped. The
    /// first one of a segment is prepared while an append waits. Default 1 MiB, 1 KiB to 1 GiB.
    pub window_bytes: u64,
    /// Whether windows are prepared and written back by a thread of the storage, instead of by the one that
    /// writes. Default true; false where all that happens shall happen in one order.
    pub helper_thread: bool,
    /// As in [`FileSettings`]: how many removed segments are kept to become new ones. Default 2, 0 to 64.
    pub max_spares: usize,
    /// How many bytes are kept free for when the disk is full; as
    /// [there](crate::FileSettings::reserve_bytes). Default `None`, 0 to 1 GiB.
    pub reserve_bytes: Option<u64>,
    /// As in [`FileSettings`]: whether the log may live where directories cannot be synced, and what that costs.
    /// Default false.
    pub allow_unsynced_names: bool,
}

impl Default for MmapSettings {
    fn default() -> Self {
        let files = FileSettings::default();
        MmapSettings {
            window_bytes: files.preallocate_bytes,
            helper_thread: true,
            max_spares: files.max_spares,
            reserve_bytes: files.reserve_bytes,
            allow_unsynced_names: files.allow_unsynced_names,
        }
    }
}

impl MmapSettings {
    /// Sets [`window_bytes`](Self::window_bytes).
    #[must_use]
    pub const fn window_bytes(mut self, bytes: u64) -> Self {
        self.window_bytes = bytes;
        self
    }

    /// Sets [`helper_thread`](Self::helper_thread).
    #[must_use]
    pub const fn helper_thread(mut self, wanted: bool) -> Self {
        self.helper_thread = wanted;
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
        range("window_bytes", self.window_bytes, 1 << 10, 1 << 30)?;
        self.files().validate()
    }

    /// What the files below are kept with.
    pub(super) fn files(&self) -> FileSettings {
        FileSettings::default()
            .preallocate_bytes(self.window_bytes)
            .max_spares(self.max_spares)
            .reserve_bytes(self.reserve_bytes)
            .allow_unsynced_names(self.allow_unsynced_names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_out_of_range_and_says_so() {
        MmapSettings::default().validate().unwrap();
        let error = MmapSettings::default().window_bytes(100).validate().unwrap_err();
        assert!(error.to_string().contains("window_bytes is 100, allowed are 1024"), "{error}");
        MmapSettings::default().max_spares(65).validate().unwrap_err();
    }
}
