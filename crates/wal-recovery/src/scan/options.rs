//! What a caller may say of a scan, whatever it is for.

use wal_core::{Error, ErrorKind, Result};

use crate::memory::Memory;
use crate::mode::Verify;
use crate::scan::parallel;
use crate::watch::{Callback, TimeLimit};

/// How to scan.
pub(crate) struct ScanOptions {
    pub(crate) verify: Verify,
    /// `None`: as many as there are processors, within reason.
    pub(crate) threads: Option<usize>,
    pub(crate) time: TimeLimit,
    /// In bytes.
    pub(crate) memory: u64,
    pub(crate) progress: Option<Callback>,
}

impl ScanOptions {
    pub(crate) fn new(verify: Verify) -> Self {
        ScanOptions {
            verify,
            threads: None,
            time: TimeLimit::default(),
            memory: Memory::DEFAULT,
            progress: None,
        }
    }

    /// How many threads it will be.
    pub(super) fn threads(&self) -> usize {
        self.threads.unwrap_or_else(parallel::threads)
    }

    /// # Errors
    /// `Invalid`, of the operation `op`.
    pub(crate) fn validate(&self, op: &'static str) -> Result<()> {
        Memory::validate(self.memory, op)?;
        let threads = self.threads();
        if (1..=256).contains(&threads) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Invalid, op)
            .with_detail(format!("threads is {threads}, allowed are 1 to 256")))
    }
}
