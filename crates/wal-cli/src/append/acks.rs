//! Acknowledgements on standard output: after the record is acknowledged, in the order of LSNs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use wal_core::{Lsn, LsnRange};

/// A thread that wants to add to that much unwritten text waits: the reader of our output is too slow.
const BACKLOG_BYTES: usize = 64 * 1024;

/// Prints the LSN of each acknowledged record on a line of its own.
///
/// Writers acknowledge in any order. What cannot be printed yet, because a smaller LSN is still
/// missing, is kept. Everything that can be printed is printed at once, by the thread that made it possible, or
/// by the thread that is already writing: nothing waits for others, and no thread but one waits
/// for the output.
pub(crate) struct Acks<W> {
    state: Mutex<State>,
    drained: Condvar,
    output: Mutex<W>,
}

struct State {
    /// The next LSN to print.
    next: Lsn,
    /// Acknowledged, but not next.
    early: BinaryHeap<Reverse<(Lsn, Lsn)>>,
    text: Vec<u8>,
    writing: bool,
    failed: bool,
}

impl<W: Write> Acks<W> {
    /// `first` is the LSN of the run's first record. `output` must not buffer.
    pub(crate) fn new(first: Lsn, output: W) -> Self {
        let state = State {
            next: first,
            early: BinaryHeap::new(),
            text: Vec::new(),
            writing: false,
            failed: false,
        };
        Acks { state: Mutex::new(state), drained: Condvar::new(), output: Mutex::new(output) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records of `range` were acknowledged.
    ///
    /// # Errors
    /// The output's error, to one caller only.
    pub(crate) fn acknowledged(&self, range: LsnRange) -> io::Result<()> {
        let mut state = self.state();
        while state.text.len() > BACKLOG_BYTES && !state.failed {
            state = self.drained.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.early.push(Reverse((range.first, range.last)));
        while let Some(&Reverse((first, last))) = state.early.peek()
            && first == state.next
        {
            state.early.pop();
            state.print(first, last);
        }
        self.write_out(state)
    }

    /// Nobody appends any more. A gap is now for good (that append failed), and what lies behind it
    /// was acknowledged all the same.
    ///
    /// # Errors
    /// The output's error.
    pub(crate) fn finish(&self) -> io::Result<()> {
        let mut state = self.state();
        while let Some(Reverse((first, last))) = state.early.pop() {
            state.print(first, last);
        }
        self.write_out(state)
    }

    fn write_out<'a>(&'a self, mut state: MutexGuard<'a, State>) -> io::Result<()> {
        if state.writing || state.failed {
            return Ok(());
        }
        let mut text = Vec::new();
        while !state.text.is_empty() {
            std::mem::swap(&mut state.text, &mut text);
            state.writing = true;
            drop(state);
            let outcome = {
                let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
                output.write_all(&text).and_then(|()| output.flush())
            };
            text.clear();
            state = self.state();
            state.writing = false;
            state.failed = outcome.is_err();
            self.drained.notify_all();
            outcome?;
        }
        Ok(())
    }
}

impl State {
    fn print(&mut self, first: Lsn, last: Lsn) {
        for lsn in first.get()..=last.get() {
            writeln!(self.text, "{lsn}").expect("memory takes every write");
        }
        self.next = last.next();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn range(first: u64, last: u64) -> LsnRange {
        LsnRange::new(Lsn::new(first), Lsn::new(last))
    }

    /// Tells each write apart.
    struct Writes(mpsc::Sender<String>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8(bytes.to_vec()).unwrap()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_lsn_waits_for_the_smaller_ones_and_no_longer() {
        let (writes, written) = mpsc::channel();
        let acks = Acks::new(Lsn::new(5), Writes(writes));
        acks.acknowledged(range(5, 5)).unwrap();
        assert_eq!(written.try_recv().unwrap(), "5\n");
        acks.acknowledged(range(9, 9)).unwrap();
        acks.acknowledged(range(7, 8)).unwrap();
        assert!(written.try_recv().is_err());
        acks.acknowledged(range(6, 6)).unwrap();
        assert_eq!(written.try_recv().unwrap(), "6\n7\n8\n9\n");
        acks.acknowledged(range(11, 11)).unwrap();
        assert!(written.try_recv().is_err());
        acks.finish().unwrap();
        assert_eq!(written.try_recv().unwrap(), "11\n");
    }

    #[test]
    fn many_threads_print_every_lsn_once_and_in_order() {
        let (writes, written) = mpsc::channel();
        let acks = Acks::new(Lsn::FIRST, Writes(writes));
        let next = std::sync::atomic::AtomicU64::new(1);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let lsn = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        acks.acknowledged(range(lsn, lsn)).unwrap();
                    }
                });
            }
        });
        acks.finish().unwrap();
        let text: String = written.try_iter().collect();
        let expected: String = (1..=4000).map(|lsn| format!("{lsn}\n")).collect();
        assert_eq!(text, expected);
    }

    #[test]
    fn a_failing_output_is_told_once() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let acks = Acks::new(Lsn::FIRST, Broken);
        assert_eq!(acks.acknowledged(range(1, 1)).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        acks.acknowledged(range(2, 2)).unwrap();
        acks.finish().unwrap();
    }
}
