//! Limits of records, batches and settings, each to the byte; codecs that copy and codecs that lend.

use std::sync::Arc;

use std::borrow::Borrow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::*;
use bytes::{Bytes, BytesMut};
use wal_core::format::{Flags, FrameKind, LogId, record_overhead};
use wal_core::*;

fn log_with(settings: Settings) -> Wal {
    let recovered = MemoryStorage::new().into_empty_log().unwrap();
    Wal::builder(os()).settings(settings).manual_driver().open(recovered).unwrap()
}

/// The largest record that is taken; the next larger one must be refused.
fn largest_record(settings: Settings) -> usize {
    let log = log_with(settings);
    let fits = |len: &usize| match log.append(&vec![1; *len]) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::TooLarge);
            false
        }
    };
    let largest = (0..5000).take_while(fits).last().unwrap();
    assert_eq!(records(&log_with(Settings::default())), []);
    largest
}

#[test]
fn the_largest_record_is_that_which_a_segment_or_the_buffer_can_hold() {
    // Header of the segment, header of the frame, blank behind it.
    assert_eq!(largest_record(Settings::default().segment_size(4096)), 4096 - 512 - 24 - 24);
    assert_eq!(largest_record(Settings::default().buffer_bytes(4096)), 4096 - 24);
    assert_eq!(largest_record(Settings::default().max_record_bytes(1000)), 1000);
    assert_eq!(largest_record(Settings::default().max_batch_bytes(1000)), 1000);
}

#[test]
fn a_batch_is_as_large_as_its_table_and_its_records() {
    let log = log_with(Settings::default().max_batch_bytes(100));
    let append = |count: usize, bytes: usize| {
        let mut batch = vec![vec![]; count - 1];
        batch.push(vec![1; bytes]);
        log.append_batch(&batch)
    };
    for (count, bytes) in [(2, 92), (3, 88), (24, 4), (25, 0)] {
        assert_eq!(append(count, bytes).unwrap().len(), count as u64);
        let error = append(count, bytes + 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{count} records of {bytes} + 1 bytes");
    }
    let error = append(26, 0).unwrap_err();
    assert_eq!(error.detail(), "the batch has 104 bytes, allowed are 100");
    assert_eq!(log.last_lsn(), Lsn::new(2 + 3 + 24 + 25));
}

#[test]
fn settings_are_refused_beyond_their_ranges_and_not_before() {
    let hour = Duration::from_secs(3600);
    Settings::default().buffer_delay(hour).validate().unwrap();
    let error = Settings::default().buffer_delay(hour + Duration::from_micros(1));
    assert!(error.validate().unwrap_err().to_string().contains("buffer_delay"));
    let small = Settings::default().segment_size(4096);
    small.clone().max_batch_bytes(3536).validate().unwrap();
    small.clone().max_record_bytes(3536).validate().unwrap();
    for settings in [small.clone().max_batch_bytes(3537), small.max_record_bytes(3537)] {
        let text = settings.validate().unwrap_err().to_string();
        assert!(text.contains("is 3537, allowed are 1 to 3536"), "{text}");
    }
}

/// Shouts, so that no byte can be lent.
struct Shouting;

impl Codec for Shouting {
    type Record = str;
    type Decoded = String;

    fn id(&self) -> CodecId {
        CodecId(0x8000_0001)
    }
    fn encode(&self, record: &str, out: &mut BytesMut) -> Result<()> {
        out.extend_from_slice(record.to_uppercase().as_bytes());
        Ok(())
    }
    fn decode(&self, bytes: Bytes) -> Result<String> {
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }
}

#[test]
fn a_codec_need_not_lend_its_records() {
    let memory = MemoryStorage::new();
    let log = Wal::builder(os()).codec(Shouting).manual_driver();
    let log = log.open(memory.into_empty_log().unwrap()).unwrap();
    log.append("one").unwrap();
    log.append_batch(&["two", "", "three"]).unwrap();
    let read: Vec<_> = log.iter(Lsn::ZERO).unwrap().map(|e| e.unwrap().record).collect();
    assert_eq!(read, ["ONE", "TWO", "", "THREE"]);
    // Bytes need no encoding, but can be encoded by whoever wraps their codec.
    assert_eq!(RawCodec.as_encoded(b"lent"), Some(&b"lent"[..]));
    let mut out = BytesMut::from(&b"before "[..]);
    RawCodec.encode(b"copied", &mut out).unwrap();
    assert_eq!(out, "before copied");
}

#[test]
fn a_log_is_opened_with_the_codec_that_wrote_it() {
    let open = |found| {
        let storage = Arc::new(MemoryStorage::new());
        let lock = storage.lock().wait().unwrap();
        let mut parts = RecoveredParts::new(storage, lock, format::LogId([1; 16]));
        parts.codec = found;
        let recovered = Recovered::assert_recovered(parts);
        Wal::builder(os()).codec(Shouting).manual_driver().open(recovered).map(|_| ())
    };
    open(None).unwrap();
    open(Some(CodecId(0x8000_0001))).unwrap();
    let error = open(Some(CodecId::JSON)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CodecMismatch);
    assert!(error.detail().contains("memory was written with codec json"), "{error}");
    assert!(error.detail().contains("opened with 0x80000001"), "{error}");
}

#[test]
fn what_is_not_there_is_told_by_where_the_log_ends_or_begins() {
    let log = log_with(Settings::default());
    for _ in 0..5 {
        log.append(b"x").unwrap();
    }
    log.truncate_before(Lsn::new(3)).unwrap();
    let told = |lsn| log.read(Lsn::new(lsn)).unwrap_err();
    assert_eq!(told(6).detail(), "the log ends at LSN 5");
    assert_eq!(told(2).detail(), "truncated; the log starts at LSN 3");
    assert_eq!(told(2).lsn(), Some(Lsn::new(2)));
    log.truncate_after(Lsn::new(4)).unwrap();
    log.append(b"behind the gap").unwrap();
    assert_eq!(told(5).kind(), ErrorKind::NotInLog);
}

/// To go on from the first LSN would help nobody: the log still begins with this segment.
#[test]
fn a_segment_that_somebody_else_removed_is_missing_and_was_not_truncated() {
    let storage = MemoryStorage::new();
    let log = Wal::builder(always()).open(storage.clone().into_empty_log().unwrap()).unwrap();
    log.append(b"x").unwrap();
    storage.remove(&[Lsn::FIRST]).wait().unwrap();
    let error = log.read(Lsn::FIRST).unwrap_err();
    assert_eq!((error.kind(), error.segment()), (ErrorKind::NotFound, Some(Lsn::FIRST)));
}

#[test]
fn numbers_and_names_are_printed_as_people_write_them() {
    assert_eq!((Lsn::from(7), u64::from(Lsn::new(7))), (Lsn::new(7), 7));
    assert_eq!(Timestamp::from_micros(1_000_002).to_string(), "1.000002s");
    let ids = [CodecId::RAW, CodecId::POSTCARD, CodecId::JSON, CodecId::KEY_VALUE, CodecId(77)];
    let names: Vec<_> = ids.iter().map(CodecId::to_string).collect();
    assert_eq!(names, ["raw", "postcard", "json", "key-value", "0x0000004d"]);
    let id = LogId(*b"\x01\x23\x45\x67\x89\xab\xcd\xef0123456\xff");
    assert_eq!(id.to_string(), "0123456789abcdef30313233343536ff");
}

#[test]
fn memory_survives_nothing_and_says_so() {
    let capabilities = MemoryStorage::new().capabilities();
    assert!(!capabilities.survives_process_crash && !capabilities.survives_power_loss);
    let durable = Capabilities::durable();
    assert!(durable.survives_process_crash && durable.survives_power_loss);
}

#[test]
fn each_capability_has_a_setter_of_its_name() {
    let set = Capabilities::volatile()
        .survives_power_loss(true)
        .survives_process_crash(true)
        .recycles(true)
        .alignment(512)
        .atomic_write_unit(4096)
        .write_through(true)
        .pad_to(256);
    let mut assigned = Capabilities::volatile();
    assigned.survives_power_loss = true;
    assigned.survives_process_crash = true;
    assigned.recycles = true;
    (assigned.alignment, assigned.atomic_write_unit) = (512, 4096);
    (assigned.write_through, assigned.pad_to) = (true, 256);
    assert_eq!(set, assigned);
}

#[test]
fn the_format_s_numbers_are_those_of_its_specification() {
    assert_eq!([1, 2, 10, 1000].map(record_overhead), [24, 24 + 8, 24 + 40, 24 + 4000]);
    for number in [1, 7, 8] {
        assert_eq!(FrameKind::from_number(number).unwrap() as u8, number);
    }
    assert_eq!([0, 2, 3, 4, 5, 6, 9, 255].map(FrameKind::from_number), [None; 8]);
    let both = Flags(Flags::BATCH.0 | Flags::COMPRESSED.0);
    assert!(both.contains(Flags::BATCH) && both.contains(both) && !both.contains(Flags::ENCRYPTED));
    assert!(!Flags::BATCH.contains(both) && !Flags::default().contains(Flags::BATCH));
}

/// Each thread appends single records and batches, some so large that they are not copied, into a log that
/// is written behind their backs.
#[test]
fn large_batches_beside_small_records_come_back_whole_and_in_order() {
    let log = memory_log(os());
    let append = |thread: usize| {
        for n in 0..200 {
            let record = |at: usize| format!("{thread}:{n}:{at}:{}", "x".repeat(90));
            let batch: Vec<_> =
                (0..[1, 3, 200, 900][n % 4]).map(|at| record(at).into_bytes()).collect();
            let durability = [Durability::Buffered, Durability::Written][n / 4 % 2];
            let range = log.append_batch_with(&batch, durability).unwrap();
            assert_eq!(range.last.since(range.first) as usize, batch.len() - 1);
        }
    };
    std::thread::scope(|scope| (0..3).for_each(|thread| drop(scope.spawn(move || append(thread)))));
    let mut next = [(0, 0); 3];
    for (_, record) in records(&log) {
        let mut numbers = record.split(':').map_while(|number| number.parse::<usize>().ok());
        let [thread, n, at] = std::array::from_fn(|_| numbers.next().unwrap());
        assert_eq!((n, at), next[thread], "of thread {thread}");
        let last = at + 1 == [1, 3, 200, 900][n % 4];
        next[thread] = if last { (n + 1, 0) } else { (n, at + 1) };
    }
    assert_eq!(next, [(200, 0); 3]);
}

/// Borrows as something else each time.
struct Fickle(AtomicUsize);

impl Borrow<[u8]> for Fickle {
    fn borrow(&self) -> &[u8] {
        &b"abcdefgh"[..self.0.fetch_add(1, Ordering::Relaxed) % 8 + 1]
    }
}

#[test]
fn records_that_change_while_they_are_appended_are_whole_nevertheless() {
    let log = memory_log(always());
    let batch: Vec<_> = (0..20).map(|n| Fickle(AtomicUsize::new(n))).collect();
    log.append_batch(&batch).unwrap();
    let records = records(&log);
    assert_eq!(records.len(), 20);
    for (_, record) in records {
        assert!(!record.is_empty() && "abcdefgh".starts_with(&record), "{record}");
    }
}
