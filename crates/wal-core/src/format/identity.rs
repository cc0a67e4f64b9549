//! Identities that are drawn at random: of a log, and of who writes it.

use std::fmt;

use crate::{Error, ErrorKind, Result};

/// A log's random identity.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId(pub [u8; 16]);

impl LogId {
    /// A fresh identity from the operating system's random numbers.
    ///
    /// # Errors
    /// `Io` if the system has no source of random numbers.
    pub fn random() -> Result<Self> {
        random("create log").map(LogId)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(&self.0, f)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogId({self})")
    }
}

/// Who writes a log: each opening is another owner, with a larger epoch and a token of its own.
///
/// The token is part of the checksum of every frame, so that frames of two owners that gave out the same
/// generation are told apart. All zeros in a storage that knows no owners.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Rises with each opening; 0 where nobody counts them.
    pub epoch: u64,
    /// Random.
    pub token: [u8; 16],
}

impl Owner {
    /// An owner with a fresh token.
    ///
    /// # Errors
    /// `Io` if the system has no source of random numbers.
    pub fn random(epoch: u64) -> Result<Self> {
        Ok(Owner { epoch, token: random("own log")? })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.epoch)?;
        hexadecimal(&self.token, f)
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({self})")
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the seam")]
fn random(op: &'static str) -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| {
        Error::new(ErrorKind::Io, op).with_detail(format!("no random numbers: {e}"))
    })?;
    Ok(bytes)
}

fn hexadecimal(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}
