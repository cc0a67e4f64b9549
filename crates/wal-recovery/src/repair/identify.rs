//! What the frames of a segment tell of it, if its header is lost.
//!
//! Log, owner and generation enter the checksum of a frame through 4 bytes, the salt. A CRC-32 can be solved for these,
//! so every frame tells with which salt it would be valid. That says nothing by itself, as any bytes have such a salt.
//! But the frame behind it must have the same, and that is so by chance once in 2^32; and its LSN must go on. So two
//! frames are needed, or one whose salt is that of a log, owner and generation which may have been the segment's.
//!
//! What is found so must also be this segment's. Two other kinds of frames may lie in it, each sound in itself:
//! - those of an earlier life of a recycled file. They are behind the frames of this life, the first of which took the
//!   place of the first one there;
//! - those within a record, which may hold the bytes of a whole segment. They are behind the frame that holds them.
//!
//! So frames are believed without anything that confirms their salt only if they begin where no record can be: behind
//! the header, with nothing but zeros between.

use std::sync::Arc;

use wal_core::format::{
    BATCH_COUNT_LEN, FRAME_HEADER_LEN, Flags, FrameHeader, FrameKind, LogId, Owner,
    SEGMENT_HEADER_LEN, Salt, SegmentHeader,
};
use wal_core::{Result, Segment};

use crate::segment::footer;
use crate::watch::Watch;

/// Frames may begin so far behind the beginning of a segment.
const LAST_DATA_OFFSET: u64 = 1 << 20;
/// Where alignments put the first frame.
const BLOCK: u64 = 512;
/// So many salts are looked for at every byte without another frame that agrees: a chance of 2^-28 for each place that
/// looks like a frame.
const FEW: usize = 16;
/// So many frames are looked at, once two of them agree. The third makes a chance of 2^-64 of it.
const ENOUGH: u32 = 3;
/// Read at once, in bytes, if so much memory may be used.
const WINDOW: usize = 1 << 20;

/// Who may have written the segment, as far as its neighbours tell.
pub(super) struct Suspects {
    salts: Vec<(Salt, u64, Owner)>,
    /// Whether no segment of the log can be read.
    none: bool,
    /// Where the frames of its neighbours begin.
    data_offset: Option<u32>,
}

impl Suspects {
    /// Nobody yet, of the log of which this is a segment.
    pub(super) fn near(neighbour: Option<&SegmentHeader>) -> Self {
        let data_offset = neighbour.map(|header| header.data_offset);
        Suspects { salts: Vec::new(), none: neighbour.is_none(), data_offset }
    }

    /// One of these owners, in one of these generations.
    pub(super) fn add(
        &mut self,
        log_id: LogId,
        owners: &[Owner],
        generations: impl Iterator<Item = u64> + Clone,
    ) {
        for &owner in owners {
            let salts = generations.clone().map(|g| (Salt::new(log_id, owner, g), g, owner));
            self.salts.extend(salts);
        }
    }

    fn with(&self, salt: Salt) -> Option<(u64, Owner)> {
        let found = self.salts.iter().find(|(other, ..)| *other == salt);
        found.map(|&(_, generation, owner)| (generation, owner))
    }
}

/// What the frames tell.
pub(super) struct Identified {
    pub(super) salt: Salt,
    /// Where the first frame is, or was.
    pub(super) data_offset: u32,
    /// Who wrote them and in which generation, if that is known.
    pub(super) writer: Option<(u64, Owner)>,
    /// How many frames were seen to agree.
    pub(super) frames: u32,
}

/// Looks for the frames of a segment that has lost its header; `None` if none can be told to be its own.
///
/// # Errors
/// Only if the storage cannot deliver bytes, or the time limit has passed.
pub(super) fn identify(
    segment: &Arc<dyn Segment>,
    len: u64,
    suspects: &Suspects,
    watch: &Watch,
) -> Result<Option<Identified>> {
    let bytes = Bytes { segment: &**segment, len, watch };
    let mut left = 16 * len + WINDOW as u64;
    let first = SEGMENT_HEADER_LEN as u64;
    if let Some(at) = bytes.behind_zeros(first)?
        && let Some(chain) = bytes.chain(at, 1, &mut left)?
        && chain.first_delta == 0
    {
        let writer = suspects.with(chain.salt);
        let is_first = at == first || suspects.data_offset.map(u64::from) == Some(at);
        let is_trusted = chain.frames >= 2
            && (is_first
                // It may be the place where a block ends that was lost, in the middle of a record.
                || suspects.none
                    && bytes.search(at, 2, &mut left, |other| other.salt != chain.salt)?.is_none());
        if writer.is_some() || is_trusted {
            let Chain { salt, frames, .. } = chain;
            return Ok(Some(Identified { salt, data_offset: at as u32, writer, frames }));
        }
    }
    if suspects.salts.is_empty() {
        return Ok(None);
    }
    // The first frames are lost as well. What confirms the others is their salt. By chance it is right for one of many
    // places, if there are many that it can be: then a second frame has to agree.
    let least = if suspects.salts.len() > FEW { 2 } else { 1 };
    let is_known = |chain: &Chain| suspects.with(chain.salt).is_some();
    let found = bytes.search(first, least, &mut left, is_known)?;
    Ok(found.map(|Chain { salt, frames, at, .. }| {
        let data_offset = suspects.data_offset.unwrap_or(BLOCK as u32);
        let data_offset = if u64::from(data_offset) <= at { data_offset } else { BLOCK as u32 };
        Identified { salt, data_offset, writer: suspects.with(salt), frames }
    }))
}

/// Frames that go on with each other and have the same salt.
struct Chain {
    /// Where the first one is, and how many records of the segment are in front of it.
    at: u64,
    first_delta: u32,
    salt: Salt,
    frames: u32,
}

/// What may be a frame.
struct Head {
    at: u64,
    bytes: [u8; FRAME_HEADER_LEN],
    header: FrameHeader,
    records: u32,
}

impl Head {
    fn end(&self) -> u64 {
        self.at + self.header.frame_len()
    }

    fn goes_on_with(&self, next: &Head) -> bool {
        self.header.lsn_delta.checked_add(self.records) == Some(next.header.lsn_delta)
    }
}

struct Bytes<'a> {
    segment: &'a dyn Segment,
    len: u64,
    watch: &'a Watch,
}

impl Bytes<'_> {
    /// The block in which the first byte is that is not zero, from `at` on.
    fn behind_zeros(&self, mut at: u64) -> Result<Option<u64>> {
        let window = self.watch.memory().window(64 << 10);
        while at <= LAST_DATA_OFFSET {
            let read = self.segment.read_at(at, window).wait()?;
            if let Some(used) = read.iter().position(|&byte| byte != 0) {
                let block = (at + used as u64) / BLOCK * BLOCK;
                return Ok((block <= LAST_DATA_OFFSET).then_some(block));
            }
            if read.is_empty() {
                break;
            }
            at += read.len() as u64;
        }
        Ok(None)
    }

    /// The first chain of so many frames, from `from` on, that is wanted. Gives up when so many bytes were checksummed.
    fn search(
        &self,
        from: u64,
        least: u32,
        left: &mut u64,
        wanted: impl Fn(&Chain) -> bool,
    ) -> Result<Option<Chain>> {
        let mut at = from;
        while at < self.len && *left > 0 {
            let window = self.segment.read_at(at, self.watch.memory().window(WINDOW)).wait()?;
            self.watch.check()?;
            let starts = (window.len() + 1).saturating_sub(FRAME_HEADER_LEN);
            for i in 0..starts {
                // The kind of data, or of padding.
                if !matches!(window[i + 22], 1 | 8) {
                    continue;
                }
                let chain = self.chain(at + i as u64, least, left)?;
                if let Some(chain) = chain.filter(&wanted) {
                    return Ok(Some(chain));
                }
            }
            if starts == 0 {
                break;
            }
            at += starts as u64;
        }
        Ok(None)
    }

    /// The frames from here on, if they are as many as this.
    fn chain(&self, at: u64, least: u32, left: &mut u64) -> Result<Option<Chain>> {
        let Some(first) = self.head(at)? else { return Ok(None) };
        // Hardly anything but frames comes so far that a checksum is computed.
        let mut next = self.head(first.end())?.filter(|next| first.goes_on_with(next));
        if next.is_none() && least > 1 {
            return Ok(None);
        }
        let Some(salt) = self.salt(&first, left)? else { return Ok(None) };
        let first_delta = first.header.lsn_delta;
        let mut chain = Chain { at, first_delta, salt, frames: 1 };
        while let Some(frame) = next.take()
            && chain.frames < ENOUGH
            && self.salt(&frame, left)? == Some(salt)
        {
            chain.frames += 1;
            next = self.head(frame.end())?.filter(|next| frame.goes_on_with(next));
        }
        Ok((chain.frames >= least).then_some(chain))
    }

    /// What is here, if it can be a frame.
    fn head(&self, at: u64) -> Result<Option<Head>> {
        if at + FRAME_HEADER_LEN as u64 > self.len {
            return Ok(None);
        }
        let read = self.segment.read_at(at, FRAME_HEADER_LEN + BATCH_COUNT_LEN).wait()?;
        let Some((bytes, body)) = read.split_first_chunk::<FRAME_HEADER_LEN>() else {
            return Ok(None);
        };
        let header = FrameHeader::decode(bytes);
        let is_batch = header.flags == Flags::BATCH;
        let records = match FrameKind::from_number(header.kind) {
            Some(FrameKind::Data) if is_batch && header.body_len < BATCH_COUNT_LEN as u32 => 0,
            Some(FrameKind::Data) => header.record_count(body),
            _ => 0,
        };
        let fits = match FrameKind::from_number(header.kind) {
            Some(FrameKind::Data) if is_batch => {
                records > 0 && 4 * u64::from(records) <= u64::from(header.body_len)
            }
            Some(FrameKind::Footer) => {
                header.flags == Flags::default()
                    && footer::plausible_body(header.body_len, self.len)
            }
            Some(FrameKind::Data | FrameKind::Padding) => header.flags == Flags::default(),
            _ => false,
        };
        // Every record takes four bytes at least.
        let fits = fits && u64::from(header.lsn_delta) <= at / 4;
        let head = Head { at, bytes: *bytes, header, records };
        Ok((fits && head.end() <= self.len).then_some(head))
    }

    /// The salt with which it is valid; `None` if too many bytes would be checksummed.
    fn salt(&self, head: &Head, left: &mut u64) -> Result<Option<Salt>> {
        let Some(rest) = left.checked_sub(u64::from(head.header.body_len)) else {
            *left = 0;
            return Ok(None);
        };
        *left = rest;
        let (mut at, end, mut crc) = (head.at + FRAME_HEADER_LEN as u64, head.end(), 0);
        while at < end {
            let wanted = (end - at).min(self.watch.memory().window(WINDOW) as u64) as usize;
            let piece = self.segment.read_at(at, wanted).wait()?;
            if piece.is_empty() {
                return Ok(None);
            }
            crc = crc32c::crc32c_append(crc, &piece);
            at += piece.len() as u64;
        }
        Ok(Some(Salt::of_frame(&head.bytes, crc)))
    }
}
