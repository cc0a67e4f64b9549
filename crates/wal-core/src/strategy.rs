//! `SyncStrategy`: when a caller is acknowledged, and when the tail must be synced.
//!
//! A strategy decides; the engine acts. See [`SyncStrategy`] for the contract and an example.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How safe a record is when its append returns. Ordered: what is safer is greater.
///
/// Methods that take an `impl Into<Option<Durability>>` take a `Durability`, or `None` for what the log's
/// [`SyncStrategy`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[expect(clippy::exhaustive_enums, reason = "callers and strategies have to know every level")]
pub enum Durability {
    /// In the log's memory. The append returns at once; lost if the process dies. Under contention the call may
    /// sleep about 0.1 ms, which makes all threads together quicker.
    Buffered,
    /// Handed to the storage: survives a process crash, not a power loss. The append waits for the write.
    Written,
    /// Synced: survives a power loss. The append waits for the sync.
    Durable,
}

/// What woke the strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trigger {
    /// A record or batch was appended; it is already counted in the view.
    Append,
    /// A sync ended and left a tail.
    Synced,
    /// The deadline that the strategy had asked for has come.
    Deadline,
}

/// The unsynced tail, as a strategy sees it.
///
/// "Tail" is every record that is not durable yet, the one being appended included. "Pending" is
/// the part of it that no sync in flight covers.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TailView {
    /// What woke the strategy.
    pub trigger: Trigger,
    /// What the caller of this append asked for; `None` if nothing in particular, and at other triggers.
    pub requested: Option<Durability>,
    /// Records in the tail.
    pub records: u64,
    /// Bytes of these records, as the codec encoded them, without framing.
    pub bytes: u64,
    /// Records that no sync in flight covers.
    pub pending_records: u64,
    /// Bytes of the pending records.
    pub pending_bytes: u64,
    /// Age of the oldest pending record.
    pub pending_age: Duration,
    /// For how long the sync in flight has been running; `None` if there is none.
    pub in_flight: Option<Duration>,
    /// Time since the last sync *ended*, or since the log was opened. Keeps growing while a sync is
    /// in flight: to schedule by it, look at `in_flight` as well.
    pub since_last_sync: Duration,
    /// Callers waiting for durability, this one not included.
    pub waiting: u64,
    /// What a sync costs here: moving average of the measured times. Zero before the first.
    pub sync_cost: Duration,
    /// Records per sync: moving average. Zero before the first sync.
    pub records_per_sync: f64,
}

impl TailView {
    /// The view of an empty tail; for tests of strategies.
    #[must_use]
    pub const fn empty(trigger: Trigger) -> Self {
        TailView {
            trigger,
            requested: None,
            records: 0,
            bytes: 0,
            pending_records: 0,
            pending_bytes: 0,
            pending_age: Duration::ZERO,
            in_flight: None,
            since_last_sync: Duration::ZERO,
            waiting: 0,
            sync_cost: Duration::ZERO,
            records_per_sync: 0.0,
        }
    }
}

/// When the pending records must be synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the code that acts on a decision has to know every answer"
)]
pub enum SyncWhen {
    /// As soon as no other sync is in flight.
    Now,
    /// At the latest this long from now. An earlier deadline that still stands is kept.
    Within(Duration),
    /// Not before somebody asks ([`sync`](crate::Wal::sync), a durable append, rotation, close).
    OnRequest,
}

/// What a strategy wants to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// When this append is acknowledged; ignored at other triggers.
    pub acknowledge: Durability,
    /// When the pending records must be synced.
    pub sync: SyncWhen,
}

impl Decision {
    /// Acknowledge when durable.
    #[must_use]
    pub const fn durable(sync: SyncWhen) -> Self {
        Decision { acknowledge: Durability::Durable, sync }
    }

    /// Acknowledge when written: a process crash cannot lose the record.
    #[must_use]
    pub const fn written(sync: SyncWhen) -> Self {
        Decision { acknowledge: Durability::Written, sync }
    }

    /// Acknowledge at once, from memory.
    #[must_use]
    pub const fn buffered(sync: SyncWhen) -> Self {
        Decision { acknowledge: Durability::Buffered, sync }
    }
}

/// How much of the acknowledged records a crash may lose. All bounds given hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Loss {
    /// At most this many records; `None`: no bound.
    pub records: Option<u64>,
    /// At most this many bytes of records; `None`: no bound.
    pub bytes: Option<u64>,
    /// At most the records of a window of time, see [`Loss::window`]; `None`: no bound.
    pub window: Option<Duration>,
}

impl Loss {
    /// Nothing that was acknowledged is lost.
    pub const NOTHING: Loss =
        Loss { records: Some(0), bytes: Some(0), window: Some(Duration::ZERO) };
    /// Anything that was never synced by request may be lost.
    pub const UNBOUNDED: Loss = Loss { records: None, bytes: None, window: None };

    /// At most `n` records.
    #[must_use]
    pub const fn records(mut self, n: u64) -> Self {
        self.records = Some(n);
        self
    }

    /// At most `n` bytes of records.
    #[must_use]
    pub const fn bytes(mut self, n: u64) -> Self {
        self.bytes = Some(n);
        self
    }

    /// At most the records of a window of time, plus those that arrive while a sync is in flight.
    ///
    /// `window` is the age of the oldest pending record at which its sync has begun. Two groups of
    /// records are at risk at any moment: those that the sync in flight covers, and those appended
    /// since it began. Within each group the acknowledged ones were appended within one `window`:
    /// once a record is older than that and its sync has not begun, because another one is slow,
    /// appends wait, so that the loss stops growing.
    ///
    /// Times are those of the log's clock. The bound does not need punctual timers: an append that
    /// finds the sync overdue waits as well.
    #[must_use]
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = Some(window);
        self
    }

    /// Whether the claim is that nothing is lost.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        matches!(self.records, Some(0))
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_nothing() {
            return f.write_str("nothing");
        }
        let mut parts = Vec::new();
        if let Some(n) = self.records {
            parts.push(format!("{n} records"));
        }
        if let Some(n) = self.bytes {
            parts.push(format!("{n} bytes"));
        }
        if let Some(window) = self.window {
            parts.push(format!("{window:?} + the sync in flight"));
        }
        if parts.is_empty() {
            return f.write_str("unbounded");
        }
        write!(f, "at most {}", parts.join(", "))
    }
}

/// What a strategy promises about the records that it acknowledges.
///
/// It speaks of records that were acknowledged when the strategy said so, or later. A record that its caller
/// asked to have acknowledged earlier is outside the claim.
///
/// A claim must be true and *tight*: some crash must reach it.
///
/// It is for one writer, which the storage's lock sees to. If the lock fails and another opener takes the log over, then a
/// record that was acknowledged as durable is in the log all the same, if the storage has a [`Fence`](crate::Fence). Records that
/// were acknowledged as written or buffered may be lost for as long as the writer has not noticed. It looks before
/// it acknowledges a write if 100 ms have passed since the last look, or 64 writes and a millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Claim {
    /// When the process dies and the operating system lives.
    pub process_crash: Loss,
    /// When the machine loses power.
    pub power_loss: Loss,
}

impl Claim {
    /// Every acknowledged record survives both.
    pub const NOTHING_LOST: Claim =
        Claim { process_crash: Loss::NOTHING, power_loss: Loss::NOTHING };

    /// What may be lost when the process dies, and when the machine loses power.
    #[must_use]
    pub const fn new(process_crash: Loss, power_loss: Loss) -> Self {
        Claim { process_crash, power_loss }
    }

    /// Acknowledged at *written*: a process crash loses nothing, a power loss up to `loss`.
    #[must_use]
    pub const fn written(loss: Loss) -> Self {
        Claim { process_crash: Loss::NOTHING, power_loss: loss }
    }
}

/// Decides when callers are acknowledged and when the tail is synced.
///
/// # Contract
/// - **Pure**: the decision depends on the view alone. No I/O, no clock, no lock, no waiting. It is
///   called under the log's lock: keep it to a few comparisons.
/// - **Bounds hold while a sync is slow**: `records` and `bytes` count what is in flight, too. A
///   strategy that claims a bound says "acknowledge when durable" for the append that would exceed
///   it; that caller waits, and this is the back-pressure.
/// - **Deadlines**: the engine keeps the earliest deadline of the pending records and asks again
///   when it comes, also when nobody appends any more.
/// - **Requests**: a caller who asks for [`Durability::Durable`] gets it whatever the strategy says;
///   if the strategy's own answer is weaker, the tail is synced now.
///
/// A wrong strategy (the 11th record is acknowledged while the sync of
/// the first ten is still in flight, so twenty can be lost):
///
/// ```
/// use wal_core::*;
/// struct EveryTen;
/// impl SyncStrategy for EveryTen {
///     fn name(&self) -> String { "every-ten".into() }
///     fn claim(&self) -> Claim { Claim::written(Loss::UNBOUNDED.records(9)) }
///     fn decide(&self, tail: &TailView) -> Decision {
///         // Wrong: looks only at what is pending, forgets what is in flight.
///         if tail.pending_records >= 10 { Decision::durable(SyncWhen::Now) }
///         else { Decision::written(SyncWhen::OnRequest) }
///     }
/// }
/// ```
///
/// The right one counts the whole tail, `tail.records >= 10`.
pub trait SyncStrategy: Send + Sync + 'static {
    /// A short name with its parameters, for reports ("batch(32 records, 10ms)").
    fn name(&self) -> String;

    /// What may be lost of the acknowledged records.
    fn claim(&self) -> Claim;

    /// The decision for the present tail.
    fn decide(&self, tail: &TailView) -> Decision;

    /// What [`decide`](Self::decide) says to every [`Trigger::Append`], if that is always the same, whatever
    /// the view and whatever was requested. It is asked for once, when a log is opened, and spares each append
    /// the making of a view, some 20 ns. At other triggers `decide` is asked as ever. `None` unless it is
    /// implemented.
    fn fixed_decision(&self) -> Option<Decision> {
        None
    }
}

macro_rules! forward_strategy {
    ($($pointer:ty),*) => {$(
        impl<S: SyncStrategy + ?Sized> SyncStrategy for $pointer {
            fn name(&self) -> String {
                (**self).name()
            }
            fn claim(&self) -> Claim {
                (**self).claim()
            }
            fn decide(&self, tail: &TailView) -> Decision {
                (**self).decide(tail)
            }
            fn fixed_decision(&self) -> Option<Decision> {
                (**self).fixed_decision()
            }
        }
    )*};
}

forward_strategy!(Arc<S>, Box<S>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_read_well() {
        assert_eq!(Loss::NOTHING.to_string(), "nothing");
        assert_eq!(Loss::UNBOUNDED.to_string(), "unbounded");
        assert_eq!(Loss::UNBOUNDED.records(31).to_string(), "at most 31 records");
        assert_eq!(
            Loss::UNBOUNDED.bytes(5).window(Duration::from_millis(10)).to_string(),
            "at most 5 bytes, 10ms + the sync in flight"
        );
    }
}
