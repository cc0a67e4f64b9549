//! Reading ahead: a thread fetches the next windows of a long segment while one is looked at, and checks
//! what it comes to.

use std::mem;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use wal_core::format::{FRAME_HEADER_LEN, FrameHeader, Salt, SegmentHeader};
use wal_core::{Error, ErrorKind, FrameReader, FramesAhead, Io, Result, Segment, WriteMode};

/// Windows that wait to be looked at, at most.
const WINDOWS: usize = 2;
/// Frames that are checked at once.
const STRETCH: usize = 64;
/// What is left of a segment must be worth a thread.
const WORTH: u64 = 4 << 20;

/// A segment that is read by one [`FrameReader`], from frame to frame.
///
/// It gives what the segment would give, but may have read it a moment before. Where the next windows
/// begin is guessed from lengths that nobody may have checked: a wrong guess is never asked for, and
/// then nothing is read ahead any more.
pub(crate) struct ReadAhead {
    segment: Arc<dyn Segment>,
    salt: Salt,
    end: u64,
    state: Mutex<State>,
    /// Of the window that was given last.
    checked_upto: AtomicU64,
}

enum State {
    /// Nothing was read yet.
    Idle,
    /// A window was read; the next one begins here, if more is wanted.
    Once(u64),
    Running(Helper),
    Off,
}

impl ReadAhead {
    /// Of a segment of which nothing behind `end` will be asked for.
    pub(crate) fn new(segment: Arc<dyn Segment>, header: &SegmentHeader, end: u64) -> Self {
        ReadAhead {
            segment,
            salt: header.salt(),
            end,
            state: Mutex::new(State::Idle),
            checked_upto: AtomicU64::new(0),
        }
    }

    /// Up to here the frames in the window that was given last have the right checksums.
    pub(crate) fn checked_upto(&self) -> u64 {
        self.checked_upto.load(Relaxed)
    }

    fn read(&self, offset: u64, len: usize, spent: Bytes) -> Result<Bytes> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.checked_upto.store(0, Relaxed);
        if let State::Running(helper) = &*state {
            match helper.fetch(offset, len) {
                Fetched::Window { bytes, checked_upto } => {
                    helper.give_back(spent);
                    self.checked_upto.store(checked_upto, Relaxed);
                    return Ok(bytes);
                }
                // Quicker than to wait for a thread that may have to wait for a processor.
                Fetched::NotYet => return self.segment.read_reusing(offset, len, spent).wait(),
                Fetched::NeverAgain => *state = State::Off,
            }
        }
        let window = self.segment.read_reusing(offset, len, spent).wait()?;
        let next = offset + whole_frames(&window);
        *state = match mem::replace(&mut *state, State::Off) {
            State::Idle => State::Once(next),
            // Somebody who wants a second window wants them all.
            State::Once(guess) if guess == offset && self.end.saturating_sub(next) >= WORTH => {
                self.start(next).map_or(State::Off, State::Running)
            }
            _ => State::Off,
        };
        Ok(window)
    }

    /// `None` where no other thread would run at the same time.
    fn start(&self, from: u64) -> Option<Helper> {
        if thread::available_parallelism().is_ok_and(|n| n.get() == 1) {
            return None;
        }
        let (to, windows) = sync_channel(WINDOWS);
        let (spent, reuse) = channel();
        let wanted = Arc::new(AtomicU64::new(0));
        let work = Work {
            segment: self.segment.clone(),
            salt: self.salt,
            end: self.end,
            to,
            reuse,
            wanted: wanted.clone(),
        };
        let thread = thread::Builder::new().name("wal-read-ahead".into());
        let thread = thread.spawn(move || work.run(from)).ok()?;
        Some(Helper { windows: Some(windows), spent, wanted, thread: Some(thread) })
    }
}

impl Segment for ReadAhead {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        let _ = (offset, data, mode);
        refused("write")
    }

    fn sync(&self) -> Io<'_, ()> {
        refused("sync")
    }

    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        self.segment.read_at(offset, len)
    }

    fn read_reusing(&self, offset: u64, len: usize, spent: Bytes) -> Io<'_, Bytes> {
        Io::ready(self.read(offset, len, spent))
    }

    fn len(&self) -> Io<'_, u64> {
        self.segment.len()
    }

    fn truncate(&self, len: u64) -> Io<'_, ()> {
        let _ = len;
        refused("truncate")
    }
}

/// A view opens segments for reading.
fn refused(op: &'static str) -> Io<'static, ()> {
    let error = Error::new(ErrorKind::Denied, op).with_detail("the segment was opened for reading");
    Io::ready(Err(error))
}

/// How many bytes of a window are whole frames, if their lengths are right.
fn whole_frames(window: &[u8]) -> u64 {
    let mut at = 0;
    while let Some(head) = window[at..].first_chunk::<FRAME_HEADER_LEN>() {
        let header = FrameHeader::decode(head);
        let len = header.frame_len();
        if header.kind == 0 || len > (window.len() - at) as u64 {
            break;
        }
        at += len as usize;
    }
    at as u64
}

struct Window {
    at: u64,
    bytes: Result<Bytes>,
    checked_upto: u64,
}

/// The way to the thread that reads.
struct Helper {
    /// `None` only while being dropped.
    windows: Option<Receiver<Window>>,
    spent: Sender<Bytes>,
    /// Where the window begins that is being looked at, read by either thread.
    wanted: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Helper {
    /// The window at this place, if it is there.
    fn fetch(&self, offset: u64, len: usize) -> Fetched {
        let Some(windows) = &self.windows else { return Fetched::NeverAgain };
        self.wanted.store(offset, Relaxed);
        loop {
            let Window { at, bytes, checked_upto } = match windows.try_recv() {
                Ok(window) => window,
                Err(TryRecvError::Empty) => return Fetched::NotYet,
                Err(TryRecvError::Disconnected) => return Fetched::NeverAgain,
            };
            match bytes {
                Ok(bytes) if at < offset => self.give_back(bytes),
                Ok(bytes) if at == offset && bytes.len() >= len => {
                    return Fetched::Window { bytes: bytes.slice(..len), checked_upto };
                }
                // The next read there is told what is wrong.
                _ => return Fetched::NeverAgain,
            }
        }
    }

    /// Memory for another window.
    fn give_back(&self, spent: Bytes) {
        // The thread may have come to its end.
        let _ = self.spent.send(spent);
    }
}

/// What came of asking for a window.
enum Fetched {
    Window { bytes: Bytes, checked_upto: u64 },
    NotYet,
    NeverAgain,
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.windows.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked, so will the next read there.
            let _ = thread.join();
        }
    }
}

/// What the thread does.
struct Work {
    segment: Arc<dyn Segment>,
    salt: Salt,
    end: u64,
    to: SyncSender<Window>,
    reuse: Receiver<Bytes>,
    wanted: Arc<AtomicU64>,
}

impl Work {
    /// Reads window after window, as long as there are frames and somebody wants them.
    fn run(self, mut at: u64) {
        let mut sent = 0;
        loop {
            at = at.max(self.wanted.load(Relaxed));
            if at >= self.end {
                break;
            }
            let len = (FrameReader::WINDOW as u64).min(self.end - at) as usize;
            let spent = self.reuse.try_recv().unwrap_or_default();
            let bytes = self.segment.read_reusing(at, len, spent).wait();
            let window = bytes.as_ref().map_or(&[][..], |bytes| bytes);
            let checked_upto = self.check(at, window, sent);
            let next = checked_upto + whole_frames(&window[(checked_upto - at) as usize..]);
            if self.to.send(Window { at, bytes, checked_upto }).is_err() || next == at {
                break;
            }
            (sent, at) = (at, next);
        }
    }

    /// Checks frames while the other side did not come to the window that was sent before, and would gain
    /// nothing from this one. So both have the same to do, whatever it is that takes long.
    fn check(&self, at: u64, window: &[u8], sent: u64) -> u64 {
        let mut frames = FramesAhead::new(window, at, self.salt);
        while sent > self.wanted.load(Relaxed) {
            if frames.by_ref().take(STRETCH).count() < STRETCH {
                break;
            }
        }
        frames.offset()
    }
}
