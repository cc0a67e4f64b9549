//! A segment of one storage, copied into another.

use std::sync::Arc;

use super::{LogStorage, Publish, Segment};
use crate::{Error, ErrorKind, Io, Lsn};

/// So many bytes are held at once, however large a segment is.
const PIECE: u64 = 256 << 10;

/// What [`LogStorage::copy_segment`] copied.
///
/// ```
/// use wal_core::Copied;
/// let copied = Copied::new(4096).shared(4096);
/// assert_eq!((copied.bytes, copied.shared), (4096, 4096));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// How many bytes the copy has.
    pub bytes: u64,
    /// How many of them take no space of their own yet, as the file system shares them (a *reflink*).
    pub shared: u64,
}

impl Copied {
    /// So many bytes, none of them shared.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Copied { bytes, shared: 0 }
    }

    /// Sets [`shared`](Self::shared).
    #[must_use]
    pub const fn shared(mut self, bytes: u64) -> Self {
        self.shared = bytes;
        self
    }
}

/// What [`LogStorage::copy_segment`] does unless it is implemented: stages a segment, reads and writes in pieces of
/// 256 KiB, and publishes. For storages that wrap another one and have to see each of these calls.
pub fn copy_in_pieces<S: LogStorage + ?Sized>(
    storage: &S,
    name: Lsn,
    source: Arc<dyn Segment>,
    len: u64,
) -> Io<'_, Copied> {
    let staged = storage.stage(name, len);
    Io::future(async move {
        let mut staged = staged.await?;
        let mut at = 0;
        while at < len {
            let piece = source.read_at(at, (len - at).min(PIECE) as usize).await?;
            if piece.is_empty() {
                return Err(ends_early(name, at, len));
            }
            let read = piece.len() as u64;
            staged.write_at(at, piece).await?;
            at += read;
        }
        staged.sync().await?;
        let copy = staged.publish(Publish::New).await?;
        // What a storage recycles may be longer than what was written to it.
        if copy.len().await? > len {
            copy.truncate(len).await?;
            copy.sync().await?;
        }
        Ok(Copied::new(len))
    })
}

/// The error for a source that has fewer bytes than were to be copied: somebody cut it meanwhile.
fn ends_early(name: Lsn, at: u64, len: u64) -> Error {
    Error::new(ErrorKind::Corrupt, "copy segment")
        .with_segment(name)
        .with_offset(at)
        .with_detail(format!("the segment ends here, and {len} bytes of it were to be copied"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Access, MemoryStorage};

    #[test]
    fn the_first_bytes_are_copied_in_pieces() {
        let (from, to) = (MemoryStorage::new(), MemoryStorage::new());
        let bytes: Vec<u8> = (0..3 * PIECE).map(|n| (n % 251) as u8).collect();
        let whole = Bytes::from(bytes);
        let name = Lsn::new(7);
        let segment = from.create(name, whole.clone(), 1 << 20, Publish::New).wait().unwrap();
        let len = 2 * PIECE + 5;
        let copied = to.copy_segment(name, segment.clone(), len).wait().unwrap();
        assert_eq!(copied, Copied::new(len));
        let copy = to.open(name, Access::Read).wait().unwrap();
        assert_eq!(copy.len().wait().unwrap(), len);
        assert_eq!(copy.read_at(0, whole.len()).wait().unwrap(), whole.slice(..len as usize));
        // The name is taken now, and another segment has fewer bytes than are asked for.
        let again = to.copy_segment(name, segment.clone(), len).wait().unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Exists);
        let short = to.copy_segment(Lsn::new(8), segment, 4 * PIECE).wait().unwrap_err();
        assert_eq!((short.kind(), short.offset()), (ErrorKind::Corrupt, Some(3 * PIECE)));
        assert_eq!(to.list().wait().unwrap().segments, [name]);
    }
}
