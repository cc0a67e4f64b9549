//! What is done, and how it is spelled.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

/// Who writes at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Writers {
    /// So many threads, each blocking until its records are acknowledged.
    Threads(usize),
    /// So many asynchronous tasks on a runtime with a thread for each processor.
    Tasks(usize),
}

/// Writers that append records of one size until their time is up.
///
/// Spelled `threads:16:100` (16 threads, 100 bytes), `tasks:64:1024`, or `threads:1:1000x100` for
/// batches of 1000 records of 100 bytes.
///
/// ```
/// use wal_load::{Workload, Writers};
/// let load: Workload = "threads:1:1000x100".parse()?;
/// assert_eq!(load, Workload { writers: Writers::Threads(1), batch: Some(1000), record: 100 });
/// assert_eq!(load.to_string(), "threads:1:1000x100");
/// # anyhow::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Workload {
    /// Who writes.
    pub writers: Writers,
    /// Records in one call; `None`: one, and not as a batch.
    pub batch: Option<usize>,
    /// Bytes of a record.
    pub record: usize,
}

impl Workload {
    /// Threads that append single records.
    #[must_use]
    pub fn threads(count: usize, record: usize) -> Self {
        Workload { writers: Writers::Threads(count), batch: None, record }
    }

    /// Tasks that append single records.
    #[must_use]
    pub fn tasks(count: usize, record: usize) -> Self {
        Workload { writers: Writers::Tasks(count), batch: None, record }
    }

    /// The same with so many records in each call.
    #[must_use]
    pub fn batch(mut self, records: usize) -> Self {
        self.batch = Some(records);
        self
    }

    /// Records that one call acknowledges.
    #[must_use]
    pub fn records_per_call(&self) -> usize {
        self.batch.unwrap_or(1)
    }

    /// Bytes of the records of one call.
    #[must_use]
    pub fn bytes_per_call(&self) -> usize {
        self.records_per_call() * self.record
    }
}

impl Writers {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Writers::Threads(count) | Writers::Tasks(count) => *count,
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.writers {
            Writers::Threads(count) => write!(f, "threads:{count}:")?,
            Writers::Tasks(count) => write!(f, "tasks:{count}:")?,
        }
        match self.batch {
            Some(records) => write!(f, "{records}x{}", self.record),
            None => write!(f, "{}", self.record),
        }
    }
}

impl FromStr for Workload {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let told = || format!("{text:?} is no workload such as threads:16:100 or tasks:1:1000x100");
        let number = |text: &str| text.parse::<usize>().with_context(told);
        let parts: Vec<_> = text.split(':').collect();
        let [kind, count, records] = parts[..] else { bail!(told()) };
        let count = number(count)?;
        let writers = match kind {
            "threads" => Writers::Threads(count),
            "tasks" => Writers::Tasks(count),
            _ => bail!(told()),
        };
        let (batch, record) = match records.split_once('x') {
            Some((batch, record)) => (Some(number(batch)?), number(record)?),
            None => (None, number(records)?),
        };
        ensure!(count > 0 && batch != Some(0) && record > 0, "{text:?}: nothing would be written");
        Ok(Workload { writers, batch, record })
    }
}

impl TryFrom<String> for Workload {
    type Error = anyhow::Error;

    fn try_from(text: String) -> anyhow::Result<Self> {
        text.parse()
    }
}

impl From<Workload> for String {
    fn from(load: Workload) -> String {
        load.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_parsed() {
        let loads = [
            Workload::threads(16, 100),
            Workload::tasks(10_000, 16_384),
            Workload::threads(1, 100).batch(1000),
            Workload::threads(1, 100).batch(1),
        ];
        for load in loads {
            assert_eq!(load.to_string().parse::<Workload>().unwrap(), load);
            let json = serde_json::to_string(&load).unwrap();
            assert_eq!(serde_json::from_str::<Workload>(&json).unwrap(), load);
        }
        assert_eq!(Workload::threads(4, 128).batch(2000).bytes_per_call(), 256_000);
    }

    #[test]
    fn mistakes_are_told() {
        for text in [
            "",
            "threads",
            "threads:1",
            "fibres:1:100",
            "threads:x:1",
            "threads:1:1x",
            "threads:1:1:1",
        ] {
            let error = text.parse::<Workload>().unwrap_err().to_string();
            assert!(error.contains("is no workload such as threads:16:100"), "{error}");
        }
        for text in ["threads:0:100", "tasks:1:0", "threads:1:0x100"] {
            let error = text.parse::<Workload>().unwrap_err().to_string();
            assert!(error.contains("nothing would be written"), "{error}");
        }
    }
}
