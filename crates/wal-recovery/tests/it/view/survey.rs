//! Opening a view while segments come, go and change under the reader's hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::*;
use bytes::Bytes;
use wal_core::*;
use wal_recovery::{View, inspect};

/// What happens to the opening of a segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Luck {
    Good,
    Fails(ErrorKind),
    /// It shows another header: the file has just been recycled.
    Garbled,
}

/// A storage on which fate depends on the number of the listing, and of the opening since then.
#[derive(Clone)]
struct Restless {
    memory: MemoryStorage,
    lists: Arc<AtomicU64>,
    opens: Arc<AtomicU64>,
    luck: Arc<dyn Fn(u64, u64) -> Luck + Send + Sync>,
}

impl Restless {
    fn new(image: &Image, luck: impl Fn(u64, u64) -> Luck + Send + Sync + 'static) -> Self {
        let (lists, opens) = (Arc::default(), Arc::default());
        Restless { memory: memory_of(image), lists, opens, luck: Arc::new(luck) }
    }
    fn lists(&self) -> u64 {
        self.lists.load(Ordering::SeqCst)
    }
}

impl LogStorage for Restless {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }
    fn describe(&self) -> String {
        "restless".into()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        self.memory.lock()
    }
    fn list(&self) -> Io<'_, Listing> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        self.opens.store(0, Ordering::SeqCst);
        self.memory.list()
    }
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        self.memory.stage(name, capacity)
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        match (self.luck)(self.lists(), self.opens.fetch_add(1, Ordering::SeqCst) + 1) {
            Luck::Good => self.memory.open(name, access),
            Luck::Fails(kind) => Io::ready(Err(Error::new(kind, "open segment"))),
            Luck::Garbled => {
                let mut image = image_of(&self.memory);
                image.get_mut(&name.get()).unwrap()[40] ^= 1;
                Io::ready(memory_of(&image).open(name, access).wait())
            }
        }
    }
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.memory.remove(names)
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.memory.set_aside(label, data)
    }
}

const GONE: Luck = Luck::Fails(ErrorKind::NotFound);

#[test]
fn a_segment_that_goes_while_headers_are_read_is_looked_for_again_but_not_for_ever() {
    let image = three_sessions();
    for bad in 0..8 {
        let luck = move |list, open| if list <= bad && open == 2 { GONE } else { Luck::Good };
        let storage = Restless::new(&image, luck);
        assert_eq!(View::open(storage.clone()).unwrap().headers().len(), 3);
        assert_eq!(storage.lists(), bad + 1);
    }
    let storage = Restless::new(&image, |_, open| if open == 2 { GONE } else { Luck::Good });
    assert_eq!(View::open(storage.clone()).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(storage.lists(), 8);
    let storage = Restless::new(&image, |_, _| Luck::Fails(ErrorKind::Denied));
    assert_eq!(View::open(storage.clone()).unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(storage.lists(), 1, "that is not a matter of time");
}

#[test]
fn a_header_that_does_not_check_is_believed_when_it_is_seen_twice() {
    let image = three_sessions();
    let garbled = |lists: fn(u64) -> bool| {
        let luck = move |list, open| {
            // The second segment: the first one was read by the first look.
            let second = if list == 1 { 2 } else { 1 };
            if lists(list) && open == second { Luck::Garbled } else { Luck::Good }
        };
        let storage = Restless::new(&image, luck);
        let headers = View::open(storage.clone()).unwrap().headers().len();
        (headers, storage.lists())
    };
    assert_eq!(garbled(|_| false), (3, 1));
    assert_eq!(garbled(|list| list == 1), (3, 3), "bad, good, good");
    assert_eq!(garbled(|_| true), (2, 2), "bad, bad");
    assert_eq!(
        garbled(|list| !list.is_multiple_of(2)),
        (3, 8),
        "never the same: the last look counts"
    );
}

/// Then there is no header that could be read, which is an error and not damage of one segment among others.
#[test]
fn a_log_whose_only_segment_is_recycled_under_its_reader_is_looked_at_again_but_not_for_ever() {
    let mut image = three_sessions();
    image.retain(|name, _| *name == 1);
    for bad in 0..4 {
        let garbled = move |list, _| if list <= bad { Luck::Garbled } else { Luck::Good };
        let storage = Restless::new(&image, garbled);
        assert_eq!(View::open(storage.clone()).unwrap().headers().len(), 1);
        assert_eq!(storage.lists(), bad + 1);
        let report = inspect(Restless::new(&image, garbled)).unwrap();
        assert!(report.damages.is_empty() && report.records > 0, "{report}");
    }
    let storage = Restless::new(&image, |_, _| Luck::Garbled);
    assert_eq!(View::open(storage.clone()).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(storage.lists(), 8);
    let storage = Restless::new(&image, |_, _| Luck::Garbled);
    assert_eq!(inspect(storage.clone()).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(storage.lists(), 5);
}

#[test]
fn a_view_knows_the_last_record_that_is_proven_by_a_footer() {
    let image = three_sessions();
    let view = View::open(memory_of(&image)).unwrap();
    assert_eq!(view.last_known_lsn(), Lsn::new(8), "the newest segment has none");
    assert_eq!(view.log_id(), Some(header_of(&image[&1], 1).log_id));
    let storage = memory_of(&image);
    open(storage.clone()).close().unwrap();
    assert_eq!(View::open(storage).unwrap().last_known_lsn(), Lsn::new(14));

    // A sealed segment that holds nothing follows what a truncation left.
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    for _ in 0..10 {
        log.append(b"x").unwrap();
    }
    log.truncate_after(Lsn::new(4)).unwrap();
    log.close().unwrap();
    let view = View::open(storage).unwrap();
    assert_eq!((view.last_known_lsn(), view.first_lsn()), (Lsn::new(4), Lsn::new(1)));
}

#[test]
fn the_newest_segment_may_go_before_its_footer_is_read() {
    let image = three_sessions();
    let storage = Restless::new(&image, |_, open| if open == 4 { GONE } else { Luck::Good });
    assert_eq!(View::open(storage).unwrap().last_known_lsn(), Lsn::new(8));
    let denied = Luck::Fails(ErrorKind::Denied);
    let storage = Restless::new(&image, move |_, open| if open == 4 { denied } else { Luck::Good });
    assert_eq!(View::open(storage).unwrap_err().kind(), ErrorKind::Denied);
}
