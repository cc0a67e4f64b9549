//! What is done to the bytes of one file.

use wal_core::format::{FRAME_HEADER_LEN, FrameHeader, Salt};

use crate::forge;
use crate::plan::Edit;

/// The changes, by the number that stands for them in an [`Edit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// One bit.
    Flip,
    /// `arg` bytes set to zero.
    Zero,
    /// The end cut off.
    Cut,
    /// Bytes of the input's rest appended.
    Grow,
    /// Bytes of the input's rest written over what is there.
    Write,
    /// A sector of 512 bytes copied over another one.
    Duplicate,
    /// Frame number `at` written again at the end, as a stale one may lie there.
    Stale,
    /// A byte of the segment's header, with its checksum corrected.
    Header,
    /// A byte of the header, with all checksums of the segment corrected.
    Identity,
    /// A byte of a frame's header, with its checksum corrected.
    Frame,
    /// A byte of a frame's body, with its checksum corrected.
    Body,
}

use What::{Body, Cut, Duplicate, Flip, Frame, Grow, Header, Identity, Stale, Write, Zero};

impl What {
    pub(crate) const ALL: [What; 11] =
        [Flip, Zero, Cut, Grow, Write, Duplicate, Stale, Header, Identity, Frame, Body];

    pub(crate) fn of(number: u8) -> What {
        Self::ALL[usize::from(number) % Self::ALL.len()]
    }

    /// Whether it corrects checksums: then records may come out that nobody appended.
    pub(crate) fn is_forgery(self) -> bool {
        matches!(self, Header | Identity | Frame | Body)
    }
}

const SECTOR: usize = 512;

/// No file gets longer than this by an edit.
const LENGTH_MAX: usize = 1 << 16;

/// Does it; `raw` is the input's rest.
pub(crate) fn apply(bytes: &mut Vec<u8>, edit: Edit, raw: &[u8]) {
    let Edit { what, at, arg, .. } = edit;
    let len = bytes.len();
    if len == 0 && What::of(what) != Grow {
        return;
    }
    let (at, arg) = (usize::from(at), usize::from(arg));
    let value = arg as u8;
    match What::of(what) {
        Flip => bytes[at % len] ^= 1 << (arg % 8),
        Zero => {
            let from = at % len;
            bytes[from..len.min(from + arg % 1024)].fill(0);
        }
        Cut => bytes.truncate(at % len),
        Grow => {
            let room = LENGTH_MAX.saturating_sub(len);
            bytes.extend(raw.iter().cycle().take(arg.min(raw.len() * 4).min(room)));
        }
        Write => {
            let from = at % len;
            let piece = &raw[arg % (raw.len() + 1)..];
            let piece = &piece[..piece.len().min(len - from)];
            bytes[from..from + piece.len()].copy_from_slice(piece);
        }
        Duplicate => {
            let sectors = len.div_ceil(SECTOR);
            let (from, to) = (at % sectors * SECTOR, arg % sectors * SECTOR);
            let whole = SECTOR.min(len - from).min(len - to);
            bytes.copy_within(from..from + whole, to);
        }
        Stale => {
            let Some((from, end, _)) = frame(bytes, at) else { return };
            if len + (end - from) <= LENGTH_MAX {
                bytes.extend_from_within(from..end);
            }
        }
        Header => {
            bytes[at % len.min(508)] = value;
            forge::seal_header(bytes);
        }
        Identity => {
            bytes[at % len.min(508)] = value;
            forge::seal_all(bytes);
        }
        Frame => {
            let Some((from, _, salt)) = frame(bytes, at) else { return };
            // Behind the checksum: the high byte says where.
            bytes[from + 4 + (arg >> 8) % (FRAME_HEADER_LEN - 4)] = value;
            forge::seal_frame(bytes, from, salt);
        }
        Body => {
            let Some((from, end, salt)) = frame(bytes, at) else { return };
            let body = &mut bytes[from + FRAME_HEADER_LEN..end];
            if !body.is_empty() {
                body[(arg >> 8) % body.len()] = value;
                forge::seal_frame(bytes, from, salt);
            }
        }
    }
}

/// Where the frame of this number begins and ends, and the salt of its segment.
fn frame(bytes: &[u8], number: usize) -> Option<(usize, usize, Salt)> {
    let header = forge::header_of(bytes)?;
    let offsets = forge::frame_offsets(bytes, header.data_offset as usize);
    let at = *offsets.get(number.checked_rem(offsets.len())?)?;
    let end = at + FrameHeader::decode(&bytes[at..]).frame_len() as usize;
    Some((at, end, header.salt()))
}
