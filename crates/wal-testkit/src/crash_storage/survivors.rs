//! What a power loss leaves, in place or elsewhere.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use wal_core::{Access, Error, LogStorage, Lsn, Publish, Result};

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
        Happened::Created { name, data, how } => {
            inner.create(name, data.clone(), data.len() as u64, how).wait().map(drop)
        }
        Happened::Removed(names) => inner.remove(&names).wait(),
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
        Happened::Created { name, data, .. } => drop(segments.insert(name, data.to_vec())),
        Happened::Removed(names) => segments.retain(|name, _| !names.contains(name)),
    }
    for (name, bytes) in segments {
        let len = bytes.len() as u64;
        target.create(name, Bytes::from(bytes), len, Publish::New).wait()?;
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
        survivors
            .insert(name, bytes.map_err(|source| Error::io("crash", source).with_segment(name))?);
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

/// What of that which was under way has happened.
enum Happened<'s> {
    Created { name: Lsn, data: &'s Bytes, how: Publish },
    Removed(Vec<Lsn>),
}

/// Each name is decided on its own: of many removals any may have happened.
fn decided<'s>(state: &'s State, choose: &mut dyn FnMut(&Atom) -> Fate) -> Happened<'s> {
    let mut happened = |name: &Lsn, exists| {
        let names = vec![(path(*name).into_os_string(), exists)];
        let atom = Atom { seq: u64::MAX, node: 0, kind: AtomKind::Entries { names } };
        choose(&atom) == Fate::Kept
    };
    match &state.in_flight {
        Some(InFlight::Create { name, data, how }) if happened(name, true) => {
            Happened::Created { name: *name, data, how: *how }
        }
        Some(InFlight::Remove { names }) => {
            Happened::Removed(names.iter().filter(|name| happened(name, false)).copied().collect())
        }
        Some(InFlight::Create { .. } | InFlight::Nothing) | None => Happened::Removed(Vec::new()),
    }
}
