//! What a user of streams sees, in memory and on files.

use std::sync::Arc;

use wal_core::format::{LayerId, Layers};
use wal_core::{
    Durability, ErrorKind, LogStorage, Lsn, LsnRange, MemoryStorage, Recovered, Settings as Sizes,
    Wal, block_on,
};
use wal_fs::FileStorage;
use wal_recovery::{Recovery, Until};
use wal_streams::{Settings, Stream, StreamId, Streams};
use wal_sync::{Always, Os};
use wal_testkit::{FaultStorage, StorageCall};

type Storage = Arc<dyn LogStorage>;

fn recovered(storage: &Storage) -> Recovered {
    Recovery::new(storage.clone()).threads(1).run().unwrap().0
}

fn open(storage: &Storage) -> Streams {
    Streams::open(Wal::builder(Os::new()), recovered(storage)).unwrap()
}

/// Small segments, and whatever can be freed is.
fn open_small(storage: &Storage) -> Streams {
    let sizes = Sizes::default().segment_size(16 << 10);
    let settings = Settings::default().reclaim_bytes(0);
    Streams::open_with(Wal::builder(Os::new()).settings(sizes), recovered(storage), settings)
        .unwrap()
}

/// Runs in memory and on files.
fn everywhere(test: impl Fn(Storage)) {
    test(Arc::new(MemoryStorage::new()));
    let dir = tempfile::tempdir().unwrap();
    test(Arc::new(FileStorage::create(dir.path().join("log")).unwrap()));
}

fn content(stream: &Stream, from: u64) -> Vec<(u64, Vec<u8>)> {
    let read = |entry: wal_core::Result<wal_core::Entry<_>>| {
        let entry: wal_core::Entry<bytes::Bytes> = entry.unwrap();
        (entry.lsn.get(), entry.record.to_vec())
    };
    stream.iter(Lsn::new(from)).unwrap().map(read).collect()
}

fn texts(stream: &Stream) -> Vec<(u64, String)> {
    let text = |(lsn, bytes)| (lsn, String::from_utf8(bytes).unwrap());
    content(stream, 0).into_iter().map(text).collect()
}

fn named(numbers: impl Iterator<Item = u64>, what: &str) -> Vec<(u64, String)> {
    numbers.map(|n| (n, format!("{what}{n}"))).collect()
}

#[test]
fn each_stream_has_its_own_numbers_and_records() {
    everywhere(|storage| {
        let streams = open(&storage);
        let (a, b) = (streams.stream(1), streams.stream(u64::MAX));
        assert_eq!(
            (a.first_lsn(), a.last_lsn(), a.next_lsn()),
            (Lsn::FIRST, Lsn::ZERO, Lsn::FIRST)
        );
        assert_eq!(streams.ids(), [], "a stream exists from its first append on");
        assert_eq!(a.append(b"a1").unwrap().get(), 1);
        assert_eq!(b.append(b"b1").unwrap().get(), 1);
        let range = b.append_batch(&[*b"b2", *b"b3", *b"b4"]).unwrap();
        assert_eq!(range, LsnRange::new(Lsn::new(2), Lsn::new(4)));
        a.append_batch(&[b"a2".to_vec()]).unwrap();
        a.append(b"a3").unwrap();
        let check = |streams: &Streams| {
            let (a, b) = (streams.stream(1), streams.stream(u64::MAX));
            assert_eq!(texts(&a), named(1..4, "a"));
            assert_eq!(texts(&b), named(1..5, "b"));
            assert_eq!(content(&b, 3).len(), 2);
            assert_eq!(content(&b, 5), []);
            assert_eq!(b.read(Lsn::new(3)).unwrap().record, &b"b3"[..]);
            assert_eq!(streams.ids(), [StreamId(1), StreamId(u64::MAX)]);
            let all = streams.iter().unwrap().map(|item| {
                let (stream, entry) = item.unwrap();
                (stream.0, String::from_utf8(entry.record.to_vec()).unwrap())
            });
            let all: Vec<_> = all.collect();
            let of = |id: u64| all.iter().filter(move |(s, _)| *s == id).map(|(_, text)| &text[..]);
            assert_eq!(of(1).collect::<Vec<_>>(), ["a1", "a2", "a3"]);
            assert_eq!(of(u64::MAX).collect::<Vec<_>>(), ["b1", "b2", "b3", "b4"]);
            assert_eq!(all.len(), 7);
        };
        check(&streams);
        streams.close().unwrap();
        check(&streams);
        let error = a.append(b"late").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        drop((streams, a, b));
        check(&open(&storage));
    });
}

#[test]
fn empty_records_and_leads_in_disguise_are_records() {
    everywhere(|storage| {
        let streams = open(&storage);
        let odd = streams.stream(3);
        // What a lead, a start and a checkpoint of this very stream look like.
        let records: [&[u8]; 5] = [b"", &[0x51, 3, 1, 9], &[0x52, 3, 4], &[0x53, 1, 3, 9, 0], b""];
        odd.append_batch(&records).unwrap();
        records.iter().for_each(|record| assert!(odd.append(record).is_ok()));
        odd.append_batch(&records[1..4]).unwrap();
        let expected = [&records[..], &records[..], &records[1..4]].concat();
        let found = |stream: Stream| content(&stream, 0).into_iter().map(|(_, bytes)| bytes);
        assert!(found(odd).eq(expected.iter().copied()));
        streams.close().unwrap();
        drop(streams);
        assert!(found(open(&storage).stream(3)).eq(expected.iter().copied()));
    });
}

#[test]
fn truncation_is_of_one_stream_and_survives_reopening() {
    everywhere(|storage| {
        let streams = open(&storage);
        let (a, b) = (streams.stream(1), streams.stream(2));
        for n in 1..=10 {
            a.append(format!("a{n}").as_bytes()).unwrap();
            b.append(format!("b{n}").as_bytes()).unwrap();
        }
        assert_eq!(a.truncate_before(Lsn::new(4)).unwrap().get(), 4);
        assert_eq!(a.truncate_before(Lsn::new(2)).unwrap().get(), 4, "never goes back");
        assert_eq!(b.truncate_before(Lsn::new(99)).unwrap().get(), 11, "emptied");
        let error = a.iter(Lsn::new(3)).unwrap_err();
        assert_eq!((error.kind(), error.lsn()), (ErrorKind::NotInLog, Some(Lsn::new(3))));
        assert!(error.to_string().contains("stream 1: truncated; it starts at LSN 4"), "{error}");
        drop((streams, a, b));

        let streams = open(&storage);
        let (a, b) = (streams.stream(1), streams.stream(2));
        assert_eq!(texts(&a), named(4..11, "a"));
        assert_eq!((b.first_lsn().get(), texts(&b)), (11, vec![]));
        assert_eq!(b.append(b"b11").unwrap().get(), 11);
        assert_eq!(texts(&b), named(11..12, "b"));
        let found = streams.iter().unwrap().map(|item| item.unwrap().1.lsn.get());
        assert!(found.eq([4, 5, 6, 7, 8, 9, 10, 11]));
    });
}

#[test]
fn the_shared_log_goes_when_no_stream_needs_it_and_numbers_stay() {
    everywhere(|storage| {
        let segments = || storage.list().wait().unwrap().segments.len();
        let streams = open_small(&storage);
        let (slow, fast, gone) = (streams.stream(1), streams.stream(2), streams.stream(3));
        let record = vec![7; 1000];
        gone.append_batch(&vec![record.clone(); 5]).unwrap();
        gone.truncate_before(Lsn::MAX).unwrap();
        slow.append(b"needed").unwrap();
        fast.append_batch(&vec![record.clone(); 10]).unwrap();
        (10..100).for_each(|_| assert!(fast.append(&record).is_ok()));
        fast.truncate_before(Lsn::MAX).unwrap();
        let stats = streams.stats();
        let oldest = *stats.oldest().unwrap();
        assert_eq!((oldest.id, oldest.records()), (StreamId(1), 1));
        assert!(oldest.pins_bytes > 100_000, "{oldest:?}");
        assert_eq!(slow.stats(), oldest);
        assert!(segments() > 6, "one record keeps {} segments", segments());

        slow.truncate_before(Lsn::new(2)).unwrap();
        assert!(segments() <= 2, "{} segments are left", segments());
        let stats = streams.stats();
        assert!(stats.oldest().is_none() && stats.bytes < 1000, "{stats:?}");
        let start = stats.first_lsn;
        assert_eq!(streams.reclaim().unwrap(), start, "nothing but the checkpoint is left");
        streams.close().unwrap();
        drop((streams, slow, fast, gone));

        let streams = open_small(&storage);
        assert_eq!(streams.ids(), [StreamId(1), StreamId(2), StreamId(3)]);
        for (id, next) in [(1, 2), (2, 101), (3, 6)] {
            let stream = streams.stream(id);
            assert_eq!((stream.first_lsn().get(), stream.next_lsn().get()), (next, next));
            assert_eq!(stream.append(b"next").unwrap().get(), next);
        }
    });
}

#[test]
fn durable_is_what_a_sync_of_anybody_covers() {
    let storage: Storage = Arc::new(MemoryStorage::new());
    let streams = open(&storage);
    let (a, b) = (streams.stream(1), streams.stream(2));
    a.append(b"a1").unwrap();
    assert_eq!(a.durable_lsn(), Lsn::ZERO);
    b.append_with(b"b1", Durability::Durable).unwrap();
    assert_eq!((a.durable_lsn().get(), b.durable_lsn().get()), (1, 1));
    a.append_batch(&[*b"a2", *b"a3"]).unwrap();
    assert_eq!(a.durable_lsn().get(), 1);
    streams.sync().unwrap();
    assert_eq!(a.durable_lsn().get(), 3);
    drop((streams, a, b));
    let streams = open(&storage);
    assert_eq!(streams.stream(1).durable_lsn().get(), 3);
}

#[test]
fn tasks_append_and_may_be_dropped() {
    let storage: Storage = Arc::new(MemoryStorage::new());
    let streams = Streams::open(Wal::builder(Always::new()), recovered(&storage)).unwrap();
    let a = streams.stream(1);
    block_on(async {
        let range = a.submit_with(b"a1", Durability::Durable).unwrap().await.unwrap();
        assert_eq!((range.last.get(), a.durable_lsn().get()), (1, 1));
        drop(a.submit_with(b"a2", Durability::Durable).unwrap());
        let waiting = a.submit_batch_with(&[&b"a3"[..], b"a4"], Durability::Buffered).unwrap();
        assert_eq!(waiting.range().first.get(), 3);
        assert_eq!(waiting.await.unwrap().last.get(), 4);
        streams.sync_async().await.unwrap();
        assert_eq!(a.durable_lsn().get(), 4);
        streams.close_async().await.unwrap();
    });
    drop((streams, a));
    assert_eq!(texts(&open(&storage).stream(1)), named(1..5, "a"));
}

#[test]
fn a_plain_log_and_a_shared_log_refuse_each_other() {
    let plain: Storage = Arc::new(MemoryStorage::new());
    let log = Wal::builder(Always::new()).open(recovered(&plain)).unwrap();
    log.append(b"plain").unwrap();
    drop(log);
    let error = Streams::open(Wal::builder(Always::new()), recovered(&plain)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LayerMismatch);
    assert!(
        error.to_string().contains("was written with no layer, it is opened with streams"),
        "{error}"
    );

    let shared: Storage = Arc::new(MemoryStorage::new());
    open(&shared).stream(1).append(b"a record").unwrap();
    let error = Wal::builder(Always::new()).open(recovered(&shared)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LayerMismatch);
}

#[test]
fn what_does_not_fit_is_named_with_its_place() {
    let lead = |stream, first, count| vec![0x51, stream, first, count];
    type Case = (&'static str, Vec<Vec<u8>>, u64, ErrorKind, &'static str);
    let cases: [Case; 6] = [
        ("foreign", vec![lead(1, 1, 1), b"hello".to_vec()], 2, ErrorKind::Unsupported, "0x68"),
        ("malformed", vec![vec![0x51, 0x80]], 1, ErrorKind::Codec, "a stream was expected"),
        (
            "beginning missing",
            vec![lead(9, 5, 1)],
            1,
            ErrorKind::Corrupt,
            "stream 9: starts at LSN 1",
        ),
        ("gap", vec![lead(1, 1, 1), lead(1, 3, 1)], 2, ErrorKind::Corrupt, "LSN 3, expected 2"),
        ("twice", vec![lead(1, 1, 1), lead(1, 1, 1)], 2, ErrorKind::Corrupt, "LSN 1, expected 2"),
        ("lost", vec![lead(1, 1, 1), vec![0x52, 1, 7]], 2, ErrorKind::Corrupt, "next LSN was 7"),
    ];
    for (what, records, at, kind, says) in cases {
        let storage: Storage = Arc::new(MemoryStorage::new());
        let layers = Layers::one(LayerId::STREAMS);
        let log = Wal::builder(Os::new()).layers(layers).open(recovered(&storage)).unwrap();
        records.iter().for_each(|record| assert!(log.append(record).is_ok()));
        log.close().unwrap();
        drop(log);
        let error = Streams::open(Wal::builder(Os::new()), recovered(&storage)).unwrap_err();
        assert_eq!((error.kind(), error.lsn()), (kind, Some(Lsn::new(at))), "{what}: {error}");
        assert!(error.to_string().contains(says), "{what}: {error}");
    }
}

#[test]
fn a_log_cut_by_a_recovery_has_a_hole_and_goes_on() {
    let storage: Storage = Arc::new(MemoryStorage::new());
    let streams = open(&storage);
    let (a, b) = (streams.stream(1), streams.stream(2));
    a.append_batch(&[*b"a1", *b"a2", *b"a3"]).unwrap();
    b.append(b"b1").unwrap();
    streams.close().unwrap();
    drop((streams, a, b));
    // In the middle of the batch.
    let until = Recovery::new(storage.clone()).until(Until::Lsn(Lsn::new(2))).run().unwrap().0;
    let streams = Streams::open(Wal::builder(Os::new()), until).unwrap();
    let a = streams.stream(1);
    assert_eq!(texts(&a), named(1..3, "a"));
    assert_eq!(a.append(b"a4").unwrap().get(), 4, "3 was given out");
    let check = |streams: &Streams| {
        let a = streams.stream(1);
        assert_eq!(texts(&a), [(1, "a1".into()), (2, "a2".into()), (4, "a4".into())]);
        assert_eq!(a.read(Lsn::new(3)).unwrap_err().kind(), ErrorKind::NotInLog);
        assert_eq!(streams.ids(), [StreamId(1)]);
    };
    check(&streams);
    drop((streams, a));
    check(&open(&storage));
}

#[test]
fn a_failed_sync_is_told_to_every_stream_with_its_name() {
    let faulty = FaultStorage::new(MemoryStorage::new());
    let control = faulty.control();
    let storage: Storage = Arc::new(faulty);
    let streams = Streams::open(Wal::builder(Always::new()), recovered(&storage)).unwrap();
    let (a, b) = (streams.stream(1), streams.stream(2));
    a.append(b"a1").unwrap();
    control.fail_once(StorageCall::Sync, 1, std::io::ErrorKind::Other);
    let error = a.append(b"a2").unwrap_err();
    assert_eq!((error.kind(), error.lsn()), (ErrorKind::Io, Some(Lsn::new(2))), "{error}");
    assert!(error.to_string().contains("stream 1 (LSN 2)"), "{error}");
    assert_eq!(a.durable_lsn(), Lsn::FIRST);
    let error = b.append(b"b1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
    assert!(error.to_string().contains("stream 2 (LSN 1)"), "{error}");
    let error = a.truncate_before(Lsn::MAX).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
    assert!(error.to_string().contains("truncate stream"), "{error}");
    assert!(streams.close().is_err());
    drop((streams, a, b));
    assert_eq!(open(&storage).stream(1).append(b"again").unwrap(), Lsn::new(3));
}

#[test]
fn too_large_and_empty_are_refused_and_use_no_number() {
    let storage: Storage = Arc::new(MemoryStorage::new());
    let sizes = Sizes::default().max_record_bytes(100);
    let builder = Wal::builder(Os::new()).settings(sizes);
    let streams = Streams::open(builder, recovered(&storage)).unwrap();
    let a = streams.stream(1);
    let error = a.append(&[0; 97]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("stream 1 (LSN 1)"), "{error}");
    assert!(error.chain().to_string().contains("101 bytes, allowed are 100"), "{error:?}");
    let none: [&[u8]; 0] = [];
    assert_eq!(a.append_batch(&none).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(a.append(&[0; 96]).unwrap().get(), 1);
    let error = Streams::open_with(
        Wal::builder(Os::new()),
        recovered(&(Arc::new(MemoryStorage::new()) as Storage)),
        Settings::default().reclaim_bytes(u64::MAX),
    );
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
}
