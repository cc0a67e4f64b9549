//! One thing that is measured in each round.

use std::path::PathBuf;

use wal_load::{Timing, Workload};

use super::many::Many;
use super::measure::{Kind, Measured, measured, measured_if_possible};
use super::open::Open;
use super::ours::Ours;
use super::peers::Peers;
use super::raw::Raw;
use super::recovery::Recover;

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

    /// Whether this measures the same as another.
    pub(super) fn is_same(&self, other: &Cell) -> bool {
        (self.kind, &self.who, &self.load) == (other.kind, &other.who, &other.load)
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
