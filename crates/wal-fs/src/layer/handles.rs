//! The handles of segments that are open, by name: for what has to reach all of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use wal_core::Lsn;

/// Handles, none of which is kept open by being in here.
pub(crate) struct Handles<T>(Mutex<Vec<(Lsn, Weak<T>)>>);

impl<T> Handles<T> {
    pub(crate) const fn new() -> Self {
        Handles(Mutex::new(Vec::new()))
    }

    fn list(&self) -> MutexGuard<'_, Vec<(Lsn, Weak<T>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers one more, and forgets those that were closed.
    pub(crate) fn add(&self, name: Lsn, handle: &Arc<T>) {
        let mut list = self.list();
        list.retain(|(_, handle)| handle.strong_count() > 0);
        list.push((name, Arc::downgrade(handle)));
    }

    /// Those of a segment.
    pub(crate) fn of(&self, name: Lsn) -> Vec<Arc<T>> {
        let list = self.list();
        let of_name = list.iter().filter(|(open, _)| *open == name);
        of_name.filter_map(|(_, handle)| handle.upgrade()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_found_by_its_name() {
        let handles = Handles::new();
        let [first, second, other] = ["first", "second", "other"].map(Arc::new);
        handles.add(Lsn::new(1), &first);
        handles.add(Lsn::new(2), &other);
        handles.add(Lsn::new(1), &second);
        assert_eq!(handles.of(Lsn::new(1)), [first.clone(), second]);
        assert_eq!(
            handles.of(Lsn::new(1)),
            std::slice::from_ref(&first),
            "the second one was closed"
        );
        drop(first);
        handles.add(Lsn::new(3), &other);
        assert_eq!(handles.list().len(), 2);
    }
}
