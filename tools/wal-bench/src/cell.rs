//! One thing that is measured in each round.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wal_core::ErrorKind;
use wal_load::{Sample, Timing, Workload};
use wal_sync::Policy;

use super::many::Many;
use super::open::Open;
use super::ours::Ours;
use super::peers::Peers;
use super::raw::Raw;
use super::recovery::Recover;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// The machine itself.
    Raw,
    /// Another log.
    Peer,
    /// The log.
    Ours,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Measured {
    Sample(Sample),
    /// It cannot be done here, and why.
    Skipped(String),
}

pub(super) fn measured(sample: anyhow::Result<Sample>) -> anyhow::Result<Measured> {
    sample.map(Measured::Sample)
}

/// What this system cannot do is left out, and said.
fn measured_if_possible(sample: anyhow::Result<Sample>) -> anyhow::Result<Measured> {
    let unsupported = |error: &wal_core::Error| error.kind() == ErrorKind::Unsupported;
    match sample {
        Err(error) if error.downcast_ref().is_some_and(unsupported) => {
            Ok(Measured::Skipped(error.to_string()))
        }
        sample => measured(sample),
    }
}

/// One contender with one load.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) kind: Kind,
    pub(super) who: String,
    pub(super) load: String,
    /// What a power loss may take, if it may take anything.
    pub(super) claim: Option<String>,
    stride: u32,
    work: Work,
}

#[derive(Clone, Debug)]
enum Work {
    Raw(Raw, Workload),
    Peer(String, Workload),
    Ours(Ours, Workload),
    Many(Many),
    Recover(Recover),
    Open(Open),
}

/// Where a cell works.
pub(super) struct Site<'a> {
    /// Empty, and removed afterwards.
    pub(super) fresh: PathBuf,
    /// The same for all cells and rounds of a suite: for what is built once.
    pub(super) kept: PathBuf,
    pub(super) peers: Option<&'a Peers>,
}

impl Cell {
    fn new(kind: Kind, who: String, load: impl ToString, work: Work) -> Self {
        Cell { kind, who, load: load.to_string(), claim: None, stride: 1, work }
    }

    pub(super) fn raw(raw: Raw, load: Workload) -> Self {
        Cell::new(Kind::Raw, raw.name(), load, Work::Raw(raw, load))
    }

    pub(super) fn peer(name: &str, load: Workload) -> Self {
        Cell::new(Kind::Peer, name.to_owned(), load, Work::Peer(name.to_owned(), load))
    }

    pub(super) fn ours(ours: Ours, load: Workload) -> Self {
        Cell {
            claim: ours.claim(),
            ..Cell::new(Kind::Ours, ours.name(), load, Work::Ours(ours, load))
        }
    }

    pub(super) fn many(many: Many) -> Self {
        Cell::new(Kind::Ours, many.name(), many.load(), Work::Many(many))
    }

    pub(super) fn recover(recover: Recover) -> Self {
        Cell::new(recover.kind(), recover.name(), recover.load(), Work::Recover(recover))
    }

    pub(super) fn open(open: Open) -> Self {
        Cell::new(Kind::Ours, open.name(), open.load(), Work::Open(open))
    }

    /// The clock is read after so many calls: for calls that take no longer than reading it.
    pub(super) fn stride(mut self, calls: u32) -> Self {
        self.stride = calls;
        self
    }

    /// What is done once before the rounds.
    pub(super) fn prepare(&self, site: &Site<'_>) -> anyhow::Result<()> {
        match &self.work {
            Work::Recover(recover) => recover.prepare(&site.kept),
            Work::Open(open) => open.prepare(&site.kept),
            Work::Raw(..) | Work::Peer(..) | Work::Ours(..) | Work::Many(_) => Ok(()),
        }
    }

    /// One round.
    pub(super) fn measure(&self, site: &Site<'_>, timing: &Timing) -> anyhow::Result<Measured> {
        let timing = timing.stride(self.stride);
        match &self.work {
            Work::Raw(raw, load) => raw.measure(&site.fresh, load, &timing),
            Work::Peer(name, load) => match site.peers {
                Some(peers) => measured(peers.measure(name, load, &timing, &site.fresh)),
                None => Ok(Measured::Skipped("--peers was not given".into())),
            },
            Work::Ours(ours, load) => {
                measured_if_possible(ours.measure(&site.fresh, load, &timing))
            }
            Work::Many(many) => measured_if_possible(many.measure(&site.fresh, &timing)),
            Work::Recover(recover) => measured(recover.measure(&site.kept)),
            Work::Open(open) => measured(open.measure(&site.kept)),
        }
    }
}

/// A strategy by its name; the names here are the program's own.
pub(super) fn strategy(name: &str) -> Policy {
    name.parse().expect("a strategy of the bench is spelled well")
}
