//! What a record is made of, checked when it is read.

use bytes::{Buf, Bytes};
use wal_core::{Error, ErrorKind, Lsn, Result};

use super::varint;
use crate::id::StreamId;
use crate::positions::Standing;

/// Where a stream stands.
pub(super) fn take_standing(record: &mut Bytes) -> Result<Standing> {
    let stream = StreamId(number(record, "a stream")?);
    let start = lsn(record)?;
    let held = number(record, "a count of records")?;
    match start.get().checked_add(held).map(Lsn::new) {
        Some(next) => Ok(Standing { stream, start, next }),
        None => Err(malformed(format!("{held} records from LSN {start} on"))),
    }
}

/// A number; `what` it is says the error if there is none.
pub(super) fn number(record: &mut Bytes, what: &str) -> Result<u64> {
    let Some((value, len)) = varint::get(record) else {
        return Err(malformed(format!("no number where {what} was expected")));
    };
    record.advance(len);
    Ok(value)
}

/// An LSN, which is never 0.
pub(super) fn lsn(record: &mut Bytes) -> Result<Lsn> {
    match number(record, "an LSN")? {
        0 => Err(malformed("LSN 0")),
        lsn => Ok(Lsn::new(lsn)),
    }
}

/// Refuses bytes that are left over.
pub(super) fn nothing_behind(record: &Bytes, what: &str) -> Result<()> {
    match record.len() {
        0 => Ok(()),
        left => Err(malformed(format!("{left} bytes behind {what}"))),
    }
}

pub(super) fn malformed(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Codec, "read shared log").with_detail(detail)
}
