//! The one thread that talks to the kernel: it submits what arrived, sleeps until something is
//! done, and tells those who wait. All the `unsafe` code of the ring.
//!
//! Nobody else submits, although any thread could. The kernel keeps a pool of workers for each
//! thread that does, and those who lead a commit change from one to the next; and what a thread
//! submitted is cancelled when it ends.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use io_uring::types::Fd;
use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;

use super::inbox::Shared;
use super::operation::Operation;

/// Marks the request that waits for the bell. Slots are counted from 0.
const BELL: u64 = u64::MAX;

/// How long to wait when the kernel has no memory for requests.
const PAUSE: Duration = Duration::from_millis(1);

pub(super) struct Reaper {
    ring: IoUring,
    /// The operations that the kernel has, or is about to get: never more than it has completions for.
    slots: Vec<Option<Operation>>,
    free: Vec<usize>,
    /// Slots with a request to be made.
    ready: VecDeque<usize>,
    /// A request waits for the bell.
    listening: bool,
    completed: Vec<(u64, i32)>,
    shared: Arc<Shared>,
}

impl Reaper {
    /// Sets up a ring for `depth` operations at a time.
    pub(super) fn new(depth: u32, shared: Arc<Shared>) -> io::Result<Self> {
        // One more, for the bell.
        let ring = IoUring::new(depth + 1)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        let needed = [opcode::Write::CODE, opcode::Fsync::CODE, opcode::PollAdd::CODE];
        if !needed.into_iter().all(|code| probe.is_supported(code)) {
            return Err(Errno::OPNOTSUPP.into());
        }
        let depth = depth as usize;
        Ok(Reaper {
            ring,
            slots: (0..depth).map(|_| None).collect(),
            free: (0..depth).collect(),
            ready: VecDeque::with_capacity(depth),
            listening: false,
            completed: Vec::with_capacity(depth + 1),
            shared,
        })
    }

    /// Works until the ring is dropped and nothing is under way.
    pub(super) fn run(mut self) {
        while self.accept() {
            self.make_requests();
            match self.ring.submit_and_wait(1) {
                Ok(_) => {}
                Err(error) => match Errno::from_io_error(&error) {
                    // Requests that were not taken stay in the queue.
                    Some(Errno::INTR) => {}
                    Some(Errno::AGAIN | Errno::BUSY) => thread::sleep(PAUSE),
                    // The end of this value tells everybody.
                    _ => return self.shared.give_up(&format!("io_uring failed: {error}")),
                },
            }
            if let Err(error) = self.reap() {
                return self.shared.give_up(&format!("io_uring failed: {error}"));
            }
        }
    }

    /// Takes in what arrived, as far as there is room. Says whether there is anything to wait for.
    fn accept(&mut self) -> bool {
        let mut inbox = self.shared.inbox();
        inbox.rung = false;
        while let Some(slot) = self.free.pop() {
            let Some(operation) = inbox.arrived.pop_front() else {
                self.free.push(slot);
                break;
            };
            self.slots[slot] = Some(operation);
            self.ready.push_back(slot);
        }
        !inbox.closing || self.free.len() < self.slots.len()
    }

    fn make_requests(&mut self) {
        let mut queue = self.ring.submission();
        if !self.listening {
            let bell = Fd(self.shared.bell.as_fd().as_raw_fd());
            let readable = rustix::event::PollFlags::IN.bits().into();
            let request = opcode::PollAdd::new(bell, readable).build().user_data(BELL);
            // SAFETY: the request refers to no memory. The bell is open as long as `shared` lives,
            // which is longer than the ring.
            #[expect(unsafe_code, reason = "the kernel is given a file that must stay open")]
            let pushed = unsafe { queue.push(&request) };
            self.listening = pushed.is_ok();
        }
        while let Some(&slot) = self.ready.front() {
            let operation = self.slots[slot].as_ref().expect("a ready slot holds an operation");
            let request = operation.work.request(operation.target.file()).user_data(slot as u64);
            // SAFETY: the operation owns the bytes and the file that the request refers to, and both
            // stay where they are while it lies in its slot. It is taken from there only when the
            // kernel has said that the request is done, and each has at most one at a time. Should
            // this value be dropped before, its `drop` gives the bytes away for good.
            #[expect(unsafe_code, reason = "the kernel is given the address of the bytes")]
            let pushed = unsafe { queue.push(&request) };
            if pushed.is_err() {
                // The queue is full, and has room when the kernel has taken what is in it.
                break;
            }
            self.ready.pop_front();
        }
    }

    fn reap(&mut self) -> io::Result<()> {
        self.completed.extend(self.ring.completion().map(|done| (done.user_data(), done.result())));
        let mut finished = 0;
        let mut deaf = Ok(());
        while let Some((whose, result)) = self.completed.pop() {
            if whose == BELL {
                self.listening = false;
                if result < 0 {
                    deaf = Err(io::Error::from_raw_os_error(-result));
                }
                // Before the inbox is looked into: who rings later is heard.
                let _ = rustix::io::read(&self.shared.bell, &mut [0; 8]);
                continue;
            }
            let slot = whose as usize;
            let operation = self.slots[slot].as_mut().expect("a request belongs to an operation");
            let Some(outcome) = operation.work.completed(result) else {
                self.ready.push_back(slot);
                continue;
            };
            let operation = self.slots[slot].take().expect("it is there");
            self.free.push(slot);
            finished += 1;
            operation.finish(outcome);
        }
        self.shared.finished(finished);
        deaf
    }
}

impl Drop for Reaper {
    /// Empty, unless the ring failed or this thread panicked. The kernel may then still read what it
    /// was given.
    fn drop(&mut self) {
        self.shared.give_up("the thread of io_uring ended");
        let left: Vec<_> = self.slots.iter_mut().filter_map(Option::take).collect();
        left.iter().for_each(|operation| operation.work.leak());
        let count = left.len();
        self.shared.inbox().abandoned |= count > 0;
        drop(left);
        self.shared.finished(count);
    }
}
