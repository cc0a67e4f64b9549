//! The mechanisms of the engine that change speed and nothing else, and the log without one of them.

use std::time::Duration;

use wal_core::Pace;

/// A mechanism of the engine that changes speed and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    BackOff,
    Spin,
    GroupWait,
    IdleSpin,
}

impl Mechanism {
    pub(super) const ALL: [Mechanism; 4] =
        [Mechanism::BackOff, Mechanism::Spin, Mechanism::GroupWait, Mechanism::IdleSpin];

    /// How the names end of the logs that go without it.
    pub(super) const fn without(self) -> &'static str {
        match self {
            Mechanism::BackOff => " without back-off",
            Mechanism::Spin => " without spin",
            Mechanism::GroupWait => " without group wait",
            Mechanism::IdleSpin => " without idle spin",
        }
    }

    /// All others.
    pub(super) fn pace(self) -> Pace {
        let mut pace = Pace::default();
        match self {
            Mechanism::BackOff => pace.back_off = Duration::ZERO,
            Mechanism::Spin => pace.spin_looks = 0,
            Mechanism::GroupWait => pace.group_wait = Duration::ZERO,
            Mechanism::IdleSpin => pace.idle_spin = Duration::ZERO,
        }
        pace
    }
}
