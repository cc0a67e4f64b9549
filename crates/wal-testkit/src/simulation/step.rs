//! The steps of a workload, and their text.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use wal_core::Durability;

use crate::{Call, SyncFault};

/// One thing that happens to a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Appends `count` records of `len` bytes as one batch.
    Append {
        /// How many; at least 1.
        count: u32,
        /// Bytes of each.
        len: u32,
        /// What the caller asks for.
        durability: Option<Durability>,
    },
    /// Time passes, and the driver does what has come due.
    Wait(Duration),
    /// Time passes, and the driver gets no processor.
    Starve(Duration),
    /// The driver does what is due.
    Drive,
    /// `sync`.
    Sync,
    /// A record of one byte is appended, and its sync takes its time: these steps happen while it runs.
    Slow(Vec<Step>),
    /// `truncate_before`, at so many thousandths of the log.
    Before(u32),
    /// `truncate_after`, at so many thousandths of the log.
    After(u32),
    /// Closes the log and opens it again.
    Close,
    /// Drops the log and opens it again.
    Drop,
    /// The process dies, and another one opens the log.
    Kill,
    /// Another opener tries to take the log; it must be refused.
    Intrude,
    /// The time of day is set forward or back by so many microseconds.
    Jump(i64),
    /// From now on something goes wrong.
    Fault(LiveFault),
}

/// What goes wrong while the log runs. An opening of the log ends it, for one that was made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LiveFault {
    /// Every write transfers at most so many bytes.
    ShortWrites(u32),
    /// Every read transfers at most so many bytes.
    ShortReads(u32),
    /// Every so-manieth read or write is interrupted first.
    Interrupts(u32),
    /// The disk has room for so many bytes more.
    NoSpace(u32),
    /// The next such call fails (EIO).
    Fail(Call),
    /// Such calls fail from now on.
    FailForGood(Call),
    /// The next sync fails, and this becomes of the bytes.
    SyncFails(SyncFault),
    /// Something takes the log away from its owner. Left out for a storage that does not tell its owners apart.
    Lost(OwnershipLoss),
}

/// How an owner loses its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnershipLoss {
    /// Somebody removes the lock's file.
    Lock,
    /// Somebody removes the lock's file, and another opener recovers the log and holds it for a while.
    SecondOwner,
    /// Somebody renames the segment that is written.
    Segment,
    /// The process forks, and from now on it is the child that calls.
    Fork,
}

const LOSSES: &[(OwnershipLoss, &str)] = &[
    (OwnershipLoss::Lock, "lock"),
    (OwnershipLoss::SecondOwner, "second-owner"),
    (OwnershipLoss::Segment, "segment"),
    (OwnershipLoss::Fork, "fork"),
];

impl Step {
    /// An append at the strategy's own durability.
    #[must_use]
    pub const fn append(count: u32, len: u32) -> Self {
        Step::Append { count, len, durability: None }
    }

    /// Whether it may happen while a sync is in flight.
    pub(crate) const fn fits_beside_a_sync(&self) -> bool {
        matches!(self, Step::Append { .. } | Step::Starve(_) | Step::Wait(_) | Step::Drive)
    }
}

const CALLS: &[(Call, &str)] = &[
    (Call::Create, "create"),
    (Call::Open, "open"),
    (Call::Read, "read"),
    (Call::Write, "write"),
    (Call::SetLen, "set-len"),
    (Call::Sync, "sync"),
    (Call::SyncDir, "sync-dir"),
    (Call::Rename, "rename"),
    (Call::Remove, "remove"),
];

/// `append 3x20 durable`, `wait 500us`, `slow(append 1x8,starve 9us)`, `fail write`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Append { count, len, durability } => {
                write!(f, "append {count}x{len}")?;
                match durability {
                    None => Ok(()),
                    Some(Durability::Buffered) => f.write_str(" buffered"),
                    Some(Durability::Written) => f.write_str(" written"),
                    Some(Durability::Durable) => f.write_str(" durable"),
                }
            }
            Step::Wait(time) => write!(f, "wait {}us", time.as_micros()),
            Step::Starve(time) => write!(f, "starve {}us", time.as_micros()),
            Step::Drive => f.write_str("drive"),
            Step::Sync => f.write_str("sync"),
            Step::Slow(steps) => {
                let steps: Vec<_> = steps.iter().map(Step::to_string).collect();
                write!(f, "slow({})", steps.join(","))
            }
            Step::Before(at) => write!(f, "before {at}"),
            Step::After(at) => write!(f, "after {at}"),
            Step::Close => f.write_str("close"),
            Step::Drop => f.write_str("drop"),
            Step::Kill => f.write_str("kill"),
            Step::Intrude => f.write_str("intrude"),
            Step::Jump(by) => write!(f, "jump {by}us"),
            Step::Fault(fault) => fault.fmt(f),
        }
    }
}

impl fmt::Display for LiveFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |call: &Call| CALLS.iter().find(|(c, _)| c == call).map_or("?", |(_, n)| n);
        match self {
            LiveFault::ShortWrites(n) => write!(f, "short-writes {n}"),
            LiveFault::ShortReads(n) => write!(f, "short-reads {n}"),
            LiveFault::Interrupts(n) => write!(f, "interrupts {n}"),
            LiveFault::NoSpace(n) => write!(f, "no-space {n}"),
            LiveFault::Fail(call) => write!(f, "fail {}", name(call)),
            LiveFault::FailForGood(call) => write!(f, "fail-all {}", name(call)),
            LiveFault::Lost(how) => {
                let name = LOSSES.iter().find(|(l, _)| l == how).map_or("?", |(_, name)| name);
                write!(f, "lose {name}")
            }
            LiveFault::SyncFails(SyncFault::MarkedClean) => f.write_str("bad-sync clean"),
            LiveFault::SyncFails(SyncFault::StillDirty) => f.write_str("bad-sync dirty"),
            LiveFault::SyncFails(SyncFault::ReadOnly) => f.write_str("bad-sync read-only"),
            LiveFault::SyncFails(SyncFault::Reverted(seed)) => {
                write!(f, "bad-sync reverted:{seed}")
            }
            LiveFault::SyncFails(SyncFault::RevertedWhenEvicted(seed)) => {
                write!(f, "bad-sync evicted:{seed}")
            }
        }
    }
}

/// Why a text is no step.
fn unknown(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{text:?} is no step of a workload"))
}

impl FromStr for Step {
    type Err = io::Error;

    fn from_str(text: &str) -> Result<Self, io::Error> {
        let text = text.trim();
        let bad = || unknown(text);
        if let Some(inner) = text.strip_prefix("slow(").and_then(|t| t.strip_suffix(')')) {
            let steps = inner.split(',').filter(|step| !step.trim().is_empty());
            let steps: Vec<Step> = steps.map(str::parse).collect::<Result<_, _>>()?;
            return match steps.iter().all(Step::fits_beside_a_sync) {
                true => Ok(Step::Slow(steps)),
                false => Err(bad()),
            };
        }
        let mut words = text.split_whitespace();
        let word = words.next().ok_or_else(bad)?;
        let argument = words.next();
        let number = || argument.and_then(|n| n.parse().ok()).ok_or_else(bad);
        let micros = || -> Result<i64, io::Error> {
            argument.and_then(|t| t.strip_suffix("us")?.parse().ok()).ok_or_else(bad)
        };
        let time = || Ok::<_, io::Error>(Duration::from_micros(micros()?.unsigned_abs()));
        let call =
            || CALLS.iter().find(|(_, n)| Some(*n) == argument).map(|(c, _)| *c).ok_or_else(bad);
        Ok(match word {
            "append" => {
                let (count, len) = argument.and_then(|a| a.split_once('x')).ok_or_else(bad)?;
                let (count, len) =
                    (count.parse().map_err(|_| bad())?, len.parse().map_err(|_| bad())?);
                let durability = match words.next() {
                    None => None,
                    Some("buffered") => Some(Durability::Buffered),
                    Some("written") => Some(Durability::Written),
                    Some("durable") => Some(Durability::Durable),
                    Some(_) => return Err(bad()),
                };
                if count == 0 {
                    return Err(bad());
                }
                Step::Append { count, len, durability }
            }
            "wait" => Step::Wait(time()?),
            "starve" => Step::Starve(time()?),
            "drive" => Step::Drive,
            "sync" => Step::Sync,
            "before" => Step::Before(number()?),
            "after" => Step::After(number()?),
            "close" => Step::Close,
            "drop" => Step::Drop,
            "kill" => Step::Kill,
            "intrude" => Step::Intrude,
            "jump" => Step::Jump(micros()?),
            "short-writes" => Step::Fault(LiveFault::ShortWrites(number()?.max(1))),
            "short-reads" => Step::Fault(LiveFault::ShortReads(number()?.max(1))),
            "interrupts" => Step::Fault(LiveFault::Interrupts(number()?.max(2))),
            "no-space" => Step::Fault(LiveFault::NoSpace(number()?)),
            "fail" => Step::Fault(LiveFault::Fail(call()?)),
            "fail-all" => Step::Fault(LiveFault::FailForGood(call()?)),
            "lose" => {
                let how = LOSSES.iter().find(|(_, name)| Some(*name) == argument);
                Step::Fault(LiveFault::Lost(how.ok_or_else(bad)?.0))
            }
            "bad-sync" => Step::Fault(LiveFault::SyncFails(sync_fault(argument).ok_or_else(bad)?)),
            _ => return Err(bad()),
        })
    }
}

fn sync_fault(text: Option<&str>) -> Option<SyncFault> {
    let text = text?;
    let seed = |prefix| text.strip_prefix(prefix).and_then(|seed: &str| seed.parse().ok());
    match text {
        "clean" => Some(SyncFault::MarkedClean),
        "dirty" => Some(SyncFault::StillDirty),
        "read-only" => Some(SyncFault::ReadOnly),
        _ => seed("reverted:")
            .map(SyncFault::Reverted)
            .or_else(|| seed("evicted:").map(SyncFault::RevertedWhenEvicted)),
    }
}
