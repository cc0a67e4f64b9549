//! How far a stream is durable, told from how far the shared log is.

use std::collections::VecDeque;

use wal_core::Lsn;

/// The ends of a stream's last frames that are not known to be durable yet.
///
/// Of [`MAX`](Self::MAX) ends every second is forgotten, so the answer may lag behind while much is
/// unsynced; it is never ahead, and exact once the newest frame is durable.
#[derive(Debug)]
pub(crate) struct Marks {
    durable: Lsn,
    /// LSN in the stream and LSN in the shared log, of the last record of a frame.
    ends: VecDeque<(Lsn, Lsn)>,
}

impl Marks {
    const MAX: usize = 64;

    /// All up to `durable` is.
    pub(crate) const fn new(durable: Lsn) -> Self {
        Marks { durable, ends: VecDeque::new() }
    }

    pub(crate) fn add(&mut self, lsn: Lsn, shared: Lsn, shared_durable: Lsn) {
        self.durable(shared_durable);
        if self.ends.len() == Self::MAX {
            let mut keep = true;
            // The later of two: the earlier one is covered by it.
            self.ends.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.ends.push_back((lsn, shared));
    }

    /// The last record of the stream that is known to be durable when the shared log is durable up to
    /// `shared_durable`.
    pub(crate) fn durable(&mut self, shared_durable: Lsn) -> Lsn {
        while let Some(&(lsn, shared)) = self.ends.front() {
            if shared > shared_durable {
                break;
            }
            self.durable = lsn;
            self.ends.pop_front();
        }
        self.durable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_ahead_and_exact_at_the_end() {
        let mut marks = Marks::new(Lsn::ZERO);
        // Frame n ends with the stream's record n, which is the shared log's record 2 n.
        for n in 1..=1000 {
            marks.add(Lsn::new(n), Lsn::new(2 * n), Lsn::ZERO);
            assert!(marks.ends.len() <= Marks::MAX);
        }
        assert_eq!(marks.durable(Lsn::ZERO), Lsn::ZERO);
        for shared in 0..2000 {
            assert!(marks.durable(Lsn::new(shared)).get() <= shared / 2);
        }
        assert_eq!(marks.durable(Lsn::new(2000)), Lsn::new(1000));
        marks.add(Lsn::new(1001), Lsn::new(2002), Lsn::new(2002));
        assert_eq!(marks.durable(Lsn::new(2001)), Lsn::new(1000));
        assert_eq!(marks.durable(Lsn::new(2002)), Lsn::new(1001));
    }
}
