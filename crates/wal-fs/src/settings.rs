//! The numbers of the storages on files.

use serde::{Deserialize, Serialize};
use wal_core::{Error, ErrorKind, Result};

/// Sizes and limits of [`FileStorage`](crate::FileStorage).
///
/// ```
/// use wal_fs::FileSettings;
/// let settings = FileSettings::default().preallocate_bytes(4 << 20).max_spares(0);
/// assert!(settings.validate().is_ok());
/// assert!(FileSettings::default().max_spares(1000).validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FileSettings {
    /// How many bytes of zeros are written ahead of the data at a time, so that most syncs touch
    /// only blocks that were written before. Also the longest run of zeros behind the data of a
    /// log that was not closed. 0 switches it off. Default 1 MiB, 0 to 1 GiB.
    pub preallocate_bytes: u64,
    /// How many removed segments are kept to become new ones. Each takes the space of a segment.
    /// 0 switches recycling off. Default 2, 0 to 64.
    pub max_spares: usize,
    /// Whether a commit is one write-through call (`pwritev2` with `RWF_DSYNC` on Linux) where that
    /// is possible, instead of a write and an `fdatasync`. As durable, and one call fewer; what it
    /// gains depends on the device. Default false.
    pub write_through: bool,
}

impl Default for FileSettings {
    fn default() -> Self {
        FileSettings { preallocate_bytes: 1 << 20, max_spares: 2, write_through: false }
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

    /// Sets [`write_through`](Self::write_through).
    #[must_use]
    pub const fn write_through(mut self, on: bool) -> Self {
        self.write_through = on;
        self
    }

    /// Checks every range; nothing is ever corrected silently.
    ///
    /// # Errors
    /// `Invalid`, naming the setting, its value and its range.
    pub fn validate(&self) -> Result<()> {
        range("preallocate_bytes", self.preallocate_bytes, 0, 1 << 30)?;
        range("max_spares", self.max_spares as u64, 0, 64)
    }
}

/// Sizes and limits of [`DirectStorage`](crate::DirectStorage).
///
/// ```
/// use wal_fs::DirectSettings;
/// let settings = DirectSettings::default().block_bytes(Some(512)).preallocate_bytes(4 << 20);
/// assert!(settings.validate().is_ok());
/// assert!(DirectSettings::default().block_bytes(Some(1000)).validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DirectSettings {
    /// As in [`FileSettings`]: how far zeros are written ahead of the data, rounded up to whole blocks.
    /// Default 1 MiB, 0 to 1 GiB.
    pub preallocate_bytes: u64,
    /// As in [`FileSettings`]: how many removed segments are kept to become new ones. Default 2, 0 to 64.
    pub max_spares: usize,
    /// What is written at least, in bytes: every write is made of whole blocks. What becomes of the last
    /// one, if it is filled partly, says `last_block`. `None`: the least that the file system takes, often
    /// 512; padding then assumes 4096. A power of two, 512 to 65 536, and a multiple of that least.
    ///
    /// Frames begin in a block of their own, behind the header's, so segments have to be some blocks large.
    ///
    /// Default 4096: nearly every device has physical sectors or pages of this size, and one that takes
    /// less has to read the rest of the sector before it can write it.
    pub block_bytes: Option<u32>,
    /// What becomes of a last block that is filled partly: whether the next commit writes it again, or
    /// begins behind it. Default [`LastBlock::Rewritten`].
    pub last_block: LastBlock,
}

/// What becomes of the last block of a write, if the records fill only a part of it.
///
/// Both are as durable on a device that keeps the sectors' other bytes when the power fails during a write;
/// see [the last block](crate::DirectStorage#the-last-block).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LastBlock {
    /// The next commit begins in it, and writes it again with what it holds. No space is given up, and a
    /// write has as few blocks as its bytes need. What is assumed of the device is what a buffered append
    /// assumes as well: *powersafe overwrite*.
    #[default]
    Rewritten,
    /// It is filled up with padding, and the next commit begins in a block of its own. No block that holds an
    /// acknowledged record is ever written again, so nothing is assumed of what an interrupted write does
    /// to the block that it writes.
    ///
    /// For devices of which that is not known, and for those to which writing a block again is dear. The
    /// blocks must be at least what the device writes at once: on one that says 512 and has sectors of
    /// 4096, `block_bytes` is to be 4096. And at least a block of the file system, as what is filled ahead
    /// and what is left of a file that was cut is written by the kernel, in such blocks. The default is
    /// right for nearly all of them.
    ///
    /// It costs half a block of space for each write on average, whole blocks for small records that are
    /// synced one by one: 4096 bytes for a record of 100. Where segments are recycled (`max_spares`), each
    /// write is one block longer, for the blank header behind it. Segments have to hold four blocks at
    /// least.
    Padded,
}

impl Default for DirectSettings {
    fn default() -> Self {
        let FileSettings { preallocate_bytes, max_spares, .. } = FileSettings::default();
        let last_block = LastBlock::default();
        DirectSettings { preallocate_bytes, max_spares, block_bytes: Some(4096), last_block }
    }
}

impl DirectSettings {
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

    /// Sets [`block_bytes`](Self::block_bytes).
    #[must_use]
    pub const fn block_bytes(mut self, bytes: Option<u32>) -> Self {
        self.block_bytes = bytes;
        self
    }

    /// Sets [`last_block`](Self::last_block).
    #[must_use]
    pub const fn last_block(mut self, last_block: LastBlock) -> Self {
        self.last_block = last_block;
        self
    }

    /// Checks every range; nothing is ever corrected silently.
    ///
    /// # Errors
    /// `Invalid`, naming the setting, its value and its range.
    pub fn validate(&self) -> Result<()> {
        match self.block_bytes {
            Some(bytes) if !bytes.is_power_of_two() || !(512..=65_536).contains(&bytes) => {
                Err(Error::new(ErrorKind::Invalid, "check settings").detail(format!(
                    "block_bytes is {bytes}, allowed are powers of two from 512 to 65536"
                )))
            }
            _ => self.files().validate(),
        }
    }

    /// What the files below are kept with.
    pub(crate) fn files(&self) -> FileSettings {
        let block = u64::from(self.block_bytes.unwrap_or(4096));
        let preallocate = self.preallocate_bytes.checked_next_multiple_of(block);
        FileSettings::default()
            .preallocate_bytes(preallocate.unwrap_or(u64::MAX))
            .max_spares(self.max_spares)
    }
}

/// Sizes and limits of [`MmapStorage`](crate::MmapStorage).
///
/// ```
/// use wal_fs::MmapSettings;
/// assert!(MmapSettings::default().window_bytes(8 << 20).validate().is_ok());
/// assert!(MmapSettings::default().window_bytes(0).validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
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
}

impl Default for MmapSettings {
    fn default() -> Self {
        let FileSettings { preallocate_bytes, max_spares, .. } = FileSettings::default();
        MmapSettings { window_bytes: preallocate_bytes, helper_thread: true, max_spares }
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

    /// Checks every range; nothing is ever corrected silently.
    ///
    /// # Errors
    /// `Invalid`, naming the setting, its value and its range.
    pub fn validate(&self) -> Result<()> {
        range("window_bytes", self.window_bytes, 1 << 10, 1 << 30)?;
        self.files().validate()
    }

    /// What the files below are kept with.
    pub(crate) fn files(&self) -> FileSettings {
        FileSettings::default().preallocate_bytes(self.window_bytes).max_spares(self.max_spares)
    }
}

pub(crate) fn range(name: &str, value: u64, min: u64, max: u64) -> Result<()> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Invalid, "check settings")
        .detail(format!("{name} is {value}, allowed are {min} to {max}")))
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

    #[test]
    fn each_storage_has_its_ranges() {
        DirectSettings::default().validate().unwrap();
        DirectSettings::default().block_bytes(None).validate().unwrap();
        for bytes in [0, 256, 1000, 3072, 131_072] {
            let error = DirectSettings::default().block_bytes(Some(bytes)).validate().unwrap_err();
            assert!(error.to_string().contains(&format!("block_bytes is {bytes}")), "{error}");
        }
        for bytes in [1_000_000_000_000, u64::MAX] {
            DirectSettings::default().preallocate_bytes(bytes).validate().unwrap_err();
        }
        MmapSettings::default().validate().unwrap();
        let error = MmapSettings::default().window_bytes(100).validate().unwrap_err();
        assert!(error.to_string().contains("window_bytes is 100, allowed are 1024"), "{error}");
        MmapSettings::default().max_spares(65).validate().unwrap_err();
    }
}
