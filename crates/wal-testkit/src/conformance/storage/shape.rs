//! What the checks write, and how they look at what they read.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use wal_core::format::{LogId, SEGMENT_HEADER_LEN, SegmentHeader};
use wal_core::{Access, LogStorage, Lsn, Publish, Result, Segment, WriteMode};

use crate::conformance::checked::{Stop, ensure};

/// The capacity that segments are created with, in bytes.
pub(super) const CAPACITY: u64 = 16 << 10;

pub(super) fn lsn(name: u64) -> Lsn {
    Lsn::new(name)
}

/// Bytes of which no two sectors are alike, so that a torn or misplaced one shows.
pub(super) fn pattern(mark: u8, len: usize) -> Bytes {
    (0..len).map(|i| mark ^ (i / 7) as u8 ^ (i / 512) as u8).collect::<Vec<_>>().into()
}

/// Longer than two sectors, and as long as the storage's alignment asks for.
pub(super) fn header(storage: &impl LogStorage, mark: u8) -> Bytes {
    let alignment = storage.capabilities().alignment.max(1) as usize;
    pattern(mark, 1300_usize.next_multiple_of(alignment))
}

/// Where the first frame would be.
pub(super) fn data_offset(storage: &impl LogStorage) -> u64 {
    header(storage, 0).len() as u64
}

pub(super) fn create(storage: &impl LogStorage, name: u64, mark: u8) -> Result<Arc<dyn Segment>> {
    storage.create(lsn(name), header(storage, mark), CAPACITY, Publish::New).wait()
}

/// Puts another in the place of one that `create` made. No header of theirs can be read.
pub(super) fn create_over(
    storage: &impl LogStorage,
    name: u64,
    mark: u8,
) -> Result<Arc<dyn Segment>> {
    storage.create(lsn(name), header(storage, mark), CAPACITY, OVER).wait()
}

/// How a segment is replaced whose header is none.
pub(super) const OVER: Publish = Publish::Replace { generation: None };

/// A header that can be read, as long as [`header`] is.
pub(super) fn generation(storage: &impl LogStorage, name: u64, generation: u64) -> Bytes {
    let mut whole = header(storage, generation as u8).to_vec();
    let data_offset = SegmentHeader::data_offset_for(storage.capabilities().alignment);
    let real =
        SegmentHeader { data_offset, ..SegmentHeader::new(LogId([7; 16]), generation, lsn(name)) };
    whole[..SEGMENT_HEADER_LEN].copy_from_slice(&real.encode());
    whole.into()
}

/// The same with frames behind the header: what must not show up elsewhere.
pub(super) fn create_filled(storage: &impl LogStorage, name: u64, mark: u8) -> Result<()> {
    let segment = create(storage, name, mark)?;
    segment.write_at(data_offset(storage), vec![mark; 2000].into(), WriteMode::Cached).wait()?;
    segment.sync().wait()
}

pub(super) fn write(segment: &Arc<dyn Segment>, offset: u64, data: &Bytes) -> Result<()> {
    segment.write_at(offset, data.clone(), WriteMode::Cached).wait()
}

pub(super) fn names(storage: &impl LogStorage) -> Result<Vec<u64>> {
    Ok(storage.list().wait()?.segments.into_iter().map(Lsn::get).collect())
}

/// The header of each segment that is listed.
pub(super) fn headers(storage: &impl LogStorage) -> Result<BTreeMap<u64, Bytes>, Stop> {
    let len = header(storage, 0).len();
    let mut headers = BTreeMap::new();
    for name in names(storage)? {
        let segment = storage.open(lsn(name), Access::Read).wait()?;
        headers.insert(name, segment.read_at(0, len).wait()?);
    }
    Ok(headers)
}

/// That a segment starts with the header of this mark.
pub(super) fn expect_header(
    storage: &impl LogStorage,
    name: u64,
    mark: u8,
) -> Result<Arc<dyn Segment>, Stop> {
    let segment = storage.open(lsn(name), Access::Read).wait()?;
    expect(&segment, name, 0, &header(storage, mark))?;
    Ok(segment)
}

/// That a segment holds these bytes at `offset`.
pub(super) fn expect(
    segment: &Arc<dyn Segment>,
    name: u64,
    offset: u64,
    expected: &[u8],
) -> Result<(), Stop> {
    let found = segment.read_at(offset, expected.len()).wait()?;
    match difference(&found, offset, expected) {
        None => Ok(()),
        Some(how) => Err(Stop::broken(format!("segment {name}: {how}"))),
    }
}

/// In words, how bytes that were read at `offset` differ from what they should be.
pub(super) fn difference(found: &[u8], offset: u64, expected: &[u8]) -> Option<String> {
    let at = found.iter().zip(expected).position(|(a, b)| a != b);
    if let Some(at) = at {
        let (place, is, was) = (offset + at as u64, found[at], expected[at]);
        let wrong = found.iter().zip(expected).filter(|(a, b)| a != b).count();
        return Some(format!(
            "byte {place} is {is:#04x} and should be {was:#04x} ({wrong} of {} bytes are wrong)",
            expected.len()
        ));
    }
    let (found, expected) = (found.len(), expected.len());
    (found != expected).then(|| format!("read_at({offset}, {expected}) gave only {found} bytes"))
}

/// That bytes are all zeros, wherever there are any.
pub(super) fn expect_zeros(name: u64, offset: u64, found: &[u8]) -> Result<(), Stop> {
    let bad = found.iter().position(|b| *b != 0);
    ensure(bad.is_none(), || {
        let at = bad.unwrap_or_default();
        format!(
            "segment {name}: byte {} is {:#04x}, where nothing was written and zeros are promised",
            offset + at as u64,
            found[at]
        )
    })
}
