//! Errors: what the caller should do, where it happened, and what lies beneath.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wal_core::*;

#[test]
fn an_error_of_the_system_says_what_to_do_about_it() {
    use io::ErrorKind as Os;
    for (os, kind) in [
        (Os::StorageFull, ErrorKind::Full),
        (Os::QuotaExceeded, ErrorKind::Full),
        (Os::FileTooLarge, ErrorKind::Full),
        (Os::PermissionDenied, ErrorKind::Denied),
        (Os::ReadOnlyFilesystem, ErrorKind::Denied),
        (Os::NotADirectory, ErrorKind::NotALog),
        (Os::NotFound, ErrorKind::NotFound),
        (Os::InvalidData, ErrorKind::Io),
        (Os::TimedOut, ErrorKind::Io),
    ] {
        assert_eq!(Error::io("open", os.into()).kind(), kind, "{os:?}");
    }
}

/// What an error was caused by, as text.
fn beneath(error: &dyn StdError) -> Option<String> {
    error.source().map(ToString::to_string)
}

#[test]
fn an_error_keeps_where_it_happened_and_why() {
    let bare = Error::new(ErrorKind::Corrupt, "read");
    assert_eq!((bare.segment(), bare.offset(), bare.lsn()), (None, None, None));
    assert_eq!(beneath(&bare), None);
    assert_eq!(bare.to_string(), "read: corrupt");
    let error = Error::io("write", io::Error::other("the cable is out"))
        .with_segment(Lsn::new(9))
        .with_offset(128)
        .with_lsn(Lsn::new(12))
        .with_detail("a detail");
    assert_eq!((error.op(), error.detail()), ("write", "a detail"));
    assert_eq!((error.segment(), error.lsn()), (Some(Lsn::new(9)), Some(Lsn::new(12))));
    assert_eq!(error.offset(), Some(128));
    assert_eq!(beneath(&error).unwrap(), "the cable is out");
    let text = "write: I/O error: a detail (segment 9, offset 128, LSN 12)";
    assert_eq!(error.to_string(), text);
    let poisoned = error.poisoned("append");
    assert_eq!((poisoned.kind(), poisoned.op()), (ErrorKind::Poisoned, "append"));
    assert_eq!(beneath(&poisoned).unwrap(), text);
    assert!(poisoned.chain().to_string().ends_with(&format!(": {text}: the cable is out")));
}

#[test]
fn a_clock_can_be_shared() {
    struct Fixed(AtomicU64);
    impl Clock for Fixed {
        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::SeqCst))
        }
        fn wall(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::SeqCst))
        }
    }
    let clock = Arc::new(Fixed(AtomicU64::new(5)));
    assert_eq!(Clock::monotonic(&clock), Duration::from_secs(5));
    assert_eq!(Clock::wall(&clock), Timestamp::from_micros(5));
}
