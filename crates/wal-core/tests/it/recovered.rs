//! Opening compares what it was given with what the storage holds.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crate::support::*;
use bytes::Bytes;
use wal_core::format::*;
use wal_core::*;

/// Three durable records in one segment, and its footer: what a recovery leaves.
fn three_records() -> (Probe, SegmentHeader, SegmentSummary) {
    let probe = Probe::default();
    let log = probe.open_still(always(), Settings::default());
    for _ in 0..3 {
        log.append(b"0123456789").unwrap();
    }
    let segment = probe.memory.open(Lsn::FIRST, Access::Read).wait().unwrap();
    let bytes = segment.read_at(0, SEGMENT_HEADER_LEN).wait().unwrap();
    let header = SegmentHeader::decode(&bytes, Lsn::FIRST).unwrap();
    let summary = summary(&probe, &header, 3);
    drop(log);
    seal(&probe, &header, &summary);
    (probe, header, summary)
}

/// Cuts the segment behind these frames, and writes their footer there.
fn seal(probe: &Probe, header: &SegmentHeader, summary: &SegmentSummary) {
    let segment = probe.memory.open(Lsn::FIRST, Access::Write).wait().unwrap();
    let footer = Footer::new(summary.clone(), Ending::Recovered);
    write_footer(&*segment, header.salt(), &footer).unwrap();
}

/// Overwrites what the segment holds at `offset`.
fn put(probe: &Probe, offset: u64, bytes: &[u8]) {
    let segment = probe.memory.open(Lsn::FIRST, Access::Write).wait().unwrap();
    segment.write_at(offset, Bytes::copy_from_slice(bytes), WriteMode::Cached).wait().unwrap();
}

/// Of the first frames.
fn summary(probe: &Probe, header: &SegmentHeader, frames: u32) -> SegmentSummary {
    let segment = probe.memory.open(Lsn::FIRST, Access::Read).wait().unwrap();
    let data_end = SEGMENT_HEADER_LEN as u64;
    let mut summary = SegmentSummary { data_end, ..SegmentSummary::default() };
    let mut reader = FrameReader::new(segment, header, data_end, 1 << 20);
    for _ in 0..frames {
        let FrameStep::Frame(frame) = block_on(reader.next()).unwrap() else { panic!("a frame") };
        let at = summary.data_end;
        summary.add(&frame.header, 1, at);
    }
    summary
}

fn open(probe: &Probe, header: SegmentHeader, summary: SegmentSummary) -> Result<Wal> {
    let lock = probe.lock().wait()?;
    let mut parts = RecoveredParts::new(Arc::new(probe.clone()), lock, header.log_id);
    let last = header.first_lsn.advance(u64::from(summary.records)).prev();
    parts.next_generation = header.generation + 1;
    parts.segments.push(RecoveredSegment::new(header, summary, last));
    Wal::builder(always()).manual_driver().open(Recovered::assert_recovered(parts))
}

fn refused(outcome: Result<impl std::fmt::Debug>, why: &str) {
    let error = outcome.expect_err(why);
    assert_eq!(error.kind(), ErrorKind::NotRecovered, "{error}");
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn what_was_recovered_is_opened_and_goes_on() {
    let (probe, header, summary) = three_records();
    let log = open(&probe, header, summary).unwrap();
    assert_eq!(log.append(b"fourth").unwrap(), Lsn::new(4));
    assert_eq!(log.iter(Lsn::ZERO).unwrap().count(), 4);
}

/// A log that went on in front of its last record would make that record void.
#[test]
fn where_a_log_goes_on_is_told_by_its_segments_alone() {
    let (probe, header, three) = three_records();
    let forged = |last: u64| {
        let mut parts =
            RecoveredParts::new(Arc::new(probe.clone()), StorageLock::new(()), header.log_id);
        parts.next_generation = header.generation + 1;
        let segment = RecoveredSegment::new(header.clone(), three.clone(), Lsn::new(last));
        parts.segments.push(segment);
        std::panic::catch_unwind(AssertUnwindSafe(|| Recovered::assert_recovered(parts))).ok()
    };
    for last in [0, 1, 2, 4, u64::MAX] {
        assert!(forged(last).is_none(), "{last} is not the last record");
    }
    let recovered = forged(3).unwrap();
    let ends = (recovered.first_lsn(), recovered.last_lsn(), recovered.next_lsn());
    assert_eq!(ends, (Lsn::FIRST, Lsn::new(3), Lsn::new(4)));
    assert_eq!(recovered.last_time(), header.created.saturating_add_micros(three.last_time));
}

#[test]
fn segments_that_do_not_follow_each_other_are_refused() {
    let (probe, header, three) = three_records();
    let behind = |follows: u64, first: u64, last_of_first: u64| {
        let next = SegmentHeader {
            generation: header.generation + 1,
            first_lsn: Lsn::new(first),
            follows: Lsn::new(follows),
            log_start: Lsn::new(2),
            ..header.clone()
        };
        let mut parts =
            RecoveredParts::new(Arc::new(probe.clone()), StorageLock::new(()), header.log_id);
        parts.next_generation = header.generation + 2;
        let last = Lsn::new(last_of_first);
        parts.segments.push(RecoveredSegment::new(header.clone(), three.clone(), last));
        let empty = SegmentSummary::default();
        parts.segments.push(RecoveredSegment::new(next, empty, Lsn::new(follows)));
        std::panic::catch_unwind(AssertUnwindSafe(|| Recovered::assert_recovered(parts))).ok()
    };
    assert!(behind(2, 4, 3).is_none(), "record 3 would be void");
    assert!(behind(4, 5, 4).is_none(), "the first segment holds no record 4");
    let ends = |recovered: Recovered| {
        (recovered.first_lsn().get(), recovered.last_lsn().get(), recovered.next_lsn().get())
    };
    assert_eq!(ends(behind(3, 4, 3).unwrap()), (2, 3, 4), "the newest header says where it starts");
    assert_eq!(
        ends(behind(2, 9, 2).unwrap()),
        (2, 2, 9),
        "numbers of void records are not given out"
    );
    assert_eq!(ends(behind(1, 9, 1).unwrap()), (9, 1, 9), "nothing is left of it");
}

#[test]
fn a_log_that_holds_records_is_not_taken_for_an_empty_one() {
    let (probe, header, _) = three_records();
    let (storage, lock) = (Arc::new(probe.clone()), probe.lock().wait().unwrap());
    refused(Recovered::empty(storage, lock, header.log_id), "a segment that was not recovered");
    assert_eq!(probe.list().wait().unwrap().segments, [Lsn::FIRST]);
}

#[test]
fn a_segment_more_or_less_is_seen() {
    let (probe, header, summary) = three_records();
    probe.create(Lsn::new(9), Bytes::from_static(b"stray"), 4096, Publish::New).wait().unwrap();
    refused(open(&probe, header.clone(), summary.clone()), "was not recovered (segment 9)");
    probe.memory.remove(&[Lsn::new(9)]).wait().unwrap();
    probe.memory.remove(&[Lsn::FIRST]).wait().unwrap();
    refused(open(&probe, header, summary), "is gone (segment 1)");
}

#[test]
fn another_segment_of_the_same_name_is_seen() {
    let (probe, header, summary) = three_records();
    let other = SegmentHeader { generation: header.generation + 1, ..header.clone() };
    let bytes = other.encode().to_vec().into();
    let how = Publish::Replace { generation: Some(header.generation) };
    probe.create(Lsn::FIRST, bytes, 4096, how).wait().unwrap();
    refused(open(&probe, header, summary), "another header");
}

#[test]
fn a_segment_that_holds_other_records_is_seen() {
    let (probe, header, _) = three_records();
    let two = summary(&probe, &header, 2);
    refused(open(&probe, header.clone(), two.clone()), "other records than were recovered");
    let later =
        SegmentSummary { last_time: two.last_time + 1, max_time: two.max_time + 1, ..two.clone() };
    seal(&probe, &header, &later);
    refused(open(&probe, header.clone(), two.clone()), "other records than were recovered");
    seal(&probe, &header, &two);
    open(&probe, header, two).unwrap();
}

#[test]
fn a_segment_that_was_not_left_sealed_is_seen() {
    const NO_FOOTER: &str = "does not end in the footer";
    let (probe, header, three) = three_records();
    let segment = probe.memory.open(Lsn::FIRST, Access::Write).wait().unwrap();
    let len = segment.len().wait().unwrap();
    let refuse = |why: &str| refused(open(&probe, header.clone(), three.clone()), why);
    // Whatever was appended to it, be it a single byte.
    put(&probe, len, &[0]);
    refuse(NO_FOOTER);
    // As long as it was, and nothing but zeros behind its header.
    seal(&probe, &header, &three);
    put(&probe, three.data_end, &vec![0; (len - three.data_end) as usize]);
    refuse(NO_FOOTER);
    // A bit of the footer: in its header, its body, its trailer.
    for at in [three.data_end, three.data_end + 30, len - 1] {
        seal(&probe, &header, &three);
        let byte = segment.read_at(at, 1).wait().unwrap()[0];
        put(&probe, at, &[byte ^ 1]);
        refuse(NO_FOOTER);
    }
    // The footer of another segment.
    seal(&probe, &SegmentHeader { generation: 77, ..header.clone() }, &three);
    refuse(NO_FOOTER);
    // A trailer that leads to something else.
    for frame_len in [0, 12, len as u32, u32::MAX] {
        seal(&probe, &header, &three);
        put(&probe, len - FOOTER_TRAILER_LEN as u64, &frame_len.to_le_bytes());
        refuse(NO_FOOTER);
    }
    // A whole footer, and a second trailer behind it that leads there.
    seal(&probe, &header, &three);
    let more = len - three.data_end + FOOTER_TRAILER_LEN as u64;
    put(&probe, len, &[&(more as u32).to_le_bytes()[..], b"WALSEAL\n"].concat());
    refuse(NO_FOOTER);
    segment.truncate(three.data_end).wait().unwrap();
    refuse(NO_FOOTER);
    segment.truncate(three.data_end - 1).wait().unwrap();
    refuse("shorter than when it was recovered");
}

/// A storage may ask for padding in front of a footer that a recovery did not find there.
#[test]
fn padding_between_what_was_recovered_and_the_footer_is_no_difference() {
    let (probe, header, three) = three_records();
    let next = FrameHeader {
        crc: 0,
        body_len: 0,
        lsn_delta: three.records,
        durable_lag: UNKNOWN_LAG,
        time_delta: three.last_time,
        kind: FrameKind::Padding as u8,
        flags: Flags::default(),
    };
    let mut bytes = bytes::BytesMut::new();
    let padding = Padding::behind(three.data_end, 512, next).unwrap();
    let padding = padding.put(&mut bytes, header.salt());
    put(&probe, three.data_end, &bytes);
    let mut padded = three.clone();
    padded.add(&padding, 0, three.data_end);
    seal(&probe, &header, &padded);
    open(&probe, header, three).unwrap();
}

/// That of a segment of 100 MiB, whose index is long. Opening does not look at the frames in front of it.
#[test]
fn the_footer_of_a_large_segment_is_found() {
    let (probe, header, _) = three_records();
    let step = SegmentSummary::INDEX_STEP as u32;
    let index = (0..1600).map(|n| IndexEntry { lsn_delta: n, offset: 512 + step * n }).collect();
    let large = SegmentSummary {
        records: 1600,
        frames: 1600,
        data_end: u64::from(512 + step * 1600),
        index,
        ..SegmentSummary::default()
    };
    seal(&probe, &header, &large);
    let other = SegmentSummary { records: 1599, ..large.clone() };
    refused(open(&probe, header.clone(), other), "other records than were recovered");
    open(&probe, header.clone(), large.clone()).unwrap();
    // Damaged in its index, near its beginning and near its end.
    let end = large.data_end + 100 + 8 * 1600;
    for at in [large.data_end + 100, end - 100] {
        seal(&probe, &header, &large);
        put(&probe, at, b"?");
        refused(open(&probe, header.clone(), large.clone()), "does not end in the footer");
    }
}

/// It alone says which number comes next.
#[test]
fn an_empty_segment_at_the_start_of_the_log_is_not_removed() {
    let (probe, header, three) = three_records();
    let next = SegmentHeader {
        generation: header.generation + 1,
        first_lsn: Lsn::new(4),
        follows: Lsn::new(3),
        ..header.clone()
    };
    let image = next.encode().to_vec().into();
    let segment = probe.memory.create(Lsn::new(4), image, 4096, Publish::New).wait().unwrap();
    let data_end = u64::from(next.data_offset);
    let empty = SegmentSummary { data_end, ..SegmentSummary::default() };
    let footer = Footer::new(empty.clone(), Ending::Rotated);
    write_footer(&*segment, next.salt(), &footer).unwrap();
    let lock = probe.lock().wait().unwrap();
    let mut parts = RecoveredParts::new(Arc::new(probe.clone()), lock, header.log_id);
    parts.next_generation = next.generation + 1;
    parts.segments.push(RecoveredSegment::new(header, three, Lsn::new(3)));
    parts.segments.push(RecoveredSegment::new(next, empty, Lsn::new(3)));
    let recovered = Recovered::assert_recovered(parts);
    let log = Wal::builder(always()).manual_driver().open(recovered).unwrap();
    assert_eq!(log.truncate_before(Lsn::new(4)).unwrap(), Lsn::new(4));
    assert_eq!(probe.list().wait().unwrap().segments, [Lsn::new(4)]);
    assert_eq!(log.append(b"fourth").unwrap(), Lsn::new(4));
}

#[test]
fn layers_are_in_each_header_and_a_log_is_opened_with_all_of_them_or_not_at_all() {
    let layers = Layers::new(&[LayerId::STREAMS, LayerId(0x8001)]).unwrap();
    let probe = Probe::default();
    let builder = || Wal::builder(always()).manual_driver();
    let log = builder().layers(layers).open(probe.recovered()).unwrap();
    log.append(b"x").unwrap();
    log.close().unwrap();
    drop(log);
    let segment = probe.memory.open(Lsn::FIRST, Access::Read).wait().unwrap();
    let bytes = segment.read_at(0, SEGMENT_HEADER_LEN).wait().unwrap();
    let header = SegmentHeader::decode(&bytes, Lsn::FIRST).unwrap();
    assert_eq!(header.layers, layers);
    let recovered = || {
        let lock = probe.lock().wait().unwrap();
        let mut parts = RecoveredParts::new(Arc::new(probe.clone()), lock, header.log_id);
        (parts.layers, parts.next_generation) = (Some(header.layers), header.generation + 1);
        let one = summary(&probe, &header, 1);
        parts.segments.push(RecoveredSegment::new(header.clone(), one, Lsn::FIRST));
        Recovered::assert_recovered(parts)
    };
    let others = [Layers::NONE, Layers::one(LayerId::STREAMS), Layers::one(LayerId(0x8001))];
    for other in others {
        let error = builder().layers(other).open(recovered()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LayerMismatch, "{error}");
        let told = format!("with streams + layer 32769, it is opened with {other}");
        assert!(error.detail().contains(&told), "{error}");
    }
    builder().layers(layers).open(recovered()).unwrap();
}
