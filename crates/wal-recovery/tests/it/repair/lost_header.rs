//! A segment whose header is lost keeps its frames, and nothing else is taken for one.

use std::sync::Arc;

use bytes::Bytes;

use crate::support::*;
use wal_core::format::{LogId, Owner};
use wal_core::*;
use wal_recovery::{DamageKind, Mode, Recovery, Report, Verdict, Verify};

/// Memory whose openings are told apart, as those of files are.
#[derive(Clone)]
struct Owned {
    memory: MemoryStorage,
    token: u8,
}

impl LogStorage for Owned {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }
    fn describe(&self) -> String {
        self.memory.describe()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        let owner = Owner { epoch: self.token.into(), token: [self.token; 16] };
        Io::ready(self.memory.lock().wait().map(|lock| lock.owned_by(owner)))
    }
    fn list(&self) -> Io<'_, Listing> {
        self.memory.list()
    }
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        self.memory.stage(name, capacity)
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

/// Three sessions of three records each, by three owners or by nobody in particular.
fn sessions(owners: bool) -> Image {
    let memory = MemoryStorage::new();
    for session in 1..=3 {
        let token = if owners { session } else { 0 };
        let log = open(Owned { memory: memory.clone(), token });
        for i in 0..3 {
            log.append(format!("{session}, {i}").as_bytes()).unwrap();
        }
        if session < 3 {
            log.close().unwrap();
        }
    }
    image_of(&memory)
}

fn salvage(image: &Image) -> (MemoryStorage, Content, Report) {
    let storage = memory_of(image);
    let (recovered, report) = recover(storage.clone(), Mode::Salvage).unwrap();
    let next = recovered.next_lsn();
    let log = Wal::builder(always()).manual_driver().open(recovered).unwrap();
    let found = try_content(&log).unwrap();
    assert_eq!(log.append(b"more").unwrap(), next);
    drop(log);
    let (_, again) = recover(storage.clone(), Mode::Strict).unwrap();
    assert_eq!((again.verdict(), again.records), (Verdict::Clean, found.len() as u64 + 1));
    (storage, found, report)
}

fn damaged(image: &Image, change: impl Fn(&mut [u8])) -> Vec<(u64, Image)> {
    let change = |&name: &u64| {
        let mut image = image.clone();
        change(image.get_mut(&name).unwrap());
        (name, image)
    };
    image.keys().map(change).collect()
}

fn zeros(bytes: &mut [u8]) {
    bytes[..512].fill(0);
}

fn garbage(bytes: &mut [u8]) {
    for (at, byte) in bytes[..512].iter_mut().enumerate() {
        *byte = (at as u8).wrapping_mul(31) | 1;
    }
}

fn two_bits(bytes: &mut [u8]) {
    bytes[20] ^= 1;
    bytes[130] ^= 4;
}

#[test]
fn every_record_of_it_is_kept() {
    for owners in [false, true] {
        let image = sessions(owners);
        let whole = content_of(&image);
        for how in [zeros, garbage, two_bits] {
            for (name, image) in damaged(&image, how) {
                let original = image[&name].clone();
                let (_, found, report) = salvage(&image);
                assert_eq!(found, whole, "{name}, {owners}: {report}");
                assert!(report.holes.is_empty(), "{report}");
                assert_eq!(report.damages[0].kind, DamageKind::Header, "{report}");
                assert!(report.damages[0].reason.contains("made anew"), "{report}");
                // What was there is set aside, but for zeros at its end.
                let copy = &report.cut[0];
                assert_eq!((copy.segment.get(), copy.offset), (name, 0), "{report}");
                let used = original.iter().rposition(|&byte| byte != 0).unwrap() + 1;
                assert_eq!(copy.bytes, used as u64, "{report}");
                assert!(copy.saved_as.is_some());
            }
        }
    }
}

#[test]
fn all_headers_may_be_lost_at_once() {
    for owners in [false, true] {
        let mut image = sessions(owners);
        let whole = content_of(&image);
        image.values_mut().for_each(|bytes| zeros(bytes));
        let (_, found, report) = salvage(&image);
        assert_eq!(found, whole, "{owners}: {report}");
        // Nothing tells what the log was, and that is said.
        assert!(report.damages[0].reason.contains("a new id"), "{report}");
        assert!(report.damages[0].reason.contains("codec"), "{report}");
    }
}

#[test]
fn it_may_be_the_only_segment_and_begin_anywhere() {
    let aligned = aligned(MemoryStorage::new());
    let padded = padding(MemoryStorage::new());
    let storages: [Arc<dyn LogStorage>; 3] =
        [Arc::new(MemoryStorage::new()), Arc::new(aligned), Arc::new(padded)];
    for storage in storages {
        let log = open(storage.clone());
        for i in 0..5 {
            log.append(&[i; 40]).unwrap();
        }
        for close in [false, true] {
            if close {
                log.close().unwrap();
            }
            let mut image = image_of(&storage);
            let whole = content_of(&image);
            image.values_mut().for_each(|bytes| zeros(bytes));
            let (_, found, report) = salvage(&image);
            assert_eq!(found, whole, "{report}");
        }
    }
}

#[test]
fn what_a_caller_says_of_the_log_is_taken_where_nothing_else_says_it() {
    let mut image = sessions(false);
    image.values_mut().for_each(|bytes| zeros(bytes));
    let id = LogId([9; 16]);
    let recovery = Recovery::new(memory_of(&image)).mode(Mode::Salvage).log_id(id);
    let (recovered, report) = recovery.codec(CodecId(77)).run().unwrap();
    assert_eq!((recovered.log_id(), recovered.codec()), (id, Some(CodecId(77))), "{report}");
    // A neighbour knows better, and a log of another codec is refused.
    let (_, image) = damaged(&sessions(false), zeros).remove(1);
    let recovery = Recovery::new(memory_of(&image)).mode(Mode::Salvage).codec(CodecId(77));
    assert_eq!(recovery.run().unwrap_err().kind(), ErrorKind::CodecMismatch);
}

/// The first frames are lost with the header: the salt tells whose the others are, if a neighbour has the same owner.
#[test]
fn frames_behind_a_larger_loss_are_kept_if_a_neighbour_confirms_them() {
    let image = sessions(false);
    let whole = content_of(&image);
    for (name, mut image) in damaged(&image, zeros) {
        let bytes = image.get_mut(&name).unwrap();
        let lost = 512 + 24 + 2;
        bytes[..lost].fill(0);
        let (_, found, report) = salvage(&image);
        let expected: Content = whole.iter().filter(|(lsn, _)| *lsn != name).cloned().collect();
        assert_eq!(found, expected, "{name}: {report}");
        assert_eq!(report.holes.len(), 1, "{report}");
    }
    // Nothing confirms those of another owner. They are set aside.
    let (name, mut image) = damaged(&sessions(true), zeros).remove(1);
    image.get_mut(&name).unwrap()[..530].fill(0);
    let (_, found, report) = salvage(&image);
    assert_eq!(found.len(), whole.len() - 3, "{report}");
    assert!(report.cut.iter().any(|cut| cut.segment.get() == name), "{report}");
}

/// A segment in recycled space, to which nothing was written yet: behind its blank are frames of an earlier life.
#[test]
fn stale_frames_of_recycled_space_stay_where_they_are() {
    for owners in [false, true] {
        let image = sessions(owners);
        for alone in [false, true] {
            for lost in [512, 530, 536, 700] {
                let mut image = image.clone();
                // The newest segment holds nothing; the file was that of the first one.
                let stale = image[&1].clone();
                let header = format::SegmentHeader {
                    blanks: true,
                    owner: header_of(&image[&7], 7).owner,
                    ..format::SegmentHeader::new(header_of(&image[&7], 7).log_id, 4, Lsn::new(10))
                };
                let mut bytes = stale;
                bytes[..512].copy_from_slice(&header.encode());
                bytes[512..536].fill(0);
                bytes[..lost.min(512)].fill(0);
                if lost > 536 {
                    bytes[..lost].fill(0);
                }
                image.insert(10, bytes);
                if alone {
                    image.retain(|name, _| *name == 10);
                }
                let whole = if alone { Content::new() } else { content_of(&sessions(owners)) };
                let (_, found, report) = salvage(&image);
                assert_eq!(found, whole, "{owners}, {alone}, {lost}: {report}");
            }
        }
    }
}

/// A record may hold the bytes of a whole segment. They are never taken for one.
#[test]
fn a_segment_within_a_record_stays_a_record() {
    let inner = sessions(true)[&1].clone();
    // Where the inner frames begin, in a file whose first block is lost as well.
    for shift in [0, 1, 24, 4096 - 512 - 512 - 24] {
        let memory = MemoryStorage::new();
        let log = Wal::builder(always()).manual_driver();
        let log = log.open(memory.clone().into_empty_log().unwrap()).unwrap();
        let record = [vec![b'x'; shift], inner.clone()].concat();
        log.append(&record).unwrap();
        log.append(b"behind").unwrap();
        log.append(b"end").unwrap();
        drop(log);
        let image = image_of(&memory);
        let whole = content_of(&image);
        for lost in [512, 512 + 24, 512 + 24 + shift, 1024 + 24 + shift] {
            let mut image = image.clone();
            image.get_mut(&1).unwrap()[..lost].fill(0);
            let (_, found, report) = salvage(&image);
            let known = found.iter().all(|record| whole.contains(record));
            assert!(known, "{shift}, {lost}: {report}\n{found:?}");
            if lost == 512 {
                assert_eq!(found, whole, "{shift}: {report}");
            }
        }
    }
}

#[test]
fn frames_that_nothing_confirms_are_left_out_and_a_new_log_begins_behind_them() {
    let memory = MemoryStorage::new();
    let log = open(memory.clone());
    log.append(b"alone").unwrap();
    drop(log);
    let mut image = image_of(&memory);
    image.values_mut().for_each(|bytes| zeros(bytes));
    let (_, found, report) = salvage(&image);
    assert!(found.is_empty() && report.next_lsn > Lsn::new(1), "{report}");
    assert_eq!(report.cut.len(), 1, "{report}");
    assert_eq!(report.holes.len(), 1, "{report}");
    // Empty files, and files of zeros.
    for len in [0, 1, 511, 512, 4096] {
        let image = Image::from([(1, vec![0; len]), (5, vec![0; len])]);
        let (storage, found, report) = salvage(&image);
        assert!(found.is_empty(), "{len}: {report}");
        assert!(report.next_lsn > Lsn::new(5), "{len}: {report}");
        assert_eq!(image_of(&storage).len(), 1, "{len}: {report}");
    }
}

#[test]
fn what_may_be_somebody_elses_file_is_left_alone() {
    let image = Image::from([(1, b"not a log at all, but a text of somebody ".repeat(40))]);
    let storage = memory_of(&image);
    for mode in [Mode::TornTail, Mode::PointInTime, Mode::Salvage] {
        let error = recover(storage.clone(), mode).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotALog, "{mode}: {error}");
        assert_eq!(image_of(&storage), image, "{mode}");
    }
}

/// In every other mode it is what it was: an error, and nothing is changed.
#[test]
fn only_a_salvage_makes_headers() {
    for (name, image) in damaged(&sessions(true), zeros) {
        let storage = memory_of(&image);
        for mode in [Mode::Strict, Mode::TornTail] {
            let error = recover(storage.clone(), mode).map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}, {mode}: {error}");
            assert_eq!(image_of(&storage), image, "{name}, {mode}");
        }
        let recovery = Recovery::new(storage).mode(Mode::PointInTime).verify(Verify::All);
        let (_, report) = recovery.run().unwrap();
        assert_eq!(report.records, name - 1, "{report}");
    }
}
