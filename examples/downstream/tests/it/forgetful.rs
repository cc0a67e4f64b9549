//! A strategy that is wrong, for tests of what is said of it.

use downstream::DutyCycle;
use wal_core::{Claim, Decision, SyncStrategy, TailView};

/// `DutyCycle`, but it looks at what is pending and forgets the sync in flight.
pub(crate) struct Forgetful(pub(crate) DutyCycle);

impl SyncStrategy for Forgetful {
    fn name(&self) -> String {
        "forgetful".into()
    }

    fn claim(&self) -> Claim {
        self.0.claim()
    }

    fn decide(&self, tail: &TailView) -> Decision {
        let mut seen = *tail;
        seen.records = tail.pending_records;
        self.0.decide(&seen)
    }
}
