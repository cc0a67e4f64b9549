//! Segments and frames of a format from the future.

use crate::support::*;
use wal_core::*;
use wal_recovery::{Inspect, Mode, View};

const MODES: [Mode; 4] = [Mode::Strict, Mode::TornTail, Mode::PointInTime, Mode::Salvage];

#[test]
fn a_segment_of_a_newer_format_is_left_alone_in_every_mode() {
    for name in [1, 6, 9] {
        let mut image = three_sessions();
        forge_header(image.get_mut(&name).unwrap(), |header| header[8] = 2);
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
