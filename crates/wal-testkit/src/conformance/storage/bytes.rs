//! A segment is a growing array of bytes.

use bytes::Bytes;
use wal_core::{Access, LogStorage, WriteMode};

use super::shape::{
    CAPACITY, create, data_offset, expect, expect_header, expect_zeros, lsn, pattern, write,
};
use crate::Rng;
use crate::conformance::bench::Bench;
use crate::conformance::checked::{Stop, ensure};
use crate::conformance::medium::Medium;

/// Any write at any offset is read back, as if the segment were an array.
pub fn writes_at_any_offset_up_to_alignment<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "write_at: writes all of data at offset, growing the segment if needed; read_at, on Ok: \
         the bytes last written there",
        &[],
    )?;
    for seed in 0..8 {
        let (_medium, storage) = bench.start();
        let _lock = storage.lock().wait()?;
        let segment = create(&storage, 1, 1)?;
        let mut model = super::shape::header(&storage, 1).to_vec();
        let mut rng = Rng::new(seed);
        for i in 0..40_u8 {
            // Mostly behind the last bytes, as a log does; at times over earlier ones.
            let start = match rng.below(4) {
                0 => {
                    data_offset(&storage)
                        + rng.below(model.len() as u64 + 1 - data_offset(&storage))
                }
                _ => model.len() as u64,
            };
            let data = pattern(i, rng.below(1500) as usize);
            let end = start as usize + data.len();
            model.resize(model.len().max(end), 0);
            model[start as usize..end].copy_from_slice(&data);
            let mode = if rng.below(4) == 0 { WriteMode::Through } else { WriteMode::Cached };
            segment.write_at(start, data, mode).wait()?;
            if rng.below(4) == 0 {
                segment.sync().wait()?;
            }
            let at = rng.below(model.len() as u64);
            let len = rng.below(3000).min(model.len() as u64 - at) as usize;
            expect(&segment, 1, at, &model[at as usize..at as usize + len])?;
        }
        expect(&segment, 1, 0, &model)?;
        let reader = storage.open(lsn(1), Access::Read).wait()?;
        expect(&reader, 1, 0, &model)?;
    }
    Ok(())
}

/// An empty write is one.
pub fn an_empty_write_changes_nothing<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise("write_at: writes all of data at offset, growing the segment if needed", &[])?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    let segment = create(&storage, 1, 1)?;
    let len = segment.len().wait()?;
    for mode in [WriteMode::Cached, WriteMode::Through] {
        for offset in [0, 700, data_offset(&storage)] {
            segment.write_at(offset, "".into(), mode).wait()?;
        }
    }
    let now = segment.len().wait()?;
    ensure(now == len, || format!("the length went from {len} to {now}"))?;
    expect_header(&storage, 1, 1).map(drop)
}

/// Segments do not share bytes.
pub fn segments_do_not_share_bytes<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise("a storage keeps named segments; each is an array of bytes of its own", &[])?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    let (one, two) = (create(&storage, 1, 1)?, create(&storage, 2, 2)?);
    let (a, b, from) = (pattern(0x55, 6000), pattern(0xaa, 3000), data_offset(&storage));
    write(&two, from, &b)?;
    write(&one, from, &a)?;
    expect(&expect_header(&storage, 2, 2)?, 2, from, &b)?;
    write(&two, from, &b)?;
    one.truncate(from + 10).wait()?;
    expect(&expect_header(&storage, 1, 1)?, 1, from, &a[..10])?;
    expect(&expect_header(&storage, 2, 2)?, 2, from, &b)
}

/// A segment opened for writing goes on where it was.
pub fn a_reopened_segment_can_be_written<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "open, on Ok: the segment can be used as access says. Write: reading, writing, syncing \
         and truncating",
        &[],
    )?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    let (data, from) = (pattern(1, 1000), data_offset(&storage));
    write(&create(&storage, 1, 1)?, from, &data)?;
    let again = storage.open(lsn(1), Access::Write).wait()?;
    expect(&again, 1, from, &data)?;
    let more = pattern(2, 900);
    write(&again, from + 500, &more)?;
    again.sync().wait()?;
    again.truncate(from + 1300).wait()?;
    again.sync().wait()?;
    let reader = expect_header(&storage, 1, 1)?;
    expect(&reader, 1, from, &[&data[..500], &more[..800]].concat())?;
    let len = reader.len().wait()?;
    ensure(len == from + 1300, || format!("the length is {len} instead of {}", from + 1300))
}

/// Reading ends where the segment ends, and nowhere before.
pub fn read_behind_the_end_is_short<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "read_at: reads up to len bytes at offset; fewer only at the end of the segment; empty at \
         or behind the end. len, on Ok: reads below this length deliver bytes",
        &[],
    )?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    let segment = create(&storage, 1, 1)?;
    write(&segment, data_offset(&storage), &pattern(1, 3333))?;
    let reader = storage.open(lsn(1), Access::Read).wait()?;
    for segment in [&segment, &reader] {
        let end = segment.len().wait()?;
        let (all, asked) = (end as usize, usize::MAX);
        for (offset, len, expected) in [
            (0, all, all),
            (0, 1, 1),
            (0, asked, all),
            (1, all, all - 1),
            (end - 1, 1, 1),
            (end - 7, 512, 7),
            (end, 1, 0),
            (end, asked, 0),
            (end + 1, 10, 0),
            (u64::MAX, 1, 0),
            (u64::MAX, asked, 0),
            (3, 0, 0),
        ] {
            let read = segment.read_at(offset, len).wait()?;
            let found = read.len();
            ensure(found == expected, || {
                format!(
                    "read_at({offset}, {len}) of a segment of {end} bytes gave {found} bytes \
                     instead of {expected}"
                )
            })?;
            // Too much memory, enough of it, and none.
            for spent in [all + 1, found, 0] {
                let spent = Bytes::from(vec![0xee; spent]);
                let again = segment.read_reusing(offset, len, spent).wait()?;
                ensure(again == read, || {
                    format!("read_reusing({offset}, {len}) gave other bytes than read_at")
                })?;
            }
        }
    }
    Ok(())
}

/// A write behind the end leaves zeros between.
pub fn a_gap_reads_as_zeros<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise("truncate, on Ok: a later write behind it finds zeros between", &[])?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    let segment = create(&storage, 1, 1)?;
    let from = data_offset(&storage);
    write(&segment, from, &pattern(0x11, 9000))?;
    let cut = from + 100;
    segment.truncate(cut).wait()?;
    let far = cut + 5000;
    write(&segment, far, &pattern(3, 50))?;
    let reader = storage.open(lsn(1), Access::Read).wait()?;
    for segment in [&segment, &reader] {
        expect(segment, 1, from, &pattern(0x11, 9000)[..100])?;
        let gap = segment.read_at(cut, (far - cut) as usize).wait()?;
        expect_zeros(1, cut, &gap)?;
        ensure(gap.len() as u64 == far - cut, || format!("the gap is of {} bytes", gap.len()))?;
        expect(segment, 1, far, &pattern(3, 50))?;
    }
    Ok(())
}

/// Truncating cuts, and only cuts.
pub fn truncate_never_grows<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "truncate: cuts the segment to len bytes; never grows it. On Ok: later reads see the new \
         length",
        &[],
    )?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    let segment = create(&storage, 1, 1)?;
    let (data, from) = (pattern(1, 3000), data_offset(&storage));
    write(&segment, from, &data)?;
    let present = segment.len().wait()?;
    let lens = [u64::MAX, present + 1, present, from + 2000, from + 2500, from + 1, CAPACITY * 2];
    let mut expected = present;
    for len in lens {
        segment.truncate(len).wait()?;
        expected = expected.min(len);
        let reader = storage.open(lsn(1), Access::Read).wait()?;
        for segment in [&segment, &reader] {
            let now = segment.len().wait()?;
            ensure(now == expected, || {
                format!("after truncate({len}) the length is {now} instead of {expected}")
            })?;
            let kept = data.len().min((expected - from) as usize);
            expect(segment, 1, from, &data[..kept])?;
            let behind = segment.read_at(expected, 10).wait()?;
            ensure(behind.is_empty(), || format!("behind the end lie {} bytes", behind.len()))?;
        }
    }
    Ok(())
}
