//! Records as an asynchronous stream.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::{Entry, Result};

/// Records of a log as a [`Stream`]: of [`AsyncWal::stream`](crate::AsyncWal::stream) or
/// [`AsyncWal::follow`](crate::AsyncWal::follow).
///
/// [`next`](Self::next) gives one record after the other. Combinators come with a crate such as `futures-util`. Ends
/// after its first error. Cancel-safe: dropping it, or a future of its next record, loses nothing.
#[must_use = "a stream does nothing unless polled"]
pub struct RecordStream<T> {
    /// An async block that gives one record after the other; gone at its end.
    task: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    slot: Slot<T>,
}

type Item<T> = Result<Entry<T>>;

/// Where the async block leaves a record.
struct Slot<T>(Arc<Mutex<Option<Item<T>>>>);

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, Option<Item<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The async block's end of a [`RecordStream`].
pub(crate) struct Giver<T>(Slot<T>);

impl<T> Giver<T> {
    /// Gives a record, and goes on when the next one is asked for.
    pub(crate) async fn give(&mut self, item: Item<T>) {
        let mut item = Some(item);
        poll_fn(|_| match item.take() {
            Some(item) => {
                *self.0.lock() = Some(item);
                // The task that polls the stream finds the record, and polls again for the next one.
                Poll::Pending
            }
            None => Poll::Ready(()),
        })
        .await;
    }
}

impl<T> RecordStream<T> {
    /// What the async block of `task` gives.
    pub(crate) fn new<F>(task: impl FnOnce(Giver<T>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let slot = Arc::new(Mutex::new(None));
        let giver = Giver(Slot(slot.clone()));
        RecordStream { task: Some(Box::pin(task(giver))), slot: Slot(slot) }
    }

    /// The next record; `None` at the end of the stream, or after an error.
    ///
    /// # Cancel safety
    /// The future may be dropped at any time, as `select!` does: no record is lost with it, and the next call gives
    /// the one that it would have given.
    ///
    /// ```
    /// use wal_core::{Always, Lsn, MemoryStorage, Wal};
    ///
    /// #[tokio::main]
    /// async fn main() -> wal_core::Result<()> {
    ///     let log = Wal::builder(Always).open_async(MemoryStorage::new().into_empty_log()?)?;
    ///     log.append(b"debit").await?;
    ///     let mut records = log.stream(Lsn::ZERO)?;
    ///     while let Some(entry) = records.next().await {
    ///         assert_eq!(entry?.record, "debit");
    ///     }
    ///     log.close().await
    /// }
    /// ```
    ///
    /// # Errors
    /// An item is `Corrupt`, `Io`, `Codec`, or `NotInLog` if the record was truncated meanwhile. It is the last one.
    pub async fn next(&mut self) -> Option<Result<Entry<T>>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<T> Stream for RecordStream<T> {
    type Item = Item<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item<T>>> {
        let Some(task) = &mut self.task else { return Poll::Ready(None) };
        let is_over = task.as_mut().poll(cx).is_ready();
        let item = self.slot.lock().take();
        if is_over {
            self.task = None;
            return Poll::Ready(item);
        }
        match item {
            Some(item) => Poll::Ready(Some(item)),
            None => Poll::Pending,
        }
    }
}

impl<T> fmt::Debug for RecordStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordStream")
            .field("is_over", &self.task.is_none())
            .finish_non_exhaustive()
    }
}
