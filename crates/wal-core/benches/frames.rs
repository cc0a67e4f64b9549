//! What a record costs before it meets a disk: its checksum, its frame, and the reading of it.
//!
//! `cargo bench -p wal-core`. What a log reaches is measured by `cargo xtask bench` instead.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wal_core::format::{
    FRAME_HEADER_LEN, Flags, FrameHeader, FrameKind, LogId, Owner, SEGMENT_HEADER_LEN, Salt,
    SegmentHeader,
};
use wal_core::{
    Access, Claim, Decision, Durability, FrameReader, FrameStep, LogStorage, Lsn, MemoryStorage,
    Segment, SyncStrategy, SyncWhen, TailView, Wal, block_on,
};

const SIZES: [usize; 3] = [100, 1024, 16 << 10];

fn header(body: &[u8]) -> FrameHeader {
    FrameHeader {
        crc: 0,
        body_len: body.len() as u32,
        lsn_delta: 7,
        durable_lag: 1,
        time_delta: 1_000_000,
        kind: FrameKind::Data as u8,
        flags: Flags::default(),
    }
}

fn checksum(c: &mut Criterion) {
    let mut group = c.benchmark_group("checksum");
    for size in SIZES {
        let body = vec![b'r'; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| crc32c::crc32c(black_box(&body)));
        });
    }
    group.finish();
}

/// As the engine does it: the body's checksum, the header, both into a buffer.
fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame encode");
    let salt = Salt::new(LogId([7; 16]), Owner::default(), 1);
    for size in SIZES {
        let body = vec![b'r'; size];
        let mut buffer = Vec::with_capacity(FRAME_HEADER_LEN + size);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| {
                buffer.clear();
                let body = black_box(&body[..]);
                buffer.extend_from_slice(&header(body).seal(crc32c::crc32c(body), salt));
                buffer.extend_from_slice(body);
                black_box(buffer.len())
            });
        });
    }
    group.finish();
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame decode");
    let salt = Salt::new(LogId([7; 16]), Owner::default(), 1);
    for size in SIZES {
        let body = vec![b'r'; size];
        let mut frame = header(&body).seal(crc32c::crc32c(&body), salt).to_vec();
        frame.extend_from_slice(&body);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| {
                let (head, body) = black_box(&frame[..]).split_at(FRAME_HEADER_LEN);
                let header = FrameHeader::decode(head);
                let expected = FrameHeader::expected_crc(head, crc32c::crc32c(body), salt);
                assert_eq!(header.crc, expected);
                header.frame_len()
            });
        });
    }
    group.finish();
}

struct Never;

impl SyncStrategy for Never {
    fn name(&self) -> String {
        "never".into()
    }
    fn claim(&self) -> Claim {
        Claim::written(wal_core::Loss::UNBOUNDED)
    }
    fn decide(&self, _: &TailView) -> Decision {
        Decision::written(SyncWhen::OnRequest)
    }
}

/// A segment in memory with so many bytes of records.
fn segment(size: usize, bytes: usize) -> (Arc<dyn Segment>, SegmentHeader) {
    let storage = MemoryStorage::new();
    let recovered = storage.clone().into_empty_log().expect("the memory is empty");
    let log = Wal::builder(Never).open(recovered).expect("default settings are valid");
    for _ in 0..bytes / size {
        log.append_with(&vec![b'r'; size], Durability::Buffered).expect("memory takes it");
    }
    log.sync().expect("memory takes it");
    let segment = storage.open(Lsn::FIRST, Access::Read).wait().expect("the first segment");
    let head: Bytes = segment.read_at(0, SEGMENT_HEADER_LEN).wait().expect("it has a header");
    let header = SegmentHeader::decode(&head, Lsn::FIRST).expect("a valid header");
    (segment, header)
}

/// Every frame of a segment, found and checked.
fn scan(c: &mut Criterion) {
    const BYTES: usize = 4 << 20;
    let mut group = c.benchmark_group("scan");
    for size in SIZES {
        let (segment, header) = segment(size, BYTES);
        let end = segment.len().wait().expect("memory has a length");
        let records = (BYTES / size) as u64;
        let offset = u64::from(header.data_offset);
        let reader = || FrameReader::new(segment.clone(), &header, offset, end);
        group.throughput(Throughput::Elements(records));
        group.bench_function(BenchmarkId::new("lent", size), |b| {
            b.iter(|| {
                let mut reader = reader();
                let mut found = 0;
                while let Ok(FrameStep::Frame(frame)) = block_on(reader.next()) {
                    black_box(&frame.body);
                    let mut ahead = reader.ahead();
                    found += 1 + ahead.by_ref().inspect(|frame| _ = black_box(frame.body)).count()
                        as u64;
                    let behind = ahead.offset();
                    reader.seek(behind);
                }
                assert_eq!(found, records);
            });
        });
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| {
                let mut reader = reader();
                let mut found = 0;
                while let Ok(FrameStep::Frame(frame)) = block_on(reader.next()) {
                    black_box(&frame.body);
                    found += 1;
                }
                assert_eq!(found, records);
            });
        });
    }
    group.finish();
}

/// An atomic batch until the storage has it, which is memory that is used again and again.
fn batch(c: &mut Criterion) {
    const RECORDS: usize = 1000;
    let mut group = c.benchmark_group("batch of 1000");
    let recovered = MemoryStorage::new().into_empty_log().expect("the memory is empty");
    let log = Wal::builder(Never).open(recovered).expect("default settings are valid");
    let records = vec![vec![b'r'; 100]; RECORDS];
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function(BenchmarkId::from_parameter(100), |b| {
        b.iter(|| {
            let range = log.append_batch_with(&records, Durability::Written);
            let last = range.expect("memory takes it").last;
            if last.get() % 500_000 < RECORDS as u64 {
                log.truncate_before(last).expect("memory gives it back");
            }
        });
    });
    group.finish();
}

criterion_group!(benches, checksum, encode, decode, scan, batch);
criterion_main!(benches);
