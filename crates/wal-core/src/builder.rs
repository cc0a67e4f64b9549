//! Putting a log together.

use std::fmt;
use std::sync::Arc;

use crate::engine::{Driver, Engine, Observer, Pace, Parts};
use crate::format::Layers;
use crate::recovered::Recovered;
use crate::{
    AsyncWal, Clock, Codec, Error, ErrorKind, Event, RawCodec, Result, Settings, SyncStrategy,
    SystemClock, Wal,
};

/// Chooses the components of a log. The storage comes with the [`Recovered`] value.
///
/// See [`Wal`] for an example.
pub struct Builder<C = RawCodec> {
    strategy: Box<dyn SyncStrategy>,
    codec: C,
    settings: Settings,
    pace: Pace,
    clock: Arc<dyn Clock>,
    observer: Option<Observer>,
    driver_thread: bool,
    layers: Layers,
}

impl<C> fmt::Debug for Builder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("strategy", &self.strategy.name())
            .field("settings", &self.settings)
            .field("driver_thread", &self.driver_thread)
            .finish_non_exhaustive()
    }
}

impl Builder<RawCodec> {
    pub(crate) fn new(strategy: Box<dyn SyncStrategy>) -> Self {
        Builder {
            strategy,
            codec: RawCodec,
            settings: Settings::default(),
            pace: Pace::default(),
            clock: Arc::new(SystemClock::new()),
            observer: None,
            driver_thread: true,
            layers: Layers::NONE,
        }
    }
}

impl<C: Codec> Builder<C> {
    /// How records become bytes; [`RawCodec`] if not called.
    #[must_use]
    pub fn codec<D: Codec>(self, codec: D) -> Builder<D> {
        let Builder { strategy, settings, pace, clock, observer, driver_thread, layers, .. } = self;
        Builder { strategy, codec, settings, pace, clock, observer, driver_thread, layers }
    }

    /// Sizes and limits.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// How its threads wait for each other, for measurements. No value changes what the log does.
    #[doc(hidden)]
    #[must_use]
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// The layers above the engine through which this log is written, for whoever builds one. Each segment says them,
    /// so that the log is not opened without one of them.
    #[must_use]
    pub fn layers(mut self, layers: Layers) -> Self {
        self.layers = layers;
        self
    }

    /// Where the time comes from; the operating system if not called.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Called at every [`Event`], on the thread that caused it, with some of the log's locks held:
    /// return quickly, and do not call the log from there.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use wal_core::{Always, Event, MemoryStorage, Wal};
    ///
    /// let (tell, told) = mpsc::channel();
    /// let log = Wal::builder(Always)
    ///     .on_event(move |event| match event {
    ///         Event::Synced { upto, elapsed, .. } => tell.send(format!("{upto} in {elapsed:?}")).unwrap(),
    ///         Event::Poisoned { error, .. } => eprintln!("the log takes nothing more: {error}"),
    ///         _ => {}
    ///     })
    ///     .open(MemoryStorage::new().into_empty_log()?)?;
    /// log.append(b"record")?;
    /// assert!(told.recv().unwrap().starts_with("1 in "));
    /// # Ok::<(), wal_core::Error>(())
    /// ```
    #[must_use]
    pub fn on_event(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Starts no thread: the program calls [`Wal::drive`].
    ///
    /// Then nothing happens at a deadline, and no asynchronous call makes progress, unless `drive` is
    /// called. For simulations, and for programs that have an event loop of their own.
    #[must_use]
    pub fn manual_driver(mut self) -> Self {
        self.driver_thread = false;
        self
    }

    /// Opens the log for appending, on calling threads that may block.
    ///
    /// Writes nothing: the first append creates a segment. Compares `recovered` with what the storage holds, which
    /// reads a few KiB.
    ///
    /// # Errors
    /// `Invalid` for a setting out of range, `CodecMismatch` or `LayerMismatch` if the log was written with
    /// another codec or other layers, `NotRecovered` if the storage changed since it was recovered, `LostOwnership` if the
    /// log is not its opener's any more, `Io` if it cannot be read or
    /// the driver thread cannot be started.
    pub fn open(self, recovered: Recovered) -> Result<Wal<C>> {
        let id = self.codec.id();
        if let Some(found) = recovered.codec().filter(|&found| found != id) {
            return Err(Error::new(ErrorKind::CodecMismatch, "open log").with_detail(format!(
                "the log in {} was written with codec {found}, it is opened with {id}",
                recovered.storage().describe()
            )));
        }
        if let Some(found) = recovered.layers().filter(|&found| found != self.layers) {
            return Err(Error::new(ErrorKind::LayerMismatch, "open log").with_detail(format!(
                "the log in {} was written with {found}, it is opened with {}",
                recovered.storage().describe(),
                self.layers
            )));
        }
        let footer = recovered.check()?;
        let span = recovered.span();
        let mut recovered = recovered.into_parts();
        let events = std::mem::take(&mut recovered.events);
        let parts = Parts {
            strategy: self.strategy,
            clock: self.clock,
            settings: self.settings,
            pace: self.pace,
            observer: self.observer,
            codec: id,
            layers: self.layers,
            last: footer,
            threads: self.driver_thread,
        };
        let engine = Arc::new(Engine::new(recovered, span, parts)?);
        events.iter().for_each(|event| engine.emit(event));
        let driver = Driver::start(engine.clone(), self.driver_thread)?;
        Ok(Wal::new(engine, driver, self.codec))
    }

    /// Opens the log for appending from asynchronous tasks.
    ///
    /// Like [`open`](Self::open) it reads a few KiB on the calling thread. With a storage whose futures need this
    /// very executor, call it where blocking is allowed (`spawn_blocking`).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_async(self, recovered: Recovered) -> Result<AsyncWal<C>> {
        self.open(recovered).map(|log| log.asynchronous())
    }
}
