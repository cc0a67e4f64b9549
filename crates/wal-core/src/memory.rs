//! A storage in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;

use crate::format::{LogId, SEGMENT_HEADER_LEN};
use crate::recovered::Recovered;
use crate::{
    Access, Capabilities, Error, ErrorKind, Io, Listing, LogStorage, Lsn, Publish, Result, Segment,
    Staged, StagedSegment, StorageLock, WriteMode,
};

/// Keeps the segments in memory: for tests, and for logs that need not outlive the process.
///
/// Clones share the same segments, so a log can be dropped and recovered from the same storage.
/// Nothing survives the process, and a sync does nothing.
///
/// Memory of a segment that was removed is used for the next ones: a log that is truncated as it goes
/// does not have the system clear memory for it again and again. That of two segments is kept at most.
#[derive(Clone, Default)]
pub struct MemoryStorage {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    segments: Mutex<BTreeMap<Lsn, Arc<MemorySegment>>>,
    aside: Mutex<BTreeMap<String, Bytes>>,
    locked: Arc<AtomicBool>,
    /// Memory of removed segments, empty.
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Shared {
    /// A log that is truncated segment by segment needs one; a second one for a burst.
    const SPARES: usize = 2;

    fn segments(&self) -> MutexGuard<'_, BTreeMap<Lsn, Arc<MemorySegment>>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the memory of a segment that nobody reads any more.
    fn keep(&self, removed: Arc<MemorySegment>) {
        let Some(segment) = Arc::into_inner(removed) else { return };
        let mut bytes = segment.bytes.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut spare = self.spare();
        if spare.len() < Self::SPARES && bytes.capacity() <= segment.capacity {
            bytes.clear();
            spare.push(bytes);
        }
    }
}

struct MemorySegment {
    bytes: RwLock<Vec<u8>>,
    /// How large it is likely to become, its footer included.
    capacity: usize,
}

impl MemorySegment {
    /// A segment that has grown this large is given all the room that it may need. To double it again and
    /// again copies every byte twice, into memory that has to be cleared first.
    const LARGE: usize = 1 << 20;

    /// The first bytes, so many at most.
    fn first(&self, len: usize) -> Vec<u8> {
        let bytes = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        bytes[..len.min(bytes.len())].to_vec()
    }

    fn make_room(&self, bytes: &mut Vec<u8>, more: usize) {
        let wanted = bytes.len().saturating_add(more);
        if wanted > bytes.capacity().max(Self::LARGE) && wanted <= self.capacity {
            // If there is not so much, it grows as far as it has to.
            let _ = bytes.try_reserve_exact(self.capacity - bytes.len());
        }
    }
}

impl MemoryStorage {
    /// An empty storage.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens an empty storage as a new log, without a scan: there is nothing to recover.
    ///
    /// # Errors
    /// `NotRecovered` if the storage is not empty, `Locked` if it is in use.
    pub fn into_empty_log(self) -> Result<Recovered> {
        let lock = self.lock().wait()?;
        Recovered::empty(Arc::new(self), lock, LogId::random()?)
    }

    fn segments(&self) -> MutexGuard<'_, BTreeMap<Lsn, Arc<MemorySegment>>> {
        self.shared.segments()
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStorage").field("segments", &self.segments().len()).finish()
    }
}

struct Unlock(Arc<AtomicBool>);

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl LogStorage for MemoryStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities::volatile()
    }

    fn describe(&self) -> String {
        "memory".into()
    }

    fn lock(&self) -> Io<'_, StorageLock> {
        let locked = self.shared.locked.clone();
        Io::ready(if locked.swap(true, Ordering::Acquire) {
            Err(Error::new(ErrorKind::Locked, "lock")
                .with_detail("the memory is in use by another log"))
        } else {
            Ok(StorageLock::new(Unlock(locked)))
        })
    }

    fn list(&self) -> Io<'_, Listing> {
        let segments = self.segments().keys().copied().collect();
        Io::ready(Ok(Listing::new(segments, Vec::new())))
    }

    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        let with_footer = capacity.saturating_add(capacity / 1024 + 4096);
        let capacity = usize::try_from(with_footer).unwrap_or(usize::MAX);
        let spare = self.shared.spare().pop_if(|spare| spare.capacity() <= capacity);
        let bytes = RwLock::new(spare.unwrap_or_default());
        let segment = MemorySegment { bytes, capacity };
        Io::ready(Ok(Staged::new(StagedMemory { shared: self.shared.clone(), name, segment })))
    }

    fn open(&self, name: Lsn, _access: Access) -> Io<'_, Arc<dyn Segment>> {
        Io::ready(match self.segments().get(&name) {
            Some(segment) => Ok(segment.clone() as Arc<dyn Segment>),
            None => Err(Error::new(ErrorKind::NotFound, "open segment").with_segment(name)),
        })
    }

    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        let removed: Vec<_> = {
            let mut segments = self.segments();
            names.iter().filter_map(|name| segments.remove(name)).collect()
        };
        removed.into_iter().for_each(|segment| self.shared.keep(segment));
        Io::ready(Ok(()))
    }

    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        let mut aside = self.shared.aside.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{label}-{}", aside.len());
        aside.insert(name.clone(), data);
        Io::ready(Ok(name))
    }
}

/// A segment that is not in the map yet.
struct StagedMemory {
    shared: Arc<Shared>,
    name: Lsn,
    segment: MemorySegment,
}

impl StagedSegment for StagedMemory {
    fn write_at(&mut self, offset: u64, data: Bytes) -> Io<'_, ()> {
        self.segment.write_at(offset, data, WriteMode::Cached)
    }

    fn sync(&mut self) -> Io<'_, ()> {
        Io::ready(Ok(()))
    }

    fn publish(self: Box<Self>, how: Publish) -> Io<'static, Arc<dyn Segment>> {
        let StagedMemory { shared, name, segment } = *self;
        let mut segments = shared.segments();
        let header = segments.get(&name).map(|present| present.first(SEGMENT_HEADER_LEN));
        if let Err(error) = how.check(name, header.as_deref()) {
            return Io::ready(Err(error));
        }
        let segment = Arc::new(segment);
        segments.insert(name, segment.clone());
        Io::ready(Ok(segment as Arc<dyn Segment>))
    }
}

impl Segment for MemorySegment {
    fn write_at(&self, offset: u64, data: Bytes, _mode: WriteMode) -> Io<'_, ()> {
        let mut bytes = self.bytes.write().unwrap_or_else(PoisonError::into_inner);
        let start = offset as usize;
        if bytes.len() < start {
            bytes.resize(start, 0);
        }
        let (over, behind) = data.split_at(data.len().min(bytes.len() - start));
        bytes[start..start + over.len()].copy_from_slice(over);
        self.make_room(&mut bytes, behind.len());
        bytes.extend_from_slice(behind);
        Io::ready(Ok(()))
    }

    fn sync(&self) -> Io<'_, ()> {
        Io::ready(Ok(()))
    }

    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        let bytes = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(len).min(bytes.len());
        Io::ready(Ok(Bytes::copy_from_slice(&bytes[start..end])))
    }

    fn len(&self) -> Io<'_, u64> {
        let bytes = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        Io::ready(Ok(bytes.len() as u64))
    }

    fn truncate(&self, len: u64) -> Io<'_, ()> {
        let mut bytes = self.bytes.write().unwrap_or_else(PoisonError::into_inner);
        bytes.truncate(len as usize);
        Io::ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(storage: &MemoryStorage, name: u64) -> Arc<dyn Segment> {
        storage.create(Lsn::new(name), "header".into(), 1 << 20, Publish::New).wait().unwrap()
    }

    fn spares(storage: &MemoryStorage) -> Vec<usize> {
        storage.shared.spare().iter().map(Vec::capacity).collect()
    }

    #[test]
    fn memory_of_removed_segments_is_used_again_and_holds_nothing_old() {
        let storage = MemoryStorage::new();
        for name in 1..=3 {
            let segment = create(&storage, name);
            segment.write_at(6, vec![7; 5000].into(), WriteMode::Cached).wait().unwrap();
        }
        assert_eq!(spares(&storage), []);
        (1..=3).for_each(|name| storage.remove(&[Lsn::new(name)]).wait().unwrap());
        let kept = spares(&storage);
        assert!(kept.len() == 2 && kept.iter().all(|room| *room >= 5006), "{kept:?}");
        let segment = create(&storage, 4);
        assert_eq!(spares(&storage).len(), 1);
        assert_eq!(segment.read_at(0, 9000).wait().unwrap(), "header");
        segment.write_at(100, "x".into(), WriteMode::Cached).wait().unwrap();
        assert_eq!(segment.read_at(6, 94).wait().unwrap(), vec![0; 94]);
    }

    /// To grow by a footer would copy all of it, and leave twice the room.
    #[test]
    fn a_full_segment_has_room_for_its_footer() {
        let storage = MemoryStorage::new();
        let size = 4 << 20;
        let segment = storage.create(Lsn::FIRST, Bytes::new(), size, Publish::New).wait().unwrap();
        let pieces = (0..size).step_by(64 << 10);
        let write = |offset, len: usize| {
            segment.write_at(offset, vec![7; len].into(), WriteMode::Cached).wait().unwrap();
        };
        pieces.for_each(|offset| write(offset, 64 << 10));
        write(size, 64 + 8 * 64); // an index entry for each 64 KiB
        let sealed = storage.segments()[&Lsn::FIRST].clone();
        let room = sealed.bytes.read().unwrap().capacity();
        assert!(room < (4 << 20) + (16 << 10), "{room}");
    }

    #[test]
    fn whoever_reads_a_removed_segment_keeps_it() {
        let storage = MemoryStorage::new();
        let segment = create(&storage, 1);
        storage.remove(&[Lsn::FIRST]).wait().unwrap();
        create(&storage, 2).write_at(0, "other!".into(), WriteMode::Cached).wait().unwrap();
        assert_eq!(segment.read_at(0, 6).wait().unwrap(), "header");
    }
}
