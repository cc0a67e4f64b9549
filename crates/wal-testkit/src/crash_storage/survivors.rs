//! What a power loss leaves, in place or elsewhere.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use wal_core::{Access, Error, LogStorage, Lsn, Result};

use super::state::{InFlight, Lost, State, path, read_whole, settle};
use crate::{Atom, AtomKind, Fate};

/// Decides the fate of everything pending, and carries it out in the storage below.
pub(super) fn carry_out(
    inner: &impl LogStorage,
    state: &mut State,
    choose: &mut dyn FnMut(&Atom) -> Fate,
) -> Result<()> {
    let survivors = survivors(state, choose)?;
    for (name, below) in state.cached() {
        settle(&**below, &survivors[&name])?;
    }
    match decided(state, choose) {
        Some(InFlight::Create { name, header }) => {
            inner.create(*name, header.clone(), header.len() as u64).wait().map(drop)
        }
        Some(InFlight::Remove { name }) => inner.remove(*name).wait(),
        Some(InFlight::Nothing) | None => Ok(()),
    }
}

/// The same, written into another storage.
pub(super) fn copy(
    inner: &impl LogStorage,
    state: &State,
    choose: &mut dyn FnMut(&Atom) -> Fate,
    target: &dyn LogStorage,
) -> Result<()> {
    let mut segments = survivors(state, choose)?;
    for name in inner.list().wait()?.segments {
        if let Entry::Vacant(entry) = segments.entry(name) {
            entry.insert(read_whole(&*inner.open(name, Access::Read).wait()?)?);
        }
    }
    match decided(state, choose) {
        Some(InFlight::Create { name, header }) => drop(segments.insert(*name, header.to_vec())),
        Some(InFlight::Remove { name }) => drop(segments.remove(name)),
        Some(InFlight::Nothing) | None => {}
    }
    for (name, bytes) in segments {
        let len = bytes.len() as u64;
        target.create(name, Bytes::from(bytes), len).wait()?;
    }
    Ok(())
}

/// The bytes of every segment in the cache, after the power loss.
fn survivors(
    state: &State,
    choose: &mut dyn FnMut(&Atom) -> Fate,
) -> Result<BTreeMap<Lsn, Vec<u8>>> {
    let image = state.model.crash_with(choose);
    let mut survivors = BTreeMap::new();
    for (name, _) in state.cached() {
        let bytes = image.contents(&path(name));
        survivors.insert(name, bytes.map_err(|source| Error::io("crash", source).segment(name))?);
    }
    for Lost { name, offset, old, elsewhere } in &state.lost {
        let Some(bytes) = survivors.get_mut(name) else { continue };
        overwrite(bytes, *offset, old);
        if let Some((to, data)) = elsewhere {
            overwrite(bytes, *to, data);
        }
    }
    Ok(survivors)
}

/// Writes within the bytes that are there.
fn overwrite(bytes: &mut [u8], offset: u64, data: &[u8]) {
    let start = (offset as usize).min(bytes.len());
    let n = data.len().min(bytes.len() - start);
    bytes[start..start + n].copy_from_slice(&data[..n]);
}

/// What was under way, if it happened.
fn decided<'s>(state: &'s State, choose: &mut dyn FnMut(&Atom) -> Fate) -> Option<&'s InFlight> {
    let in_flight = state.in_flight.as_ref()?;
    let names = match in_flight {
        InFlight::Create { name, .. } => vec![(path(*name).into_os_string(), true)],
        InFlight::Remove { name } => vec![(path(*name).into_os_string(), false)],
        InFlight::Nothing => return None,
    };
    let atom = Atom { seq: u64::MAX, node: 0, kind: AtomKind::Entries { names } };
    (choose(&atom) == Fate::Kept).then_some(in_flight)
}
