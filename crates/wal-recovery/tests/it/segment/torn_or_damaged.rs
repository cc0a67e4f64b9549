//! What is a torn tail, and what is damage: told by the frames behind the bad place.

use crate::support::*;
use wal_core::format::SegmentHeader;
use wal_core::*;
use wal_recovery::{DamageKind, Inspect, Mode, Recovery, Verdict};

/// Offsets of the frames of a segment, and of its end.
fn frames(bytes: &[u8], name: u64) -> Vec<usize> {
    let header = SegmentHeader::decode(bytes, Lsn::new(name)).unwrap();
    let image = Image::from([(name, bytes.to_vec())]);
    let segment = memory_of(&image).open(Lsn::new(name), Access::Read).wait().unwrap();
    let start = u64::from(header.data_offset);
    let mut reader = FrameReader::new(segment, &header, start, bytes.len() as u64);
    let mut offsets = vec![start as usize];
    while let FrameStep::Frame(_) = block_on(reader.next()).unwrap() {
        offsets.push(reader.offset() as usize);
    }
    offsets
}

/// A log of `synced` records that were synced, and `rest` records that were only written.
fn partly_synced(synced: usize, rest: usize) -> Image {
    let storage = MemoryStorage::new();
    let log = open_with(storage.clone(), lazy());
    for i in 0..synced {
        log.append(format!("synced {i}").as_bytes()).unwrap();
    }
    log.sync().unwrap();
    for i in 0..rest {
        log.append(format!("written {i}").as_bytes()).unwrap();
    }
    drop(log);
    image_of(&storage)
}

#[test]
fn a_lost_frame_between_written_ones_is_torn_and_a_synced_one_is_damage() {
    let image = partly_synced(5, 5);
    let whole = content_of(&image);
    let offsets = frames(&image[&1], 1);
    assert_eq!(offsets.len(), 11);
    for frame in 0..10 {
        for fill in [0, 0xff, 0x55] {
            let mut bad = image.clone();
            bad.get_mut(&1).unwrap()[offsets[frame]..offsets[frame + 1]].fill(fill);
            let outcome = recover(memory_of(&bad), Mode::TornTail);
            if frame < 5 {
                // Frames 6 to 10 were written when 1 to 5 were known to be durable.
                let error = outcome.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                assert_eq!(error.segment(), Some(Lsn::FIRST));
                assert_eq!(error.offset(), Some(offsets[frame] as u64));
                assert_eq!(error.lsn(), Some(Lsn::new(frame as u64 + 1)));
                assert!(error.detail().contains("durable"), "{error}");
            } else {
                let (recovered, report) = outcome.unwrap();
                // Zeros where the last frame was are no sign of anything.
                let torn = frame < 9 || fill != 0;
                assert_eq!(report.verdict() == Verdict::TornTail, torn, "{frame}: {report}");
                assert_eq!(report.durable_proven, Lsn::new(5));
                assert_eq!(content(recovered), whole[..frame]);
            }
        }
    }
}

#[test]
fn frames_of_other_generations_and_logs_are_no_records_and_no_proof() {
    let old = partly_synced(5, 5);
    let mut next_life = SegmentHeader::decode(&old[&1], Lsn::FIRST).unwrap();
    next_life.generation = 2;
    let other_log = partly_synced(3, 30);
    for stale in [&old[&1], &other_log[&1]] {
        // The header of a new life over the bytes of the old one, with and without a blank.
        for blank in [0, format::FRAME_HEADER_LEN] {
            let mut bytes = stale.clone();
            bytes[..512].copy_from_slice(&next_life.encode());
            bytes[512..512 + blank].fill(0);
            let image = Image::from([(1, bytes)]);
            let (recovered, report) = recover(memory_of(&image), Mode::TornTail).unwrap();
            assert_eq!((report.records, report.next_lsn), (0, Lsn::FIRST));
            assert_eq!(report.verdict() == Verdict::Clean, blank > 0);
            assert!(content(recovered).is_empty());
        }
    }
}

#[test]
fn stale_frames_right_behind_the_end_are_cut() {
    let image = partly_synced(3, 2);
    let whole = content_of(&image);
    let stale = partly_synced(40, 10);
    let mut bytes = image[&1].clone();
    let end = bytes.len();
    bytes.extend_from_slice(&stale[&1][end..]);
    let storage = memory_of(&Image::from([(1, bytes)]));
    let (recovered, report) = Recovery::new(storage.clone()).save_cut(true).run().unwrap();
    assert_eq!(report.verdict(), Verdict::TornTail);
    assert_eq!((report.cut.len(), report.cut[0].offset), (1, end as u64));
    assert_eq!(report.cut[0].first_lsn, Lsn::new(6));
    assert!(report.cut[0].saved_as.is_some());
    assert!(matches!(recovered.events(), [Event::TailCut { offset, .. }] if *offset == end as u64));
    assert_eq!(content(recovered), whole);
    assert_eq!(recover(storage, Mode::Strict).unwrap().1.verdict(), Verdict::Clean);
}

#[test]
fn what_was_rewritten_and_where_is_reported() {
    let image = partly_synced(5, 5);
    let offsets = frames(&image[&1], 1);
    let (_, report) = recover(memory_of(&image), Mode::Strict).unwrap();
    assert!(!report.clean);
    assert_eq!(report.durable_proven, Lsn::new(5));
    assert_eq!(report.rewritten_bytes, (offsets[10] - offsets[5]) as u64);
    let (_, report) = recover(memory_of(&partly_synced(5, 0)), Mode::Strict).unwrap();
    // That the last sync ended well is told by no frame.
    assert!(report.rewritten_bytes > 0 && report.rewritten_bytes < 200);
}

#[test]
fn records_that_contain_a_log_are_records() {
    let inner = partly_synced(5, 5)[&1].clone();
    let storage = MemoryStorage::new();
    let log = open_with(storage.clone(), lazy());
    let copy = |n: usize| vec![inner.as_slice(); n].concat();
    log.append(b"first").unwrap();
    log.append(&copy(2)).unwrap();
    log.append(&copy(1)).unwrap();
    drop(log);
    let mut image = image_of(&storage);
    let end = image[&1].len();
    // Torn in the last record: the frames of the other log in it are no proof.
    image.get_mut(&1).unwrap().truncate(end - 100);
    let (recovered, report) = recover(memory_of(&image), Mode::TornTail).unwrap();
    assert_eq!((report.verdict(), report.records), (Verdict::TornTail, 2), "{report}");
    drop(recovered);
    // Its own frames copied into a record prove what they always did.
    let own = {
        let storage = MemoryStorage::new();
        let log = open_with(storage.clone(), lazy());
        for _ in 0..3 {
            log.append(b"xyz").unwrap();
            log.sync().unwrap();
        }
        let so_far = image_of(&storage)[&1].clone();
        log.append(&so_far).unwrap();
        drop(log);
        image_of(&storage)
    };
    let (recovered, report) = recover(memory_of(&own), Mode::TornTail).unwrap();
    assert_eq!((report.verdict(), report.records), (Verdict::Clean, 4));
    drop(recovered);
    let mut torn = own.clone();
    let end = torn[&1].len();
    torn.get_mut(&1).unwrap().truncate(end - 1);
    let (_, report) = recover(memory_of(&torn), Mode::TornTail).unwrap();
    assert_eq!((report.verdict(), report.records), (Verdict::TornTail, 3));
}

#[test]
fn garbage_costs_linear_time_and_is_a_torn_tail() {
    let image = partly_synced(5, 5);
    let whole = content_of(&image);
    let mut bytes = image[&1].clone();
    let mut random = 1_u64;
    bytes.extend((0..4 << 20).map(|_| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 56) as u8
    }));
    let (recovered, report) =
        recover(memory_of(&Image::from([(1, bytes)])), Mode::TornTail).unwrap();
    assert_eq!(report.verdict(), Verdict::TornTail);
    assert_eq!(content(recovered), whole);
}

#[test]
fn bytes_made_to_look_like_frames_cannot_make_it_quadratic() {
    let image = partly_synced(5, 5);
    let mut bytes = image[&1].clone();
    // Each of these claims to reach to the end, and to prove what is before it.
    let len = 512 << 10;
    let fake = |left: usize, passed: usize| format::FrameHeader {
        crc: 7,
        body_len: (left - format::FRAME_HEADER_LEN) as u32,
        lsn_delta: 10 + passed as u32,
        durable_lag: 0,
        time_delta: (1 << 47) - 1,
        kind: format::FrameKind::Data as u8,
        flags: format::Flags::default(),
    };
    let salt = format::Salt::new(format::LogId([1; 16]), format::Owner::default(), 77);
    for at in (0..len - 24).step_by(24) {
        bytes.extend_from_slice(&fake(len - at, at / 24 + 1).seal(at as u32, salt));
    }
    bytes.resize(image[&1].len() + len, 9);
    let report = Inspect::new(memory_of(&Image::from([(1, bytes)]))).run().unwrap();
    assert_eq!(report.damages[0].kind, DamageKind::Corrupt);
    assert!(report.damages[0].reason.contains("look like frames"), "{report}");
    assert!(report.bytes_scanned < 20 * len as u64, "{report}");
}

#[test]
fn a_frame_of_a_newer_build_is_never_skipped() {
    let image = partly_synced(2, 2);
    let header = SegmentHeader::decode(&image[&1], Lsn::FIRST).unwrap();
    let salt = header.salt();
    for (kind, flags) in [(2, 0), (200, 0), (1, 0x10)] {
        let mut bytes = image[&1].clone();
        let offsets = frames(&bytes, 1);
        let at = offsets[2];
        let mut frame = format::FrameHeader::decode(&bytes[at..]);
        (frame.kind, frame.flags) = (kind, format::Flags(flags));
        let crc = crc32c::crc32c(&bytes[at + 24..offsets[3]]);
        bytes[at..at + 24].copy_from_slice(&frame.seal(crc, salt));
        let image = Image::from([(1, bytes)]);
        for mode in [Mode::Strict, Mode::TornTail, Mode::PointInTime] {
            let error = recover(memory_of(&image), mode).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{mode}");
            assert_eq!(error.lsn(), Some(Lsn::new(3)));
            assert_eq!(image_of(&memory_of(&image)), image);
        }
        let error = Inspect::new(memory_of(&image)).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let (recovered, report) = recover(memory_of(&image), Mode::Salvage).unwrap();
        assert_eq!(report.holes.len(), 1, "{report}");
        assert_eq!((report.holes[0].after, report.holes[0].before), (Lsn::new(2), Lsn::new(4)));
        let lsns: Vec<u64> = content(recovered).iter().map(|(lsn, _)| *lsn).collect();
        assert_eq!(lsns, [1, 2, 4]);
    }
}

#[test]
fn an_error_of_the_storage_is_not_damage() {
    use wal_testkit::{FaultStorage, StorageCall};
    let image = three_sessions();
    for nth in 1..100 {
        for mode in [Mode::TornTail, Mode::Salvage] {
            let memory = memory_of(&image);
            let storage = FaultStorage::new(memory.clone());
            storage.control().fail_once(StorageCall::Read, nth, std::io::ErrorKind::Other);
            match recover(storage, mode) {
                Ok((_, report)) => {
                    assert_eq!(report.verdict(), Verdict::Clean);
                    assert!(nth > 10);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Io, "read {nth}: {error}"),
            }
        }
    }
}
