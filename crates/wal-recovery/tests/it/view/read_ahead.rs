//! Long segments, of which windows are read and checked ahead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::support::*;
use bytes::Bytes;
use wal_core::*;
use wal_recovery::{Applied, ReplayReport, Until, View};
use wal_testkit::{FaultStorage, StorageCall};

/// 13 MiB: some windows, and enough behind them to be worth a thread.
const BYTES: usize = 13 << 20;

/// Records of many sizes in frames of one or more; one frame is larger than a window if so wanted.
fn long_log(large: bool) -> (Image, Content) {
    let storage = MemoryStorage::new();
    let log = Wal::builder(lazy()).manual_driver().open(storage.clone().into_empty_log().unwrap());
    let log = log.unwrap();
    let (mut content, mut bytes, mut state) = (Content::new(), 0, 7_u64);
    while bytes < BYTES {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let records = if (state >> 60) < 3 { 1 + (state >> 40) % 9 } else { 1 };
        let len = match (state >> 33) % 700 {
            0..10 => 0,
            10..40 => 40_000,
            some => some as usize,
        };
        let is_large = large && bytes / (5 << 20) != (bytes + len) / (5 << 20);
        let (records, len) = if is_large { (1, 3 << 20) } else { (records, len) };
        let batch: Vec<_> =
            (0..records).map(|n| vec![(state >> 20) as u8 ^ n as u8; len]).collect();
        let lsns = log.append_batch(&batch).unwrap();
        bytes += len * batch.len();
        content.extend((lsns.first.get()..).zip(batch));
    }
    log.close().unwrap();
    let image = image_of(&storage);
    assert!(image[&1].len() > BYTES, "one segment holds it all");
    (image, content)
}

static PLAIN: LazyLock<(Image, Content)> = LazyLock::new(|| long_log(false));
static LARGE: LazyLock<(Image, Content)> = LazyLock::new(|| long_log(true));

/// What each way of reading hands out from `from` on, and how it ends.
fn readings(view: &View, from: Lsn) -> [(Content, Result<()>); 3] {
    let mut lent = Content::new();
    let visited = view.visit(from, Until::End, |entry| {
        lent.push((entry.lsn.get(), entry.record.to_vec()));
        Ok(Applied::Applied)
    });
    let mut kept = Vec::new();
    let replayed = view.replay(from, Until::End, |entry| {
        kept.push(entry);
        Ok(Applied::Applied)
    });
    let mut iterated = Content::new();
    let outcome = view.records(from).try_for_each(|entry| {
        let Entry { lsn, record, .. } = entry?;
        iterated.push((lsn.get(), record.to_vec()));
        Ok(())
    });
    // Looked at only now: memory that somebody holds must not have been read into.
    let kept = kept.into_iter().map(|entry| (entry.lsn.get(), entry.record.to_vec())).collect();
    let done = |report: Result<ReplayReport>| report.map(drop);
    [(lent, done(visited)), (kept, done(replayed)), (iterated, outcome)]
}

#[test]
fn every_record_is_read_once_and_in_order() {
    for (image, content) in [&*PLAIN, &*LARGE] {
        let view = View::open(memory_of(image)).unwrap();
        for skip in [0, 1, content.len() / 2, content.len() - 1] {
            let from = content[skip].0;
            for (found, outcome) in readings(&view, Lsn::new(from)) {
                outcome.unwrap();
                assert!(found == content[skip..], "from {from}: {} records", found.len());
            }
        }
    }
}

#[test]
fn damage_is_found_wherever_it_is() {
    let (image, content) = &*PLAIN;
    let offsets = offsets_of(&image[&1], 1);
    for eighth in 1..8 {
        let frame = offsets.partition_point(|&offset| offset < eighth * BYTES / 8);
        let mut bad = image.clone();
        // In the checksum of the frame, and so in the frame whatever its length.
        bad.get_mut(&1).unwrap()[offsets[frame] + 1] ^= 0x10;
        let view = View::open(memory_of(&bad)).unwrap();
        let mut good = None;
        for (found, outcome) in readings(&view, Lsn::ZERO) {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert_eq!(error.offset(), Some(offsets[frame] as u64));
            assert!(*found == content[..found.len()]);
            assert_eq!(*good.get_or_insert(found.len()), found.len());
        }
        let view = view.skip_corrupted(true);
        let (after, good) = (content.len(), good.unwrap());
        for (found, outcome) in readings(&view, Lsn::ZERO) {
            outcome.unwrap();
            let lost = after - found.len();
            assert!((1..=9).contains(&lost), "{lost} records of one frame");
            assert!(found[..good] == content[..good] && found[good..] == content[good + lost..]);
        }
    }
}

#[test]
fn an_error_of_the_storage_comes_where_it_belongs() {
    let (image, content) = &*PLAIN;
    let mut most = 0;
    for nth in 1.. {
        let storage = FaultStorage::new(memory_of(image));
        let control = storage.control();
        let view = View::open(storage).unwrap();
        let mut found = Content::new();
        control.fail_from(StorageCall::Read, nth, std::io::ErrorKind::Other);
        let outcome = view.visit(Lsn::ZERO, Until::End, |entry| {
            found.push((entry.lsn.get(), entry.record.to_vec()));
            Ok(Applied::Applied)
        });
        assert!(*found == content[..found.len()]);
        let Err(error) = outcome else { break };
        assert_eq!(error.kind(), ErrorKind::Io);
        most = most.max(found.len());
    }
    assert!(most > content.len() / 2, "reads far into the segment failed, too");
}

#[test]
fn whoever_has_enough_gets_no_more() {
    let (image, content) = &*PLAIN;
    let view = View::open(memory_of(image)).unwrap();
    for share in [3, 2, 1] {
        let last = content[content.len() / share - 1].0;
        let report = view.visit(Lsn::ZERO, Until::Lsn(Lsn::new(last)), |_| Ok(Applied::Skipped));
        let report = report.unwrap();
        assert_eq!((report.total, report.skipped, report.last_lsn.get()), (last, last, last));
        let mut left = last;
        let refused = view.visit(Lsn::ZERO, Until::End, |entry| {
            left -= 1;
            match left {
                0 => Err(Error::new(ErrorKind::Codec, "apply").with_lsn(entry.lsn)),
                _ => Ok(Applied::Applied),
            }
        });
        assert_eq!(refused.unwrap_err().lsn(), Some(Lsn::new(last)));
    }
}

/// A clock that stands still unless it is moved.
#[derive(Clone, Default)]
struct Hand {
    millis: Arc<AtomicU64>,
    looks: Arc<AtomicU64>,
}

impl Clock for Hand {
    fn monotonic(&self) -> Duration {
        self.looks.fetch_add(1, Ordering::Relaxed);
        Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }
    fn wall(&self) -> Timestamp {
        Timestamp::EPOCH
    }
}

#[test]
fn a_time_limit_is_kept_to_the_record() {
    let (image, _) = &*PLAIN;
    let hand = Hand::default();
    let view = View::open(memory_of(image)).unwrap().clock(hand.clone());
    view.visit(Lsn::ZERO, Until::End, |_| Ok(Applied::Applied)).unwrap();
    assert_eq!(hand.looks.load(Ordering::Relaxed), 2, "without a limit: for the report");
    let view = view.time_limit(Duration::from_millis(1000));
    // Slow from the start, and slow after many quick ones.
    for quick in [0, 5000] {
        hand.millis.store(0, Ordering::Relaxed);
        let mut read = 0;
        let refused = view.visit(Lsn::ZERO, Until::End, |_| {
            read += 1;
            hand.millis.fetch_add(if read > quick { 100 } else { 0 }, Ordering::Relaxed);
            Ok(Applied::Applied)
        });
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(read, quick + 11);
    }
}

#[test]
fn a_writer_that_goes_on_is_followed() {
    let storage = MemoryStorage::new();
    let log = Wal::builder(lazy()).manual_driver().open(storage.clone().into_empty_log().unwrap());
    let log = log.unwrap();
    let append = |records: u64| {
        for _ in 0..records {
            log.append(&[7; 1000]).unwrap();
        }
        log.sync().unwrap();
    };
    append(9000);
    let mut records = View::open(storage).unwrap().records(Lsn::ZERO);
    let read = |records: &mut wal_recovery::Records| {
        records
            .inspect(|entry| assert_eq!(entry.as_ref().unwrap().record, Bytes::from(vec![7; 1000])))
            .count()
    };
    assert_eq!(read(&mut records), 9000);
    append(9000);
    assert_eq!(read(&mut records), 9000);
    assert_eq!(records.position(), Lsn::new(18_001));
}
