//! Writers that wait for their appends: how a group wait pays.

use std::time::Duration;

use wal_core::SyncStrategy;

use super::{Append, Checks, Load, Log};

/// Writers who append one record each, again and again, each waiting for the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writers {
    pub(crate) count: usize,
    /// Up to how long a writer takes to come back.
    pub(crate) think_us: u64,
    pub(crate) sync_us: u64,
    pub(crate) appends: usize,
}

/// What writers got: the time until their last append, and how many syncs it took.
pub(crate) fn run_writers(strategy: &dyn SyncStrategy, writers: Writers) -> (Duration, u64) {
    let load = Load { sync_us: vec![writers.sync_us], ..Load::default() };
    let mut log = Log::new(strategy, &load, Checks::all_durable());
    // Weyl's sequence: evenly spread times without a random number generator.
    let mut turn = 0u64;
    let mut think = || {
        turn = turn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        Duration::from_micros(((u128::from(turn) * u128::from(writers.think_us)) >> 64) as u64)
    };
    let mut ready: Vec<(Duration, usize)> = (0..writers.count).map(|w| (think(), w)).collect();
    for _ in 0..writers.appends {
        loop {
            ready.sort_unstable();
            let append_at = ready.first().map(|(at, _)| *at);
            let event_at = log.next_event();
            let event_first = match (append_at, event_at) {
                (Some(append), Some(event)) => event <= append,
                (None, Some(_)) => true,
                (Some(_), None) => false,
                (None, None) => panic!("every writer waits, and nothing will happen"),
            };
            if !event_first {
                break;
            }
            log.pass(event_at.expect("an event")).expect("within the checks");
            log.event().expect("within the claim");
            let now = log.now;
            ready.extend(log.released.drain(..).map(|w| (now + think(), w)));
        }
        let (at, writer) = ready.remove(0);
        log.pass(at).expect("within the checks");
        log.append(writer, &Append::after_us(0)).expect("within the claim");
        let now = log.now;
        ready.extend(log.released.drain(..).map(|w| (now + think(), w)));
    }
    (log.now, log.report.syncs)
}
