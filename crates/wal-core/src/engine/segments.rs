//! What readers need to know: which segments there are, and what they hold.

use std::collections::HashSet;
use std::sync::Arc;

use crate::format::{
    FRAME_HEADER_LEN, FrameHeader, IndexEntry, Salt, SegmentHeader, SegmentSummary,
};
use crate::recovered::RecoveredSegment;
use crate::sync::{AtomicU64, Mutex, Ordering, RwLock, lock};
use crate::{Access, LogStorage, Lsn, Result, Segment};

/// One segment of an open log.
pub(crate) struct SegmentEntry {
    pub(crate) header: SegmentHeader,
    pub(crate) salt: Salt,
    /// Records behind this LSN are void: a truncation cut them off.
    limit: AtomicU64,
    summary: Mutex<SegmentSummary>,
}

impl SegmentEntry {
    pub(crate) fn new(header: SegmentHeader) -> Self {
        let salt = header.salt();
        let summary =
            SegmentSummary { data_end: u64::from(header.data_offset), ..SegmentSummary::default() };
        SegmentEntry { header, salt, limit: AtomicU64::new(u64::MAX), summary: Mutex::new(summary) }
    }

    pub(crate) fn recovered(segment: RecoveredSegment) -> Arc<Self> {
        let entry = SegmentEntry::new(segment.header);
        entry.limit.store(segment.last_lsn.get(), Ordering::Relaxed);
        *lock(&entry.summary) = segment.summary;
        Arc::new(entry)
    }

    /// Takes account of frames that were written at `offset`. Returns where readers now find the end of the frames.
    pub(crate) fn extend(&self, frames: &[u8], offset: u64) -> u64 {
        let mut summary = lock(&self.summary);
        walk(frames, |header, records, at| summary.add(header, records, offset + at));
        summary.data_end
    }

    pub(crate) fn summary(&self) -> SegmentSummary {
        lock(&self.summary).clone()
    }

    /// Offset behind the last written frame.
    pub(crate) fn data_end(&self) -> u64 {
        lock(&self.summary).data_end
    }

    pub(crate) fn seek(&self, lsn: Lsn) -> Option<IndexEntry> {
        let delta = u32::try_from(lsn.since(self.header.first_lsn)).unwrap_or(u32::MAX);
        lock(&self.summary).seek(delta)
    }

    /// The last record that was written here and is not void; what the segment follows if there is
    /// none.
    pub(crate) fn last_lsn(&self) -> Lsn {
        let records = u64::from(lock(&self.summary).records);
        if records == 0 {
            return self.header.follows;
        }
        let written = self.header.first_lsn.advance(records).prev();
        written.min(Lsn::new(self.limit.load(Ordering::Acquire)))
    }

    pub(crate) fn limit_to(&self, last: Lsn) {
        self.limit.fetch_min(last.get(), Ordering::AcqRel);
    }
}

/// All segments of an open log, and the few that reading keeps open.
pub(crate) struct Segments {
    storage: Arc<dyn LogStorage>,
    entries: RwLock<Vec<Arc<SegmentEntry>>>,
    open: Mutex<Vec<(u64, Arc<dyn Segment>)>>,
    open_max: usize,
}

impl Segments {
    pub(crate) fn new(
        storage: Arc<dyn LogStorage>,
        open_max: usize,
        entries: impl Iterator<Item = Arc<SegmentEntry>>,
    ) -> Self {
        Segments {
            storage,
            entries: RwLock::new(entries.collect()),
            open: Mutex::new(Vec::new()),
            open_max,
        }
    }

    fn read<T>(&self, f: impl FnOnce(&[Arc<SegmentEntry>]) -> T) -> T {
        f(&self.entries.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Adds the newest segment; replaces an empty one of the same name.
    pub(crate) fn push(&self, entry: Arc<SegmentEntry>) {
        let name = entry.header.first_lsn;
        let mut entries = self.entries.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if entries.last().is_some_and(|last| last.header.first_lsn == name) {
            let replaced = entries.pop().expect("there is a last one").header.generation;
            lock(&self.open).retain(|(generation, _)| *generation != replaced);
        }
        entries.push(entry);
    }

    /// The segment of this name.
    pub(crate) fn named(&self, name: Lsn) -> Option<Arc<SegmentEntry>> {
        self.read(|entries| {
            let at = entries.binary_search_by_key(&name, |e| e.header.first_lsn).ok()?;
            Some(entries[at].clone())
        })
    }

    /// The segments of which nothing is left if the log starts at `lsn`, ascending.
    ///
    /// One that begins there stays, even if it is empty: it alone says which number comes next.
    pub(crate) fn before(&self, lsn: Lsn) -> Vec<Arc<SegmentEntry>> {
        let is_void = |e: &&Arc<SegmentEntry>| e.header.first_lsn < lsn && e.last_lsn() < lsn;
        self.read(|entries| entries.iter().take_while(is_void).cloned().collect())
    }

    /// The oldest segment, if it is in front of `lsn` as a whole. Never the only one: it may have to be sealed first, and
    /// nothing would be left of the log if that failed.
    pub(crate) fn oldest_before(&self, lsn: Lsn) -> Option<Lsn> {
        self.read(|entries| match entries {
            [oldest, _, ..] if oldest.last_lsn() < lsn => Some(oldest.header.first_lsn),
            _ => None,
        })
    }

    /// The segments that begin behind `lsn`, and those that do not, both ascending and without the newest one.
    pub(crate) fn split_behind(
        &self,
        lsn: Lsn,
        newest: Lsn,
    ) -> (Vec<Arc<SegmentEntry>>, Vec<Arc<SegmentEntry>>) {
        self.read(|entries| {
            let others = entries.iter().filter(|e| e.header.first_lsn != newest).cloned();
            others.partition(|e| e.header.first_lsn > lsn)
        })
    }

    /// The segment that holds `lsn`, or the next one behind it if `lsn` is void.
    pub(crate) fn locate(&self, lsn: Lsn) -> Option<Arc<SegmentEntry>> {
        self.read(|entries| {
            let after = entries.partition_point(|e| e.header.first_lsn <= lsn);
            let holder =
                after.checked_sub(1).map(|at| &entries[at]).filter(|e| e.last_lsn() >= lsn);
            holder
                .or_else(|| entries[after..].iter().find(|e| e.last_lsn() >= e.header.first_lsn))
                .cloned()
        })
    }

    /// The last record at or before `lsn` that exists, if there is one.
    pub(crate) fn last_live(&self, lsn: Lsn) -> Option<Lsn> {
        self.read(|entries| {
            let before = entries.partition_point(|e| e.header.first_lsn <= lsn);
            let holds_any = |e: &&Arc<SegmentEntry>| e.last_lsn() >= e.header.first_lsn;
            entries[..before].iter().rev().find(holds_any).map(|e| e.last_lsn().min(lsn))
        })
    }

    /// Whether this segment is still part of the log.
    pub(crate) fn contains(&self, generation: u64) -> bool {
        self.read(|entries| entries.iter().any(|e| e.header.generation == generation))
    }

    /// Takes segments out; readers do not find them any more.
    pub(crate) fn forget(&self, segments: &[Arc<SegmentEntry>]) {
        let gone: HashSet<u64> = segments.iter().map(|e| e.header.generation).collect();
        let mut entries = self.entries.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.retain(|e| !gone.contains(&e.header.generation));
        drop(entries);
        lock(&self.open).retain(|(generation, _)| !gone.contains(generation));
    }

    /// A handle for reading; the least recently used one is let go beyond the bound.
    pub(crate) fn handle(&self, entry: &SegmentEntry) -> Result<Arc<dyn Segment>> {
        let generation = entry.header.generation;
        {
            let mut open = lock(&self.open);
            if let Some(at) = open.iter().position(|(g, _)| *g == generation) {
                let found = open.remove(at);
                let segment = found.1.clone();
                open.push(found);
                return Ok(segment);
            }
        }
        let name = entry.header.first_lsn;
        let segment =
            self.storage.open(name, Access::Read).wait().map_err(|e| e.with_segment(name))?;
        let mut open = lock(&self.open);
        if open.len() >= self.open_max {
            open.remove(0);
        }
        open.push((generation, segment.clone()));
        Ok(segment)
    }
}

/// Walks the frames in `data` and gives each header with its place in `data` and its record count.
fn walk(data: &[u8], mut each: impl FnMut(&FrameHeader, u32, u64)) {
    let mut at = 0;
    while at < data.len() {
        let header = FrameHeader::decode(&data[at..]);
        let records = header.record_count(&data[at + FRAME_HEADER_LEN..]);
        each(&header, records, at as u64);
        at += usize::try_from(header.frame_len()).expect("a frame in memory");
    }
}

#[cfg(all(test, not(any(wal_loom, wal_shuttle))))]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::format::LogId;
    use crate::{MemoryStorage, Publish};

    fn entry(first_lsn: u64, generation: u64) -> Arc<SegmentEntry> {
        let header = SegmentHeader::new(LogId([7; 16]), generation, Lsn::new(first_lsn));
        Arc::new(SegmentEntry::new(header))
    }

    /// Segments that can be opened, at most so many of them at a time.
    fn segments(names: &[u64], open_max: usize) -> Segments {
        let storage = Arc::new(MemoryStorage::new());
        for name in names {
            let created = storage.create(Lsn::new(*name), Bytes::new(), 4096, Publish::New);
            created.wait().unwrap();
        }
        let entries = names.iter().map(|name| entry(*name, *name));
        Segments::new(storage, open_max, entries)
    }

    fn open(segments: &Segments) -> Vec<u64> {
        lock(&segments.open).iter().map(|(generation, _)| *generation).collect()
    }

    fn all(segments: &Segments) -> Vec<Arc<SegmentEntry>> {
        segments.read(<[_]>::to_vec)
    }

    #[test]
    fn what_is_forgotten_or_replaced_is_not_kept_open() {
        let segments = segments(&[1, 2, 3], 8);
        for entry in all(&segments) {
            segments.handle(&entry).unwrap();
        }
        assert_eq!(open(&segments), [1, 2, 3]);
        segments.forget(&[segments.named(Lsn::new(2)).unwrap()]);
        assert_eq!(open(&segments), [1, 3]);
        assert!(!segments.contains(2) && segments.contains(1) && segments.contains(3));
        segments.push(entry(3, 9));
        assert_eq!(open(&segments), [1]);
        assert!(!segments.contains(3) && segments.contains(9));
        segments.push(entry(7, 10));
        assert_eq!(open(&segments), [1], "a segment of another name replaces nothing");
        assert_eq!(all(&segments).len(), 3);
    }

    #[test]
    fn the_handle_that_was_not_used_for_longest_is_let_go() {
        let segments = segments(&[1, 2, 3], 2);
        let all = all(&segments);
        for at in [0, 1, 0, 2] {
            segments.handle(&all[at]).unwrap();
        }
        assert_eq!(open(&segments), [1, 3]);
    }
}
