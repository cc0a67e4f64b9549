//! What a new user does first.

use composable_wal::{Durability, ErrorKind, Lsn, MemoryStorage, Options};

#[test]
fn a_log_is_opened_in_one_line_and_again_after_a_truncation() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("not/there/yet");
    let (log, report) = composable_wal::open(&dir).unwrap();
    assert_eq!(report.records, 0);
    assert!(log.claim().power_loss.is_nothing());
    for record in ["one", "two", "three"] {
        log.append(record.as_bytes()).unwrap();
    }
    assert_eq!(log.durable_lsn(), Lsn::new(3));
    assert_eq!(composable_wal::open(&dir).unwrap_err().kind(), ErrorKind::Locked);
    log.truncate_before(Lsn::new(2)).unwrap();
    log.close().unwrap();
    drop(log);

    let (log, report) = composable_wal::open(&dir).unwrap();
    assert_eq!((report.records, report.clean), (2, true));
    let records: Vec<_> = log.iter(Lsn::ZERO).unwrap().map(|e| e.unwrap().record).collect();
    assert_eq!(records, ["two", "three"]);
}

#[test]
fn tasks_use_the_same_log() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (log, _) = composable_wal::open_async(&dir).unwrap();
    let memory = MemoryStorage::new();
    let (elsewhere, _) = Options::new().open_async_on(memory.clone()).unwrap();
    runtime.block_on(async {
        let lsn = log.append(b"durable").await.unwrap();
        assert!(log.durable_lsn() >= lsn);
        log.append_with(b"later", Durability::Buffered).await.unwrap();
        log.close().await.unwrap();
        elsewhere.append(b"in memory").await.unwrap();
        elsewhere.close().await.unwrap();
    });
    drop(elsewhere);
    assert_eq!(Options::new().open_on(memory).unwrap().1.records, 1);
}

#[test]
fn any_storage_will_do() {
    let memory = MemoryStorage::new();
    let (log, _) = Options::new().open_on(memory.clone()).unwrap();
    log.append(b"kept").unwrap();
    log.close().unwrap();
    drop(log);
    let (_, report) = Options::new().open_on(memory).unwrap();
    assert_eq!(report.records, 1);
}

#[cfg(feature = "codec")]
#[test]
fn a_typed_log_takes_three_lines_and_is_not_opened_as_another() {
    use composable_wal::codec::{Json, Postcard};
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Options::new().codec(Json::<(u64, String)>::new()).open(&dir).unwrap();
    let lsn = log.append(&(7, "tea".into())).unwrap();
    assert_eq!(log.read(lsn).unwrap().record, (7, "tea".to_owned()));
    log.close().unwrap();
    drop(log);
    let other = Options::new().codec(Postcard::<(u64, String)>::new()).open(&dir);
    assert_eq!(other.unwrap_err().kind(), ErrorKind::CodecMismatch);
}

#[cfg(feature = "codec")]
#[test]
fn a_log_of_another_codec_keeps_its_torn_tail() {
    use composable_wal::codec::Json;
    use composable_wal::{Access, LogStorage};
    let memory = MemoryStorage::new();
    let (log, _) = Options::new().open_on(memory.clone()).unwrap();
    log.append(b"whole").unwrap();
    log.append(b"torn").unwrap();
    drop(log);
    let segment = memory.open(Lsn::FIRST, Access::Write).wait().unwrap();
    let torn = segment.len().wait().unwrap() - 1;
    segment.truncate(torn).wait().unwrap();
    let bytes = || segment.read_at(0, 1 << 20).wait().unwrap();
    let before = bytes();
    let other = Options::new().codec(Json::<u64>::new()).open_on(memory.clone());
    assert_eq!(other.unwrap_err().kind(), ErrorKind::CodecMismatch);
    assert_eq!(bytes(), before);
    assert_eq!(memory.list().wait().unwrap().segments, [Lsn::FIRST]);
    let (_, report) = Options::new().open_on(memory).unwrap();
    assert_eq!((report.records, report.damages.len()), (1, 1), "{report}");
}
