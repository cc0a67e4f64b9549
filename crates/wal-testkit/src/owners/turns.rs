//! Who may make the next call. Each owner is a thread; one of them runs at a time, and stops before each call.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::search::Search;

/// What a call has to do with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// What a name stands for.
    Name(PathBuf),
    /// Which names there are.
    Listing,
    /// The bytes and the length of a file.
    Bytes(u64),
    /// Whatever a call of a storage has to do with.
    Storage,
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
    inner: Mutex<Inner>,
    /// One for each owner.
    turn: Vec<Condvar>,
    runs: AtomicBool,
    /// Says where the owners are.
    state: Box<dyn Fn() -> u64 + Send + Sync>,
}

struct Inner {
    owners: Vec<Owner>,
    search: Search,
}

impl Turns {
    pub(super) fn new(owners: usize, state: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let running = (0..owners).map(|_| Owner::Running).collect();
        Turns {
            inner: Mutex::new(Inner { owners: running, search: Search::default() }),
            turn: (0..owners).map(|_| Condvar::new()).collect(),
            runs: AtomicBool::new(false),
            state: Box::new(state),
        }
    }

    /// From now on the search says who makes the next call.
    pub(super) fn begin(&self, mut search: Search) {
        search.begin();
        self.inner().search = search;
        self.runs.store(true, Ordering::SeqCst);
    }

    pub(super) fn end(&self) -> Search {
        self.runs.store(false, Ordering::SeqCst);
        std::mem::take(&mut self.inner().search)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called by an owner before a call: waits for its turn.
    pub(super) fn wait(&self, owner: usize, footprint: Footprint) {
        if !self.runs.load(Ordering::SeqCst) {
            return;
        }
        let mut inner = self.inner();
        inner.owners[owner] = Owner::Waiting(footprint);
        self.go_on(&mut inner);
        while !matches!(inner.owners[owner], Owner::Running) {
            inner = self.turn[owner].wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Called by an owner at its end.
    pub(super) fn done(&self, owner: usize) {
        let mut inner = self.inner();
        inner.owners[owner] = Owner::Done;
        if self.runs.load(Ordering::SeqCst) {
            self.go_on(&mut inner);
        }
    }

    /// Lets an owner make its call as soon as every owner stands before one, or is done. The thread that stopped last
    /// decides it, so that nobody has to wake up for an owner that goes on.
    fn go_on(&self, inner: &mut Inner) {
        if inner.owners.iter().any(|owner| matches!(owner, Owner::Running)) {
            return;
        }
        let footprint = |owner: &Owner| match owner {
            Owner::Waiting(footprint) => Some(footprint.clone()),
            Owner::Running | Owner::Done => None,
        };
        let pending = inner.owners.iter().map(footprint).collect();
        let choose = || inner.search.choose(pending, &*self.state);
        match catch_unwind(AssertUnwindSafe(choose)) {
            Ok(Some(owner)) => {
                inner.owners[owner] = Owner::Running;
                self.turn[owner].notify_one();
            }
            Ok(None) => {}
            Err(panic) => {
                self.let_all_go(inner);
                resume_unwind(panic);
            }
        }
    }

    /// Nobody says who is next any more, and nobody is to wait for it for ever.
    fn let_all_go(&self, inner: &mut Inner) {
        self.runs.store(false, Ordering::SeqCst);
        for (owner, turn) in inner.owners.iter_mut().zip(&self.turn) {
            *owner = Owner::Running;
            turn.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn nobody_waits_for_a_search_that_panicked() {
        let turns = Arc::new(Turns::new(2, || panic!("nobody knows the state")));
        turns.begin(Search::default());
        let (ended, ends) = mpsc::channel();
        for owner in 0..2 {
            let (turns, ended) = (turns.clone(), ended.clone());
            thread::spawn(move || {
                let waits = || turns.wait(owner, vec![(Key::Storage, Use::Writes)]);
                let panicked = catch_unwind(AssertUnwindSafe(waits)).is_err();
                turns.done(owner);
                ended.send(panicked).unwrap();
            });
        }
        let mut told: Vec<_> =
            (0..2).map(|_| ends.recv_timeout(Duration::from_secs(10)).unwrap()).collect();
        told.sort_unstable();
        assert_eq!(told, [false, true], "the last one to stop decides, and panics");
    }

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
