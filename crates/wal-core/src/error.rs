//! One error type for the whole workspace: what the caller should do, and where it happened.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::Lsn;

/// The result of every fallible operation of the log.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, classed by what the caller should do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Bytes that had been durable are damaged. Do not go on: repair or restore.
    Corrupt,
    /// The log ends in an incomplete write, and the chosen recovery mode does not cut it.
    TornTail,
    /// No space is left (disk, quota or file-size limit). Make room and open the log again.
    Full,
    /// An earlier write or sync failed; this handle accepts nothing more. Open the log again.
    Poisoned,
    /// The log was closed.
    Closed,
    /// Another writer holds the log.
    Locked,
    /// The place holds something else than a log.
    NotALog,
    /// A setting or an argument is out of its range. Nothing was changed.
    Invalid,
    /// The record or batch exceeds a bound. Nothing was written.
    TooLarge,
    /// Written by a newer version, or uses a feature that this build does not know.
    Unsupported,
    /// The log was written with another codec.
    CodecMismatch,
    /// The codec could not encode or decode a record.
    Codec,
    /// The log does not hold that LSN (never written, or truncated).
    NotFound,
    /// The operating system denies access, or the place is read-only.
    Denied,
    /// A recovery exceeded its time limit. Nothing was changed.
    TimedOut,
    /// Any other error of the device or operating system. It says nothing about the bytes.
    Io,
}

impl ErrorKind {
    /// The kind's name in lower case, as printed in messages and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::TornTail => "torn tail",
            ErrorKind::Full => "no space",
            ErrorKind::Poisoned => "poisoned",
            ErrorKind::Closed => "closed",
            ErrorKind::Locked => "locked",
            ErrorKind::NotALog => "not a log",
            ErrorKind::Invalid => "invalid",
            ErrorKind::TooLarge => "too large",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::CodecMismatch => "other codec",
            ErrorKind::Codec => "codec",
            ErrorKind::NotFound => "not found",
            ErrorKind::Denied => "denied",
            ErrorKind::TimedOut => "timed out",
            ErrorKind::Io => "I/O error",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error with its kind, the operation, and the place in the log.
///
/// Cheap to clone: a failed sync is handed to every caller that waited for it.
///
/// ```
/// use wal_core::{Error, ErrorKind, Lsn};
/// let error = Error::new(ErrorKind::Corrupt, "read frame")
///     .segment(Lsn::new(1))
///     .offset(4096)
///     .detail("checksum 0x12345678, expected 0x9abcdef0");
/// assert_eq!(
///     error.to_string(),
///     "read frame: corrupt: checksum 0x12345678, expected 0x9abcdef0 (segment 1, offset 4096)"
/// );
/// ```
#[derive(Clone)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    op: Cow<'static, str>,
    segment: Option<Lsn>,
    offset: Option<u64>,
    lsn: Option<Lsn>,
    detail: Cow<'static, str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` that happened in the operation `op` ("write", "open log", …).
    #[must_use]
    pub fn new(kind: ErrorKind, op: impl Into<Cow<'static, str>>) -> Self {
        Error {
            inner: Box::new(Inner {
                kind,
                op: op.into(),
                segment: None,
                offset: None,
                lsn: None,
                detail: Cow::Borrowed(""),
                source: None,
            }),
        }
    }

    /// Classifies an error of the operating system.
    #[must_use]
    pub fn io(op: impl Into<Cow<'static, str>>, source: io::Error) -> Self {
        use io::ErrorKind as Os;
        let kind = match source.kind() {
            Os::StorageFull | Os::QuotaExceeded | Os::FileTooLarge => ErrorKind::Full,
            Os::PermissionDenied | Os::ReadOnlyFilesystem => ErrorKind::Denied,
            Os::NotADirectory => ErrorKind::NotALog,
            Os::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        Error::new(kind, op).source(source)
    }

    /// Adds the segment, named by its first LSN.
    #[must_use]
    pub fn segment(mut self, first_lsn: Lsn) -> Self {
        self.inner.segment = Some(first_lsn);
        self
    }

    /// Adds the byte offset in the segment.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.inner.offset = Some(offset);
        self
    }

    /// Adds the LSN concerned.
    #[must_use]
    pub fn lsn(mut self, lsn: Lsn) -> Self {
        self.inner.lsn = Some(lsn);
        self
    }

    /// Says in words and numbers what was found and what was expected.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.inner.detail = detail.into();
        self
    }

    /// Adds the underlying error.
    #[must_use]
    pub fn source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.inner.source = Some(Arc::new(source));
        self
    }

    /// What the caller should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The operation that failed.
    #[must_use]
    pub fn op(&self) -> &str {
        &self.inner.op
    }

    /// The segment concerned, named by its first LSN.
    #[must_use]
    pub fn at_segment(&self) -> Option<Lsn> {
        self.inner.segment
    }

    /// The byte offset in that segment.
    #[must_use]
    pub fn at_offset(&self) -> Option<u64> {
        self.inner.offset
    }

    /// The LSN concerned.
    #[must_use]
    pub fn at_lsn(&self) -> Option<Lsn> {
        self.inner.lsn
    }

    /// What was found, in words.
    #[must_use]
    pub fn detail_text(&self) -> &str {
        &self.inner.detail
    }

    /// The error that every later caller of a poisoned log gets, with `self` as its source.
    #[must_use]
    pub fn poisoned(&self, op: impl Into<Cow<'static, str>>) -> Self {
        Error::new(ErrorKind::Poisoned, op)
            .detail("an earlier write or sync failed; open the log again to recover it")
            .source(self.clone())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let i = &*self.inner;
        write!(f, "{}: {}", i.op, i.kind)?;
        if !i.detail.is_empty() {
            write!(f, ": {}", i.detail)?;
        }
        let place = [
            ("segment", i.segment.map(Lsn::get)),
            ("offset", i.offset),
            ("LSN", i.lsn.map(Lsn::get)),
        ];
        let mut open = false;
        for (name, value) in place {
            if let Some(value) = value {
                write!(f, "{}{name} {value}", if open { ", " } else { " (" })?;
                open = true;
            }
        }
        if open {
            f.write_str(")")?;
        }
        if let Some(source) = &i.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_kind_place_and_source() {
        let error = Error::io("write", io::Error::from(io::ErrorKind::StorageFull))
            .segment(Lsn::new(9))
            .offset(128)
            .lsn(Lsn::new(12));
        assert_eq!(error.kind(), ErrorKind::Full);
        assert!(error.to_string().starts_with("write: no space (segment 9, offset 128, LSN 12): "));
        let later = error.poisoned("append");
        assert_eq!(later.kind(), ErrorKind::Poisoned);
        assert!(later.to_string().contains("no space"));
    }
}
