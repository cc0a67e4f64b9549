//! Correcting a header in which one bit is wrong.
//!
//! Without its header a segment cannot be read at all: log and generation are part of every frame's
//! checksum. But if exactly one bit of a header has changed, its own checksum tells which. The frames
//! then confirm it, as they validate with the corrected header only.

use bytes::{Bytes, BytesMut};
use wal_core::format::{SEGMENT_HEADER_LEN, SegmentHeader};
use wal_core::{Access, ErrorKind, FrameReader, LogStorage, Lsn, Result, Segment};

use crate::repair::{Repair, new_segment};
use crate::report::{Damage, DamageKind};
use crate::scan::identity::list;
use crate::segment::frames::{Frames, Next};
use crate::segment::header::{self, FirstFrame, Opened};

/// Replaces every segment whose header can be corrected, after a copy of it was set aside. What was
/// wrong is added to `mended`.
pub(crate) fn headers(repair: &mut Repair<'_>, mended: &mut Vec<Damage>) -> Result<()> {
    for name in list(repair.storage)?.segments {
        let Opened { segment, len, header } = header::read(repair.storage, name)?;
        let Err(error) = header else { continue };
        if error.kind() != ErrorKind::Corrupt {
            continue;
        }
        let bytes = segment.read_at(0, SEGMENT_HEADER_LEN).wait()?;
        let Some((header, bit)) = corrected(&bytes, name) else { continue };
        if !is_confirmed(repair.storage, &header, len)? {
            continue;
        }
        repair.scanner.watch.check()?;
        // From here on something is changed, so no time limit may stop it.
        repair.scanner.watch.disarm();
        repair.save(name, 0, len, name)?;
        let mut whole = BytesMut::from(&header.encode()[..]);
        whole.extend_from_slice(&rest(&*segment, len)?);
        new_segment::replace(repair.storage, name, whole.freeze())?;
        let reason =
            format!("{}; bit {} of byte {} was corrected", error.detail(), bit % 8, bit / 8);
        #[cfg(feature = "tracing")]
        tracing::warn!(segment = %name, reason, "header corrected");
        mended.push(Damage {
            kind: DamageKind::Header,
            segment: name,
            offset: (bit / 8) as u64,
            lsn: name,
            bytes: SEGMENT_HEADER_LEN as u64,
            reason,
        });
    }
    Ok(())
}

/// The header with the one bit changed that makes it valid, and which bit that is.
fn corrected(bytes: &[u8], name: Lsn) -> Option<(SegmentHeader, usize)> {
    let bytes = <[u8; SEGMENT_HEADER_LEN]>::try_from(bytes).ok()?;
    (0..8 * SEGMENT_HEADER_LEN).find_map(|bit| {
        let mut candidate = bytes;
        candidate[bit / 8] ^= 1 << (bit % 8);
        Some((SegmentHeader::decode(&candidate, name).ok()?, bit))
    })
}

/// Whether the segment goes on as the header says: with a valid frame in its place, or empty.
fn is_confirmed(storage: &dyn LogStorage, header: &SegmentHeader, len: u64) -> Result<bool> {
    let segment = storage.open(header.first_lsn, Access::Read).wait()?;
    if let FirstFrame::Elsewhere(_) = header::first_frame(&segment, header, len)? {
        return Ok(false);
    }
    let reader = FrameReader::new(segment, header, u64::from(header.data_offset), len);
    Ok(!matches!(Frames::new(reader, 0).next()?, Next::Bad { .. } | Next::Stray(_)))
}

/// Everything behind the header.
fn rest(segment: &dyn Segment, len: u64) -> Result<Bytes> {
    let from = SEGMENT_HEADER_LEN as u64;
    segment.read_at(from, len.saturating_sub(from) as usize).wait()
}
