//! Many producers, many streams, one log: 4 × 8, in batches, and several producers for each stream.

use std::sync::Arc;
use std::thread;

use wal_core::{LogStorage, Lsn, MemoryStorage, Wal};
use wal_fs::FileStorage;
use wal_recovery::Recovery;
use wal_streams::{StreamId, Streams};
use wal_sync::Always;

const STREAMS: u64 = 32;
const PRODUCERS: u64 = 4;
const BATCH: usize = 2000;
const LEN: usize = 128;

fn open(storage: &Arc<dyn LogStorage>) -> Streams {
    let (recovered, _) = Recovery::new(storage.clone()).threads(1).run().unwrap();
    Streams::open(Wal::builder(Always::new()), recovered).unwrap()
}

/// Distinct for each producer, round and place in the batch.
fn record(producer: u64, round: u64, at: usize) -> [u8; LEN] {
    let mut record = [producer as u8; LEN];
    record[..8].copy_from_slice(&round.to_le_bytes());
    record[8..16].copy_from_slice(&(at as u64).to_le_bytes());
    record
}

fn batch(producer: u64, round: u64) -> Vec<[u8; LEN]> {
    (0..BATCH).map(|at| record(producer, round, at)).collect()
}

fn content(streams: &Streams, id: u64) -> Vec<Vec<u8>> {
    let stream = streams.stream(id);
    let entries: Vec<_> = stream.iter(Lsn::ZERO).unwrap().map(Result::unwrap).collect();
    let lsns = entries.iter().map(|entry| entry.lsn.get());
    assert!(lsns.eq(1..=entries.len() as u64), "stream {id}: dense and in order");
    entries.into_iter().map(|entry| entry.record.to_vec()).collect()
}

fn partitions(storage: Arc<dyn LogStorage>) {
    let streams = open(&storage);
    let rounds = 2;
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let streams = &streams;
            scope.spawn(move || {
                for round in 0..rounds {
                    for id in (producer..STREAMS).step_by(PRODUCERS as usize) {
                        let range =
                            streams.stream(id).append_batch(&batch(producer, round)).unwrap();
                        assert_eq!(range.len(), BATCH as u64);
                        assert_eq!(streams.stream(id).durable_lsn(), range.last);
                    }
                }
            });
        }
    });
    let stats = streams.stats();
    assert_eq!(
        stats.log.records,
        STREAMS * rounds * BATCH as u64,
        "no record but the streams' own"
    );
    drop(streams);
    let streams = open(&storage);
    assert!(streams.ids().into_iter().eq((0..STREAMS).map(StreamId)));
    for id in 0..STREAMS {
        let found = content(&streams, id);
        let expected = (0..rounds).flat_map(|round| batch(id % PRODUCERS, round));
        assert!(found.iter().map(Vec::as_slice).eq(expected), "stream {id}");
    }
    // From the middle as well.
    let stream = streams.stream(17);
    for lsn in [1, 1999, 2000, 2001, 3333, 4000u64] {
        let at = lsn as usize - 1;
        let expected = record(17 % PRODUCERS, (at / BATCH) as u64, at % BATCH);
        assert_eq!(stream.read(Lsn::new(lsn)).unwrap().record, &expected[..]);
    }
}

#[test]
fn partitions_in_memory() {
    partitions(Arc::new(MemoryStorage::new()));
}

#[test]
fn partitions_on_files() {
    let dir = tempfile::tempdir().unwrap();
    partitions(Arc::new(FileStorage::create(dir.path().join("log")).unwrap()));
}

#[test]
fn producers_of_one_stream_share_its_numbers_and_their_commits() {
    let dir = tempfile::tempdir().unwrap();
    let storage: Arc<dyn LogStorage> =
        Arc::new(FileStorage::create(dir.path().join("log")).unwrap());
    let streams = open(&storage);
    let (producers, appends) = (8u64, 200u64);
    thread::scope(|scope| {
        for producer in 0..producers {
            let stream = streams.stream(7);
            scope.spawn(move || {
                for round in 0..appends {
                    let lsn = stream.append(&record(producer, round, 0)).unwrap();
                    // Nobody else was given this number.
                    let found = stream.read(lsn).unwrap().record;
                    assert_eq!(found, &record(producer, round, 0)[..]);
                }
            });
        }
    });
    let syncs = streams.stats().log.syncs;
    assert!(syncs < producers * appends / 2, "{syncs} syncs: the producers wait one by one");
    drop(streams);
    let found = content(&open(&storage), 7);
    assert_eq!(found.len() as u64, producers * appends);
    for producer in 0..producers {
        let own = found.iter().filter(|bytes| bytes[16] == producer as u8);
        let expected = (0..appends).map(|round| record(producer, round, 0));
        assert!(own.map(Vec::as_slice).eq(expected), "producer {producer}'s appends are in order");
    }
}

/// Truncating, reclaiming and reading beside the producers.
#[test]
fn streams_are_truncated_and_read_while_others_append() {
    let storage: Arc<dyn LogStorage> = Arc::new(MemoryStorage::new());
    let (recovered, _) = Recovery::new(storage.clone()).run().unwrap();
    let sizes = wal_core::Settings::default().segment_size(64 << 10).buffer_bytes(64 << 10);
    let settings = wal_streams::Settings::default().reclaim_bytes(128 << 10);
    let builder = Wal::builder(Always::new()).settings(sizes);
    let streams = Streams::open_with(builder, recovered, settings).unwrap();
    let rounds = 400u64;
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let stream = streams.stream(producer);
            scope.spawn(move || {
                for round in 0..rounds {
                    let batch: Vec<_> = (0..20).map(|at| record(producer, round, at)).collect();
                    stream.append_batch(&batch).unwrap();
                    let start = stream.first_lsn();
                    if round % 10 == 9 {
                        let keep = Lsn::new(stream.last_lsn().get() - 30);
                        assert_eq!(stream.truncate_before(keep).unwrap(), keep);
                    } else if round % 10 == 5 {
                        // Only this thread truncates this stream: everything must be readable.
                        let read =
                            stream.iter(start).unwrap().map(|entry| entry.unwrap().lsn.get());
                        assert!(read.eq(start.get()..=stream.last_lsn().get()));
                    }
                }
            });
        }
    });
    // Whoever was ready first kept the others' records; now they all move on.
    for producer in 0..PRODUCERS {
        let stream = streams.stream(producer);
        let batch: Vec<_> = (0..20).map(|at| record(producer, rounds, at)).collect();
        let last = stream.append_batch(&batch).unwrap().last;
        stream.truncate_before(Lsn::new(last.get() - 10)).unwrap();
    }
    let stats = streams.stats();
    assert!(stats.bytes < 512 << 10, "{} bytes are left", stats.bytes);
    streams.close().unwrap();
    drop(streams);
    let streams = open(&storage);
    for producer in 0..PRODUCERS {
        let stream = streams.stream(producer);
        let last = rounds * 20 + 20;
        assert_eq!((stream.first_lsn().get(), stream.last_lsn().get()), (last - 10, last));
        for entry in stream.iter(Lsn::ZERO).unwrap() {
            let entry = entry.unwrap();
            let at = entry.lsn.get() - 1;
            assert_eq!(entry.record, &record(producer, at / 20, at as usize % 20)[..]);
        }
    }
}
