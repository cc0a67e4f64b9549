//! Bytes whose checksums are right and whose meaning is wrong.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::support::*;
use wal_core::*;
use wal_recovery::{DamageKind, Inspect, Mode, Verdict, Verify, View};

/// What a scan or a reading comes to; it must come to something.
fn in_time<T: Send + 'static>(what: &str, run: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(run()));
    let outcome = told.recv_timeout(Duration::from_secs(20));
    outcome.unwrap_or_else(|_| panic!("{what}: no end"))
}

/// One closed segment of five records.
fn closed() -> Image {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    for i in 0..5 {
        log.append(&[b'0' + i]).unwrap();
    }
    log.close().unwrap();
    drop(log);
    image_of(&storage)
}

/// The same with one frame, the last one being the footer, changed and sealed again.
fn forged(frame: usize, change: impl FnOnce(&mut [u8])) -> Image {
    let mut image = closed();
    let bytes = image.get_mut(&1).unwrap();
    let at = offsets_of(bytes, 1)[frame];
    forge(bytes, 1, at, change);
    image
}

fn read(image: &Image) -> Result<Vec<u64>> {
    View::open(memory_of(image))?.records(Lsn::ZERO).map(|e| e.map(|e| e.lsn.get())).collect()
}

#[test]
fn a_forged_footer_never_makes_a_scan_endless() {
    use DamageKind::{Corrupt, TornTail};
    // A footer at the very end that contradicts itself proves nothing, and nothing is lost with it.
    let mutations = [
        ("chain checksum", Corrupt, forged(5, |footer| footer[24 + 16] ^= 1)),
        ("records", TornTail, forged(5, |footer| footer[24] ^= 1)),
        ("a data frame that calls itself footer", Corrupt, forged(1, |frame| frame[22] = 7)),
    ];
    for (what, kind, image) in mutations {
        let scanned = image.clone();
        let report = in_time(what, move || {
            Inspect::new(memory_of(&scanned)).verify(Verify::All).threads(1).run()
        });
        let report = report.unwrap();
        assert_eq!(report.damages.len(), 1, "{what}: {report}");
        assert_eq!(report.damages[0].kind, kind, "{what}: {report}");
        assert!(!report.damages[0].reason.contains('{'), "{what}: {report}");
        assert!(kind == Corrupt || report.records == 5, "{what}: {report}");
        let strict = image.clone();
        let error = in_time(what, move || recover(memory_of(&strict), Mode::Strict).err());
        let typed = if kind == Corrupt { ErrorKind::Corrupt } else { ErrorKind::TornTail };
        assert_eq!(error.unwrap().kind(), typed, "{what}");
        for mode in [Mode::PointInTime, Mode::Salvage] {
            let storage = memory_of(&image);
            let copy = storage.clone();
            let next = in_time(what, move || recover(copy, mode).unwrap().0.next_lsn());
            assert!(next >= Lsn::new(6), "{what}, {mode}: {next} is given out again");
            assert_eq!(recover(storage, Mode::Strict).unwrap().1.next_lsn, next, "{what}");
        }
    }
}

#[test]
fn a_false_footer_is_no_end_for_a_reader() {
    for frame in 0..4 {
        let image = forged(frame, |frame| frame[22] = 7);
        let error = in_time("a view", move || read(&image)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert_eq!(error.lsn(), Some(Lsn::new(frame as u64 + 1)), "{error}");
    }
    // Skipped, like any other damage.
    let view = View::open(memory_of(&forged(1, |frame| frame[22] = 7))).unwrap();
    let mut records = view.skip_corrupted(true).records(Lsn::ZERO);
    let lsns: Vec<u64> = records.by_ref().map(|entry| entry.unwrap().lsn.get()).collect();
    assert_eq!(lsns, [1, 3, 4, 5]);
    assert_eq!(records.holes().len(), 1);
}

#[test]
fn a_whole_footer_with_frames_behind_it_is_no_end() {
    // A segment that was closed after one record, and a second one behind the footer.
    let footer = {
        let storage = MemoryStorage::new();
        let log = open(storage.clone());
        log.append(b"a").unwrap();
        log.close().unwrap();
        drop(log);
        image_of(&storage)
    };
    let bytes = &footer[&1];
    let end = bytes.len();
    let mut more = bytes.clone();
    more.extend_from_slice(&[0; 25]);
    more[end + 4] = 1;
    more[end + 8] = 1;
    more[end + 22] = 1;
    more[end + 24] = b'x';
    // Not before what is already there in time.
    let time = bytes[offsets_of(bytes, 1)[0] + 16..][..6].to_vec();
    more[end + 16..end + 22].copy_from_slice(&time);
    forge(&mut more, 1, end, |_| {});
    let image = Image::from([(1, more)]);
    assert_eq!(read(&image).unwrap_err().kind(), ErrorKind::Corrupt);
    let error = recover(memory_of(&image), Mode::TornTail).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let (recovered, report) = recover(memory_of(&image), Mode::Salvage).unwrap();
    assert_eq!((report.records, recovered.next_lsn()), (2, Lsn::new(3)), "{report}");
}

#[test]
fn a_wrong_data_offset_never_costs_a_segment() {
    let whole = three_sessions();
    let last = *whole.keys().next_back().unwrap();
    for &name in whole.keys() {
        let len = whole[&name].len() as u32;
        let wrong =
            [0, 511, 513, 536, 544, len - 1, len, len + 1, 1 << 20, (1 << 20) + 1, u32::MAX];
        for data_offset in wrong {
            let what = format!("segment {name}, data offset {data_offset} of {len}");
            let mut image = whole.clone();
            forge_header(image.get_mut(&name).unwrap(), |header| {
                header[12..16].copy_from_slice(&data_offset.to_le_bytes());
            });
            let storage = memory_of(&image);
            let report = Inspect::new(storage.clone()).threads(1).run().unwrap();
            assert_eq!(report.verdict(), Verdict::Corrupt, "{what}: {report}");
            assert!(report.damages.iter().any(|d| d.kind == DamageKind::Header), "{what}");
            for mode in [Mode::Strict, Mode::TornTail] {
                let error = recover(storage.clone(), mode).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
                // The segment before it may be the first to lack something.
                assert!(error.segment() <= Some(Lsn::new(name)), "{what}: {error}");
            }
            assert_eq!(image_of(&storage), image, "{what}");
            let error = read(&image).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
            // What the repairing modes take out is set aside, and its numbers are not given again.
            for mode in [Mode::PointInTime, Mode::Salvage] {
                let (recovered, report) = recover(memory_of(&image), mode).unwrap();
                assert!(recovered.next_lsn() > Lsn::new(14), "{what}, {mode}: {report}");
                assert!(report.cut.iter().any(|cut| cut.saved_as.is_some()), "{what}, {mode}");
            }
        }
    }
    assert_eq!(last, 9);
}

#[test]
fn a_flipped_bit_of_the_padding_costs_nothing_and_a_frame_there_is_damage() {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    log.append(b"one").unwrap();
    log.append(b"two").unwrap();
    drop(log);
    let mut image = image_of(&storage);
    let whole = content_of(&image);
    let bytes = image.get_mut(&1).unwrap();
    let frames = bytes.split_off(512);
    forge_header(bytes, |header| header[12..16].copy_from_slice(&1024_u32.to_le_bytes()));
    bytes.resize(1024, 0);
    bytes.extend_from_slice(&frames);
    assert_eq!(content_of(&image), whole);
    for at in [512, 534, 1023] {
        let mut rotten = image.clone();
        rotten.get_mut(&1).unwrap()[at] ^= 1;
        assert_eq!(content_of(&rotten), whole, "byte {at}");
    }
    image.get_mut(&1).unwrap()[600..600 + frames.len()].copy_from_slice(&frames);
    let error = recover(memory_of(&image), Mode::TornTail).unwrap_err();
    assert_eq!((error.kind(), error.offset()), (ErrorKind::Corrupt, Some(12)), "{error}");
}

#[test]
fn the_first_write_of_a_segment_is_copied_before_it_is_cut() {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    log.append(b"the only one").unwrap();
    drop(log);
    let mut image = image_of(&storage);
    // Of another generation: nothing in the segment validates, it looks empty.
    forge_header(image.get_mut(&1).unwrap(), |header| header[32] = 77);
    let (recovered, report) = recover(memory_of(&image), Mode::TornTail).unwrap();
    assert_eq!(report.verdict(), Verdict::TornTail, "{report}");
    assert!(report.cut.len() == 1 && report.cut[0].saved_as.is_some(), "{report}");
    assert!(content(recovered).is_empty());
}

#[test]
fn an_implausible_generation_is_damage_and_never_a_duplicate() {
    for generation in [u64::MAX, u64::MAX - 1, u64::MAX / 2] {
        let mut image = three_sessions();
        forge_header(image.get_mut(&9).unwrap(), |header| {
            header[32..40].copy_from_slice(&generation.to_le_bytes());
        });
        let error = recover(memory_of(&image), Mode::TornTail).unwrap_err();
        assert_eq!((error.kind(), error.offset()), (ErrorKind::Corrupt, Some(32)), "{error}");
        assert!(error.detail().contains("generation"), "{error}");
        let storage = memory_of(&image);
        recover(storage.clone(), Mode::Salvage).unwrap();
        let log = open(storage.clone());
        log.append(b"more").unwrap();
        drop(log);
        assert_eq!(recover(storage, Mode::Strict).unwrap().1.verdict(), Verdict::Clean);
    }
}
