//! The handle for asynchronous tasks, on any runtime.

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use crate::engine::{AppendFuture, Engine, Many, One};
use crate::inner::Inner;
use crate::iter::{read_one, start};
use crate::read::Cursor;
use crate::{
    Claim, Codec, Durability, Entry, Error, ErrorKind, Lsn, LsnRange, RawCodec, RecordStream,
    Result, Stats, Wal,
};

/// An open write-ahead log, for asynchronous tasks. The same engine as [`Wal`]; both can be used at
/// once.
///
/// No runtime is needed. Writes and syncs are done by the log's driver thread, one for all tasks: no executor thread
/// writes or syncs, unless [`commit_in_place`](crate::Settings::commit_in_place) asks for that. What is still in the
/// log's buffer is written by the driver, too, before it is read.
///
/// **Reads are done where they are polled.** [`read`](Self::read), [`stream`](Self::stream) and
/// [`follow`](Self::follow) open segments and read them on the executor's thread, as far as the storage does not do
/// that elsewhere. Files usually find the bytes in the page cache, but an old record may make that thread wait for the
/// disk. Where this matters, read on a thread that may block, by [`blocking`](Self::blocking).
///
/// There is no `submit`: with it a task would have to write when the buffer is full, as it does by
/// `blocking().submit(…)`. Futures that are polled together (`join!`, tasks) share a sync, and so do records that are
/// appended as [`Durability::Buffered`] and waited for by one [`sync`](Self::sync) or
/// [`wait_durable`](Self::wait_durable).
///
/// Dropping the last handle of a log, an `AsyncWal` or a [`Wal`], writes and perhaps syncs on the dropping thread;
/// [`close`](Self::close) leaves that to the driver.
///
/// # Cancel safety
/// Every future may be dropped at any time. An append whose future was dropped before its first poll
/// did not happen; afterwards the record stays in the log, exactly once, and nobody else is delayed.
///
/// With tokio; any other runtime will do:
///
/// ```
/// use wal_core::{Always, Durability, MemoryStorage, Wal};
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let log = Wal::builder(Always).open_async(MemoryStorage::new().into_empty_log()?)?;
///     let tasks: Vec<_> = (0..8)
///         .map(|n| {
///             let log = log.clone();
///             // Tasks that append at the same time share a sync.
///             tokio::spawn(async move { log.append(format!("task {n}").as_bytes()).await })
///         })
///         .collect();
///     for task in tasks {
///         let lsn = task.await??;
///         assert!(log.durable_lsn() >= lsn);
///     }
///     let lsn = log.append_with(b"returns at once", Durability::Buffered).await?;
///     assert_eq!(log.sync().await?, lsn);
///     log.close().await?;
///     Ok(())
/// }
/// ```
pub struct AsyncWal<C = RawCodec> {
    pub(crate) inner: Arc<Inner<C>>,
}

impl<C> Clone for AsyncWal<C> {
    fn clone(&self) -> Self {
        AsyncWal { inner: self.inner.clone() }
    }
}

impl<C> fmt::Debug for AsyncWal<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Async{:?}", Wal { inner: self.inner.clone() })
    }
}

impl<C: Codec> AsyncWal<C> {
    fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// The same log, for threads that may block; also for positions and counters.
    #[must_use]
    pub fn blocking(&self) -> Wal<C> {
        Wal { inner: self.inner.clone() }
    }

    /// Appends a record; resolves when the log's strategy says so.
    ///
    /// # Errors
    /// As [`Wal::append`].
    pub fn append<'a>(&'a self, record: &'a C::Record) -> impl Future<Output = Result<Lsn>> {
        self.append_with(record, None)
    }

    /// Appends a record; resolves when it is as safe as asked.
    /// With [`Durability::Buffered`] it resolves at once, and [`sync`](Self::sync) makes it durable.
    ///
    /// # Errors
    /// As [`Wal::append`].
    pub fn append_with<'a>(
        &'a self,
        record: &'a C::Record,
        durability: impl Into<Option<Durability>>,
    ) -> impl Future<Output = Result<Lsn>> {
        let one = One { codec: &*self.inner.codec, record };
        AppendFuture::new(self.engine(), one, durability.into(), |range: LsnRange| range.last)
    }

    /// Appends records as one frame: after a crash all of them are there, or none.
    ///
    /// # Errors
    /// As [`Wal::append_batch`].
    pub fn append_batch<'a, R: Borrow<C::Record>>(
        &'a self,
        records: &'a [R],
    ) -> impl Future<Output = Result<LsnRange>> {
        self.append_batch_with(records, None)
    }

    /// Appends an atomic batch; resolves when it is as safe as asked.
    ///
    /// # Errors
    /// As [`Wal::append_batch`].
    pub fn append_batch_with<'a, R: Borrow<C::Record>>(
        &'a self,
        records: &'a [R],
        durability: impl Into<Option<Durability>>,
    ) -> impl Future<Output = Result<LsnRange>> {
        let many = Many { codec: &*self.inner.codec, records };
        AppendFuture::new(self.engine(), many, durability.into(), |range| range)
    }

    /// Makes everything durable that was appended before the first poll.
    ///
    /// # Errors
    /// As [`Wal::sync`].
    pub async fn sync(&self) -> Result<Lsn> {
        let waiting = self.engine().sync_future()?;
        let lsn = waiting.lsn();
        waiting.await.map(|()| lsn)
    }

    /// As [`Wal::wait_durable`].
    ///
    /// # Errors
    /// As [`Wal::sync`].
    pub async fn wait_durable(&self, lsn: Lsn) -> Result<()> {
        self.engine().durable_future(lsn)?.await
    }

    /// As [`Wal::read`].
    ///
    /// # Errors
    /// As [`Wal::read`].
    pub async fn read(&self, lsn: Lsn) -> Result<Entry<C::Decoded>> {
        let from = start(self.engine(), lsn.max(Lsn::FIRST))?;
        // Only this record has to be written.
        let upto = readable(self.engine(), lsn.min(self.engine().last_lsn())).await?;
        read_one(&self.inner, lsn, from, upto).await
    }

    /// The records from `from` on up to the last one appended before this call. Keeps the log open.
    /// [`Lsn::ZERO`] stands for the first record that there is.
    ///
    /// ```
    /// # use wal_core::{Always, Lsn, MemoryStorage, Wal};
    /// # #[tokio::main]
    /// # async fn main() -> wal_core::Result<()> {
    /// # let log = Wal::builder(Always).open_async(MemoryStorage::new().into_empty_log()?)?;
    /// log.append_batch(&["debit", "credit"].map(str::as_bytes)).await?;
    /// let mut records = log.stream(Lsn::new(2))?;
    /// while let Some(entry) = records.next().await {
    ///     let entry = entry?;
    ///     println!("{}: {:?}", entry.lsn, entry.record);
    ///     # assert_eq!((entry.lsn, &entry.record[..]), (Lsn::new(2), &b"credit"[..]));
    /// }
    /// # log.close().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Wal::iter`]; a failed write is told by an item, the last one.
    pub fn stream(&self, from: Lsn) -> Result<RecordStream<C::Decoded>>
    where
        C::Decoded: Send,
    {
        let inner = self.inner.clone();
        let mut cursor = Cursor::new(inner.engine.clone(), start(&inner.engine, from)?);
        let last = inner.engine.last_lsn();
        Ok(RecordStream::new(async move |mut giver| {
            let mut upto = last.min(inner.engine.written_lsn());
            loop {
                while let Some(raw) = cursor.next(upto).await {
                    let item = cursor.decode(raw, &*inner.codec);
                    giver.give(item).await;
                }
                if upto >= last || cursor.has_ended() {
                    return;
                }
                // What is left is in the log's buffer.
                upto = match readable(&inner.engine, last).await {
                    Ok(upto) => upto,
                    Err(error) => return giver.give(Err(error)).await,
                };
                if upto < last {
                    return;
                }
            }
        }))
    }

    /// The records from `from` on, each as soon as it is durable. [`Lsn::ZERO`] stands for the first record that
    /// there is. Ends when the log is closed, when it fails, and when its last handle is dropped.
    ///
    /// ```
    /// # use wal_core::{Always, Lsn, MemoryStorage, Wal};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let log = Wal::builder(Always).open_async(MemoryStorage::new().into_empty_log()?)?;
    /// let mut news = log.follow(Lsn::ZERO)?;
    /// let consumer = tokio::spawn(async move {
    ///     let mut seen = Vec::new();
    ///     while let Some(entry) = news.next().await {
    ///         seen.push(entry?.record);
    ///     }
    ///     Ok::<_, wal_core::Error>(seen)
    /// });
    /// log.append(b"one").await?;
    /// log.append(b"two").await?;
    /// log.close().await?; // ends the follower, once it has seen everything
    /// assert_eq!(consumer.await??, ["one", "two"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Wal::follow`].
    pub fn follow(&self, from: Lsn) -> Result<RecordStream<C::Decoded>>
    where
        C::Decoded: Send,
    {
        let engine = &self.inner.engine;
        let mut cursor = Cursor::new(engine.clone(), start(engine, from)?);
        let codec = self.inner.codec.clone();
        Ok(RecordStream::new(async move |mut giver| {
            loop {
                let upto = cursor.durable_lsn();
                while let Some(raw) = cursor.next(upto).await {
                    let item = cursor.decode(raw, &*codec);
                    giver.give(item).await;
                }
                if cursor.has_ended() || cursor.news(upto).await.is_err() {
                    return;
                }
            }
        }))
    }

    /// As [`Wal::first_lsn`].
    #[must_use]
    pub fn first_lsn(&self) -> Lsn {
        self.engine().first_lsn()
    }

    /// As [`Wal::last_lsn`].
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        self.engine().last_lsn()
    }

    /// As [`Wal::next_lsn`].
    #[must_use]
    pub fn next_lsn(&self) -> Lsn {
        self.engine().next_lsn()
    }

    /// As [`Wal::durable_lsn`].
    #[must_use]
    pub fn durable_lsn(&self) -> Lsn {
        self.engine().durable_lsn()
    }

    /// As [`Wal::written_lsn`].
    #[must_use]
    pub fn written_lsn(&self) -> Lsn {
        self.engine().written_lsn()
    }

    /// As [`Wal::claim`].
    #[must_use]
    pub fn claim(&self) -> Claim {
        self.engine().claim()
    }

    /// As [`Wal::stats`].
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine().stats()
    }

    /// As [`Wal::truncate_before`]. Once polled it happens, also if the future is dropped.
    ///
    /// # Errors
    /// As [`Wal::truncate_before`].
    pub async fn truncate_before(&self, lsn: Lsn) -> Result<Lsn> {
        self.beside_driver(move |engine| engine.truncate_before(lsn)).await
    }

    /// As [`Wal::truncate_after`]. Once polled it happens, also if the future is dropped.
    ///
    /// # Errors
    /// As [`Wal::truncate_after`].
    pub async fn truncate_after(&self, lsn: Lsn) -> Result<Lsn> {
        self.beside_driver(move |engine| engine.truncate_after(lsn)).await
    }

    /// As [`Wal::close`]. Once polled it happens, also if the future is dropped.
    ///
    /// # Errors
    /// As [`Wal::close`].
    pub async fn close(&self) -> Result<()> {
        self.on_driver(Engine::close).await
    }

    /// Runs something that may block on the driver.
    async fn on_driver<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Engine) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, outcome) = reply();
        self.engine().hand_to_driver(Box::new(move |engine| reply.send(job(engine))));
        outcome.await
    }

    /// Runs something that takes long. The driver goes on with commits meanwhile.
    async fn beside_driver<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Engine) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, outcome) = reply();
        let job = Box::new(move |engine: &Engine| reply.send(job(engine)));
        Engine::run_beside_driver(&self.inner.engine, job);
        outcome.await
    }
}

/// Has everything up to `last` written by the driver, so that it can be read; returns how far that is.
async fn readable(engine: &Engine, last: Lsn) -> Result<Lsn> {
    if engine.written_lsn() < last && engine.refusal("read").is_none() {
        engine.written_future(last).await?;
    }
    Ok(last.min(engine.written_lsn()))
}

/// The outcome of a job, once it is there, and who waits for it.
struct Pending<T> {
    outcome: Option<Result<T>>,
    waker: Option<Waker>,
}

/// The job's end of a [`Pending`].
struct Reply<T>(Arc<Mutex<Pending<T>>>);

fn reply<T>() -> (Reply<T>, impl Future<Output = Result<T>>) {
    let shared = Arc::new(Mutex::new(Pending { outcome: None, waker: None }));
    let reply = Reply(shared.clone());
    let outcome = std::future::poll_fn(move |cx| {
        let mut pending = shared.lock().unwrap_or_else(PoisonError::into_inner);
        match pending.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                pending.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    });
    (reply, outcome)
}

impl<T> Reply<T> {
    fn send(self, outcome: Result<T>) {
        self.set(outcome);
    }

    fn set(&self, outcome: Result<T>) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.outcome.get_or_insert(outcome);
        let waker = pending.waker.take();
        drop(pending);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Reply<T> {
    /// Without effect after `send`; otherwise the job never ran, or it panicked.
    fn drop(&mut self) {
        self.set(Err(Error::new(ErrorKind::Closed, "run").with_detail("the driver ended")));
    }
}
