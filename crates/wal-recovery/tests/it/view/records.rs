//! Records in order, and replays: where they begin and end.

use std::time::Duration;

use crate::support::*;
use wal_core::*;
use wal_recovery::{Applied, Until, View};

use super::rest;

#[test]
fn a_view_shows_what_a_recovery_would() {
    let image = three_sessions();
    let whole = content_of(&image);
    let view = View::open(memory_of(&image)).unwrap();
    assert_eq!((view.first_lsn(), view.last_known_lsn()), (Lsn::FIRST, Lsn::new(8)));
    assert_eq!((view.codec(), view.headers().len()), (Some(CodecId::RAW), 3));
    for from in 0..=14 {
        let found: Content = view
            .records(Lsn::new(from))
            .map(|e| e.map(|e| (e.lsn.get(), e.record.to_vec())).unwrap())
            .collect();
        assert_eq!(found, whole[(from.max(1) - 1) as usize..], "from {from}");
    }
    assert!(rest(&mut view.records(Lsn::new(15))).is_empty());
    assert_eq!(image_of(&memory_of(&image)), image);
}

#[test]
fn an_empty_place_fills_up() {
    let storage = MemoryStorage::new();
    let view = View::open(storage.clone()).unwrap();
    assert!(view.log_id().is_none());
    let mut records = view.records(Lsn::ZERO);
    assert!(records.next().is_none());
    let log = open(storage);
    log.append(b"a").unwrap();
    assert_eq!(rest(&mut records), [1]);
    log.append_batch(&[&b"b"[..], b"c"]).unwrap();
    assert_eq!(rest(&mut records), [2, 3]);
}

#[test]
fn a_replay_ends_where_it_is_told() {
    let view = View::open(memory_of(&three_sessions())).unwrap();
    let replay = |from: u64, until| {
        let apply = |entry: Entry<bytes::Bytes>| {
            Ok(if entry.lsn.get().is_multiple_of(2) { Applied::Skipped } else { Applied::Applied })
        };
        let report = view.replay(Lsn::new(from), until, apply).unwrap();
        assert_eq!(report.total, report.applied + report.skipped);
        (report.total, report.skipped, report.last_lsn.get())
    };
    assert_eq!(replay(0, Until::End), (14, 7, 14));
    assert_eq!(replay(3, Until::Lsn(Lsn::new(10))), (8, 4, 10));
    assert_eq!(replay(3, Until::Lsn(Lsn::new(2))), (0, 0, 0));
    assert_eq!(replay(0, Until::Time(Timestamp::MAX)), (14, 7, 14));
    assert_eq!(replay(0, Until::Time(Timestamp::EPOCH)), (0, 0, 0));
    let refusal = view.replay(Lsn::ZERO, Until::End, |entry| {
        Err(Error::new(ErrorKind::Codec, "apply").with_lsn(entry.lsn))
    });
    assert_eq!(refusal.unwrap_err().lsn(), Some(Lsn::FIRST));
    let view = view.time_limit(Duration::ZERO);
    let error = view.replay(Lsn::ZERO, Until::End, |_| Ok(Applied::Applied)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}
