//! Decoding: what is accepted is what would have been written.

use std::sync::Arc;

use bytes::Bytes;
use wal_core::format::{
    BATCH_COUNT_LEN, FOOTER_TRAILER_LEN, FRAME_HEADER_LEN, Features, Flags, Footer, FrameHeader,
    FrameKind, LogId, Owner, SEGMENT_HEADER_LEN, Salt, SegmentHeader, record_overhead,
};
use wal_core::{
    FrameReader, FrameStep, LogStorage, Lsn, MemoryStorage, Publish, Timestamp, block_on,
};

use crate::forge;

/// The input is taken for a segment's header, for a frame, for a footer, and for what lies behind frames.
pub fn run(data: &[u8]) {
    a_segment_header_encodes_back(data);
    a_frame_encodes_back(data);
    a_footer_encodes_back(data);
    frames_in_front_of_garbage_are_read(data);
}

fn a_segment_header_encodes_back(data: &[u8]) {
    assert!(SegmentHeader::decode(data, Lsn::FIRST).is_err() || data.len() >= SEGMENT_HEADER_LEN);
    let mut bytes = data.to_vec();
    for sealed in [false, true] {
        if sealed {
            forge::seal_header(&mut bytes);
        }
        let Some(header) = forge::header_of(&bytes) else { continue };
        // What belongs to a feature that this build does not know is not written again.
        if header.features.unknown() == Features::default() {
            assert_eq!(header.encode(), bytes[..SEGMENT_HEADER_LEN], "{header:?}");
        }
        assert!(header.follows < header.first_lsn && header.log_start <= header.first_lsn);
        assert!(header.data_offset as usize >= SEGMENT_HEADER_LEN);
        assert!(SegmentHeader::decode(&bytes, header.first_lsn.next()).is_err());
    }
}

fn a_frame_encodes_back(data: &[u8]) {
    let Some((head, body)) = data.split_first_chunk::<FRAME_HEADER_LEN>() else { return };
    let salt = Salt::new(LogId([7; 16]), Owner::default(), u64::from(head[0]));
    let header = FrameHeader::decode(head);
    assert!(header.time_delta <= FrameHeader::TIME_DELTA_MAX);
    assert!(header.time_delta >= FrameHeader::TIME_DELTA_MIN);
    let body_crc = crc32c::crc32c(body);
    let sealed = header.seal(body_crc, salt);
    assert_eq!(sealed[4..], head[4..]);
    let back = FrameHeader::decode(&sealed);
    assert_eq!(
        back,
        FrameHeader { crc: FrameHeader::expected_crc(head, body_crc, salt), ..header }
    );
    let first = Lsn::new(1 << 40);
    assert!(header.durable_upto(first) < header.lsn(first));
    let (earliest, latest) = (header.timestamp(Timestamp::EPOCH), header.timestamp(Timestamp::MAX));
    assert!(earliest == Timestamp::EPOCH || header.time_delta > 0);
    assert!(latest == Timestamp::MAX || header.time_delta < 0);

    // The records make up the body, and nothing else does.
    let Ok(records) = header.records(Bytes::copy_from_slice(body)) else { return };
    let count = records.len();
    assert_eq!(count, header.record_count(body) as usize);
    if header.kind == FrameKind::Padding as u8 {
        assert_eq!((count, header.flags), (0, Flags::default()));
        return;
    }
    let is_batch = header.flags.contains(Flags::BATCH);
    let records: Vec<Bytes> = records.collect();
    assert_eq!(records.len(), count);
    let mut again = Vec::with_capacity(body.len());
    if is_batch {
        again.extend((count as u32).to_le_bytes());
        let lengths = records[..count - 1].iter().map(|record| record.len() as u32);
        again.extend(lengths.flat_map(u32::to_le_bytes));
    }
    records.iter().for_each(|record| again.extend_from_slice(record));
    assert_eq!(again, body);
    // A batch of one is legal, and the only frame with more overhead than it needs.
    let count_of_one = if is_batch && count == 1 { BATCH_COUNT_LEN as u64 } else { 0 };
    let bytes: u64 = records.iter().map(|record| record.len() as u64).sum();
    let frame_len = (FRAME_HEADER_LEN + body.len()) as u64;
    assert_eq!(bytes + record_overhead(count as u64) + count_of_one, frame_len);
}

fn a_footer_encodes_back(data: &[u8]) {
    let mut body = data.to_vec();
    let Some(offset) = body.get(8..16).map(|at| u64::from_le_bytes(at.try_into().expect("eight")))
    else {
        return;
    };
    let segment = segment(512);
    let salt = segment.salt();
    let mut head = [0; FRAME_HEADER_LEN];
    head[4..8].copy_from_slice(&(body.len() as u32).to_le_bytes());
    head[8..12].copy_from_slice(&body[..4]);
    if let Some(last_time) = body.get(40..46) {
        head[16..22].copy_from_slice(last_time);
    }
    head[22] = 7;
    // What follows from the rest is filled in, so that inputs get past it.
    if let Some(at) = body.len().checked_sub(FOOTER_TRAILER_LEN) {
        let frame_len = (FRAME_HEADER_LEN + body.len()) as u32;
        body[at..at + 4].copy_from_slice(&frame_len.to_le_bytes());
        body[at + 4..].copy_from_slice(b"WALSEAL\n");
        assert_eq!(Footer::frame_len(&body), Some(frame_len));
    }
    let header = FrameHeader::decode(&head);
    let Ok(footer) = Footer::decode(&header, &body, offset, &segment) else { return };
    let encoded = footer.encode(salt);
    assert_eq!(encoded[FRAME_HEADER_LEN..], body, "{footer:?}");
    let summary = &footer.summary;
    assert!(u64::from(summary.frames) <= 2 * u64::from(summary.records));
    for lsn_delta in [0, 1, summary.records / 2, summary.records, u32::MAX] {
        let found = summary.seek(lsn_delta);
        assert!(found.is_none_or(|entry| entry.lsn_delta <= lsn_delta));
    }
}

/// Frames of the input's first bytes, then all of the input.
fn frames_in_front_of_garbage_are_read(data: &[u8]) {
    let segment = segment(SEGMENT_HEADER_LEN as u32);
    let salt = segment.salt();
    let mut bytes = segment.encode().to_vec();
    let count = data.first().map_or(0, |byte| usize::from(byte % 5));
    for at in 0..count {
        let body = &data[..data.len().min(at * 7)];
        let header = FrameHeader {
            crc: 0,
            body_len: body.len() as u32,
            lsn_delta: at as u32,
            durable_lag: 0,
            time_delta: at as i64,
            kind: 1,
            flags: Flags::default(),
        };
        bytes.extend(header.seal(crc32c::crc32c(body), salt));
        bytes.extend(body);
    }
    bytes.extend(data);
    let (storage, len) = (MemoryStorage::new(), bytes.len() as u64);
    let bytes = Bytes::from(bytes);
    let handle = storage.create(segment.first_lsn, bytes.clone(), len, Publish::New).wait();
    let handle: Arc<_> = handle.expect("memory takes it");
    let mut reader = FrameReader::new(handle, &segment, SEGMENT_HEADER_LEN as u64, len);
    let mut frames = 0;
    while let FrameStep::Frame(frame) = block_on(reader.next()).expect("memory delivers") {
        let end = frame.offset + frame.header.frame_len();
        assert!(end <= len && reader.offset() == end);
        let body = bytes.slice(frame.offset as usize + FRAME_HEADER_LEN..end as usize);
        assert_eq!(frame.body, body);
        if frames < count {
            assert_eq!(frame.header.lsn_delta as usize, frames);
            assert_eq!(body.len(), data.len().min(frames * 7));
        }
        frames += 1;
    }
    assert!(frames >= count, "{frames} of {count} frames were read");
}

fn segment(data_offset: u32) -> SegmentHeader {
    SegmentHeader {
        created: Timestamp::from_micros(1000),
        data_offset,
        ..SegmentHeader::new(LogId([7; 16]), 3, Lsn::new(10))
    }
}
