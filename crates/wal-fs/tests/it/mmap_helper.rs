//! The thread of `MmapStorage`: nothing that it does is seen by the log, or by who has the lock next.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use wal_core::{Access, ErrorKind, LogStorage, Lsn, Publish, Segment, WriteMode};
use wal_fs::{FileStorage, MmapSettings, MmapStorage};
use wal_testkit::{Call, FaultFs, Faults, ModelFs};

const WINDOW: u64 = 4096;

/// A door that calls wait at while it is shut.
#[derive(Clone, Default)]
struct Door(Arc<(Mutex<DoorState>, Condvar)>);

#[derive(Default)]
struct DoorState {
    shut: bool,
    waiting: usize,
}

impl Door {
    fn change<T>(&self, f: impl FnOnce(&mut DoorState) -> T) -> T {
        let outcome = f(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
        outcome
    }

    fn pass(&self) {
        self.change(|door| door.waiting += 1);
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |door| door.shut).unwrap());
        self.change(|door| door.waiting -= 1);
    }

    fn shut(&self) {
        self.change(|door| door.shut = true);
    }

    fn open(&self) {
        self.change(|door| door.shut = false);
    }

    /// Until somebody waits at it.
    fn await_somebody(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |door| door.waiting == 0).unwrap());
    }
}

fn storage() -> (MmapStorage<FaultFs<ModelFs>>, ModelFs, Faults) {
    let model = ModelFs::new();
    let fs = FaultFs::new(model.clone());
    let faults = fs.faults().clone();
    let settings = MmapSettings::default().window_bytes(WINDOW);
    let storage = MmapStorage::create_with_file_system(fs, Path::new("/wal"), settings).unwrap();
    (storage, model, faults)
}

fn create(storage: &impl LogStorage) -> Arc<dyn Segment> {
    storage.create(Lsn::FIRST, "header".into(), 40_000, Publish::New).wait().unwrap()
}

fn write(segment: &Arc<dyn Segment>, offset: u64, len: usize) -> wal_core::Result<()> {
    let bytes = Bytes::from(vec![offset as u8 | 1; len]);
    segment.write_at(offset, bytes, WriteMode::Cached).wait()
}

/// A segment whose next window is being prepared, which gets no further than to the door: that is where
/// the zeros are written, or where they are mapped.
fn prepared_slowly(call: Call) -> (MmapStorage<FaultFs<ModelFs>>, Arc<dyn Segment>, Door, Faults) {
    let (storage, _, faults) = storage();
    let segment = create(&storage);
    let door = Door::default();
    let before = door.clone();
    faults.on_call(call, move || before.pass());
    door.shut();
    write(&segment, 6, 3000).unwrap();
    door.await_somebody();
    (storage, segment, door, faults)
}

/// Runs `f` beside a helper that stands at the door, and says what `f` came to after the door was opened.
/// Fails if `f` did not wait for that.
fn waits_for_the_door<T: Send>(door: &Door, f: impl FnOnce() -> T + Send) -> T {
    let ended = &AtomicBool::new(false);
    thread::scope(|scope| {
        let running = scope.spawn(move || {
            let outcome = f();
            ended.store(true, Ordering::SeqCst);
            outcome
        });
        // Long enough for who does not wait; who waits is never too late.
        thread::sleep(Duration::from_millis(30));
        let early = ended.load(Ordering::SeqCst);
        door.open();
        let outcome = running.join().unwrap();
        assert!(!early, "it did not wait for the helper");
        outcome
    })
}

const SLOW: [Call; 2] = [Call::Write, Call::Map];

#[test]
fn who_appends_within_the_window_does_not_wait() {
    for call in SLOW {
        let (_storage, segment, door, _) = prepared_slowly(call);
        write(&segment, 3006, 1000).unwrap();
        assert_eq!(segment.read_at(3006, 1000).wait().unwrap(), vec![3006_u64 as u8 | 1; 1000]);
        segment.sync().wait().unwrap();
        door.open();
    }
}

#[test]
fn who_leaves_the_window_waits_for_the_next() {
    for call in SLOW {
        let (_storage, segment, door, _) = prepared_slowly(call);
        waits_for_the_door(&door, || write(&segment, 3006, 3000)).unwrap();
        assert_eq!(segment.read_at(3006, 3000).wait().unwrap(), vec![3006_u64 as u8 | 1; 3000]);
    }
}

#[test]
fn who_cuts_waits_and_nothing_is_filled_or_mapped_behind_the_cut() {
    for call in SLOW {
        let (_storage, segment, door, _) = prepared_slowly(call);
        waits_for_the_door(&door, || segment.truncate(100).wait()).unwrap();
        assert_eq!(segment.len().wait().unwrap(), 100);
        // Nor is what was mapped before the cut written to: the file may not reach so far any more.
        for at in (100..12_000).step_by(100) {
            write(&segment, at, 100).unwrap();
            assert!(segment.len().wait().unwrap() >= at + 100);
            assert_eq!(segment.read_at(at, 100).wait().unwrap(), vec![at as u8 | 1; 100]);
        }
    }
}

#[test]
fn a_helper_that_panics_is_told_of_and_goes_on() {
    let (storage, _, faults) = storage();
    let segment = create(&storage);
    faults.on_call(Call::Map, || panic!("this is meant"));
    write(&segment, 6, 3000).unwrap();
    let error = write(&segment, 3006, 3000).unwrap_err();
    assert!(error.chain().to_string().contains("the helper panicked"), "{error:?}");
    faults.clear();
    let other = storage.create(Lsn::new(2), "header".into(), 40_000, Publish::New).wait().unwrap();
    for at in (6..30_000).step_by(1000) {
        write(&other, at, 1000).unwrap();
    }
}

#[test]
fn who_removes_the_segment_or_opens_it_for_writing_waits() {
    for call in SLOW {
        let (storage, _segment, door, _) = prepared_slowly(call);
        waits_for_the_door(&door, || storage.open(Lsn::FIRST, Access::Write).wait()).unwrap();
        let (storage, _segment, door, _) = prepared_slowly(call);
        waits_for_the_door(&door, || storage.remove(&[Lsn::FIRST]).wait()).unwrap();
    }
}

#[test]
fn the_lock_is_not_let_go_of_while_a_file_is_being_filled() {
    let (storage, model, faults) = storage();
    let lock = storage.lock().wait().unwrap();
    let segment = create(&storage);
    let door = Door::default();
    let before = door.clone();
    faults.on_call(Call::Write, move || before.pass());
    door.shut();
    write(&segment, 6, 3000).unwrap();
    door.await_somebody();
    // As if the log was dropped, and not closed.
    drop(segment);
    waits_for_the_door(&door, || drop(lock));
    let other =
        FileStorage::with_file_system(model, "/wal", wal_fs::FileSettings::default()).unwrap();
    let _lock = other.lock().wait().unwrap();
    let segment = other.open(Lsn::FIRST, Access::Write).wait().unwrap();
    segment.truncate(100).wait().unwrap();
    thread::sleep(Duration::from_millis(5));
    assert_eq!(segment.len().wait().unwrap(), 100);
}

#[test]
fn what_the_helper_could_not_do_is_told_to_the_write_that_needs_it() {
    for call in SLOW {
        let (storage, _, faults) = storage();
        let segment = create(&storage);
        faults.fail_once(call, 1, std::io::ErrorKind::OutOfMemory);
        write(&segment, 6, 3000).unwrap();
        write(&segment, 3006, 1000).unwrap();
        let error = write(&segment, 4006, 1000).unwrap_err();
        assert_eq!((error.kind(), error.segment()), (ErrorKind::OutOfMemory, Some(Lsn::FIRST)));
    }
}

#[test]
fn bytes_that_were_written_beside_the_helper_are_the_ones_that_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let settings = MmapSettings::default().window_bytes(WINDOW);
    let storage = MmapStorage::open_with(dir.path(), settings).unwrap();
    let _lock = storage.lock().wait().unwrap();
    for round in 0..20_u64 {
        let name = Lsn::new(round + 1);
        let segment = storage.create(name, "header".into(), 400_000, Publish::New).wait().unwrap();
        let mut expected = b"header".to_vec();
        let mut piece = 1_usize;
        while expected.len() < 300_000 {
            // A blank header at the end, over which the next one is written.
            let frame = vec![(expected.len() % 251) as u8 | 1; piece * 37 % 1500 + 1];
            let data = [frame.as_slice(), &[0; 24]].concat();
            let offset = expected.len() as u64;
            segment.write_at(offset, data.into(), WriteMode::Cached).wait().unwrap();
            expected.extend(frame);
            piece += 1;
        }
        let found = segment.read_at(0, expected.len()).wait().unwrap();
        assert!(found == expected, "round {round}");
        segment.truncate(expected.len() as u64).wait().unwrap();
        segment.sync().wait().unwrap();
        assert!(
            std::fs::read(dir.path().join(format!("{:020}.wal", round + 1))).unwrap() == expected
        );
        if round > 2 {
            storage.remove(&[Lsn::new(round - 2)]).wait().unwrap();
        }
    }
}
