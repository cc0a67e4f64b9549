//! Frames read one by one: long ones, cut ones, damaged ones, and forged footers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::*;
use bytes::Bytes;
use wal_core::format::*;
use wal_core::*;

const WINDOW: usize = FrameReader::WINDOW;

/// The bytes of a log in one segment.
fn segment_of(records: &[Vec<u8>]) -> Vec<u8> {
    let memory = MemoryStorage::new();
    let log = Wal::builder(os()).manual_driver();
    let log = log.open(memory.clone().into_empty_log().unwrap()).unwrap();
    for record in records {
        log.append(record).unwrap();
    }
    let segment = memory.open(Lsn::FIRST, Access::Read).wait().unwrap();
    segment.read_at(0, 1 << 30).wait().unwrap().to_vec()
}

/// Counts how often it is read, and how much at once.
struct Counting(Arc<dyn Segment>, Arc<AtomicU64>, Arc<AtomicU64>);

impl Segment for Counting {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        self.0.write_at(offset, data, mode)
    }
    fn sync(&self) -> Io<'_, ()> {
        self.0.sync()
    }
    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.2.fetch_max(len as u64, Ordering::SeqCst);
        self.0.read_at(offset, len)
    }
    fn len(&self) -> Io<'_, u64> {
        self.0.len()
    }
    fn truncate(&self, len: u64) -> Io<'_, ()> {
        self.0.truncate(len)
    }
}

struct Reading {
    reader: FrameReader,
    reads: Arc<AtomicU64>,
    most: Arc<AtomicU64>,
}

fn reading(bytes: &[u8], end: u64) -> Reading {
    let header = SegmentHeader::decode(&bytes[..SEGMENT_HEADER_LEN], Lsn::FIRST).unwrap();
    let memory = MemoryStorage::new();
    let bytes = Bytes::copy_from_slice(bytes);
    let segment = memory.create(Lsn::FIRST, bytes, 0, Publish::New).wait().unwrap();
    let (reads, most) = (Arc::default(), Arc::default());
    let segment = Arc::new(Counting(segment, Arc::clone(&reads), Arc::clone(&most)));
    let offset = u64::from(header.data_offset);
    Reading { reader: FrameReader::new(segment, &header, offset, end), reads, most }
}

fn next(reader: &mut FrameReader) -> FrameStep {
    block_on(reader.next()).unwrap()
}

/// What is wrong with the first frame of these bytes, if they end at `end`.
fn complaint(bytes: &[u8], end: usize) -> String {
    match next(&mut reading(bytes, end as u64).reader) {
        FrameStep::Bad { reason } => reason,
        step => panic!("{step:?}"),
    }
}

#[test]
fn the_offset_is_that_of_the_next_frame_and_can_be_set() {
    let bytes = segment_of(&[b"one".to_vec(), vec![], b"three".to_vec()]);
    let mut reader = reading(&bytes, bytes.len() as u64).reader;
    let mut offsets = Vec::new();
    loop {
        let before = reader.offset();
        match next(&mut reader) {
            FrameStep::Frame(frame) => {
                assert_eq!(frame.offset, before);
                offsets.push(before);
            }
            FrameStep::End => break,
            step => panic!("{step:?}"),
        }
    }
    assert_eq!(offsets, [512, 539, 563]);
    assert_eq!(reader.offset(), bytes.len() as u64);
    reader.seek(offsets[2]);
    let FrameStep::Frame(frame) = next(&mut reader) else { panic!("it was there before") };
    assert_eq!((frame.offset, frame.body), (563, Bytes::from_static(b"three")));
}

#[test]
fn many_small_frames_are_read_at_once() {
    let bytes = segment_of(&vec![vec![1; 50]; 1000]);
    let Reading { mut reader, reads, .. } = reading(&bytes, bytes.len() as u64);
    for _ in 0..1000 {
        assert!(matches!(next(&mut reader), FrameStep::Frame(_)));
    }
    assert_eq!(reads.load(Ordering::SeqCst), 1);
}

#[test]
fn frames_ahead_are_those_that_are_whole_and_right() {
    let bytes = segment_of(&vec![vec![1; 50]; 100]);
    let place = |nth: usize| 512 + 74 * nth as u64;
    let mut reader = reading(&bytes, place(100)).reader;
    assert_eq!(reader.ahead().count(), 0, "nothing was read yet");
    assert!(matches!(next(&mut reader), FrameStep::Frame(_)));
    let mut ahead = reader.ahead();
    assert_eq!(ahead.by_ref().map(|frame| frame.end()).last(), Some(place(100)));
    assert_eq!(ahead.offset(), place(100));
    reader.set_end(place(100) - 1);
    assert_eq!(reader.ahead().count(), 98, "one ends behind the end");

    let mut bad = bytes;
    bad[place(40) as usize + 30] ^= 1;
    let mut reader = reading(&bad, place(100)).reader;
    assert!(matches!(next(&mut reader), FrameStep::Frame(_)));
    let mut ahead = reader.ahead();
    assert_eq!((ahead.by_ref().count(), ahead.offset()), (39, place(40)));
    assert_eq!(reader.ahead().checked_upto(place(40)).count(), 39, "checked up to the bad one");
    reader.seek(place(40));
    assert!(matches!(next(&mut reader), FrameStep::Bad { .. }));
}

#[test]
fn a_frame_of_any_length_is_whole_or_bad() {
    for len in [0, 1, 1000, WINDOW - 24, WINDOW, WINDOW + 1, 3 * WINDOW + 77] {
        let record: Vec<u8> = (0..len).map(|i| i as u8).collect();
        let bytes = segment_of(std::slice::from_ref(&record));
        let end = bytes.len();
        let FrameStep::Frame(frame) = next(&mut reading(&bytes, end as u64).reader) else {
            panic!("{len} bytes")
        };
        assert_eq!(frame.body, record);
        // Wherever a byte is wrong, and also where windows meet.
        let places = [0, 1, WINDOW - 1, WINDOW, 2 * WINDOW, len.saturating_sub(1)];
        for at in places.into_iter().filter(|at| *at < len) {
            let mut bad = bytes.clone();
            bad[512 + 24 + at] ^= 1;
            assert!(complaint(&bad, end).contains("checksum"), "{len}, byte {at}");
        }
        // Less is there than the segment was said to hold.
        if len > 0 {
            let reason = complaint(&bytes[..end - 1], end);
            assert!(reason.contains("ends after") || reason.contains("does not hold"), "{reason}");
            assert!(complaint(&bytes, end - 1).contains("are left"));
        }
    }
}

#[test]
fn a_length_is_not_believed_before_its_checksum() {
    let mut bytes = segment_of(&[vec![1; 5 * WINDOW]]);
    bytes[512 + 24] ^= 1;
    let Reading { mut reader, most, .. } = reading(&bytes, bytes.len() as u64);
    assert!(matches!(next(&mut reader), FrameStep::Bad { .. }));
    assert!(most.load(Ordering::SeqCst) <= WINDOW as u64, "no memory for what a bad frame says");
}

#[test]
fn the_end_is_told_from_a_blank_and_from_a_piece_of_a_header() {
    let mut bytes = segment_of(&[b"one".to_vec()]);
    let end = bytes.len();
    bytes.resize(end + 24, 0);
    let second = |bytes: &[u8], end: usize| {
        let mut reader = reading(bytes, end as u64).reader;
        assert!(matches!(next(&mut reader), FrameStep::Frame(_)));
        next(&mut reader)
    };
    assert!(matches!(second(&bytes, end), FrameStep::End));
    for blank in 1..=24 {
        assert!(matches!(second(&bytes, end + blank), FrameStep::Blank), "{blank}");
    }
    bytes[end] = 1;
    for piece in 1..24 {
        let FrameStep::Bad { reason } = second(&bytes, end + piece) else { panic!("{piece}") };
        assert!(reason.contains(&format!("{piece} bytes are left")), "{reason}");
    }
}

fn segment_header() -> SegmentHeader {
    let created = Timestamp::from_micros(500);
    SegmentHeader { created, ..SegmentHeader::new(LogId([3; 16]), 1, Lsn::new(11)) }
}

/// Encodes a footer that says this, and decodes it where it says that it is.
fn told(summary: SegmentSummary) -> Result<Footer> {
    let segment = segment_header();
    let offset = summary.data_end;
    let bytes = Footer::new(summary, Ending::Rotated).encode(segment.salt());
    Footer::decode(&FrameHeader::decode(&bytes), &bytes[FRAME_HEADER_LEN..], offset, &segment)
}

#[test]
fn a_footer_is_whole_and_agrees_with_itself_or_is_refused() {
    let summary = SegmentSummary { data_end: 512, ..SegmentSummary::default() };
    assert_eq!(told(summary.clone()).unwrap().summary, summary, "of a segment without records");
    let entry = |lsn_delta, offset| IndexEntry { lsn_delta, offset };
    let with = |index: &[IndexEntry]| SegmentSummary {
        records: 9,
        frames: 9,
        data_end: 1000,
        chain_crc: 7,
        last_time: 40,
        min_time: -3,
        max_time: 50,
        index: index.to_vec(),
    };
    let good = told(with(&[entry(0, 512), entry(8, 999)])).unwrap();
    assert_eq!(good.last_time(Timestamp::from_micros(500)), Timestamp::from_micros(540));
    assert_eq!(good.last_lsn(Lsn::new(11)), Lsn::new(19));
    for bad in [
        [entry(0, 512), entry(8, 1000)],
        [entry(0, 512), entry(9, 900)],
        [entry(0, 512), entry(1, 512)],
        [entry(0, 512), entry(0, 600)],
        [entry(0, 511), entry(1, 600)],
    ] {
        assert_eq!(told(with(&bad)).unwrap_err().kind(), ErrorKind::Corrupt, "{bad:?}");
    }
    let segment = segment_header();
    let bytes = Footer::new(summary, Ending::Rotated).encode(segment.salt());
    let (head, body) = (FrameHeader::decode(&bytes), &bytes[FRAME_HEADER_LEN..]);
    for len in 0..body.len() {
        let error = Footer::decode(&head, &body[..len], 512, &segment).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{len} bytes");
    }
}

#[test]
fn the_records_of_a_frame_are_counted_before_they_are_read() {
    let header = |flags| FrameHeader {
        crc: 0,
        body_len: 0,
        lsn_delta: 0,
        durable_lag: 0,
        time_delta: 0,
        kind: FrameKind::Data as u8,
        flags,
    };
    let batch = |body: &'static [u8]| header(Flags::BATCH).records(Bytes::from_static(body));
    let mut three = batch(b"\x03\0\0\0\x01\0\0\0\x02\0\0\0abbccc").unwrap();
    for (left, record) in [(3, "a"), (2, "bb"), (1, "ccc")] {
        assert_eq!(three.size_hint(), (left, Some(left)));
        assert_eq!(three.next().unwrap(), record);
    }
    assert_eq!((three.size_hint(), three.next()), ((0, Some(0)), None));
    assert_eq!(batch(b"\x01\0\0\0").unwrap().collect::<Vec<_>>(), [Bytes::new()]);
    for bad in [&b""[..], b"\x01\0\0", b"\0\0\0\0", b"\x02\0\0\0", b"\x02\0\0\0\x01\0\0\0"] {
        assert_eq!(batch(bad).unwrap_err().kind(), ErrorKind::Corrupt, "{bad:?}");
    }
    let one = header(Flags::default()).records(Bytes::from_static(b"one")).unwrap();
    assert_eq!((one.size_hint(), one.collect::<Vec<_>>()), ((1, Some(1)), vec!["one".into()]));
}

#[test]
fn a_frame_says_how_far_the_log_was_durable_or_nothing() {
    let upto = |durable_lag| {
        let frame = FrameHeader {
            crc: 0,
            body_len: 0,
            lsn_delta: 9,
            durable_lag,
            time_delta: 0,
            kind: FrameKind::Data as u8,
            flags: Flags::default(),
        };
        frame.durable_upto(Lsn::new(11)).get()
    };
    assert_eq!([0, 1, 19, 20].map(upto), [19, 18, 0, 0]);
    assert_eq!(upto(UNKNOWN_LAG), 0);
}
