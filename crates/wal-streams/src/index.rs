//! Where in the shared log a stream's records are, roughly, in bounded memory.

use wal_core::Lsn;

/// A frame of the stream, and where the shared log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexedFrame {
    /// The stream's LSN of its first record.
    pub(crate) lsn: Lsn,
    /// The shared log's LSN of the same record.
    pub(crate) shared: Lsn,
    /// How many bytes of frames the shared log held in front of it, counted from where this opening
    /// found it begin.
    pub(crate) at: u64,
}

/// Some of a stream's frames, ascending: the first that is needed, then one for each 64 KiB or more of
/// the shared log. With [`MAX`](Self::MAX) of them every second is dropped, and the distance doubles.
#[derive(Debug)]
pub(crate) struct Index {
    frames: Vec<IndexedFrame>,
    step: u64,
}

impl Index {
    /// 24 bytes each.
    pub(crate) const MAX: usize = 4096;
    const STEP: u64 = 64 << 10;

    pub(crate) const fn new() -> Self {
        Index { frames: Vec::new(), step: Self::STEP }
    }

    pub(crate) fn add(&mut self, frame: IndexedFrame) {
        let near = |last: &IndexedFrame| frame.at.saturating_sub(last.at) < self.step;
        if self.frames.last().is_some_and(near) {
            return;
        }
        if self.frames.len() == Self::MAX {
            // The first stays: nothing in front of it is needed, and it may be gone.
            let mut keep = false;
            self.frames.retain(|_| {
                keep = !keep;
                keep
            });
            self.step *= 2;
        }
        self.frames.push(frame);
    }

    /// The last frame known to begin at or before `lsn`.
    pub(crate) fn seek(&self, lsn: Lsn) -> Option<IndexedFrame> {
        let after = self.frames.partition_point(|frame| frame.lsn <= lsn);
        self.frames[..after].last().copied()
    }

    /// The oldest frame that is needed; none if the stream holds no record.
    pub(crate) fn first(&self) -> Option<IndexedFrame> {
        self.frames.first().copied()
    }

    /// Records before `lsn` are not needed any more.
    pub(crate) fn truncate_before(&mut self, lsn: Lsn) {
        let after = self.frames.partition_point(|frame| frame.lsn <= lsn);
        self.frames.drain(..after.saturating_sub(1));
    }

    /// Every `stride`-th frame, the first among them, and their distance in steps of 64 KiB.
    pub(crate) fn thinned(
        &self,
        stride: usize,
    ) -> (u64, impl ExactSizeIterator<Item = IndexedFrame>) {
        (self.step / Self::STEP * stride as u64, self.frames.iter().copied().step_by(stride))
    }

    /// What [`thinned`](Self::thinned) gave; `None` if the distance is none.
    pub(crate) fn restored(steps: u64, frames: Vec<IndexedFrame>) -> Option<Self> {
        let step = steps.checked_mul(Self::STEP).filter(|step| *step > 0)?;
        Some(Index { frames, step })
    }

    /// No record is needed any more.
    pub(crate) fn clear(&mut self) {
        *self = Index::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(n: u64, at: u64) -> IndexedFrame {
        IndexedFrame { lsn: Lsn::new(10 * n + 1), shared: Lsn::new(100 * n + 1), at }
    }

    #[test]
    fn finds_the_place_at_or_before() {
        let mut index = Index::new();
        assert_eq!((index.first(), index.seek(Lsn::new(1))), (None, None));
        (0..5).for_each(|n| index.add(frame(n, n * Index::STEP)));
        index.add(frame(5, 5 * Index::STEP - 1));
        assert_eq!(index.frames.len(), 5, "too near to the one before");
        assert_eq!(index.seek(Lsn::new(20)), Some(frame(1, Index::STEP)));
        assert_eq!(index.seek(Lsn::new(21)), Some(frame(2, 2 * Index::STEP)));
        assert_eq!(index.seek(Lsn::new(9999)), Some(frame(4, 4 * Index::STEP)));
        index.truncate_before(Lsn::new(30));
        assert_eq!(index.first(), Some(frame(2, 2 * Index::STEP)));
        assert_eq!(index.seek(Lsn::new(20)), None);
        index.truncate_before(Lsn::new(31));
        assert_eq!(index.first(), Some(frame(3, 3 * Index::STEP)));
        index.clear();
        assert_eq!(index.first(), None);
    }

    #[test]
    fn memory_is_bounded_and_places_stay_even() {
        let mut index = Index::new();
        let frames = 20 * Index::MAX as u64;
        (0..frames).for_each(|n| index.add(frame(n, n * Index::STEP)));
        assert!(index.frames.len() <= Index::MAX, "{}", index.frames.len());
        assert!(index.frames.len() >= Index::MAX / 2, "{}", index.frames.len());
        assert_eq!(index.first(), Some(frame(0, 0)));
        let gaps = index.frames.windows(2).map(|two| two[1].at - two[0].at);
        assert!(gaps.max() <= Some(index.step), "no gap wider than the step");
    }
}
