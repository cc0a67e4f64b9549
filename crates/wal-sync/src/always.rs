//! `Always`: every append waits for its sync.

use wal_core::{Claim, Decision, SyncStrategy, SyncWhen, TailView};

/// Every append is durable when it returns.
///
/// A batch is one append and costs one sync. Appends that arrive while a sync is in flight share
/// the next one, so this is no slower than [`GroupCommit`](crate::GroupCommit) without a wait.
///
/// *Durability*: acknowledged when durable; nothing that was acknowledged is lost, whatever
/// crashes.
///
/// ```
/// use wal_core::{Claim, SyncStrategy};
/// assert_eq!(wal_sync::Always.claim(), Claim::NOTHING_LOST);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Always;

impl Always {
    const DECISION: Decision = Decision::durable(SyncWhen::Now);

    /// There is nothing to set.
    #[must_use]
    pub const fn new() -> Self {
        Always
    }
}

impl SyncStrategy for Always {
    fn name(&self) -> String {
        "always".into()
    }

    fn claim(&self) -> Claim {
        Claim::NOTHING_LOST
    }

    fn decide(&self, _: &TailView) -> Decision {
        Self::DECISION
    }

    fn fixed_decision(&self) -> Option<Decision> {
        Some(Self::DECISION)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simulated_log::{Checks, any_load, check};

    proptest! {
        #[test]
        fn loses_nothing_and_leaves_nobody_waiting(load in any_load()) {
            check(&Always, &load, Checks::all_durable())?;
        }
    }
}
