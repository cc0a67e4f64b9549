//! A directory's names: which are durable, which are visible, and the changes between.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::hash::Hash;

use super::crash::{Atom, AtomKind, Fate};

/// One directory: its names and the nodes they stand for.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    durable: BTreeMap<OsString, u64>,
    cache: BTreeMap<OsString, u64>,
    pending: Vec<Operation>,
}

/// A creation, removal or rename, told by its outcome: which names stand for what afterwards.
///
/// Told so, each can be lost on its own: a name then stands for what the last kept operation
/// made of it.
#[derive(Clone, Debug)]
struct Operation {
    seq: u64,
    names: Vec<(OsString, Option<u64>)>,
}

impl Directory {
    pub(super) fn get(&self, name: &OsStr) -> Option<u64> {
        self.cache.get(name).copied()
    }

    pub(super) fn fingerprint(
        &self,
        label: &dyn Fn(u64) -> u64,
        into: &mut impl std::hash::Hasher,
    ) {
        for names in [&self.durable, &self.cache] {
            names.len().hash(into);
            names.iter().for_each(|(name, node)| (name, label(*node)).hash(into));
        }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&OsString, u64)> {
        self.cache.iter().map(|(name, node)| (name, *node))
    }

    /// The name of a node: the present one, or one that it had or is about to have.
    pub(super) fn name_of(&self, id: u64) -> Option<String> {
        let pending = self.pending.iter().flat_map(|op| &op.names);
        let pending = pending.filter_map(|(name, node)| Some((name, (*node)?)));
        let all = self.entries().chain(self.durable.iter().map(|(name, node)| (name, *node)));
        let named = all.chain(pending).find(|(_, node)| *node == id);
        named.map(|(name, _)| name.to_string_lossy().into_owned())
    }

    pub(super) fn change(&mut self, seq: u64, names: Vec<(OsString, Option<u64>)>) {
        let operation = Operation { seq, names };
        operation.apply(&mut self.cache);
        self.pending.push(operation);
    }

    pub(super) fn sync(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        self.pending.clear();
        self.durable.clone_from(&self.cache);
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Every node that a name stands for, or may stand for after a power loss.
    pub(super) fn reachable(&self) -> impl Iterator<Item = u64> {
        let pending = self.pending.iter().flat_map(|op| op.names.iter().filter_map(|(_, n)| *n));
        self.cache.values().chain(self.durable.values()).copied().chain(pending)
    }

    pub(super) fn crash(&self, node: u64, choose: &mut dyn FnMut(&Atom) -> Fate) -> Directory {
        let mut disk = self.durable.clone();
        for operation in &self.pending {
            let names = operation.names.iter().map(|(name, n)| (name.clone(), n.is_some()));
            let kind = AtomKind::Entries { names: names.collect() };
            match choose(&Atom { seq: operation.seq, node, kind }) {
                Fate::Kept => operation.apply(&mut disk),
                Fate::BothNames => operation.apply_last(&mut disk),
                Fate::NeitherName if operation.names.len() > 1 => {
                    operation.apply_part(&mut disk, Option::is_none);
                    operation.names.iter().filter(|(_, node)| node.is_some()).for_each(
                        |(name, _)| {
                            disk.remove(name);
                        },
                    );
                }
                _ => {}
            }
        }
        Directory { durable: disk.clone(), cache: disk, pending: Vec::new() }
    }
}

impl Operation {
    fn apply(&self, entries: &mut BTreeMap<OsString, u64>) {
        self.apply_part(entries, |_| true);
    }

    /// Applies what it did to its last name, if that stands for a file afterwards: the one that a rename gives.
    fn apply_last(&self, entries: &mut BTreeMap<OsString, u64>) {
        if let Some((name, Some(node))) = self.names.last() {
            entries.insert(name.clone(), *node);
        }
    }

    /// Applies what it did to those names whose new meaning `which` selects.
    fn apply_part(
        &self,
        entries: &mut BTreeMap<OsString, u64>,
        which: impl Fn(&Option<u64>) -> bool,
    ) {
        for (name, node) in self.names.iter().filter(|(_, node)| which(node)) {
            match node {
                Some(node) => entries.insert(name.clone(), *node),
                None => entries.remove(name),
            };
        }
    }
}
