//! A storage in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;

use crate::format::LogId;
use crate::recovered::Recovered;
use crate::{
    Access, Capabilities, Error, ErrorKind, Io, Listing, LogStorage, Lsn, Result, Segment,
    StorageLock, WriteMode,
};

/// Keeps the segments in memory: for tests, and for logs that need not outlive the process.
///
/// Clones share the same segments, so a log can be dropped and recovered from the same storage.
/// Nothing survives the process, and a sync does nothing.
#[derive(Clone, Default)]
pub struct MemoryStorage {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    segments: Mutex<BTreeMap<Lsn, Arc<MemorySegment>>>,
    aside: Mutex<BTreeMap<String, Bytes>>,
    locked: Arc<AtomicBool>,
}

struct MemorySegment {
    bytes: RwLock<Vec<u8>>,
    /// How large it is likely to become.
    capacity: usize,
}

impl MemorySegment {
    /// A segment that has grown this large is given all the room that it may need. To double it again and
    /// again copies every byte twice, into memory that has to be cleared first.
    const LARGE: usize = 1 << 20;

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
    /// `Invalid` if the storage is not empty, `Locked` if it is in use.
    pub fn into_empty_log(self) -> Result<Recovered> {
        let lock = self.lock().wait()?;
        if !self.segments().is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "open log")
                .detail("the memory holds a log already; recover it"));
        }
        Ok(Recovered::empty(Arc::new(self), lock, LogId::random()?))
    }

    fn segments(&self) -> std::sync::MutexGuard<'_, BTreeMap<Lsn, Arc<MemorySegment>>> {
        self.shared.segments.lock().unwrap_or_else(PoisonError::into_inner)
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
            Err(Error::new(ErrorKind::Locked, "lock").detail("the memory is in use by another log"))
        } else {
            Ok(StorageLock::new(Unlock(locked)))
        })
    }

    fn list(&self) -> Io<'_, Listing> {
        let segments = self.segments().keys().copied().collect();
        Io::ready(Ok(Listing { segments, foreign: Vec::new() }))
    }

    fn create(&self, name: Lsn, header: Bytes, capacity: u64) -> Io<'_, Arc<dyn Segment>> {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        let segment = Arc::new(MemorySegment { bytes: RwLock::new(header.to_vec()), capacity });
        self.segments().insert(name, segment.clone());
        Io::ready(Ok(segment as Arc<dyn Segment>))
    }

    fn open(&self, name: Lsn, _access: Access) -> Io<'_, Arc<dyn Segment>> {
        Io::ready(match self.segments().get(&name) {
            Some(segment) => Ok(segment.clone() as Arc<dyn Segment>),
            None => Err(Error::new(ErrorKind::NotFound, "open segment").segment(name)),
        })
    }

    fn remove(&self, name: Lsn) -> Io<'_, ()> {
        self.segments().remove(&name);
        Io::ready(Ok(()))
    }

    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        let mut aside = self.shared.aside.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{label}-{}", aside.len());
        aside.insert(name.clone(), data);
        Io::ready(Ok(name))
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
