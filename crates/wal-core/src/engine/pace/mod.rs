//! How threads wait to be quicker.
//!
//! | file | a thread that | instead of |
//! | --- | --- | --- |
//! | `backoff` | found the short lock contended sleeps for a moment | queueing for a lock that changes hands all the time |
//! | `spin` | waits for a write looks a few hundred times | falling asleep for a microsecond |
//! | `group_wait` | leads a commit waits for callers that were there a moment ago | syncing for half of them |
//! | `idle` | drives the log stays awake for a moment after a commit | being woken for the next one |
//!
//! Nothing in here knows the engine, and no decision of the engine depends on it: each mechanism only delays a
//! thread that was about to go on anyway. With [`Pace::OFF`] every call returns at once. Model checkers run
//! like that, as they know no moments and would try every number of rounds.
//!
//! Every number of these mechanisms is a field of [`Pace`]. Other numbers are constants beside the code that they
//! belong to, as they delay nobody: they say how large memory is, when a write is wanted, or how old a time may be.

mod backoff;
mod group_wait;
mod idle;
mod spin;
#[cfg(all(test, not(any(wal_loom, wal_shuttle))))]
mod ticking;

use std::time::Duration;

pub(super) use backoff::BackOff;
pub(super) use group_wait::GroupSize;
pub(super) use idle::IdleSpin;
pub(super) use spin::{SpinScore, spin};

/// How the threads of a log wait for each other: each value changes speed, and nothing else.
///
/// `docs/engine.md` says what each is for, and what it gained when it was built. There is no
/// need to set any of this. It is public for measurements, which switch one mechanism off at a time, and not
/// part of the stable interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pace {
    /// Back-off: how long a thread whose append needs no commit sleeps when it finds the log's lock taken and
    /// contended. The system's timers make about twice as much of it. Zero switches back-off off.
    pub back_off: Duration,
    /// Back-off begins at this score: +1 when the lock goes to another thread that had to wait for it, -1
    /// when to one that had not.
    pub back_off_from: u32,
    /// The score grows up to here.
    pub back_off_max: u32,
    /// Spin: how often a thread that waits for a write looks before it falls asleep; one look takes 15 to
    /// 50 ns. Zero switches spinning off.
    pub spin_looks: u32,
    /// A write that takes longer is not worth spinning for.
    pub spin_longest: Duration,
    /// One write of so many is timed.
    pub spin_sample: u64,
    /// Spinning stops at this score: +1 for a timed write that took long, -1 for one that did not. One slow
    /// write may only say that its thread lost the processor.
    pub spin_slow_from: u8,
    /// The score grows up to here.
    pub spin_slow_max: u8,
    /// Group wait: the longest time that a leader waits for others before its commit begins. Zero switches it
    /// off.
    pub group_wait: Duration,
    /// It also waits for this part of what a sync takes at most.
    pub group_sync_part: u32,
    /// A larger group is not waited for: it fills a commit while the one before is in flight.
    pub group_largest: u64,
    /// A leader that nobody joined for this part of its longest wait waits no more.
    pub group_idle_part: u32,
    /// If fewer callers commit together than lately, this part of those expected is forgotten with each commit.
    pub group_forget_part: u64,
    /// Idle spin: how long the driver stays awake after a commit. Zero switches it off.
    pub idle_spin: Duration,
    /// It stays awake for this part of what a sync takes at most.
    pub idle_sync_part: u32,
}

impl Pace {
    /// Nobody waits for anything but what it needs.
    pub const OFF: Pace = Pace {
        back_off: Duration::ZERO,
        spin_looks: 0,
        group_wait: Duration::ZERO,
        idle_spin: Duration::ZERO,
        ..Pace::USUAL
    };

    const USUAL: Pace = Pace {
        back_off: Duration::from_micros(50),
        back_off_from: 8,
        back_off_max: 16,
        spin_looks: 200,
        spin_longest: Duration::from_micros(8),
        spin_sample: 64,
        spin_slow_from: 3,
        spin_slow_max: 6,
        group_wait: Duration::from_micros(500),
        group_sync_part: 2,
        group_largest: 256,
        group_idle_part: 4,
        group_forget_part: 8,
        idle_spin: Duration::from_micros(500),
        idle_sync_part: 2,
    };

    /// Without what waits for threads that run beside: there are none.
    pub(super) const fn on_one_thread(mut self) -> Self {
        self.group_wait = Duration::ZERO;
        self.idle_spin = Duration::ZERO;
        self
    }
}

impl Default for Pace {
    /// What was measured to be quick; [`OFF`](Self::OFF) under a model checker.
    fn default() -> Self {
        if cfg!(any(wal_loom, wal_shuttle)) { Pace::OFF } else { Pace::USUAL }
    }
}

/// What was seen lately, for the mechanisms that adapt. Kept under the log's short lock.
#[derive(Default)]
pub(super) struct Seen {
    /// How many callers commit together.
    pub(super) group: GroupSize,
    /// Whether writes are quick.
    pub(super) writes: SpinScore,
    /// Whether somebody is about to come back.
    pub(super) idle: IdleSpin,
}
