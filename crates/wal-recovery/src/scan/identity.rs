//! Whether what is in a place is a log, and a single one.

use std::collections::HashMap;

use wal_core::format::{Layers, LogId, SegmentHeader};
use wal_core::{CodecId, Error, ErrorKind, Listing, LogStorage, Result};

use crate::scan::owners::{Standing, standings};
use crate::segment::header;

/// How much more than the largest generation seen the next one is, if some header is unreadable.
const GENERATION_LEAP: u64 = 1 << 20;

/// Lists the place.
///
/// # Errors
/// The storage's; `NotALog` if something else is there, but no log.
pub(crate) fn list(storage: &dyn LogStorage) -> Result<Listing> {
    let listing = storage.list().wait()?;
    if listing.segments.is_empty() && !listing.foreign.is_empty() {
        return Err(Error::new(ErrorKind::NotALog, "open log").with_detail(format!(
            "{} holds no log, but {}",
            storage.describe(),
            listing.foreign.join(", ")
        )));
    }
    Ok(listing)
}

/// What all segments of a log have in common.
pub(crate) struct Identity {
    pub(super) log_id: LogId,
    pub(super) codec: CodecId,
    pub(super) layers: Layers,
    /// Why this build may not write to the log, if it may not.
    pub(super) read_only: Option<Error>,
    /// That of the next segment to be created.
    pub(super) next_generation: u64,
}

/// Whether all segments are of one log.
///
/// # Errors
/// `Corrupt` if they are not, `Unsupported` if one is of a newer version; the error of a header if none
/// can be read.
pub(crate) fn check_identity<'a>(
    headers: impl Iterator<Item = &'a Result<SegmentHeader>>,
) -> Result<Identity> {
    let mixed = |a: &SegmentHeader, b: &SegmentHeader, what: &str| {
        let (a_lsn, b_lsn) = (a.first_lsn, b.first_lsn);
        Err(Error::new(ErrorKind::Corrupt, "open log")
            .with_segment(b_lsn)
            .with_detail(format!("segments {a_lsn} and {b_lsn} are not of one log: {what}")))
    };
    let headers: Vec<_> = headers.collect();
    // Whatever else is wrong: one of another version is left alone.
    let other = headers.iter().filter_map(|header| header.as_ref().err());
    if let Some(error) = other.into_iter().find(|error| error.kind() == ErrorKind::Unsupported) {
        return Err(error.clone());
    }
    let mut generations = HashMap::new();
    let mut first: Option<&SegmentHeader> = None;
    let mut unreadable: Option<&Error> = None;
    let (mut largest, mut read_only) = (0, None);
    let standings = standings(headers.iter().map(|header| header.as_ref().ok()));
    for (header, standing) in headers.into_iter().zip(standings) {
        let header = match header {
            Ok(header) => header,
            Err(error) => {
                unreadable = unreadable.or(Some(error));
                continue;
            }
        };
        let one = *first.get_or_insert(header);
        if one.log_id != header.log_id {
            return mixed(one, header, &format!("ids {} and {}", one.log_id, header.log_id));
        }
        if one.codec != header.codec {
            return mixed(one, header, &format!("codecs {} and {}", one.codec, header.codec));
        }
        if one.layers != header.layers {
            return mixed(one, header, &format!("{} and {}", one.layers, header.layers));
        }
        read_only = read_only.or_else(|| forbidden(header));
        // What others begin beside the owner may have the number of what it begins.
        if standing == Standing::Own
            && let Some(other) = generations.insert(header.generation, header)
        {
            return mixed(other, header, &format!("both are of generation {}", header.generation));
        }
        largest = largest.max(header.generation);
    }
    let Some(one) = first else {
        return Err(unreadable.expect("there are segments").clone());
    };
    // Of an unreadable segment not even the generation is known.
    let leap = if unreadable.is_some() { GENERATION_LEAP } else { 1 };
    // Headers with a generation near the largest number there is are not read.
    let next_generation = largest + leap;
    let (log_id, codec, layers) = (one.log_id, one.codec, one.layers);
    Ok(Identity { log_id, codec, layers, read_only, next_generation })
}

/// Looks whether this build may write to a log, by the header of the newest segment, before it does: taking the lock
/// already changes something.
///
/// # Errors
/// `Unsupported`; those of the storage. Whatever else is wrong is found by the scan.
pub(crate) fn peek(storage: &dyn LogStorage, listing: &Listing, repairs: bool) -> Result<()> {
    let Some(&newest) = listing.segments.last() else { return Ok(()) };
    let opened = match header::read(storage, newest) {
        // Beside a writer it may go at any moment; then the lock is not free either.
        Err(error) if may_be_a_change(&error) => return Ok(()),
        opened => opened?,
    };
    match opened.header(repairs) {
        Ok(header) => forbidden(&header).map_or(Ok(()), Err),
        Err(error) if error.kind() == ErrorKind::Unsupported => Err(error),
        Err(_) => Ok(()),
    }
}

/// The error for who would write to a log with such a segment.
pub(crate) fn forbidden(header: &SegmentHeader) -> Option<Error> {
    let bits = header.features.unknown().read_only;
    (bits != 0).then(|| {
        Error::new(ErrorKind::Unsupported, "recover log")
            .with_segment(header.first_lsn)
            .with_offset(80)
            .with_detail(format!(
                "features {bits:#x}, with which this build may read the log and not write to it"
            ))
    })
}

/// Whether an error that a reader met beside a writer may come of a change meanwhile, so that it is worth to look
/// again: a segment was removed between being listed and being read, or it was removed and recycled, and its name
/// leads to another header. What is damaged is found damaged again.
pub(crate) fn may_be_a_change(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt)
}
