//! Segments and frames of a format from the future.

use crate::support::*;
use wal_core::*;
use wal_recovery::{Inspect, Mode, View};

const MODES: [Mode; 4] = [Mode::Strict, Mode::TornTail, Mode::PointInTime, Mode::Salvage];

#[test]
fn a_segment_of_a_newer_format_is_left_alone_in_every_mode() {
    for name in [1, 6, 9] {
        let mut image = three_sessions();
        forge_header(image.get_mut(&name).unwrap(), |header| header[8] = 3);
        let storage = memory_of(&image);
        for mode in MODES {
            let error = recover(storage.clone(), mode).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{mode}: {error}");
        }
        for error in [
            Inspect::new(storage.clone()).run().unwrap_err(),
            View::open(storage.clone()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        }
        assert!(image_of(&storage) == image);
    }
}

#[test]
fn a_frame_of_a_newer_format_matters_only_where_it_is_read() {
    let storage = ten(|log| {
        log.truncate_after(Lsn::new(4)).unwrap();
        log.append(b"new").unwrap();
    });
    let image = image_of(&storage);
    let offsets = offsets_of(&image[&1], 1);
    for (frame, &offset) in offsets[..10].iter().enumerate() {
        let mut image = image.clone();
        forge(image.get_mut(&1).unwrap(), 1, offset, |bytes| bytes[22] = 3);
        let inspected = Inspect::new(memory_of(&image)).run().map(|report| report.records);
        if frame < 4 {
            assert_eq!(inspected.unwrap_err().kind(), ErrorKind::Unsupported, "frame {frame}");
        } else {
            assert_eq!(inspected.unwrap(), 5, "frame {frame} was truncated");
        }
    }
}

/// A newer build may give a segment an ending that this one does not know. It is proof of what is in front of it.
#[test]
fn an_ending_of_a_newer_format_is_neither_a_torn_tail_nor_damage() {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    for _ in 0..5 {
        log.append(b"record").unwrap();
    }
    log.close().unwrap();
    let closed = image_of(&storage);
    let footer = *offsets_of(&closed[&1], 1).iter().rev().nth(1).unwrap();
    // At the end of the segment, and in front of zeros, as if the writer had died before it cut them off.
    for zeros in [0, 1, 500] {
        let mut image = closed.clone();
        let bytes = image.get_mut(&1).unwrap();
        forge(bytes, 1, footer, |frame| frame[24 + 20] = 9);
        bytes.resize(bytes.len() + zeros, 0);
        let read: Vec<_> = View::open(memory_of(&image)).unwrap().records(Lsn::ZERO).collect();
        assert_eq!(read.iter().filter(|entry| entry.is_ok()).count(), 5, "{zeros}");
        let error = read.into_iter().find_map(Result::err).expect("and then it says so");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{zeros}: {error}");
        for mode in [Mode::Strict, Mode::TornTail, Mode::PointInTime] {
            let storage = memory_of(&image);
            let error = recover(storage.clone(), mode).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{zeros}, {mode}: {error}");
            assert!(image_of(&storage) == image, "{zeros}, {mode}");
        }
        // Rot in front of it is damage, as that had been durable.
        image.get_mut(&1).unwrap()[footer - 3] ^= 1;
        let error = recover(memory_of(&image), Mode::TornTail).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{zeros}: {error}");
    }
}
