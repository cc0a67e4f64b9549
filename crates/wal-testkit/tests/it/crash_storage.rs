//! `CrashStorage`: what it loses, and what goes wrong in it.

use std::collections::BTreeSet;

use wal_core::*;
use wal_testkit::{AtomKind, CrashPolicy, CrashStorage, Fate, Reuse, Rot, SyncFault};

type Storage = CrashStorage<MemoryStorage>;

const NAME: Lsn = Lsn::FIRST;

fn start() -> (Storage, std::sync::Arc<dyn Segment>) {
    let storage = CrashStorage::new(MemoryStorage::new());
    let segment = storage.create(NAME, "header".into(), 8192, Publish::New).wait().unwrap();
    (storage, segment)
}

fn write(segment: &dyn Segment, offset: u64, data: &[u8]) -> Result<()> {
    segment.write_at(offset, data.to_vec().into(), WriteMode::Cached).wait()
}

fn bytes(storage: &dyn LogStorage, name: Lsn) -> Vec<u8> {
    let segment = storage.open(name, Access::Read).wait().unwrap();
    segment.read_at(0, usize::MAX).wait().unwrap().to_vec()
}

#[test]
fn pending_bytes_are_read_and_not_yet_below() {
    let (storage, segment) = start();
    write(&*segment, 6, b"frame").unwrap();
    assert_eq!(bytes(&storage, NAME), b"headerframe");
    assert_eq!(bytes(storage.inner(), NAME), b"header");
    assert!(storage.has_pending());
    segment.sync().wait().unwrap();
    assert_eq!(bytes(storage.inner(), NAME), b"headerframe");
    assert!(!storage.has_pending());
    segment.write_at(11, "through".into(), WriteMode::Through).wait().unwrap();
    assert_eq!(bytes(storage.inner(), NAME), b"headerframethrough");
}

#[test]
fn each_sector_of_a_write_has_a_fate_of_its_own() {
    let (storage, segment) = start();
    let old = storage.create(Lsn::new(9), vec![9; 4000].into(), 4000, Publish::New).wait().unwrap();
    drop(old);
    storage.remove(&[Lsn::new(9)]).wait().unwrap();
    write(&*segment, 512, &[1; 6 * 512]).unwrap();
    let fates =
        [Fate::Kept, Fate::Dropped, Fate::Zeroed, Fate::Garbage(1), Fate::Stale, Fate::Kept];
    let mut asked = 0;
    let mut choose = |atom: &wal_testkit::Atom| match atom.kind {
        AtomKind::Bytes { offset, .. } => {
            asked += 1;
            fates[offset as usize / 512 - 1]
        }
        _ => Fate::Kept,
    };
    let storage = storage.crash_with(&mut choose).unwrap();
    assert_eq!(asked, 6);
    let found = bytes(&storage, NAME);
    let sector = |i: usize| &found[i * 512..(i + 1) * 512];
    assert_eq!((sector(1), sector(6)), (&[1; 512][..], &[1; 512][..]));
    assert_eq!((sector(2), sector(3)), (&[0; 512][..], &[0; 512][..]));
    assert!(sector(4).iter().collect::<BTreeSet<_>>().len() > 50);
    assert_eq!(sector(5), [9; 512]);
}

#[test]
fn the_same_seed_leaves_the_same_bytes() {
    let (storage, segment) = start();
    for i in 0..20 {
        write(&*segment, 6 + i * 300, &[i as u8 + 1; 300]).unwrap();
    }
    let image = |seed| {
        let target = MemoryStorage::new();
        storage.crash_into(CrashPolicy::Seeded(seed), &target).unwrap();
        bytes(&target, NAME)
    };
    let all: BTreeSet<_> = (0..50).map(image).collect();
    assert!(all.len() > 30, "only {} images of 50 differ", all.len());
    assert!((0..50).all(|seed| image(seed) == image(seed)));
    // The storage went on; in place the outcome is the one that was copied.
    let copied = image(7);
    let storage = storage.crash(CrashPolicy::Seeded(7)).unwrap();
    assert_eq!(bytes(&storage, NAME), copied);
}

#[test]
fn the_dead_do_nothing_more() {
    let (storage, segment) = start();
    let lock = storage.lock().wait().unwrap();
    write(&*segment, 6, b"pending").unwrap();
    // The cache survives the process, but not a power loss.
    let second = storage.process_crash();
    assert_eq!(bytes(&second, NAME), b"headerpending");
    for error in [write(&*segment, 6, b"x"), segment.sync().wait(), storage.remove(&[NAME]).wait()]
    {
        assert!(error.unwrap_err().to_string().contains("has died"));
    }
    let second_lock = second.lock().wait().unwrap();
    drop(lock);
    assert_eq!(second.lock().wait().unwrap_err().kind(), ErrorKind::Locked);
    let third = second.crash(CrashPolicy::DropUnsynced).unwrap();
    assert_eq!(bytes(&third, NAME), b"header");
    let _third_lock = third.lock().wait().unwrap();
    drop(second_lock);
    assert_eq!(third.lock().wait().unwrap_err().kind(), ErrorKind::Locked);
}

#[test]
fn after_a_failed_sync_the_cache_is_as_the_fault_says() {
    for fault in [SyncFault::MarkedClean, SyncFault::StillDirty, SyncFault::Reverted(4)] {
        let (storage, segment) = start();
        write(&*segment, 6, b"frame").unwrap();
        storage.fail_sync(1, fault);
        assert_eq!(segment.sync().wait().unwrap_err().kind(), ErrorKind::Io);
        let seen = bytes(&storage, NAME);
        // The second sync says Ok, and proves nothing.
        segment.sync().wait().unwrap();
        let durable = bytes(&storage.crash(CrashPolicy::DropUnsynced).unwrap(), NAME);
        match fault {
            SyncFault::MarkedClean => {
                assert_eq!((&seen[..], &durable[..]), (&b"headerframe"[..], &b"header"[..]))
            }
            SyncFault::StillDirty => {
                assert_eq!((&seen[..], &durable[..]), (&b"headerframe"[..], &b"headerframe"[..]))
            }
            _ => assert_eq!(seen, durable),
        }
    }
}

#[test]
fn a_full_storage_takes_a_part_of_the_write() {
    let (storage, segment) = start();
    storage.set_capacity(Some(10));
    assert_eq!(write(&*segment, 6, b"frame").unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(bytes(&storage, NAME), b"headerfram");
    assert_eq!(storage.used_bytes(), 10);
    let second = storage.create(Lsn::new(2), "header".into(), 64, Publish::New).wait();
    assert_eq!(second.err().unwrap().kind(), ErrorKind::Full);
    assert_eq!(storage.list().wait().unwrap().segments, [NAME]);
    storage.set_capacity(None);
    storage.create(Lsn::new(2), "header".into(), 64, Publish::New).wait().unwrap();
    write(&*segment, 6, b"frame").unwrap();
}

#[test]
fn what_is_under_way_when_the_power_goes_off_may_have_happened() {
    let run = |calls, policy| {
        let (storage, segment) = start();
        storage.power_off_after(calls);
        let outcome = write(&*segment, 6, b"frame")
            .and_then(|()| storage.remove(&[NAME]).wait())
            .and_then(|()| {
                storage.create(Lsn::new(2), "second".into(), 64, Publish::New).wait().map(drop)
            });
        assert!(outcome.unwrap_err().to_string().contains("the power is off"));
        assert!(storage.list().wait().is_err());
        let storage = storage.crash(policy).unwrap();
        let names = storage.list().wait().unwrap().segments;
        names.into_iter().map(|name| (name.get(), bytes(&storage, name))).collect::<Vec<_>>()
    };
    let (no, yes) = (CrashPolicy::DropUnsynced, CrashPolicy::KeepAll);
    assert_eq!(run(0, no), [(1, b"header".to_vec())]);
    assert_eq!(run(0, yes), [(1, b"headerframe".to_vec())]);
    assert_eq!(run(1, no), [(1, b"header".to_vec())]);
    assert_eq!(run(1, yes), []);
    assert_eq!(run(2, no), []);
    assert_eq!(run(2, yes), [(2, b"second".to_vec())]);
}

#[test]
fn a_staged_segment_goes_with_the_power_until_it_is_published() {
    let two = Lsn::new(2);
    for calls in 0..5 {
        for policy in [CrashPolicy::DropUnsynced, CrashPolicy::KeepAll] {
            let (storage, _segment) = start();
            storage.power_off_after(calls);
            let run = || -> Result<()> {
                let mut staged = storage.stage(two, 64).wait()?;
                staged.write_at(6, "frame".into()).wait()?;
                staged.write_at(0, "second".into()).wait()?;
                staged.sync().wait()?;
                staged.publish(Publish::New).wait().map(drop)
            };
            let published = run().is_ok();
            assert_eq!(published, calls == 4);
            let storage = storage.crash(policy).unwrap();
            let under_way = calls == 3 && policy == CrashPolicy::KeepAll;
            let names = storage.list().wait().unwrap().segments;
            assert_eq!(names.contains(&two), published || under_way, "{calls}, {policy:?}");
            if names.contains(&two) {
                assert_eq!(bytes(&storage, two), b"secondframe");
            }
        }
    }
}

#[test]
fn of_many_removals_under_way_any_may_have_happened() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..64 {
        let (storage, _segment) = start();
        for name in 2..=3 {
            storage.create(Lsn::new(name), "header".into(), 64, Publish::New).wait().unwrap();
        }
        storage.power_off_after(0);
        storage.remove(&[1, 2, 3].map(Lsn::new)).wait().unwrap_err();
        let storage = storage.crash(CrashPolicy::Seeded(seed)).unwrap();
        outcomes.insert(storage.list().wait().unwrap().segments);
    }
    assert_eq!(outcomes.len(), 8, "{outcomes:?}");
}

#[test]
fn writes_go_astray_unnoticed_until_the_crash() {
    let (storage, segment) = start();
    write(&*segment, 6, b"aaaabbbbcccc").unwrap();
    segment.sync().wait().unwrap();
    storage.lose_write(1);
    storage.misdirect_write(2, 0);
    write(&*segment, 6, b"AAAA").unwrap();
    write(&*segment, 10, b"BBBB").unwrap();
    segment.sync().wait().unwrap();
    assert_eq!(bytes(&storage, NAME), b"headerAAAABBBBcccc");
    let storage = storage.crash(CrashPolicy::KeepAll).unwrap();
    assert_eq!(bytes(&storage, NAME), b"BBBBeraaaabbbbcccc");
}

#[test]
fn rot_changes_what_was_durable() {
    let rotten = |rot, cached: bool| {
        let (mut storage, segment) = start();
        write(&*segment, 6, b"0123456789").unwrap();
        segment.sync().wait().unwrap();
        if !cached {
            storage = storage.crash(CrashPolicy::KeepAll).unwrap();
        }
        storage.rot(NAME, rot).unwrap();
        assert_eq!(bytes(&storage, NAME), bytes(storage.inner(), NAME));
        String::from_utf8(bytes(&storage, NAME)).unwrap()
    };
    for cached in [true, false] {
        assert_eq!(rotten(Rot::Flip { offset: 6, bit: 0 }, cached), "header1123456789");
        assert_eq!(rotten(Rot::Zeroed { offset: 7, len: 2 }, cached), "header0\0\x003456789");
        assert_eq!(rotten(Rot::Copied { from: 6, to: 10, len: 3 }, cached), "header0123012789");
        assert_eq!(rotten(Rot::Cut { len: 8 }, cached), "header01");
    }
}

#[test]
fn a_stray_write_of_somebody_else_leaves_nonsense() {
    let (storage, segment) = start();
    write(&*segment, 6, &[7; 2000]).unwrap();
    segment.sync().wait().unwrap();
    storage.rot(NAME, Rot::Misdirected { offset: 512, len: 512, seed: 1 }).unwrap();
    let found = bytes(storage.inner(), NAME);
    assert_eq!((&found[6..512], &found[1024..2006]), (&[7; 506][..], &[7; 982][..]));
    assert!(found[512..1024].iter().filter(|byte| **byte == 7).count() < 20);
}

#[test]
fn new_segments_lie_on_used_space() {
    let (storage, segment) = start();
    assert!(!storage.capabilities().recycles);
    write(&*segment, 6, b"old frames").unwrap();
    storage.remove(&[NAME]).wait().unwrap();
    storage.reuse(Reuse::OldFrames);
    assert!(storage.capabilities().recycles);
    storage.create(Lsn::new(2), "HEADER".into(), 12, Publish::New).wait().unwrap();
    assert_eq!(bytes(&storage, Lsn::new(2)), b"HEADERold fr");
    storage.reuse(Reuse::Garbage(1));
    storage.create(Lsn::new(3), "HEADER".into(), 106, Publish::New).wait().unwrap();
    let garbage = bytes(&storage, Lsn::new(3));
    assert_eq!((garbage.len(), &garbage[..6]), (106, &b"HEADER"[..]));
    assert!(garbage[6..].iter().collect::<BTreeSet<_>>().len() > 30);
}
