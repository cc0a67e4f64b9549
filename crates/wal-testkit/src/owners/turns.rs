//! Who may make the next call. Each owner is a thread; one of them runs at a time, and stops before each call.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What a call has to do with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// What a name stands for.
    Name(PathBuf),
    /// Which names there are.
    Listing,
    /// The bytes and the length of a file.
    Bytes(u64),
}

/// In which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Reads,
    Writes,
    /// Changes it in a way that two such changes may come in either order: adds a name, or takes one away.
    Changes,
}

/// All that a call has to do with.
pub(super) type Footprint = Vec<(Key, Use)>;

/// Whether the two calls of different owners give the same in either order.
pub(super) fn are_independent(one: &Footprint, other: &Footprint) -> bool {
    one.iter().all(|(key, one)| {
        other.iter().all(|(found, other)| {
            found != key || (one == other && matches!(one, Use::Reads | Use::Changes))
        })
    })
}

enum Owner {
    Running,
    Waiting(Footprint),
    Done,
}

/// Lets one owner run at a time, from [`begin`](Turns::begin) to [`end`](Turns::end). Outside of that nobody waits.
pub(super) struct Turns {
    owners: Mutex<Vec<Owner>>,
    changed: Condvar,
    runs: AtomicBool,
}

impl Turns {
    pub(super) fn new(owners: usize) -> Self {
        let owners = (0..owners).map(|_| Owner::Running).collect();
        Turns { owners: Mutex::new(owners), changed: Condvar::new(), runs: AtomicBool::new(false) }
    }

    pub(super) fn begin(&self) {
        self.runs.store(true, Ordering::SeqCst);
    }

    pub(super) fn end(&self) {
        self.runs.store(false, Ordering::SeqCst);
    }

    fn owners(&self) -> MutexGuard<'_, Vec<Owner>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called by an owner before a call: waits for its turn.
    pub(super) fn wait(&self, owner: usize, footprint: Footprint) {
        if !self.runs.load(Ordering::SeqCst) {
            return;
        }
        let mut owners = self.owners();
        owners[owner] = Owner::Waiting(footprint);
        self.changed.notify_all();
        while !matches!(owners[owner], Owner::Running) {
            owners = self.changed.wait(owners).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Called by an owner at its end.
    pub(super) fn done(&self, owner: usize) {
        self.owners()[owner] = Owner::Done;
        self.changed.notify_all();
    }

    /// Waits until every owner stands before a call, or is done. What they wait to do; `None` of those that are done.
    pub(super) fn pending(&self) -> Vec<Option<Footprint>> {
        let mut owners = self.owners();
        while owners.iter().any(|owner| matches!(owner, Owner::Running)) {
            owners = self.changed.wait(owners).unwrap_or_else(PoisonError::into_inner);
        }
        let footprint = |owner: &Owner| match owner {
            Owner::Waiting(footprint) => Some(footprint.clone()),
            Owner::Running | Owner::Done => None,
        };
        owners.iter().map(footprint).collect()
    }

    /// Lets an owner make its call, and go on up to the next one.
    pub(super) fn let_go(&self, owner: usize) {
        self.owners()[owner] = Owner::Running;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_independent_unless_one_may_see_the_other() {
        let name = |name: &str, how| (Key::Name(name.into()), how);
        let create = |path| vec![name(path, Use::Writes), (Key::Listing, Use::Changes)];
        let list = vec![(Key::Listing, Use::Reads)];
        let look = |path| vec![name(path, Use::Reads)];
        assert!(are_independent(&create("a"), &create("b")));
        assert!(!are_independent(&create("a"), &create("a")));
        assert!(!are_independent(&create("a"), &list) && !are_independent(&list, &create("a")));
        assert!(are_independent(&look("a"), &look("a")) && are_independent(&list, &list));
        assert!(
            !are_independent(&look("a"), &create("a")) && are_independent(&look("a"), &create("b"))
        );
        let write = |file| vec![(Key::Bytes(file), Use::Writes)];
        assert!(!are_independent(&write(1), &write(1)) && are_independent(&write(1), &write(2)));
    }
}
