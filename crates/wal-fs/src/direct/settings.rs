//! The numbers of `DirectStorage`, and what becomes of a last block.

use wal_core::{Error, ErrorKind, Result};

use crate::file::FileSettings;

/// Sizes and limits of [`DirectStorage`](crate::DirectStorage).
///
/// ```
/// use wal_fs::DirectSettings;
/// let settings = DirectSettings::default().block_bytes(Some(512)).preallocate_bytes(4 << 20);
/// assert!(settings.validate().is_ok());
/// assert!(DirectSettings::default().block_bytes(Some(1000)).validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct DirectSettings {
    /// As in [`FileSettings`]: how far zeros are written ahead of the data, rounded up to whole blocks.
    /// Default 1 MiB, 0 to 1 GiB.
    pub preallocate_bytes: u64,
    /// As in [`FileSettings`]: how many removed segments are kept to become new ones. Default 2, 0 to 64.
    pub max_spares: usize,
    /// How many bytes are kept free for when the disk is full; as
    /// [there](crate::FileSettings::reserve_bytes). Default `None`, 0 to 1 GiB.
    pub reserve_bytes: Option<u64>,
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
    /// As in [`FileSettings`]: whether one call is believed to make a write durable. Default `None`: on file systems
    /// where that was tried.
    pub trust_write_through: Option<bool>,
    /// As in [`FileSettings`]: whether the log may live where directories cannot be synced, and what that costs.
    /// Default false.
    pub allow_unsynced_names: bool,
}

/// What becomes of the last block of a write, if the records fill only a part of it.
///
/// Both are as durable on a device that keeps the sectors' other bytes when the power fails during a write;
/// see [the last block](crate::DirectStorage#the-last-block).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
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
        let files = FileSettings::default();
        DirectSettings {
            preallocate_bytes: files.preallocate_bytes,
            max_spares: files.max_spares,
            reserve_bytes: files.reserve_bytes,
            block_bytes: Some(4096),
            last_block: LastBlock::default(),
            trust_write_through: files.trust_write_through,
            allow_unsynced_names: files.allow_unsynced_names,
        }
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

    /// Sets [`reserve_bytes`](Self::reserve_bytes).
    #[must_use]
    pub const fn reserve_bytes(mut self, bytes: Option<u64>) -> Self {
        self.reserve_bytes = bytes;
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
        match self.block_bytes {
            Some(bytes) if !bytes.is_power_of_two() || !(512..=65_536).contains(&bytes) => {
                Err(Error::new(ErrorKind::Invalid, "check settings").with_detail(format!(
                    "block_bytes is {bytes}, allowed are powers of two from 512 to 65536"
                )))
            }
            _ => self.files().validate(),
        }
    }

    /// What the files below are kept with.
    pub(super) fn files(&self) -> FileSettings {
        let block = u64::from(self.block_bytes.unwrap_or(4096));
        let preallocate = self.preallocate_bytes.checked_next_multiple_of(block);
        FileSettings::default()
            .preallocate_bytes(preallocate.unwrap_or(u64::MAX))
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
        DirectSettings::default().validate().unwrap();
        DirectSettings::default().block_bytes(None).validate().unwrap();
        for bytes in [0, 256, 1000, 3072, 131_072] {
            let error = DirectSettings::default().block_bytes(Some(bytes)).validate().unwrap_err();
            assert!(error.to_string().contains(&format!("block_bytes is {bytes}")), "{error}");
        }
        for bytes in [1_000_000_000_000, u64::MAX] {
            DirectSettings::default().preallocate_bytes(bytes).validate().unwrap_err();
        }
    }
}
