//! `Os`: the operating system decides when bytes reach the device.

use wal_core::{Claim, Decision, Loss, SyncStrategy, SyncWhen, TailView};

/// Nothing is synced unless somebody asks.
///
/// For logs that can be built again from elsewhere, and for applications that call
/// [`sync`](wal_core::Wal::sync) at points of their own; it covers everything appended before it.
/// An append that asks for [`Durable`](wal_core::Durability::Durable) is synced as everywhere.
///
/// *Durability*: acknowledged when written. A process crash loses nothing; a power loss may lose
/// everything since the last sync that was asked for.
///
/// ```
/// use wal_core::{Claim, Loss, SyncStrategy};
/// assert_eq!(wal_sync::Os.claim(), Claim::written(Loss::UNBOUNDED));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to set")]
pub struct Os;

impl Os {
    const DECISION: Decision = Decision::written(SyncWhen::OnRequest);

    /// There is nothing to set.
    #[must_use]
    pub const fn new() -> Self {
        Os
    }
}

impl SyncStrategy for Os {
    fn name(&self) -> String {
        "os".into()
    }

    fn claim(&self) -> Claim {
        Claim::written(Loss::UNBOUNDED)
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
    use crate::simulated_log::{Append, Checks, Load, any_load, check, run};

    proptest! {
        #[test]
        fn honours_requests(load in any_load()) {
            check(&Os, &load, Checks::default())?;
        }
    }

    #[test]
    fn never_syncs_by_itself() {
        let load = Load { appends: vec![Append::after_us(1).bytes(5); 1000], ..Load::default() };
        let report = run(&Os, &load, Checks::default()).unwrap();
        assert_eq!((report.syncs, report.worst.records, report.worst.bytes), (0, 1000, 5000));
    }
}
