//! Operations that last as long as a test wants: writes to a pipe that nobody empties.

use std::future::Future;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use wal_core::block_on;

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// `None`, and said so, where there is no io_uring.
fn ring(depth: u32) -> Option<Ring> {
    match Ring::start(depth) {
        Ok(ring) => Some(ring),
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            let thread = thread::current();
            let line = format!("skipped: {}: {error}\n", thread.name().unwrap_or("a test"));
            // Past the capture of the test harness.
            io::Write::write_all(&mut io::stderr(), line.as_bytes()).unwrap();
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A file that counts how operations on it ended.
struct Watched {
    file: OwnedFd,
    fine: AtomicU32,
    failed: AtomicU32,
}

impl Watched {
    fn new(file: impl Into<OwnedFd>) -> Arc<Self> {
        Arc::new(Watched { file: file.into(), fine: 0.into(), failed: 0.into() })
    }

    fn ends(&self) -> (u32, u32) {
        (self.fine.load(Ordering::Acquire), self.failed.load(Ordering::Acquire))
    }
}

impl Target for Watched {
    fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    fn ended(&self, fine: bool) {
        let count = if fine { &self.fine } else { &self.failed };
        count.fetch_add(1, Ordering::AcqRel);
    }
}

/// Bytes that say when they are freed.
struct Owned {
    bytes: Vec<u8>,
    freed: Arc<AtomicBool>,
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.bytes.fill(0xdd);
        self.freed.store(true, Ordering::Release);
    }
}

fn owned(byte: u8, len: usize) -> (Bytes, Arc<AtomicBool>) {
    let freed = Arc::new(AtomicBool::new(false));
    (Bytes::from_owner(Owned { bytes: vec![byte; len], freed: freed.clone() }), freed)
}

/// A pipe that is full, and how many bytes it holds.
fn full_pipe() -> (io::PipeReader, io::PipeWriter, usize) {
    let (reader, writer) = io::pipe().unwrap();
    let mut held = 0;
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while let Ok(n) = rustix::io::write(&writer, &[b'.'; 4096]) {
        held += n;
    }
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (reader, writer, held)
}

fn read_whole(reader: &io::PipeReader, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    io::Read::read_exact(&mut &*reader, &mut bytes).unwrap();
    bytes
}

fn is_pending(outcome: &mut Outcome) -> bool {
    Pin::new(outcome).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..20_000 {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("in vain: {what}");
}

#[test]
fn bytes_outlive_a_future_that_was_dropped() {
    let Some(ring) = ring(4) else { return };
    let (reader, writer, held) = full_pipe();
    let target = Watched::new(writer);
    let (data, freed) = owned(7, 300_000);
    let mut outcome = ring.run(target.clone(), Work::write_through(data, 0));
    assert!(is_pending(&mut outcome));
    drop(outcome);
    thread::sleep(Duration::from_millis(20));
    assert!(!freed.load(Ordering::Acquire), "freed under the kernel's hands");
    // More than the pipe holds: the kernel comes back for the rest, after short writes.
    assert!(read_whole(&reader, held).iter().all(|byte| *byte == b'.'));
    assert!(read_whole(&reader, 300_000).iter().all(|byte| *byte == 7));
    wait_until("the bytes are freed", || freed.load(Ordering::Acquire));
    assert_eq!(target.ends(), (1, 0));
}

#[test]
fn dropping_the_ring_waits_for_what_is_under_way() {
    let Some(ring) = ring(1) else { return };
    let (reader, writer, held) = full_pipe();
    let target = Watched::new(writer);
    // The second one does not even reach the kernel before the first is over.
    let outcomes: Vec<_> = (1..=2)
        .map(|byte| ring.run(target.clone(), Work::write_through(owned(byte, 5000).0, 0)))
        .collect();
    let (tell, dropped) = mpsc::channel();
    let dropping = thread::spawn(move || {
        drop(ring);
        tell.send(()).unwrap();
    });
    assert!(dropped.recv_timeout(Duration::from_millis(30)).is_err());
    read_whole(&reader, held);
    assert!(read_whole(&reader, 5000).iter().all(|byte| *byte == 1));
    assert!(read_whole(&reader, 5000).iter().all(|byte| *byte == 2));
    dropped.recv_timeout(SOON).unwrap();
    dropping.join().unwrap();
    outcomes.into_iter().for_each(|outcome| block_on(outcome).unwrap());
    assert_eq!(target.ends(), (2, 0));
}

#[test]
fn more_operations_than_the_ring_holds_are_all_done() {
    for depth in [1, 2, 16] {
        let Some(ring) = ring(depth) else { return };
        let file = tempfile::tempfile().unwrap();
        let target = Watched::new(file.try_clone().unwrap());
        let outcomes: Vec<_> = (0..500_u64)
            .map(|n| {
                let data = Bytes::from(n.to_le_bytes().to_vec());
                ring.run(target.clone(), Work::write_through(data, n * 8))
            })
            .collect();
        outcomes.into_iter().for_each(|outcome| block_on(outcome).unwrap());
        let mut bytes = vec![0; 4000];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).unwrap();
        for (n, found) in bytes.chunks(8).enumerate() {
            assert_eq!(found, (n as u64).to_le_bytes());
        }
        assert_eq!(target.ends(), (500, 0));
    }
}

#[test]
fn many_threads_are_told_their_own_outcomes() {
    let Some(ring) = ring(3) else { return };
    let good = Watched::new(tempfile::tempfile().unwrap());
    // Nothing can be written to a file that was opened for reading.
    let bad = Watched::new(std::fs::File::open("/dev/null").unwrap());
    thread::scope(|scope| {
        for n in 0..8_u64 {
            let (ring, good, bad) = (&ring, &good, &bad);
            scope.spawn(move || {
                for at in 0..100 {
                    let work = || Work::write_through(vec![n as u8; 100].into(), at * 100);
                    block_on(ring.run(good.clone(), work())).unwrap();
                    let error = block_on(ring.run(bad.clone(), work())).unwrap_err();
                    assert_eq!(Errno::from_io_error(&error), Some(Errno::BADF));
                    block_on(ring.run(good.clone(), Work::sync())).unwrap();
                }
            });
        }
    });
    assert_eq!((good.ends(), bad.ends()), ((1600, 0), (0, 800)));
}

#[test]
fn what_a_thread_started_goes_on_when_it_ends() {
    let Some(ring) = ring(4) else { return };
    let (reader, writer, held) = full_pipe();
    let target = Watched::new(writer);
    let outcome = thread::scope(|scope| {
        let start = || ring.run(target.clone(), Work::write_through(owned(1, 100).0, 0));
        scope.spawn(start).join().unwrap()
    });
    thread::sleep(Duration::from_millis(10));
    read_whole(&reader, held);
    block_on(outcome).unwrap();
    assert_eq!(read_whole(&reader, 100), [1; 100]);
}

#[test]
fn a_waker_that_panics_stops_nobody() {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker that panics");
        }
    }
    let Some(ring) = ring(2) else { return };
    let (reader, writer, held) = full_pipe();
    let target = Watched::new(writer);
    let mut first = ring.run(target.clone(), Work::write_through(owned(1, 10).0, 0));
    let waker = Waker::from(Arc::new(Panics));
    assert!(pin!(&mut first).poll(&mut Context::from_waker(&waker)).is_pending());
    read_whole(&reader, held + 10);
    block_on(ring.run(target.clone(), Work::write_through(owned(2, 10).0, 0))).unwrap();
    block_on(first).unwrap();
}

/// A waker may hold the last handle of the storage that it waits for.
#[test]
fn the_ring_may_be_dropped_on_its_own_thread() {
    struct Holds {
        ring: Ring,
        told: mpsc::Sender<()>,
    }
    impl std::task::Wake for Holds {
        fn wake(self: Arc<Self>) {
            // Dropped only once nothing is under way, which this very operation still is.
            let told = self.told.clone();
            self.ring.drop_when_idle(Tells(told));
        }
    }
    struct Tells(mpsc::Sender<()>);
    impl Drop for Tells {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let Some(ring) = ring(2) else { return };
    let (reader, writer, held) = full_pipe();
    let mut outcome = ring.run(Watched::new(writer), Work::write_through(owned(1, 10).0, 0));
    let (told, dropped) = mpsc::channel();
    let waker = Waker::from(Arc::new(Holds { ring, told }));
    assert!(is_pending(&mut outcome));
    assert!(Pin::new(&mut outcome).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    assert!(dropped.try_recv().is_err());
    read_whole(&reader, held + 10);
    dropped.recv_timeout(SOON).unwrap();
    block_on(outcome).unwrap();
}

#[test]
fn a_broken_ring_fails_what_waits_and_what_comes() {
    let Some(ring) = ring(1) else { return };
    let target = Watched::new(tempfile::tempfile().unwrap());
    ring.shared.give_up("broken by a test");
    let late = block_on(ring.run(target.clone(), Work::sync())).unwrap_err();
    assert!(late.to_string().contains("broken by a test"), "{late}");
    assert_eq!(target.ends(), (0, 1));
}

#[test]
fn an_operation_that_is_dropped_has_failed() {
    let target = Watched::new(tempfile::tempfile().unwrap());
    let (operation, outcome) = Operation::new(target.clone(), Work::sync());
    drop(operation);
    block_on(outcome).unwrap_err();
    assert_eq!(target.ends(), (0, 1));
}

#[test]
fn who_may_not_use_io_uring_is_told_so() {
    for (errno, words) in [
        (Errno::NOSYS, "this kernel has no io_uring"),
        (Errno::PERM, "io_uring is forbidden to this process"),
        (Errno::ACCESS, "io_uring is forbidden to this process"),
    ] {
        let error = refused(errno.into());
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let text = error.to_string();
        assert!(text.contains(words) && text.contains("use FileStorage here"), "{text}");
    }
    // Not a matter of what is allowed.
    assert_eq!(refused(Errno::NFILE.into()).kind(), ErrorKind::Io);
}

#[test]
fn what_a_failed_ring_may_still_write_to_is_never_let_go_of() {
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    // Holds no memory, which would be lost here.
    struct Counts;
    impl Drop for Counts {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::AcqRel);
        }
    }
    let Some(ring) = ring(1) else { return };
    ring.drop_when_idle(Counts);
    assert_eq!(DROPPED.load(Ordering::Acquire), 1);
    ring.shared.inbox().abandoned = true;
    ring.drop_when_idle(Counts);
    assert_eq!(DROPPED.load(Ordering::Acquire), 1);
}
