//! `Always`: every append waits for its sync.

use crate::{Claim, Decision, SyncStrategy, SyncWhen, TailView};

/// Every append is durable when it returns.
///
/// A batch is one append and costs one sync. Appends that arrive while a sync is in flight share the next one. More
/// strategies are in `wal-sync`.
///
/// *Durability*: acknowledged when durable; nothing that was acknowledged is lost, whatever crashes.
///
/// ```
/// use wal_core::{Always, Claim, SyncStrategy};
/// assert_eq!(Always.claim(), Claim::NOTHING_LOST);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to set")]
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
