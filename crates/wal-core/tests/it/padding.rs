//! A storage that asks for padding: where writes begin and end, what is put there, and what readers make of
//! it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::*;
use bytes::Bytes;
use wal_core::format::{
    FRAME_HEADER_LEN, Footer, FrameHeader, FrameKind, SEGMENT_HEADER_LEN, SegmentHeader,
};
use wal_core::*;

const BLOCK: u64 = 512;

/// A memory that asks for padding, and remembers every write: segment, offset, length.
#[derive(Clone)]
struct Padded {
    memory: MemoryStorage,
    capabilities: Capabilities,
    writes: Arc<Mutex<Vec<(u64, u64, u64)>>>,
}

impl Padded {
    fn new(recycles: bool) -> Self {
        let mut capabilities = MemoryStorage::new().capabilities();
        (capabilities.pad_to, capabilities.alignment) = (BLOCK as u32, BLOCK as u32);
        capabilities.recycles = recycles;
        Padded { memory: MemoryStorage::new(), capabilities, writes: Arc::default() }
    }

    fn try_open(&self, settings: Settings) -> Result<Wal> {
        let recovered = empty_log(self.clone());
        Wal::builder(os()).settings(settings).manual_driver().open(recovered)
    }

    fn open(&self, segment_size: u64) -> Wal {
        let settings = Settings::default().segment_size(segment_size);
        self.try_open(settings.buffer_delay(Duration::from_secs(3600))).unwrap()
    }

    fn take_writes(&self) -> Vec<(u64, u64, u64)> {
        std::mem::take(&mut self.writes.lock().unwrap())
    }

    fn bytes_of(&self, name: u64) -> Vec<u8> {
        let segment = self.memory.open(Lsn::new(name), Access::Read).wait().unwrap();
        segment.read_at(0, 1 << 30).wait().unwrap().to_vec()
    }

    fn names(&self) -> Vec<u64> {
        self.memory.list().wait().unwrap().segments.into_iter().map(Lsn::get).collect()
    }

    /// Offset and header of each valid frame of a segment, the footer included.
    fn frames(&self, name: u64) -> Vec<(u64, FrameHeader)> {
        let bytes = self.bytes_of(name);
        let header = SegmentHeader::decode(&bytes[..SEGMENT_HEADER_LEN], Lsn::new(name)).unwrap();
        let at = header.data_offset as usize;
        let ahead = FramesAhead::new(&bytes[at..], at as u64, header.salt());
        ahead.map(|frame| (frame.offset, frame.header)).collect()
    }
}

struct Watched {
    inner: Arc<dyn Segment>,
    name: u64,
    writes: Arc<Mutex<Vec<(u64, u64, u64)>>>,
}

impl Segment for Watched {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        self.writes.lock().unwrap().push((self.name, offset, data.len() as u64));
        self.inner.write_at(offset, data, mode)
    }
    fn sync(&self) -> Io<'_, ()> {
        self.inner.sync()
    }
    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        self.inner.read_at(offset, len)
    }
    fn len(&self) -> Io<'_, u64> {
        self.inner.len()
    }
    fn truncate(&self, len: u64) -> Io<'_, ()> {
        self.inner.truncate(len)
    }
}

impl LogStorage for Padded {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
    fn describe(&self) -> String {
        "padded".into()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        self.memory.lock()
    }
    fn list(&self) -> Io<'_, Listing> {
        self.memory.list()
    }
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        let staged = self.memory.stage(name, capacity);
        let (name, writes) = (name.get(), self.writes.clone());
        staged
            .map(move |staged| staged.wrap(move |inner| Arc::new(Watched { inner, name, writes })))
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        self.memory.open(name, access)
    }
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.memory.remove(names)
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.memory.set_aside(label, data)
    }
}

#[test]
fn every_write_begins_and_ends_with_a_block_and_none_holds_anything_twice() {
    for recycles in [false, true] {
        let storage = Padded::new(recycles);
        let log = storage.open(1 << 20);
        let blank = if recycles { FRAME_HEADER_LEN as u64 } else { 0 };
        let mut at = BLOCK;
        // Some room left, none, too little for a header, a block and more.
        for len in [1, 488, 470, 465, 464, 463, 0, 1000, 5000] {
            log.append(&vec![7; len]).unwrap();
            let end = at + 24 + len as u64;
            let end =
                if end.is_multiple_of(BLOCK) { end } else { (end + 24).next_multiple_of(BLOCK) };
            assert_eq!(storage.take_writes(), [(1, at, end - at + blank)], "{len} bytes");
            at = end;
        }
        assert_eq!(log.iter(Lsn::ZERO).unwrap().filter(Result::is_ok).count(), 9);
        // Nothing new, nothing to pad.
        log.sync().unwrap();
        log.sync().unwrap();
        assert_eq!(storage.take_writes(), []);
    }
}

#[test]
fn records_of_one_write_share_its_padding() {
    let storage = Padded::new(false);
    let log = storage.open(1 << 20);
    for _ in 0..10 {
        log.append_with(&[1; 76], Durability::Buffered).unwrap();
    }
    log.sync().unwrap();
    let kinds: Vec<_> = storage.frames(1).iter().map(|(_, header)| header.kind).collect();
    assert_eq!(kinds, [vec![1; 10], vec![FrameKind::Padding as u8]].concat());
    let (offset, padding) = storage.frames(1)[10];
    assert_eq!((offset, padding.frame_len()), (1512, 24));
    // Of the next record, and of what was durable when the write was taken: nothing.
    assert_eq!((padding.lsn_delta, padding.durable_lag), (10, 10));
    log.append(b"next").unwrap();
    log.sync().unwrap();
    let [.., (_, data), (_, padding)] = storage.frames(1)[..] else { panic!() };
    assert_eq!((data.lsn_delta, data.durable_lag), (10, 0));
    assert_eq!((padding.lsn_delta, padding.durable_lag), (11, 1));
    assert_eq!(padding.time_delta, data.time_delta);
}

#[test]
fn a_footer_begins_in_a_block_of_its_own_counts_padding_and_has_none_in_its_index() {
    let storage = Padded::new(false);
    let log = storage.open(1 << 20);
    // Long enough to reach over the places at which entries of the index are due: the next frame there is
    // padding.
    for n in 0..300_u64 {
        log.append_with(&[n as u8; 1100], Durability::Written).unwrap();
    }
    log.close().unwrap();
    let frames = storage.frames(1);
    let &(offset, header) = frames.last().unwrap();
    assert_eq!((header.kind, offset % BLOCK), (FrameKind::Footer as u8, 0));
    let bytes = storage.bytes_of(1);
    let segment = SegmentHeader::decode(&bytes[..SEGMENT_HEADER_LEN], Lsn::FIRST).unwrap();
    let body = &bytes[offset as usize + FRAME_HEADER_LEN..];
    let Footer { summary, .. } = Footer::decode(&header, body, offset, &segment).unwrap();
    assert_eq!((summary.records, summary.frames), (300, 600));
    assert!(summary.index.len() > 1);
    for entry in &summary.index {
        let (_, frame) = frames.iter().find(|(at, _)| *at == u64::from(entry.offset)).unwrap();
        assert_eq!((frame.kind, frame.lsn_delta), (FrameKind::Data as u8, entry.lsn_delta));
    }
}

#[test]
fn segments_are_filled_to_a_boundary_and_no_further_than_they_may_be() {
    for recycles in [false, true] {
        let storage = Padded::new(recycles);
        let log = storage.open(4096);
        // One write that goes through many segments, and many that go through one.
        for n in 0..40_u32 {
            let durability = if n < 20 { Durability::Buffered } else { Durability::Written };
            log.append_with(&n.to_le_bytes().repeat(100), durability).unwrap();
        }
        // The largest that fits: all blocks but the header's and the last.
        let largest = 3584 - 512 - 48;
        log.append(&vec![9; largest]).unwrap();
        let error = log.append(&vec![9; largest + 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        log.close().unwrap();
        for (name, offset, len) in storage.take_writes() {
            let blank = if recycles { FRAME_HEADER_LEN as u64 } else { 0 };
            let is_footer = offset + len == storage.bytes_of(name).len() as u64;
            assert_eq!(offset % BLOCK, 0, "segment {name} at {offset}");
            let end = offset + len;
            let whole =
                end.is_multiple_of(BLOCK) || end.saturating_sub(blank).is_multiple_of(BLOCK);
            assert!(is_footer || (whole && end <= 4096), "segment {name} at {offset}+{len}");
        }
        let found: Vec<_> = log.iter(Lsn::ZERO).unwrap().map(|e| e.unwrap().record).collect();
        assert_eq!((found.len(), found[40].len()), (41, largest));
        for (n, record) in found[..40].iter().enumerate() {
            assert_eq!(*record, (n as u32).to_le_bytes().repeat(100));
        }
        assert!(storage.names().len() > 5);
    }
}

#[test]
fn readers_find_every_record_whatever_is_between_and_truncations_cut_where_they_should() {
    let storage = Padded::new(true);
    let log = storage.open(64 << 10);
    let record = |n: u64| vec![n as u8; (n * 37 % 900) as usize];
    for n in 1..=200 {
        log.append_with(&record(n), Durability::Written).unwrap();
    }
    for n in [1, 2, 77, 199, 200] {
        assert_eq!(log.read(Lsn::new(n)).unwrap().record, record(n));
    }
    assert_eq!(log.truncate_after(Lsn::new(150)).unwrap(), Lsn::new(150));
    assert_eq!(log.truncate_before(Lsn::new(20)).unwrap(), Lsn::new(20));
    assert_eq!(log.append(b"behind").unwrap(), Lsn::new(201));
    let found: Vec<_> = log.iter(Lsn::ZERO).unwrap().map(|e| e.unwrap().lsn.get()).collect();
    assert_eq!(found, (20..=150).chain([201]).collect::<Vec<_>>());
}

/// Its checksum holds in any place, and where every write begins with a block there are many such places.
#[test]
fn a_block_that_went_astray_is_not_read_as_what_was_there() {
    let storage = Padded::new(false);
    let log = storage.open(1 << 20);
    for n in 0..5_u8 {
        log.append(&[n; 100]).unwrap();
    }
    let bytes = storage.bytes_of(1);
    let segment = storage.memory.open(Lsn::FIRST, Access::Write).wait().unwrap();
    let (fourth, first) = (3 * 512 + 512, 512);
    let block = Bytes::copy_from_slice(&bytes[fourth..fourth + 512]);
    segment.write_at(first, block, WriteMode::Cached).wait().unwrap();
    let error = log.iter(Lsn::ZERO).unwrap().next().unwrap().unwrap_err();
    assert_eq!((error.kind(), error.offset()), (ErrorKind::Corrupt, Some(512)), "{error}");
    assert!(error.to_string().contains("a valid frame of LSN 4, expected was LSN 1"), "{error}");
}

#[test]
fn what_cannot_be_padded_is_refused_at_the_opening() {
    let mut storage = Padded::new(false);
    storage.capabilities.alignment = 256;
    let error = storage.try_open(Settings::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("multiples of 512 bytes"), "{error}");
    let mut storage = Padded::new(false);
    (storage.capabilities.alignment, storage.capabilities.pad_to) = (4096, 4096);
    for (segment_size, fits) in [(4096, false), (12 << 10, false), (16 << 10, true)] {
        let settings = Settings::default().segment_size(segment_size);
        let opened = Padded { memory: MemoryStorage::new(), ..storage.clone() }.try_open(settings);
        assert_eq!(opened.is_ok(), fits, "{segment_size}: {:?}", opened.err());
    }
}
