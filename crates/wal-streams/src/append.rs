//! From a stream's records to one frame of the shared log.

use std::borrow::Borrow;
use std::cell::Cell;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use wal_core::format::record_overhead;
use wal_core::{Durability, Error, ErrorKind, LsnRange, Result};

use crate::id::StreamId;
use crate::index::IndexedFrame;
use crate::layout;
use crate::positions::StreamState;
use crate::shared::Shared;

/// Places records as one frame, and tells what to wait for.
pub(crate) fn submit<'a, R: Borrow<[u8]>>(
    shared: &'a Shared,
    state: &StreamState,
    records: &[R],
    durability: Option<Durability>,
) -> Result<Submitted<'a>> {
    let [first, rest @ ..] = records else {
        return Err(Error::new(ErrorKind::Invalid, "append to stream")
            .with_detail(format!("stream {}: the batch is empty", state.id)));
    };
    let count = records.len() as u64;
    with_scratch(|scratch| {
        let mut pieces = recycle(std::mem::take(&mut scratch.pieces));
        pieces.push(&[]);
        pieces.extend(rest.iter().map(Borrow::borrow));

        let mut at = state.lock();
        layout::put_records(&mut scratch.lead, state.id, at.next, count);
        scratch.lead.extend_from_slice(first.borrow());
        pieces[0] = &scratch.lead;
        let submitted = shared.wal.submit_batch_with(&pieces, durability).map_err(|error| {
            Error::new(error.kind(), "append to stream")
                .with_lsn(at.next)
                .with_detail(format!("stream {}", state.id))
                .with_source(error)
        })?;
        let bytes = pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        scratch.pieces = recycle(pieces);
        let frame = IndexedFrame {
            lsn: at.next,
            shared: submitted.range().first,
            at: shared.add_bytes(bytes + record_overhead(count)),
        };
        at.placed(frame, count, shared.wal.durable_lsn());
        let range = LsnRange::new(frame.lsn, frame.lsn.advance(count - 1));
        Ok(Submitted { stream: state.id, range, submitted })
    })
}

/// Records that are in a stream, and whose acknowledgement is yet to be waited for.
///
/// Made by [`Stream::submit`](crate::Stream::submit). Threads call [`wait`](Self::wait), tasks `.await` it:
///
/// ```
/// # use wal_core::{Durability, MemoryStorage, Wal, block_on};
/// # use wal_streams::{StreamId, Streams};
/// # let (recovered, _) = wal_recovery::Recovery::new(MemoryStorage::new()).run()?;
/// # let streams = Streams::open(Wal::builder(wal_sync::Always::new()), recovered)?;
/// let stream = streams.stream(StreamId(1));
/// block_on(async {
///     let range = stream.submit_with(b"from a task", Durability::Durable)?.await?;
///     assert_eq!(stream.durable_lsn(), range.last);
///     Ok(())
/// })
/// # .map_err(wal_core::Error::from)?; Ok::<(), wal_core::Error>(())
/// ```
///
/// Dropping it, or the future it becomes, forgets the wait and nothing else: the records stay in the
/// stream, exactly once, and become durable as the strategy says.
#[must_use = "the records are not acknowledged before this was waited for"]
pub struct Submitted<'a> {
    stream: StreamId,
    range: LsnRange,
    submitted: wal_core::Submitted<'a>,
}

impl Submitted<'_> {
    /// The LSNs in the stream.
    #[must_use]
    pub fn range(&self) -> LsnRange {
        self.range
    }

    /// Waits, on the calling thread, until the records are as safe as was asked for when they were
    /// submitted. This thread may write and sync for everybody, in all streams.
    ///
    /// # Errors
    /// `Poisoned` or the error itself if a write or sync failed: the records may or may not be there
    /// after the next recovery. `Closed` if the log was closed before they were written.
    pub fn wait(self) -> Result<LsnRange> {
        let Submitted { stream, range, submitted } = self;
        acknowledged(submitted.wait(), stream, range)
    }
}

impl fmt::Debug for Submitted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stream, range) = (&self.stream, &self.range);
        f.debug_struct("Submitted")
            .field("stream", stream)
            .field("range", range)
            .finish_non_exhaustive()
    }
}

impl<'a> IntoFuture for Submitted<'a> {
    type Output = Result<LsnRange>;
    type IntoFuture = Acknowledged<'a>;

    fn into_future(self) -> Acknowledged<'a> {
        let Submitted { stream, range, submitted } = self;
        Acknowledged { stream, range, acknowledged: submitted.into_future() }
    }
}

/// The future of a [`Submitted`]. Cancel-safe: dropping it forgets the wait and nothing else.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Acknowledged<'a> {
    stream: StreamId,
    range: LsnRange,
    acknowledged: wal_core::Acknowledged<'a>,
}

impl Future for Acknowledged<'_> {
    type Output = Result<LsnRange>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (stream, range) = (self.stream, self.range);
        Pin::new(&mut self.acknowledged)
            .poll(cx)
            .map(|outcome| acknowledged(outcome, stream, range))
    }
}

/// In the stream's numbers.
fn acknowledged(shared: Result<LsnRange>, stream: StreamId, range: LsnRange) -> Result<LsnRange> {
    shared.map(|_| range).map_err(|error| {
        Error::new(error.kind(), "append to stream")
            .with_lsn(range.first)
            .with_detail(format!("stream {stream}"))
            .with_source(error)
    })
}

/// What a thread keeps from append to append, so that none of them allocates.
#[derive(Default)]
struct Scratch {
    /// The lead and the first record behind it.
    lead: Vec<u8>,
    /// All records of a batch; empty between appends.
    pieces: Vec<&'static [u8]>,
}

impl Scratch {
    /// More bytes than this are given back, so that one huge batch does not stay for good.
    const KEEP: usize = 1 << 20;
}

fn with_scratch<T>(f: impl FnOnce(&mut Scratch) -> Result<T>) -> Result<T> {
    std::thread_local! {
        static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
    }
    let mut scratch = SCRATCH.take().unwrap_or_default();
    scratch.lead.clear();
    let outcome = f(&mut scratch);
    let bytes = scratch.lead.capacity() + scratch.pieces.capacity() * size_of::<&[u8]>();
    if bytes <= Scratch::KEEP {
        SCRATCH.set(Some(scratch));
    }
    outcome
}

/// An empty vector in the same memory, for slices that live longer or shorter. `collect` reuses the
/// memory of a vector whose elements have the same layout; the allocation test would tell if it did not.
fn recycle<'b>(mut pieces: Vec<&[u8]>) -> Vec<&'b [u8]> {
    pieces.clear();
    pieces.into_iter().map(|_| -> &'b [u8] { &[] }).collect()
}
