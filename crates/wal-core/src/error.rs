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
    /// Bytes that had been durable are damaged. Do not go on: repair the log, or restore a copy of it.
    Corrupt,
    /// The log ends in an incomplete write, and the chosen recovery mode does not cut it. Choose a mode that does,
    /// if records that were never acknowledged may go.
    TornTail,
    /// No space is left (disk, quota or file-size limit). Make room and open the log again.
    Full,
    /// An earlier write or sync failed; this handle accepts nothing more. Open the log again.
    Poisoned,
    /// The log was closed. Open it again, or stop using the handle.
    Closed,
    /// Another writer holds the log. Wait until it ends, or look for a process that should not be there.
    Locked,
    /// The log is not this handle's any more: another opener has it, its lock or its segment was removed or replaced, or
    /// the process forked. Nothing is acknowledged on this handle any more. What was acknowledged as durable before is
    /// in the log. Find out what happened to the directory, and open the log again, in one process.
    LostOwnership,
    /// The storage holds something else than a log. Check the path.
    NotALog,
    /// The storage changed since it was recovered. Recover it again, and open what that returns.
    NotRecovered,
    /// Something is there already, and would have had to be replaced. Nothing was changed. Look for a second writer.
    Exists,
    /// A setting or an argument is out of its range. Nothing was changed. Correct it.
    Invalid,
    /// The record or batch exceeds a bound. Nothing was written. Split it, or raise the bound.
    TooLarge,
    /// Written by a newer version, or uses a feature that this build does not know. Use the newer version.
    Unsupported,
    /// The log was written with another codec. Open it with that one.
    CodecMismatch,
    /// The log was written through other layers, such as streams. Open it through those.
    LayerMismatch,
    /// The codec could not encode or decode a record. Nothing was written; look at the record.
    Codec,
    /// The log does not hold that LSN (never written, or truncated). Go on from the first one that it holds.
    NotInLog,
    /// The log that was being read is not there any more: it was removed, or another log, or an older copy of it, was put
    /// in its place. What is there now does not follow what was read. Find out who did that. Then read what is there
    /// from its beginning, as another log.
    Replaced,
    /// Something that the storage should hold is missing: a directory, a segment, or what was to be replaced. Check the
    /// path, and who moves or removes files there. A reader beside a running writer looks again by itself.
    NotFound,
    /// The operating system denies access, or the file system is read-only. Change the permissions.
    Denied,
    /// A recovery exceeded its time limit. Nothing was changed. Try again with more time or more threads.
    TimedOut,
    /// More memory would be needed than may be used, or than there is. Nothing is wrong with the bytes. The message says
    /// the limit: raise it (a recovery has one, `Recovery::memory_limit`), or give the process more memory.
    OutOfMemory,
    /// Any other error of the device or operating system. It says nothing about the bytes. Look at
    /// [`source`](std::error::Error::source) and at the system's log. After a failed write or sync the log is
    /// poisoned: open it again, which recovers it. A failed read changes nothing: once the device is well, read again.
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
            ErrorKind::LostOwnership => "lost ownership",
            ErrorKind::NotALog => "not a log",
            ErrorKind::NotRecovered => "not recovered",
            ErrorKind::Exists => "exists",
            ErrorKind::Invalid => "invalid",
            ErrorKind::TooLarge => "too large",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::CodecMismatch => "other codec",
            ErrorKind::LayerMismatch => "other layers",
            ErrorKind::Codec => "codec",
            ErrorKind::NotInLog => "not in the log",
            ErrorKind::Replaced => "replaced",
            ErrorKind::NotFound => "not found",
            ErrorKind::Denied => "denied",
            ErrorKind::TimedOut => "timed out",
            ErrorKind::OutOfMemory => "out of memory",
            ErrorKind::Io => "I/O error",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error with its kind, the operation, and where in the log it happened.
///
/// Cheap to clone: a failed sync is handed to every caller that waited for it.
///
/// Its message does not repeat the error that caused it: that is its
/// [`source`](std::error::Error::source), and [`chain`](Self::chain) prints both. The texts are for people and may
/// change; match on [`kind`](Self::kind).
///
/// ```
/// use wal_core::{Error, ErrorKind, Lsn};
/// let error = Error::new(ErrorKind::Corrupt, "read frame")
///     .with_segment(Lsn::new(1))
///     .with_offset(4096)
///     .with_detail("checksum 0x12345678, expected 0x9abcdef0");
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
            Os::OutOfMemory => ErrorKind::OutOfMemory,
            _ => ErrorKind::Io,
        };
        Error::new(kind, op).with_source(source)
    }

    /// Adds the segment, named by its first LSN.
    #[must_use]
    pub fn with_segment(mut self, first_lsn: Lsn) -> Self {
        self.inner.segment = Some(first_lsn);
        self
    }

    /// Adds the byte offset in the segment.
    #[must_use]
    pub fn with_offset(mut self, offset: u64) -> Self {
        self.inner.offset = Some(offset);
        self
    }

    /// Adds the LSN concerned.
    #[must_use]
    pub fn with_lsn(mut self, lsn: Lsn) -> Self {
        self.inner.lsn = Some(lsn);
        self
    }

    /// Says in words and numbers what was found and what was expected.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.inner.detail = detail.into();
        self
    }

    /// Adds the underlying error.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
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
    pub fn segment(&self) -> Option<Lsn> {
        self.inner.segment
    }

    /// The byte offset in that segment.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.inner.offset
    }

    /// The LSN concerned.
    #[must_use]
    pub fn lsn(&self) -> Option<Lsn> {
        self.inner.lsn
    }

    /// What was found, in words.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.inner.detail
    }

    /// The error that every later caller of a poisoned log gets, with `self` as its source.
    #[must_use]
    pub fn poisoned(&self, op: impl Into<Cow<'static, str>>) -> Self {
        Error::new(ErrorKind::Poisoned, op)
            .with_detail("an earlier write or sync failed; open the log again to recover it")
            .with_source(self.clone())
    }

    /// Whether the same call may succeed later although the caller changes nothing: the log is
    /// [`Locked`](ErrorKind::Locked) by another writer, or a recovery [ran out of time](ErrorKind::TimedOut). After a
    /// failed append the log is poisoned, and the record may be there after the next recovery: to append it again
    /// could double it.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.inner.kind, ErrorKind::Locked | ErrorKind::TimedOut)
    }

    /// The message, and behind it those of the errors that caused this one.
    ///
    /// ```
    /// use std::io;
    /// use wal_core::Error;
    /// let error = Error::io("write", io::Error::other("cable pulled"));
    /// assert_eq!(error.to_string(), "write: I/O error");
    /// assert_eq!(error.chain().to_string(), "write: I/O error: cable pulled");
    /// ```
    pub fn chain(&self) -> impl fmt::Display + '_ {
        struct Chain<'a>(&'a Error);
        impl fmt::Display for Chain<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)?;
                let mut source = StdError::source(self.0);
                while let Some(error) = source {
                    write!(f, ": {error}")?;
                    source = error.source();
                }
                Ok(())
            }
        }
        Chain(self)
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
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({})", self.chain())
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
    fn names_kind_and_place_and_has_a_source() {
        let error = Error::io("write", io::Error::from(io::ErrorKind::StorageFull))
            .with_segment(Lsn::new(9))
            .with_offset(128)
            .with_lsn(Lsn::new(12));
        assert_eq!(error.kind(), ErrorKind::Full);
        assert_eq!(error.to_string(), "write: no space (segment 9, offset 128, LSN 12)");
        let place = (error.segment(), error.offset(), error.lsn());
        assert_eq!(place, (Some(Lsn::new(9)), Some(128), Some(Lsn::new(12))));
        // Callable on an owned error, with the trait in scope.
        assert!(error.source().is_some_and(|source| source.is::<io::Error>()));
        let later = error.poisoned("append");
        assert_eq!(later.kind(), ErrorKind::Poisoned);
        assert!(!later.to_string().contains("no space"));
        let chain = later.chain().to_string();
        assert!(
            chain.starts_with(&later.to_string()) && chain.contains(": write: no space"),
            "{chain}"
        );
    }

    #[test]
    fn what_is_over_is_not_tried_again() {
        let locked = Error::new(ErrorKind::Locked, "open log");
        assert!(locked.is_retryable() && !locked.poisoned("append").is_retryable());
        assert!(!Error::new(ErrorKind::Full, "write").is_retryable());
    }
}
