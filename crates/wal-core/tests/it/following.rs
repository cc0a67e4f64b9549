//! Followers: without waiting for ever, and without keeping the log open.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::support::*;
use futures_util::StreamExt;
use wal_core::*;

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

fn record(followed: Followed<bytes::Bytes>) -> u64 {
    match followed {
        Followed::Record(entry) => entry.lsn.get(),
        other => panic!("a record, not {other:?}"),
    }
}

#[test]
fn a_follower_finds_what_is_durable_and_nothing_yet() {
    let log = Probe::default().open(os(), Settings::default());
    let mut follower = log.follow(Lsn::ZERO).unwrap();
    assert_eq!(follower.try_next().unwrap(), Followed::NothingYet);
    log.append(b"written").unwrap();
    assert_eq!(follower.next_within(SOON).unwrap(), Followed::NothingYet);
    log.sync().unwrap();
    assert_eq!(record(follower.try_next().unwrap()), 1);
    assert_eq!(follower.try_next().unwrap(), Followed::NothingYet);
}

#[test]
fn a_record_that_comes_in_time_ends_the_wait() {
    let log = Probe::default().open(always(), Settings::default());
    let mut follower = log.follow(Lsn::ZERO).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(SOON);
            log.append(b"news").unwrap();
        });
        assert_eq!(record(follower.next_within(LONG).unwrap()), 1);
    });
}

#[test]
fn closing_ends_a_follower_behind_the_last_record() {
    let log = Probe::default().open(os(), Settings::default());
    let mut follower = log.follow(Lsn::ZERO).unwrap();
    log.append(b"last").unwrap();
    log.close().unwrap();
    assert_eq!(record(follower.try_next().unwrap()), 1);
    assert_eq!(follower.next_within(LONG).unwrap(), Followed::Ended);
    assert_eq!(follower.try_next().unwrap(), Followed::Ended);
}

#[test]
fn a_follower_does_not_keep_the_log_open() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default());
    let mut follower = log.follow(Lsn::ZERO).unwrap();
    let mut stream = log.asynchronous().follow(Lsn::ZERO).unwrap();
    log.append(b"durable").unwrap();
    log.sync().unwrap();
    // A record that was written and never synced: it is not given, and nobody waits for it.
    log.append(b"written").unwrap();
    let (tell, told) = mpsc::channel();
    let blocked = thread::spawn(move || {
        let given: Vec<_> = follower.by_ref().map(|entry| entry.unwrap().lsn.get()).collect();
        tell.send(()).unwrap();
        (given, follower.try_next().unwrap())
    });
    assert!(told.recv_timeout(SOON).is_err(), "it waits");
    drop(log);
    told.recv_timeout(LONG).expect("the last handle ends it");
    assert_eq!(blocked.join().unwrap(), (vec![1], Followed::Ended));
    let given = within_a_minute(async {
        let mut given = Vec::new();
        while let Some(entry) = stream.next().await {
            given.push(entry.unwrap().lsn.get());
        }
        given
    });
    assert_eq!(given, [1]);
    probe.lock().wait().expect("the lock is free");
}

#[test]
fn an_error_ends_a_follower() {
    let log = Probe::default().open(always(), Settings::default());
    log.append(b"one").unwrap();
    log.append(b"two").unwrap();
    let mut follower = log.follow(Lsn::ZERO).unwrap();
    log.truncate_before(Lsn::new(2)).unwrap();
    assert_eq!(follower.try_next().unwrap_err().kind(), ErrorKind::NotInLog);
    assert_eq!(follower.try_next().unwrap(), Followed::Ended);
}

#[test]
fn a_future_of_a_stream_s_next_record_may_be_dropped() {
    let log = Probe::default().open(always(), Settings::default());
    let mut news = log.asynchronous().follow(Lsn::ZERO).unwrap();
    let lsns = within_a_minute(async {
        assert!(tokio::time::timeout(SOON, news.next()).await.is_err(), "there is nothing yet");
        log.append(b"one").unwrap();
        log.append(b"two").unwrap();
        [news.next().await.unwrap().unwrap().lsn, news.next().await.unwrap().unwrap().lsn]
    });
    assert_eq!(lsns, [Lsn::new(1), Lsn::new(2)]);
    drop(log);
    assert!(within_a_minute(news.next()).is_none());
}

/// Bytes, of which some cannot be decoded.
struct Picky;

impl Codec for Picky {
    type Record = [u8];
    type Decoded = bytes::Bytes;

    fn id(&self) -> CodecId {
        CodecId(0x8000_0002)
    }
    fn encode(&self, record: &[u8], out: &mut bytes::BytesMut) -> Result<()> {
        out.extend_from_slice(record);
        Ok(())
    }
    fn decode(&self, bytes: bytes::Bytes) -> Result<bytes::Bytes> {
        if bytes == "bad" { Err(Error::new(ErrorKind::Codec, "decode")) } else { Ok(bytes) }
    }
}

#[test]
fn a_record_that_cannot_be_decoded_ends_every_reader_and_is_not_skipped() {
    let recovered = MemoryStorage::new().into_empty_log().unwrap();
    let log = Wal::builder(always()).codec(Picky).open(recovered).unwrap();
    for record in [&b"good"[..], b"bad", b"good"] {
        log.append(record).unwrap();
    }
    let kinds: Vec<_> =
        log.iter(Lsn::ZERO).unwrap().map(|entry| entry.err().map(|e| e.kind())).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::Codec)]);
    let mut follower = log.follow(Lsn::ZERO).unwrap();
    assert_eq!(record(follower.try_next().unwrap()), 1);
    let error = follower.try_next().unwrap_err();
    assert_eq!((error.kind(), error.lsn()), (ErrorKind::Codec, Some(Lsn::new(2))));
    assert_eq!(follower.try_next().unwrap(), Followed::Ended);
    let tasks = log.asynchronous();
    for stream in [tasks.stream(Lsn::ZERO).unwrap(), tasks.follow(Lsn::ZERO).unwrap()] {
        let items = within_a_minute(stream.map(|entry| entry.is_ok()).collect::<Vec<_>>());
        assert_eq!(items, [true, false]);
    }
}
