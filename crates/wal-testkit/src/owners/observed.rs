//! What each owner has seen so far. It does nothing but by what it has seen: so with the disk that says what comes.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{ModelFs, Rng};

/// What the owners have seen and made.
pub(super) struct Observed(Mutex<State>);

struct State {
    /// A number for all that each owner has seen.
    histories: Vec<u64>,
    /// Which owner created a file, and as its how-manieth. The number of a file depends on the order of all.
    labels: HashMap<u64, u64>,
    created: Vec<u64>,
    drawn: Vec<u64>,
}

impl Observed {
    pub(super) fn new(owners: usize) -> Self {
        let none = || vec![0; owners];
        let (histories, created, drawn) = (none(), none(), none());
        Observed(Mutex::new(State { histories, labels: HashMap::new(), created, drawn }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a call gave.
    pub(super) fn note(&self, owner: usize, seen: &impl Hash) {
        let mut state = self.state();
        let mut hasher = DefaultHasher::new();
        (state.histories[owner], seen).hash(&mut hasher);
        state.histories[owner] = hasher.finish();
    }

    /// Notes who created a file.
    pub(super) fn created(&self, owner: usize, inode: u64) {
        let mut state = self.state();
        state.created[owner] += 1;
        let label = (owner as u64 + 1) << 32 | state.created[owner];
        state.labels.insert(inode, label);
    }

    /// The same for a file in every order of the owners' calls.
    pub(super) fn label(&self, inode: u64) -> u64 {
        self.state().label(inode)
    }

    /// The same for an owner in every order, and no two alike.
    pub(super) fn random(&self, owner: usize) -> [u8; 16] {
        let mut state = self.state();
        state.drawn[owner] += 1;
        Rng::new((owner as u64 + 1) << 32 | state.drawn[owner]).token()
    }

    /// Says where the owners are: where it is the same, what comes is the same.
    pub(super) fn fingerprint(&self, disk: &ModelFs) -> u64 {
        let state = self.state();
        let mut hasher = DefaultHasher::new();
        state.histories.hash(&mut hasher);
        disk.fingerprint(&|node| state.label(node)).hash(&mut hasher);
        hasher.finish()
    }
}

impl State {
    fn label(&self, node: u64) -> u64 {
        self.labels.get(&node).copied().unwrap_or(node)
    }
}
