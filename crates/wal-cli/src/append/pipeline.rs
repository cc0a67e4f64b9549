//! One reader deals records to the writers, each of which appends and acknowledges.

use std::collections::VecDeque;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::{io, thread};

use wal_core::{Clock, Durability, Error, ErrorKind, SystemClock, Wal};

use super::acks::Acks;
use super::queues::{Item, Queues, Records};
use super::summary::{Summary, Tally};
use crate::failure::{Code, Failure};
use crate::input::RecordReader;

/// How to append.
pub(crate) struct Plan {
    pub(crate) writers: usize,
    /// Records per batch; 1 for none.
    pub(crate) batch: usize,
    /// A batch that reached this many bytes is handed on as it is, for the log to refuse it.
    pub(crate) batch_bytes: u64,
    pub(crate) durability: Option<Durability>,
}

/// Why a writer stopped before its queue was empty.
enum Stop {
    Append { error: Error, number: u64, count: u64 },
    Output(io::Error),
}

impl Stop {
    /// The cause has the smallest; a poisoned log is the consequence of another writer's error.
    fn rank(&self) -> u8 {
        match self {
            Stop::Append { error, .. } if error.kind() != ErrorKind::Poisoned => 0,
            Stop::Output(_) => 1,
            Stop::Append { .. } => 2,
        }
    }

    fn into_failure(self) -> Failure {
        match self {
            Stop::Append { error, number, count } => Failure::from(error).at_record(number, count),
            Stop::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                // The summary says that there was less to do than input.
                Failure::silent(Code::Error)
            }
            Stop::Output(error) => Failure::output(&error),
        }
    }
}

/// Appends all records; returns what was done, and why it ended early if it did.
///
/// The reader is on a thread of its own that is left behind when a writer fails: it may be waiting for
/// input that never comes.
pub(crate) fn run<R: BufRead, W: Write + Send>(
    plan: &Plan,
    reader: impl FnOnce() -> RecordReader<R> + Send + 'static,
    wal: &Wal,
    acks: Option<&Acks<W>>,
) -> (Summary, Option<Failure>) {
    let clock = SystemClock::new();
    let queues = Arc::new(Queues::new(plan.writers));
    let input_failed = deal(plan, reader, queues.clone());
    let mut total = Tally::default();
    let mut stops = Vec::new();
    thread::scope(|scope| {
        let queues = &*queues;
        let writers: Vec<_> = (0..plan.writers)
            .map(|at| scope.spawn(move || write(at, queues, wal, plan.durability, acks)))
            .collect();
        for writer in writers {
            let (tally, stop) = writer.join().expect("a writer does not panic");
            total.add(&tally);
            stops.extend(stop);
        }
    });
    if let Some(acks) = acks
        && let Err(error) = acks.finish()
    {
        stops.push(Stop::Output(error));
    }
    let output_closed = stops
        .iter()
        .any(|stop| matches!(stop, Stop::Output(e) if e.kind() == io::ErrorKind::BrokenPipe));
    let failure = stops
        .into_iter()
        .min_by_key(Stop::rank)
        .map(Stop::into_failure)
        .or_else(|| input_failed.try_recv().ok());
    (Summary { total, clock, output_closed }, failure)
}

/// Reads on a thread of its own; what is wrong with the input comes out of the channel.
fn deal<R: BufRead>(
    plan: &Plan,
    reader: impl FnOnce() -> RecordReader<R> + Send + 'static,
    queues: Arc<Queues>,
) -> Receiver<Failure> {
    let (failed, failure) = mpsc::sync_channel(1);
    let (batch, batch_bytes) = (plan.batch, plan.batch_bytes);
    thread::spawn(move || {
        if let Err(failure) = read(&mut reader(), batch, batch_bytes, &queues) {
            let _ = failed.send(failure);
        }
        queues.end();
    });
    failure
}

fn read<R: BufRead>(
    reader: &mut RecordReader<R>,
    batch: usize,
    batch_bytes: u64,
    queues: &Queues,
) -> Result<(), Failure> {
    let mut number = 1;
    for writer in (0..queues.len()).cycle() {
        let records = if batch == 1 {
            match reader.next()? {
                Some(record) => Records::One(record),
                None => break,
            }
        } else {
            // If the input turns out to be broken, its unfinished batch is not appended.
            let mut records = Vec::new();
            let mut bytes = 0;
            while records.len() < batch && bytes <= batch_bytes {
                let Some(record) = reader.next()? else { break };
                bytes += record.len() as u64;
                records.push(record);
            }
            if records.is_empty() {
                break;
            }
            Records::Many(records)
        };
        let count = records.as_slice().len() as u64;
        if !queues.push(writer, Item { number, records }) {
            break;
        }
        number += count;
    }
    Ok(())
}

/// One writer: appends what it is dealt until there is no more, or something fails.
fn write<W: Write>(
    at: usize,
    queues: &Queues,
    wal: &Wal,
    durability: Option<Durability>,
    acks: Option<&Acks<W>>,
) -> (Tally, Option<Stop>) {
    let clock = SystemClock::new();
    let mut tally = Tally::default();
    let mut items = VecDeque::new();
    loop {
        queues.take(at, &mut items);
        if items.is_empty() {
            return (tally, None);
        }
        for Item { number, records } in items.drain(..) {
            if queues.stopped() {
                return (tally, None);
            }
            let count = records.as_slice().len() as u64;
            let started = clock.monotonic();
            let stop = match wal.append_batch_with(records.as_slice(), durability) {
                Ok(range) => {
                    tally.count(count, records.bytes() as u64, clock.monotonic() - started);
                    acks.and_then(|acks| acks.acknowledged(range).err()).map(Stop::Output)
                }
                Err(error) => Some(Stop::Append { error, number, count }),
            };
            if stop.is_some() {
                queues.stop();
                return (tally, stop);
            }
        }
    }
}
