//! What is written down while a workload runs, and the bytes of its records.

use bytes::Bytes;

use crate::promise::Event;

/// Events, each with the number of changes that the file system had seen before.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) events: Vec<(usize, Event)>,
    /// Batches submitted, for bytes that never repeat.
    pub(crate) batches: u64,
}

/// The bytes of a record: no two of a history are alike, unless they are too short for it.
pub(crate) fn payload(batch: u64, index: u64, len: u32) -> Bytes {
    let mut seed = crate::Rng::new(batch << 20 | index);
    let mut bytes = Vec::with_capacity(len as usize + 8);
    let mut word = seed.next();
    while bytes.len() < len as usize {
        bytes.extend_from_slice(&word.to_le_bytes());
        word = word.wrapping_add(1);
    }
    bytes.truncate(len as usize);
    bytes.into()
}
