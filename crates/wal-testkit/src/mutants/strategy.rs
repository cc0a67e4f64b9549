//! A strategy that sees, says or claims one thing wrong.

use std::fmt;
use std::sync::Arc;

use wal_core::{Claim, Decision, SyncStrategy, TailView};

/// What is wrong.
#[derive(Clone, Copy)]
pub(super) enum Bend {
    /// Something in what it sees.
    Sees(fn(&mut TailView)),
    /// Something in what it decides.
    Says(fn(&TailView, &mut Decision)),
    /// Something in what it claims.
    Claims(fn(&mut Claim)),
}

impl fmt::Debug for Bend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bend::Sees(_) => "Sees",
            Bend::Says(_) => "Says",
            Bend::Claims(_) => "Claims",
        })
    }
}

/// `inner`, bent.
pub(super) struct Bent {
    inner: Arc<dyn SyncStrategy>,
    bend: Bend,
}

impl Bent {
    pub(super) fn new(inner: Arc<dyn SyncStrategy>, bend: Bend) -> Self {
        Bent { inner, bend }
    }
}

#[deny(clippy::missing_trait_methods)]
impl SyncStrategy for Bent {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn claim(&self) -> Claim {
        let mut claim = self.inner.claim();
        if let Bend::Claims(bend) = self.bend {
            bend(&mut claim);
        }
        claim
    }

    fn decide(&self, tail: &TailView) -> Decision {
        let mut seen = *tail;
        if let Bend::Sees(bend) = self.bend {
            bend(&mut seen);
        }
        let mut decision = self.inner.decide(&seen);
        if let Bend::Says(bend) = self.bend {
            bend(tail, &mut decision);
        }
        decision
    }

    /// None: what is bent is to be asked each time.
    fn fixed_decision(&self) -> Option<Decision> {
        None
    }
}
