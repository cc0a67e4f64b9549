//! One crash of one workload, as a line of text that can be replayed.

use std::fmt;
use std::io;
use std::str::FromStr;

use super::fates;
use crate::Call;
use crate::simulation::Workload;

/// A workload and the crashes that followed.
///
/// Its text is `STRATEGY | STORAGE | MUTANT | WORKLOAD | CRASH > CRASH > …`, where `-` stands for no
/// mutant and for no crash.
///
/// ```
/// use wal_testkit::Case;
/// let line = "batch:8 | file | - | segment 4096; append 1x20 | power@17/512:kd > process@3";
/// let case: Case = line.parse()?;
/// assert_eq!(case.crashes.len(), 2);
/// assert_eq!(case.to_string(), line);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Case {
    /// The strategy, as it is spelled.
    pub strategy: String,
    /// The storage's name.
    pub storage: String,
    /// The mistake that was seeded, if any.
    pub mutant: Option<String>,
    /// What happened first.
    pub workload: Workload,
    /// The crash of the workload, that of its recovery, and so on. None if no crash was needed.
    pub crashes: Vec<CrashSpec>,
}

/// One crash, or what else stands between two recoveries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CrashSpec {
    /// The process dies before this change (counted from 0).
    Process {
        /// The change.
        point: usize,
    },
    /// The power fails before this change.
    Power {
        /// The change.
        point: usize,
        /// Into what pieces pending writes tear, in bytes.
        atom_bytes: u64,
        /// One letter for each pending piece, in order: `k`ept, `d`ropped, `z`eroed, `g`arbage,
        /// `s`tale, `t`orn sectors, `b`oth names, `n`either name.
        fates: String,
    },
    /// The process dies before this change, and the disk is full from then on.
    Full {
        /// The change.
        point: usize,
    },
    /// The recovery meets a failing call: this one, the so-manieth of its kind.
    Fault {
        /// The call.
        call: Call,
        /// Counted from 1.
        nth: u64,
    },
    /// The process dies before this change, and durable bytes are damaged.
    Rot {
        /// The change.
        point: usize,
        /// Says which bytes, and how.
        seed: u64,
    },
}

const CALLS: &[(Call, &str)] = &[
    (Call::Write, "write"),
    (Call::Sync, "sync"),
    (Call::Read, "read"),
    (Call::SyncDir, "sync-dir"),
];

impl fmt::Display for CrashSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CrashSpec::Process { point } => write!(f, "process@{point}"),
            CrashSpec::Full { point } => write!(f, "full@{point}"),
            CrashSpec::Power { point, atom_bytes, fates } => {
                write!(f, "power@{point}/{atom_bytes}:{fates}")
            }
            CrashSpec::Fault { call, nth } => {
                let name = CALLS.iter().find(|(c, _)| c == call).map_or("?", |(_, name)| name);
                write!(f, "fault@{nth}:{name}")
            }
            CrashSpec::Rot { point, seed } => write!(f, "rot@{point}:{seed}"),
        }
    }
}

fn bad(what: &str, text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{text:?} is no {what}"))
}

impl FromStr for CrashSpec {
    type Err = io::Error;

    fn from_str(text: &str) -> Result<Self, io::Error> {
        let bad = || bad("crash", text);
        let (kind, rest) = text.trim().split_once('@').ok_or_else(bad)?;
        if kind == "process" {
            return Ok(CrashSpec::Process { point: rest.parse().map_err(|_| bad())? });
        }
        if kind == "full" {
            return Ok(CrashSpec::Full { point: rest.parse().map_err(|_| bad())? });
        }
        let (head, tail) = rest.split_once(':').ok_or_else(bad)?;
        match kind {
            "power" => {
                let (point, atom) = head.split_once('/').ok_or_else(bad)?;
                let atom_bytes = atom.parse().ok().filter(|n| *n > 0).ok_or_else(bad)?;
                let point = point.parse().map_err(|_| bad())?;
                if tail.chars().any(|letter| fates::fate(letter, 0).is_none()) {
                    return Err(bad());
                }
                Ok(CrashSpec::Power { point, atom_bytes, fates: tail.into() })
            }
            "fault" => {
                let call = CALLS.iter().find(|(_, name)| *name == tail).ok_or_else(bad)?.0;
                let nth = head.parse().ok().filter(|n| *n > 0).ok_or_else(bad)?;
                Ok(CrashSpec::Fault { call, nth })
            }
            "rot" => {
                let point = head.parse().map_err(|_| bad())?;
                Ok(CrashSpec::Rot { point, seed: tail.parse().map_err(|_| bad())? })
            }
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mutant = self.mutant.as_deref().unwrap_or("-");
        write!(f, "{} | {} | {mutant} | {} | ", self.strategy, self.storage, self.workload)?;
        let crashes: Vec<_> = self.crashes.iter().map(CrashSpec::to_string).collect();
        f.write_str(if crashes.is_empty() { "-" } else { "" })?;
        f.write_str(&crashes.join(" > "))
    }
}

impl FromStr for Case {
    type Err = io::Error;

    fn from_str(text: &str) -> Result<Self, io::Error> {
        let parts: Vec<&str> = text.split('|').map(str::trim).collect();
        let [strategy, storage, mutant, workload, crashes] = parts[..] else {
            return Err(bad("case: STRATEGY | STORAGE | MUTANT | WORKLOAD | CRASHES", text));
        };
        let crashes = match crashes {
            "-" => Vec::new(),
            list => list.split('>').map(str::parse).collect::<Result<_, _>>()?,
        };
        Ok(Case {
            strategy: strategy.into(),
            storage: storage.into(),
            mutant: (mutant != "-").then(|| mutant.into()),
            workload: workload.parse()?,
            crashes,
        })
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Case {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_case_is_refused_with_the_text() {
        for text in ["", "a | b", "a | b | c | append 1x1 | power@1", "a | b | c | jump | -"] {
            let error = text.parse::<Case>().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
        let error = "a | b | - | append 1x1 | blast@3".parse::<Case>().unwrap_err();
        assert_eq!(error.to_string(), "\"blast@3\" is no crash");
    }
}
