//! The model keeps what a power loss must keep, and loses what it may lose.

use std::io;
use std::path::Path;

use wal_core::Access;
use wal_fs::{File, FileSystem};
use wal_testkit::{AtomKind, CrashPolicy, Fate, ModelFs, SyncFault};

const ROOT: &str = "/";
const A: &str = "/a";
const B: &str = "/b";

fn at(path: &str) -> &Path {
    Path::new(path)
}

fn names(fs: &ModelFs) -> Vec<String> {
    let entries = fs.read_dir(at(ROOT)).unwrap();
    entries.into_iter().map(|entry| entry.name.into_string().unwrap()).collect()
}

/// A file whose name and first bytes are durable.
fn durable(path: &str, data: &[u8]) -> (ModelFs, <ModelFs as FileSystem>::File) {
    let fs = ModelFs::new();
    let file = fs.create_new(at(path)).unwrap();
    assert_eq!(file.write_at(data, 0).unwrap(), data.len());
    file.sync_all().unwrap();
    fs.sync_dir(at(ROOT)).unwrap();
    assert!(!fs.has_pending());
    (fs, file)
}

#[test]
fn unsynced_bytes_vanish() {
    let (fs, file) = durable(A, b"old");
    file.write_at(b"newer", 0).unwrap();
    assert_eq!(fs.contents(at(A)).unwrap(), b"newer");
    assert_eq!(fs.crash(CrashPolicy::DropUnsynced).contents(at(A)).unwrap(), b"old");
    assert_eq!(fs.crash(CrashPolicy::KeepAll).contents(at(A)).unwrap(), b"newer");
}

#[test]
fn synced_bytes_stay_under_every_policy() {
    let (fs, file) = durable(A, &[7; 3000]);
    file.write_at(&[8; 3000], 6000).unwrap();
    file.sync_data().unwrap();
    let whole = fs.contents(at(A)).unwrap();
    fs.create_new(at(B)).unwrap().write_at(&[1; 5000], 0).unwrap();
    for seed in 0..200 {
        assert_eq!(fs.crash(CrashPolicy::Seeded(seed)).contents(at(A)).unwrap(), whole);
    }
}

#[test]
fn a_synced_file_without_a_synced_name_vanishes() {
    let fs = ModelFs::new();
    let file = fs.create_new(at(A)).unwrap();
    file.write_at(b"bytes", 0).unwrap();
    file.sync_all().unwrap();
    assert!(names(&fs.crash(CrashPolicy::DropUnsynced)).is_empty());
    assert_eq!(names(&fs.crash(CrashPolicy::KeepAll)), ["a"]);
}

#[test]
fn a_synced_name_without_synced_bytes_is_empty() {
    let fs = ModelFs::new();
    fs.create_new(at(A)).unwrap().write_at(b"bytes", 0).unwrap();
    fs.sync_dir(at(ROOT)).unwrap();
    assert_eq!(fs.crash(CrashPolicy::DropUnsynced).contents(at(A)).unwrap(), b"");
}

#[test]
fn an_unsynced_rename_reverts_whole() {
    let (fs, _file) = durable(A, b"bytes");
    fs.rename(at(A), at(B)).unwrap();
    for seed in 0..100 {
        let image = fs.crash(CrashPolicy::Seeded(seed));
        let name = names(&image);
        assert!(name == ["a"] || name == ["b"], "{name:?}");
        assert_eq!(image.contents(&at(ROOT).join(&name[0])).unwrap(), b"bytes");
    }
    assert_eq!(names(&fs.crash(CrashPolicy::DropUnsynced)), ["a"]);
    fs.sync_dir(at(ROOT)).unwrap();
    assert_eq!(names(&fs.crash(CrashPolicy::DropUnsynced)), ["b"]);
}

#[test]
fn a_file_replaced_by_an_unsynced_rename_comes_back() {
    let (fs, _old) = durable(A, b"old");
    let new = fs.create_new(at(B)).unwrap();
    new.write_at(b"new", 0).unwrap();
    new.sync_all().unwrap();
    fs.rename(at(B), at(A)).unwrap();
    assert_eq!(fs.contents(at(A)).unwrap(), b"new");
    assert_eq!(fs.crash(CrashPolicy::DropUnsynced).contents(at(A)).unwrap(), b"old");
}

#[test]
fn a_rename_that_replaces_nothing_is_refused_where_something_is() {
    let (fs, _) = durable(A, b"a");
    fs.create_new(at(B)).unwrap();
    fs.sync_dir(at(ROOT)).unwrap();
    let error = fs.rename_new(at(A), at(B)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!((names(&fs), fs.has_pending()), (vec!["a".into(), "b".into()], false));
    fs.remove_file(at(B)).unwrap();
    fs.sync_dir(at(ROOT)).unwrap();
    fs.rename_new(at(A), at(B)).unwrap();
    assert_eq!(names(&fs), ["b"]);
    assert_eq!(names(&fs.crash(CrashPolicy::DropUnsynced)), ["a"]);
    assert_eq!(fs.rename_new(at(A), at("/c")).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn an_unsynced_exchange_reverts_whole() {
    let (fs, _) = durable(A, b"a");
    assert_eq!(fs.exchange(at(A), at(B)).unwrap_err().kind(), io::ErrorKind::NotFound);
    let other = fs.create_new(at(B)).unwrap();
    other.write_at(b"b", 0).unwrap();
    other.sync_all().unwrap();
    fs.sync_dir(at(ROOT)).unwrap();
    fs.exchange(at(A), at(B)).unwrap();
    let both = |fs: &ModelFs| [A, B].map(|path| fs.contents(at(path)).ok());
    let [a, b] = [Some(b"a".to_vec()), Some(b"b".to_vec())];
    assert_eq!(both(&fs), [b.clone(), a.clone()]);
    for seed in 0..50 {
        let image = both(&fs.crash(CrashPolicy::Seeded(seed)));
        assert!(image == [a.clone(), b.clone()] || image == [b.clone(), a.clone()], "{image:?}");
    }
    assert_eq!(both(&fs.crash_with(&mut |_| Fate::BothNames)), [a.clone(), a.clone()]);
    assert_eq!(both(&fs.crash_with(&mut |_| Fate::NeitherName)), [None, None]);
    // The file that goes then is the one that came out.
    fs.remove_file(at(A)).unwrap();
    fs.sync_dir(at(ROOT)).unwrap();
    assert_eq!(both(&fs.crash(CrashPolicy::DropUnsynced)), [None, a]);
}

#[test]
fn an_unsynced_removal_reverts() {
    let (fs, file) = durable(A, b"bytes");
    drop(file);
    fs.remove_file(at(A)).unwrap();
    assert_eq!(fs.crash(CrashPolicy::DropUnsynced).contents(at(A)).unwrap(), b"bytes");
    fs.sync_dir(at(ROOT)).unwrap();
    assert!(names(&fs.crash(CrashPolicy::DropUnsynced)).is_empty());
    assert_eq!(fs.used_bytes(), 0);
}

#[test]
fn length_is_lost_without_bytes_and_bytes_without_length() {
    let (fs, file) = durable(A, b"");
    file.write_at(&[7; 100], 0).unwrap();
    let crash = |keep_bytes: bool, keep_length: bool| {
        let image = fs.crash_with(&mut |atom| {
            let kept = match atom.kind {
                AtomKind::Bytes { .. } => keep_bytes,
                AtomKind::Length { .. } => keep_length,
                _ => true,
            };
            if kept { Fate::Kept } else { Fate::Dropped }
        });
        image.contents(at(A)).unwrap()
    };
    assert_eq!(crash(true, true), [7; 100]);
    assert_eq!(crash(false, true), [0; 100]);
    assert_eq!(crash(true, false), b"");
    assert_eq!(crash(false, false), b"");
}

#[test]
fn a_cut_is_pending_until_the_sync() {
    let (fs, file) = durable(A, &[7; 2000]);
    file.set_len(10).unwrap();
    file.write_at(b"x", 20).unwrap();
    let mut shown = fs.contents(at(A)).unwrap();
    assert_eq!((shown.len(), shown[15], shown[20]), (21, 0, b'x'));
    assert_eq!(fs.crash(CrashPolicy::DropUnsynced).contents(at(A)).unwrap(), [7; 2000]);
    file.sync_data().unwrap();
    shown = fs.crash(CrashPolicy::DropUnsynced).contents(at(A)).unwrap();
    assert_eq!((shown.len(), shown[15], shown[20]), (21, 0, b'x'));
}

#[test]
fn write_through_is_durable_and_nothing_else_is() {
    let (fs, file) = durable(A, &[7; 2000]);
    file.write_at(&[8; 100], 0).unwrap();
    file.write_through_at(&[9; 100], 2000).unwrap();
    let kept = fs.crash(CrashPolicy::DropUnsynced).contents(at(A)).unwrap();
    assert_eq!((kept.len(), kept[0], kept[2099]), (2100, 7, 9));
    assert_eq!(fs.crash(CrashPolicy::KeepAll).contents(at(A)).unwrap()[0], 8);
}

#[test]
fn a_lazy_device_keeps_back_the_first_write_through_in_place_after_each_sync() {
    let (fs, file) = durable(A, &[7; 2000]);
    fs.set_lazy_write_through(true);
    assert!(!fs.profile(at("/")).write_through && ModelFs::new().profile(at("/")).write_through);
    let kept = || fs.crash(CrashPolicy::DropUnsynced).contents(at(A)).unwrap();
    // One that makes the file longer is durable, and so is every one but the first in place.
    file.write_through_at(&[8; 10], 2000).unwrap();
    assert_eq!(kept().len(), 2010);
    file.write_through_at(&[9; 10], 0).unwrap();
    file.write_through_at(&[9; 10], 10).unwrap();
    assert_eq!((kept()[0], kept()[10]), (7, 9));
    file.sync_data().unwrap();
    assert_eq!(kept()[0], 9);
    file.write_through_at(&[6; 10], 0).unwrap();
    assert_eq!(kept()[0], 9, "a sync begins it anew");
    // So it is in the image that a crash leaves.
    let image = fs.crash(CrashPolicy::KeepAll);
    let file = image.open(at(A), Access::Write).unwrap();
    file.sync_data().unwrap();
    file.write_through_at(&[5; 10], 0).unwrap();
    assert_eq!(image.crash(CrashPolicy::DropUnsynced).contents(at(A)).unwrap()[0], 6);
}

#[test]
fn a_refused_sync_of_a_directory_makes_no_name_durable() {
    let fs = ModelFs::new();
    fs.refuse_dir_syncs(true);
    fs.create_new(at(A)).unwrap().sync_all().unwrap();
    assert_eq!(fs.sync_dir(at("/")).unwrap_err().kind(), io::ErrorKind::Unsupported);
    assert!(fs.crash(CrashPolicy::DropUnsynced).contents(at(A)).is_err());
    assert!(fs.crash(CrashPolicy::KeepAll).sync_dir(at("/")).is_err(), "so it stays");
    fs.refuse_dir_syncs(false);
    fs.sync_dir(at("/")).unwrap();
    assert!(fs.crash(CrashPolicy::DropUnsynced).contents(at(A)).is_ok());
}

#[test]
fn two_names_of_a_file_lead_to_the_same_bytes() {
    let (fs, file) = durable(A, b"old");
    assert_eq!(file.links().unwrap().count, 1);
    fs.link(at(A), at(B)).unwrap();
    assert_eq!(fs.link(at(A), at(B)).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    file.write_at(b"new", 0).unwrap();
    assert_eq!(fs.contents(at(B)).unwrap(), b"new");
    let other = fs.open(at(B), Access::Read).unwrap();
    assert_eq!((other.links().unwrap(), other.links().unwrap().count), (file.links().unwrap(), 2));
    fs.remove_file(at(A)).unwrap();
    assert_eq!((file.links().unwrap().count, fs.contents(at(B)).unwrap()), (1, b"new".to_vec()));
    fs.remove_file(at(B)).unwrap();
    assert_eq!(file.links().unwrap().count, 0);
}

#[test]
fn seeds_tear_writes_and_are_reproducible() {
    let (fs, file) = durable(A, &[0; 4096]);
    file.write_at(&[1; 4096], 0).unwrap();
    let image = |seed| fs.crash(CrashPolicy::Seeded(seed)).contents(at(A)).unwrap();
    let images: Vec<_> = (0..100).map(image).collect();
    assert_eq!(images, (0..100).map(image).collect::<Vec<_>>());
    assert!(images.iter().any(|bytes| bytes.iter().all(|b| *b == 0)));
    assert!(images.iter().any(|bytes| bytes.iter().all(|b| *b == 1)));
    assert!(images.iter().any(|bytes| bytes.contains(&0) && bytes.contains(&1)));
    for bytes in &images {
        let torn = bytes.chunks(512).any(|sector| sector.iter().any(|b| *b != sector[0]));
        assert!(!torn, "a sector was torn");
    }
}

#[test]
fn fates_other_than_kept_and_dropped() {
    let (fs, file) = durable(A, &[7; 512]);
    file.write_at(&[8; 512], 0).unwrap();
    let crash = |fate| fs.crash_with(&mut |_| fate).contents(at(A)).unwrap();
    assert_eq!(crash(Fate::Zeroed), [0; 512]);
    assert_ne!(crash(Fate::Garbage(1)), crash(Fate::Garbage(2)));
}

#[test]
fn a_prefix_keeps_what_came_first() {
    let (fs, file) = durable(A, &[0; 1024]);
    file.write_at(&[1; 512], 0).unwrap();
    file.write_at(&[2; 512], 512).unwrap();
    let mut seqs = Vec::new();
    let _ = fs.crash_with(&mut |atom| {
        seqs.push(atom.seq);
        Fate::Dropped
    });
    let kept = fs.crash(CrashPolicy::Prefix(seqs[1])).contents(at(A)).unwrap();
    assert_eq!((kept[0], kept[512]), (1, 0));
}

#[test]
fn after_a_failed_sync_the_next_one_says_ok_and_means_nothing() {
    let (fs, file) = durable(A, b"old");
    file.write_at(b"new", 0).unwrap();
    fs.fail_sync(1, SyncFault::MarkedClean);
    file.sync_data().unwrap_err();
    file.sync_data().unwrap();
    assert_eq!(fs.contents(at(A)).unwrap(), b"new");
    assert_eq!(fs.crash(CrashPolicy::DropUnsynced).contents(at(A)).unwrap(), b"old");
    // What is written again is durable again.
    file.write_at(b"new", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(fs.crash(CrashPolicy::DropUnsynced).contents(at(A)).unwrap(), b"new");
}

#[test]
fn a_sync_may_also_fail_and_leave_the_bytes_dirty() {
    let (fs, file) = durable(A, b"old");
    file.write_at(b"new", 0).unwrap();
    fs.fail_sync(2, SyncFault::StillDirty);
    fs.create_new(at(B)).unwrap().sync_all().unwrap();
    file.sync_data().unwrap_err();
    file.sync_data().unwrap();
    assert_eq!(fs.crash(CrashPolicy::DropUnsynced).contents(at(A)).unwrap(), b"new");
}

#[test]
fn a_process_crash_keeps_the_cache_and_kills_handles_and_locks() {
    let (fs, file) = durable(A, b"old");
    assert!(file.try_lock().unwrap());
    assert!(!fs.open(at(A), Access::Write).unwrap().try_lock().unwrap());
    file.write_at(b"new", 0).unwrap();
    let next = fs.process_crash();
    assert_eq!(next.contents(at(A)).unwrap(), b"new");
    assert!(next.has_pending());
    assert!(next.open(at(A), Access::Write).unwrap().try_lock().unwrap());
    file.write_at(b"x", 0).unwrap_err();
    file.read_at(&mut [0], 0).unwrap_err();
    file.sync_all().unwrap_err();
    fs.create_new(at(B)).unwrap_err();
    drop(file);
    assert_eq!(next.contents(at(A)).unwrap(), b"new");
    assert_eq!(next.crash(CrashPolicy::DropUnsynced).contents(at(A)).unwrap(), b"old");
}

#[test]
fn a_full_disk_takes_what_fits() {
    let fs = ModelFs::new();
    fs.set_capacity(Some(10));
    let file = fs.create_new(at(A)).unwrap();
    assert_eq!(file.write_at(&[1; 20], 0).unwrap(), 10);
    assert_eq!(file.write_at(&[1; 10], 10).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.write_at(&[2; 10], 0).unwrap(), 10);
    file.set_len(5).unwrap();
    assert_eq!(file.write_at(&[3; 10], 5).unwrap(), 5);
    fs.remove_file(at(A)).unwrap();
    assert_eq!(fs.used_bytes(), 10);
    drop(file);
    assert_eq!(fs.used_bytes(), 0);
}

#[test]
fn a_name_may_need_room() {
    let fs = ModelFs::new();
    let file = fs.create_new(at(A)).unwrap();
    file.write_at(&[1; 10], 0).unwrap();
    fs.set_capacity(Some(10));
    fs.let_names_take_room(true);
    let full = |outcome: io::Result<()>| outcome.unwrap_err().kind() == io::ErrorKind::StorageFull;
    assert!(full(fs.create_new(at(B)).map(drop)));
    assert!(full(fs.rename(at(A), at(B))));
    assert!(full(fs.rename_new(at(A), at(B))));
    file.set_len(9).unwrap();
    fs.rename_new(at(A), at(B)).unwrap();
    file.write_at(&[1; 1], 9).unwrap();
    // No new name: it replaces another one.
    fs.let_names_take_room(false);
    fs.create_new(at(A)).unwrap();
    fs.let_names_take_room(true);
    fs.rename(at(A), at(B)).unwrap();
}

#[test]
fn a_crash_image_is_independent() {
    let (fs, file) = durable(A, b"old");
    let image = fs.crash(CrashPolicy::KeepAll);
    file.write_at(b"new", 0).unwrap();
    file.sync_all().unwrap();
    image.open(at(A), Access::Write).unwrap().write_at(b"other", 0).unwrap();
    assert_eq!(fs.contents(at(A)).unwrap(), b"new");
    assert_eq!(image.contents(at(A)).unwrap(), b"other");
    assert_eq!(image.crash(CrashPolicy::DropUnsynced).contents(at(A)).unwrap(), b"old");
}
