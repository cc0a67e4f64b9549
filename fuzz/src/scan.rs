//! Reading one segment whose bytes were changed.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use wal_core::format::{
    Ending, FRAME_HEADER_LEN, Flags, Footer, FrameHeader, FrameKind, LogId, Padding,
    SEGMENT_HEADER_LEN, Salt, SegmentHeader, SegmentSummary, UNKNOWN_LAG,
};
use wal_core::{
    ErrorKind, FrameReader, FrameStep, LogStorage, Lsn, MemoryStorage, Publish, Segment, Timestamp,
    block_on,
};
use wal_recovery::{Inspect, Report, Verdict, Verify, View};

use crate::edit;
use crate::plan::{Plan, Step};

/// A segment is written frame by frame and edited; then it is read by frames, by records, and scanned.
pub fn run(data: &[u8]) {
    let plan = Plan::decode(data);
    let (header, Writer { bytes: whole, ends, .. }) = segment_of(&plan);
    let mut bytes = whole.clone();
    plan.edits.iter().for_each(|&edit| edit::apply(&mut bytes, edit, &plan.raw));
    let storage = MemoryStorage::new();
    let len = bytes.len() as u64;
    let bytes = Bytes::from(bytes);
    let segment = storage.create(header.first_lsn, bytes.clone(), len, Publish::New).wait();
    let segment = segment.expect("memory takes it");

    let frames = read_frames(&segment, &header, &bytes, FrameReader::WINDOW);
    let narrow = FRAME_HEADER_LEN + usize::from(plan.setup);
    assert_eq!(read_frames(&segment, &header, &bytes, narrow), frames, "windows of {narrow}");
    let untouched = whole.iter().zip(&bytes).take_while(|(a, b)| a == b).count();
    let written = ends.iter().filter(|&&end| end <= untouched).count();
    assert!(frames.len() >= written, "{} of {written} untouched frames were read", frames.len());
    readers_agree(storage);
}

/// The frames' offsets and lengths. Every step is checked against the bytes.
fn read_frames(
    segment: &Arc<dyn Segment>,
    header: &SegmentHeader,
    bytes: &Bytes,
    read_size: usize,
) -> Vec<(u64, u64)> {
    let salt = header.salt();
    let (start, end) = (u64::from(header.data_offset), bytes.len() as u64);
    let mut reader = FrameReader::new(segment.clone(), header, start, end).read_size(read_size);
    let mut frames = Vec::new();
    loop {
        let at = reader.offset();
        match block_on(reader.next()).expect("memory delivers") {
            FrameStep::Frame(frame) => {
                let behind = frame.offset + frame.header.frame_len();
                assert!(frame.offset == at && behind == reader.offset() && behind <= end);
                let raw = bytes.slice(at as usize..behind as usize);
                assert_eq!(frame.body, raw[FRAME_HEADER_LEN..]);
                let crc = crc32c::crc32c(&frame.body);
                assert_eq!(frame.header.crc, FrameHeader::expected_crc(&raw, crc, salt));
                frames.push((at, behind - at));
            }
            other => {
                // It stays where it is, and says the same again.
                let again = block_on(reader.next()).expect("memory delivers");
                assert_eq!(format!("{again:?}"), format!("{other:?}"));
                assert_eq!(reader.offset(), at);
                return frames;
            }
        }
    }
}

/// What an inspection and the readers make of the same bytes.
fn readers_agree(storage: MemoryStorage) {
    let looked = Inspect::new(storage.clone()).threads(1).run();
    let (plain, error) = read_records(&storage, false);
    let (skipping, skip_error) = read_records(&storage, true);
    if let Some(kind) = skip_error {
        assert!(looked.is_err() || kind == ErrorKind::Unsupported, "skipping ended with {kind}");
    }
    assert!(skipping.starts_with(&plain), "stepping over damage lost what is in front of it");
    let Ok(report) = looked else {
        assert!(error.is_some(), "a log that cannot be inspected was read to its end");
        return;
    };
    if error.is_some() {
        assert_eq!(report.verdict(), Verdict::Corrupt, "{error:?}\n{report}");
    }
    if error.is_none() {
        assert_eq!(plain.len() as u64, report.records, "{report}");
        // A reader looks at every frame, but not at what a footer says of them together.
        let behind = report.damages.iter().all(|damage| damage.lsn > report.last_lsn);
        assert!(behind, "a reader passed over damage\n{report}");
        let ends = (plain.first().map(|r| r.0), plain.last().map(|r| r.0));
        let told = (report.records > 0).then_some((report.first_lsn, report.last_lsn));
        assert_eq!(ends, (told.map(|t| t.0), told.map(|t| t.1)), "{report}");
    }
    cheaper_look_agrees(&storage, &report);
}

/// A footer that is believed says what a full scan finds, if nothing is wrong.
fn cheaper_look_agrees(storage: &MemoryStorage, full: &Report) {
    if full.verdict() == Verdict::Clean {
        let run = Inspect::new(storage.clone()).verify(Verify::Footers).threads(1).run();
        let report = run.expect("there is nothing wrong");
        let told = |r: &Report| (r.records, r.first_lsn, r.last_lsn, r.next_lsn, r.verdict());
        assert_eq!(told(&report), told(full));
    }
}

type Records = Vec<(Lsn, Bytes)>;

fn read_records(storage: &MemoryStorage, skip: bool) -> (Records, Option<ErrorKind>) {
    let view = match View::open(storage.clone()) {
        Ok(view) => view.skip_corrupted(skip),
        Err(error) => return (Vec::new(), Some(error.kind())),
    };
    let mut found: Records = Vec::new();
    for entry in view.records(Lsn::ZERO) {
        match entry {
            Ok(entry) => {
                assert!(found.last().is_none_or(|last| last.0 < entry.lsn), "{}", entry.lsn);
                found.push((entry.lsn, entry.record));
            }
            Err(error) => return (found, Some(error.kind())),
        }
    }
    (found, None)
}

/// The segment that the steps of a plan write.
fn segment_of(plan: &Plan) -> (SegmentHeader, Writer) {
    let header = SegmentHeader {
        log_start: Lsn::new(10),
        created: Timestamp::from_micros(1000),
        data_offset: [SEGMENT_HEADER_LEN as u32, 1024][usize::from(plan.setup % 2)],
        ..SegmentHeader::new(LogId([7; 16]), 3, Lsn::new(10))
    };
    let mut writer = Writer {
        salt: header.salt(),
        bytes: header.encode().to_vec(),
        summary: SegmentSummary::default(),
        ends: Vec::new(),
        gap: false,
    };
    writer.bytes.resize(header.data_offset as usize, 0);
    writer.summary.data_end = u64::from(header.data_offset);
    plan.steps.iter().for_each(|step| writer.step(*step, &plan.raw));
    (header, writer)
}

struct Writer {
    salt: Salt,
    bytes: Vec<u8>,
    summary: SegmentSummary,
    /// Where frames end that follow each other from the first one on.
    ends: Vec<usize>,
    gap: bool,
}

impl Writer {
    fn step(&mut self, Step { what, size }: Step, raw: &[u8]) {
        let size = usize::from(size);
        match what % 8 {
            0..=2 => self.data(&vec![what; size % 600], Flags::default()),
            3 => {
                let count = size % 7 + 1;
                let mut body = (count as u32).to_le_bytes().to_vec();
                (1..count).for_each(|at| body.extend((at as u32).to_le_bytes()));
                body.resize(body.len() + count * count, what);
                self.data(&body, Flags::BATCH);
            }
            // A frame whose body is the input's, checksum and all: whatever it claims is sealed.
            4 => self.data(&raw[size % (raw.len() + 1)..], Flags((size >> 8) as u8)),
            5 => {
                self.bytes.resize(self.bytes.len() + size % 100, 0);
                self.gap = true;
            }
            6 => self.padding(1 << (size % 10)),
            // The end that a clean close writes, wherever it comes.
            _ => {
                let footer = Footer::new(self.summary.clone(), Ending::Closed);
                self.bytes.extend(footer.encode(self.salt));
                self.ended();
            }
        }
    }

    fn ended(&mut self) {
        if !self.gap {
            self.ends.push(self.bytes.len());
        }
    }

    fn padding(&mut self, multiple: u32) {
        let next = FrameHeader {
            crc: 0,
            body_len: 0,
            lsn_delta: self.summary.records,
            durable_lag: if multiple > 16 { 0 } else { UNKNOWN_LAG },
            time_delta: i64::from(self.summary.frames),
            kind: FrameKind::Padding as u8,
            flags: Flags::default(),
        };
        let offset = self.bytes.len() as u64;
        if let Some(padding) = Padding::behind(offset, multiple, next) {
            let mut frame = BytesMut::new();
            let header = padding.put(&mut frame, self.salt);
            self.summary.add(&header, 0, offset);
            self.bytes.extend(frame);
            self.ended();
        }
    }

    fn data(&mut self, body: &[u8], flags: Flags) {
        let mut header = FrameHeader {
            crc: 0,
            body_len: body.len() as u32,
            lsn_delta: self.summary.records,
            durable_lag: if body.len().is_multiple_of(2) { 0 } else { UNKNOWN_LAG },
            time_delta: i64::from(self.summary.frames),
            kind: FrameKind::Data as u8,
            flags,
        };
        let sealed = header.seal(crc32c::crc32c(body), self.salt);
        header.crc = FrameHeader::decode(&sealed).crc;
        // A batch may claim any number of records.
        let records = header.record_count(body).min(body.len() as u32 + 1);
        self.summary.add(&header, records, self.bytes.len() as u64);
        self.bytes.extend(sealed);
        self.bytes.extend(body);
        self.ended();
    }
}
