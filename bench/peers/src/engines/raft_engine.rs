//! raft-engine: a region for each writer; `write` with `sync`, which its leader does for the group.
//!
//! Compression is off, since the records here are all alike. `Engine::sync` is of no use: it writes an
//! empty batch, which returns at once.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use protobuf::well_known_types::BytesValue;
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize};
use wal_load::Workload;

use super::Writer;

/// An entry is bytes that begin with its index.
#[derive(Clone)]
struct Indexed;

impl MessageExt for Indexed {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        let head = entry.value.first_chunk().expect("begins with its index");
        u64::from_le_bytes(*head)
    }
}

/// Entries that a region keeps in its table before it is told to forget them, as an applied log would.
const KEPT: u64 = 1 << 16;

pub(super) fn writers(dir: &Path, load: &Workload) -> anyhow::Result<Vec<Writer>> {
    let config = Config {
        dir: dir.to_str().context("a path in UTF-8")?.to_owned(),
        batch_compression_threshold: ReadableSize(0),
        ..Config::default()
    };
    let engine = Arc::new(Engine::open(config).map_err(|e| anyhow!("{e}"))?);
    let writer = |region: usize| {
        let (engine, region) = (engine.clone(), region as u64 + 1);
        let mut entry = BytesValue::new();
        entry.value = vec![b'r'; load.record.max(8)];
        let mut entries = vec![entry; load.records_per_call()];
        let mut next = 1_u64;
        let mut batch = LogBatch::default();
        Box::new(move || {
            for entry in &mut entries {
                entry.value[..8].copy_from_slice(&next.to_le_bytes());
                next += 1;
            }
            batch.add_entries::<Indexed>(region, &entries).map_err(|e| anyhow!("{e}"))?;
            engine.write(&mut batch, true).map_err(|e| anyhow!("{e}"))?;
            if next % KEPT < entries.len() as u64 {
                engine.compact_to(region, next - 1);
            }
            Ok(())
        }) as Writer
    };
    Ok((0..load.writers.count()).map(writer).collect())
}
