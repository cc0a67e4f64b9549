//! The end of a log in a storage that writes a blank behind every write.

use crate::support::*;
use wal_core::*;
use wal_recovery::{DamageKind, Inspect, Mode, Recovery, Verdict};

/// Three closed segments.
fn closed() -> Image {
    let storage = recycling(MemoryStorage::new());
    for session in 0..3_u8 {
        let log = open(storage.clone());
        log.append(&[session]).unwrap();
        log.append_batch(&[&b"a"[..], b"bc"]).unwrap();
        log.append(b"last").unwrap();
        log.close().unwrap();
    }
    image_of(&storage)
}

#[test]
fn no_cut_of_a_closed_log_is_clean_and_shorter() {
    let image = closed();
    let whole = content_of(&image);
    let (&name, bytes) = image.last_key_value().unwrap();
    let offsets = offsets_of(bytes, name);
    assert_eq!(offsets.len(), 5, "three frames and a footer");
    let mut at_a_frame = 0;
    for len in 512..bytes.len() {
        let mut cut = image.clone();
        cut.get_mut(&name).unwrap().truncate(len);
        let report = Inspect::new(recycling(memory_of(&cut))).threads(1).run().unwrap();
        let (recovered, recovery) = recover(recycling(memory_of(&cut)), Mode::TornTail).unwrap();
        let found = content(recovered);
        assert!(whole.starts_with(&found), "cut to {len}");
        assert_eq!(report.verdict(), recovery.verdict(), "cut to {len}");
        // A header, and zeros, is what a crash between creation and first write leaves. A frame may
        // begin with a zero.
        let unwritten = bytes[512..len].iter().all(|byte| *byte == 0);
        let torn = if unwritten { Verdict::Clean } else { Verdict::TornTail };
        assert_eq!(report.verdict(), torn, "cut to {len}: {report}");
        assert!(!report.clean || len == 512, "cut to {len}: {report}");
        if len > 512 && offsets.contains(&len) {
            at_a_frame += 1;
            let damage = &report.damages[0];
            assert_eq!((damage.kind, damage.bytes), (DamageKind::TornTail, 0));
            assert!(damage.reason.contains("blank"), "{damage}");
            assert!(recovery.cut.is_empty(), "{recovery}");
            let strict = recover(recycling(memory_of(&cut)), Mode::Strict).unwrap_err();
            assert_eq!(strict.kind(), ErrorKind::TornTail);
        }
    }
    assert_eq!(at_a_frame, 3);
}

#[test]
fn a_log_that_was_not_closed_ends_in_a_blank_and_is_whole() {
    let storage = recycling(MemoryStorage::new());
    let log = open(storage.clone());
    for record in [&b"one"[..], b"two", b"three"] {
        log.append(record).unwrap();
        let report = Inspect::new(storage.clone()).threads(1).run().unwrap();
        assert_eq!(report.verdict(), Verdict::Clean, "{report}");
    }
    drop(log);
    let (recovered, report) = Recovery::new(storage).run().unwrap();
    assert_eq!((report.verdict(), content(recovered).len()), (Verdict::Clean, 3));
}

#[test]
fn without_recycling_the_end_of_the_file_is_the_end_of_the_log() {
    let image = partly();
    let report = Inspect::new(memory_of(&image)).threads(1).run().unwrap();
    assert_eq!((report.verdict(), report.records), (Verdict::Clean, 1));
    // What counts is who wrote it, and not who reads it.
    let report = Inspect::new(recycling(memory_of(&image))).threads(1).run().unwrap();
    assert_eq!((report.verdict(), report.records), (Verdict::Clean, 1));
    let mut image = image;
    forge_header(image.get_mut(&1).unwrap(), |header| header[157] = 1);
    let report = Inspect::new(memory_of(&image)).threads(1).run().unwrap();
    assert_eq!((report.verdict(), report.records), (Verdict::TornTail, 1), "{report}");
}

/// One record that no blank follows.
fn partly() -> Image {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    log.append(b"one").unwrap();
    drop(log);
    image_of(&storage)
}
