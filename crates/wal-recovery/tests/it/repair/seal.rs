//! What a recovery writes into segments, and into which: footers that must be durable, no more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::support::*;
use bytes::Bytes;
use wal_core::*;
use wal_recovery::{Inspect, Mode, Recovery, Verdict};

type Journal = Arc<Mutex<BTreeMap<u64, Vec<&'static str>>>>;

/// A memory that notes what is done to which segment, and gives more room than it is asked for.
#[derive(Clone, Default)]
struct Noting {
    memory: MemoryStorage,
    journal: Journal,
    room: usize,
}

struct Noted(Arc<dyn Segment>, Lsn, Journal);

impl Noted {
    fn note(&self, what: &'static str) {
        self.2.lock().unwrap().entry(self.1.get()).or_default().push(what);
    }
}

impl Segment for Noted {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        self.note("write");
        self.0.write_at(offset, data, mode)
    }
    fn sync(&self) -> Io<'_, ()> {
        self.note("sync");
        self.0.sync()
    }
    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        self.0.read_at(offset, len)
    }
    fn len(&self) -> Io<'_, u64> {
        self.0.len()
    }
    fn truncate(&self, len: u64) -> Io<'_, ()> {
        self.0.truncate(len)
    }
}

impl Noting {
    fn noted(&self, name: Lsn, segment: Result<Arc<dyn Segment>>) -> Io<'_, Arc<dyn Segment>> {
        let noted = segment.map(|s| Arc::new(Noted(s, name, self.journal.clone())));
        Io::ready(noted.map(|noted| noted as Arc<dyn Segment>))
    }
}

impl LogStorage for Noting {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }
    fn describe(&self) -> String {
        "noting".into()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        self.memory.lock()
    }
    fn list(&self) -> Io<'_, Listing> {
        self.memory.list()
    }
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        self.memory.stage(name, capacity)
    }
    fn create(
        &self,
        name: Lsn,
        data: Bytes,
        capacity: u64,
        publish: Publish,
    ) -> Io<'_, Arc<dyn Segment>> {
        let mut bytes = data.to_vec();
        bytes.resize(bytes.len() + self.room, 0);
        self.noted(name, self.memory.create(name, bytes.into(), capacity, publish).wait())
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        self.noted(name, self.memory.open(name, access).wait())
    }
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.memory.remove(names)
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.memory.set_aside(label, data)
    }
}

/// Three closed sessions.
fn closed() -> Image {
    let storage = memory_of(&three_sessions());
    open(storage.clone()).close().unwrap();
    image_of(&storage)
}

/// The footer that can be read need not be durable: the sync behind it may never have come. Older
/// ones are durable, since no segment is begun before the one before it is.
#[test]
fn the_last_footer_is_made_durable_and_older_ones_are_left_alone() {
    let image = closed();
    let storage = Noting { memory: memory_of(&image), ..Noting::default() };
    drop(Recovery::new(storage.clone()).threads(1).run().unwrap());
    let last = *image.keys().next_back().unwrap();
    let journal = storage.journal.lock().unwrap().clone();
    assert_eq!(journal, BTreeMap::from([(last, vec!["write", "sync"])]));
    assert!(image_of(&storage.memory) == image);
}

#[test]
fn what_is_left_behind_a_footer_is_cut_off() {
    let image = closed();
    for &name in image.keys() {
        let mut long = image.clone();
        long.get_mut(&name).unwrap().extend_from_slice(&[0; 40]);
        let memory = memory_of(&long);
        drop(recover(memory.clone(), Mode::TornTail).unwrap());
        assert!(image_of(&memory) == image, "segment {name}");
    }
}

#[test]
fn a_salvaged_segment_ends_with_its_footer_whatever_room_the_storage_gives() {
    let mut image = closed();
    image.get_mut(&1).unwrap()[574] ^= 1;
    image.get_mut(&6).unwrap()[534] ^= 1;
    let mut lengths = Vec::new();
    for room in [0, 100] {
        let storage = Noting { memory: memory_of(&image), room, ..Noting::default() };
        drop(recover(storage.clone(), Mode::Salvage).unwrap());
        let report = Inspect::new(storage.memory.clone()).threads(1).run().unwrap();
        assert_eq!((report.verdict(), report.clean), (Verdict::Clean, true), "{report}");
        assert!(report.segments.iter().all(|segment| segment.sealed), "{report}");
        lengths.push(report.segments.iter().map(|segment| segment.bytes).collect::<Vec<_>>());
    }
    assert_eq!(lengths[0], lengths[1]);
}
