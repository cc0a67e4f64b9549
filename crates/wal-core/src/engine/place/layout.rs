//! What is constant over the life of an open log: where frames may lie, and how large they may be.

use super::source::Limits;
use crate::format::{FRAME_HEADER_LEN, Layers, LogId, MAX_DATA_OFFSET, Owner, SegmentHeader};
use crate::{Capabilities, CodecId, Error, ErrorKind, Lsn, Result, Settings};

/// What of a log stands in every header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogHeader {
    pub(crate) log_id: LogId,
    pub(crate) codec: CodecId,
    pub(crate) layers: Layers,
    pub(crate) owner: Owner,
    pub(crate) origin: Option<(LogId, Lsn)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// What the headers of all segments of this opening have in common.
    pub(crate) header: SegmentHeader,
    /// Frames end at this offset at the latest, padding included. Without padding so does the blank behind the last
    /// frame; with padding the blank comes behind this offset.
    pub(crate) segment_size: u64,
    pub(crate) buffer_bytes: usize,
    /// Writes end at multiples of this; 1 if anywhere.
    pub(crate) padding: u32,
    pub(crate) limits: Limits,
}

impl Layout {
    /// # Errors
    /// `Invalid` if a setting is out of range, or if the storage asks for what segments cannot have.
    pub(crate) fn new(
        log: LogHeader,
        settings: &Settings,
        capabilities: &Capabilities,
    ) -> Result<Self> {
        settings.validate()?;
        let invalid =
            |detail: String| Err(Error::new(ErrorKind::Invalid, "open log").with_detail(detail));
        let alignment = capabilities.alignment.max(1);
        let data_offset = SegmentHeader::data_offset_for(alignment);
        if data_offset > MAX_DATA_OFFSET {
            return invalid(format!(
                "the storage's alignment is {alignment} bytes, allowed are 1 to {MAX_DATA_OFFSET}"
            ));
        }
        let padding = capabilities.pad_to.max(1);
        if !alignment.is_multiple_of(padding) {
            return invalid(format!(
                "the storage's writes are to end at multiples of {padding} bytes, of which its alignment of \
                 {alignment} bytes is none"
            ));
        }
        let segment_size = match padding {
            1 => settings.segment_size,
            // The last place at which a write may end, with a blank behind it.
            _ => {
                (settings.segment_size - FRAME_HEADER_LEN as u64) / u64::from(padding)
                    * u64::from(padding)
            }
        };
        let body = Settings { segment_size, ..settings.clone() }.body_limit(data_offset);
        if body < u64::from(alignment) {
            return invalid(format!(
                "segment_size {} is too small for the storage's alignment of {alignment} bytes",
                settings.segment_size
            ));
        }
        let record = settings.max_record_bytes.unwrap_or(body).min(body);
        let LogHeader { log_id, codec, layers, owner, origin } = log;
        let header = SegmentHeader {
            codec,
            layers,
            owner,
            origin,
            data_offset,
            pad_to: padding,
            blanks: capabilities.recycles,
            ..SegmentHeader::new(log_id, 1, Lsn::FIRST)
        };
        Ok(Layout {
            header,
            segment_size,
            buffer_bytes: settings.buffer_bytes as usize,
            padding,
            limits: Limits { body, record },
        })
    }
}
