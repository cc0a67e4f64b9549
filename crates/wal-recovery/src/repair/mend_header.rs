//! Correcting a header in which one bit is wrong, or the version.
//!
//! Without its header a segment cannot be read at all: log, owner and generation are part of every frame's
//! checksum. But if exactly one bit of a header has changed, or nothing but the version, its own checksum tells
//! that. The frames then confirm it, as they validate with the corrected header only.

use std::sync::Arc;

use wal_core::format::{FORMAT_VERSION, SEGMENT_HEADER_LEN, SegmentHeader};
use wal_core::{ErrorKind, Lsn, Result, Segment};

use crate::repair::{Repair, new_segment};
use crate::report::{Damage, DamageKind};
use crate::scan::identity::{forbidden, list};
use crate::segment::frames::{Frames, Next};
use crate::segment::header::{self, FirstFrame};

/// Which headers are mended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those in which nothing but the version is wrong. Left as they are they would be of another version, with which
    /// nothing can be done.
    Versions,
    /// All that can be.
    All,
}

/// Replaces every segment whose header can be corrected, after a copy of it was set aside. What was
/// wrong is added to `mended`.
///
/// # Errors
/// The storage's; `Unsupported`, before anything is changed, if a segment is one that only another build may write
/// beside.
pub(crate) fn headers(
    repair: &mut Repair<'_>,
    which: Which,
    mended: &mut Vec<Damage>,
) -> Result<()> {
    let mut mends = Vec::new();
    for name in list(repair.storage)?.segments {
        let opened = header::read(repair.storage, name)?;
        let (segment, len, damaged_version) =
            (opened.segment.clone(), opened.len, opened.has_damaged_version());
        let error = match opened.header(true) {
            Ok(header) => match forbidden(&header) {
                Some(error) => return Err(error),
                None => continue,
            },
            Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error),
            Err(error) if error.kind() != ErrorKind::Corrupt => continue,
            Err(error) => error,
        };
        let bytes = segment.read_at(0, SEGMENT_HEADER_LEN).wait()?;
        let Some(corrected) = corrected(&bytes, name) else { continue };
        if let Some(error) = forbidden(&corrected.header) {
            return Err(error);
        }
        let is_meant = which == Which::All || damaged_version;
        if is_meant && is_confirmed(repair, &segment, &corrected.header, len)? {
            mends.push((name, segment, len, corrected, error));
        }
    }
    for (name, segment, len, corrected, error) in mends {
        repair.scanner.watch.check()?;
        // From here on something is changed, so no time limit may stop it.
        repair.scanner.watch.disarm();
        repair.save(name, 0, len, name)?;
        // Its very bytes: what this build does not know stays.
        new_segment::with_header(repair, name, &corrected.bytes, &*segment, len)?;
        let reason = format!("{}; {}", error.detail(), corrected.what);
        #[cfg(feature = "tracing")]
        tracing::warn!(segment = %name, reason, "header corrected");
        mended.push(Damage {
            kind: DamageKind::Header,
            segment: name,
            offset: corrected.offset as u64,
            lsn: name,
            bytes: SEGMENT_HEADER_LEN as u64,
            reason,
        });
    }
    Ok(())
}

/// A header that was damaged, as it should be.
pub(super) struct Corrected {
    pub(super) header: SegmentHeader,
    bytes: [u8; SEGMENT_HEADER_LEN],
    /// Where it was wrong.
    offset: usize,
    what: String,
}

/// The header with the version set, or with the one bit changed, that makes it valid.
pub(super) fn corrected(bytes: &[u8], name: Lsn) -> Option<Corrected> {
    let bytes = <[u8; SEGMENT_HEADER_LEN]>::try_from(bytes).ok()?;
    if SegmentHeader::has_damaged_version(&bytes) {
        let mut candidate = bytes;
        candidate[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let header = SegmentHeader::decode(&candidate, name).ok()?;
        let what = "the version was corrected".into();
        return Some(Corrected { header, bytes: candidate, offset: 8, what });
    }
    (0..8 * SEGMENT_HEADER_LEN).find_map(|bit| {
        let mut candidate = bytes;
        candidate[bit / 8] ^= 1 << (bit % 8);
        let header = SegmentHeader::decode(&candidate, name).ok()?;
        let what = format!("bit {} of byte {} was corrected", bit % 8, bit / 8);
        Some(Corrected { header, bytes: candidate, offset: bit / 8, what })
    })
}

/// Whether the segment goes on as the header says: with a valid frame in its place, or empty.
fn is_confirmed(
    repair: &Repair<'_>,
    segment: &Arc<dyn Segment>,
    header: &SegmentHeader,
    len: u64,
) -> Result<bool> {
    if let FirstFrame::Elsewhere(_) = header::first_frame(segment, header, len)? {
        return Ok(false);
    }
    let from = u64::from(header.data_offset);
    let mut frames = Frames::within(segment, header, from..len, 0, &repair.scanner.watch);
    Ok(!matches!(frames.next()?, Next::Bad { .. } | Next::Stray(_)))
}
