//! Where in the shared log a stream's records are, roughly, in bounded memory.

use wal_core::Lsn;

/// A frame of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
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
    places: Vec<Place>,
    step: u64,
}

impl Index {
    /// 24 bytes each.
    pub(crate) const MAX: usize = 4096;
    const STEP: u64 = 64 << 10;

    pub(crate) const fn new() -> Self {
        Index { places: Vec::new(), step: Self::STEP }
    }

    pub(crate) fn add(&mut self, place: Place) {
        let near = |last: &Place| place.at.saturating_sub(last.at) < self.step;
        if self.places.last().is_some_and(near) {
            return;
        }
        if self.places.len() == Self::MAX {
            // The first stays: nothing in front of it is needed, and it may be gone.
            let mut keep = false;
            self.places.retain(|_| {
                keep = !keep;
                keep
            });
            self.step *= 2;
        }
        self.places.push(place);
    }

    /// The last frame known to begin at or before `lsn`.
    pub(crate) fn seek(&self, lsn: Lsn) -> Option<Place> {
        let after = self.places.partition_point(|place| place.lsn <= lsn);
        self.places[..after].last().copied()
    }

    /// The oldest frame that is needed; none if the stream holds no record.
    pub(crate) fn first(&self) -> Option<Place> {
        self.places.first().copied()
    }

    /// Records before `lsn` are not needed any more.
    pub(crate) fn truncate_before(&mut self, lsn: Lsn) {
        let after = self.places.partition_point(|place| place.lsn <= lsn);
        self.places.drain(..after.saturating_sub(1));
    }

    /// Every `stride`-th place, the first among them, and their distance in steps of 64 KiB.
    pub(crate) fn thinned(&self, stride: usize) -> (u64, impl ExactSizeIterator<Item = Place>) {
        (self.step / Self::STEP * stride as u64, self.places.iter().copied().step_by(stride))
    }

    /// What [`thinned`](Self::thinned) gave; `None` if the distance is none.
    pub(crate) fn restored(steps: u64, places: Vec<Place>) -> Option<Self> {
        let step = steps.checked_mul(Self::STEP).filter(|step| *step > 0)?;
        Some(Index { places, step })
    }

    /// No record is needed any more.
    pub(crate) fn clear(&mut self) {
        *self = Index::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(n: u64, at: u64) -> Place {
        Place { lsn: Lsn::new(10 * n + 1), shared: Lsn::new(100 * n + 1), at }
    }

    #[test]
    fn finds_the_place_at_or_before() {
        let mut index = Index::new();
        assert_eq!((index.first(), index.seek(Lsn::new(1))), (None, None));
        (0..5).for_each(|n| index.add(place(n, n * Index::STEP)));
        index.add(place(5, 5 * Index::STEP - 1));
        assert_eq!(index.places.len(), 5, "too near to the one before");
        assert_eq!(index.seek(Lsn::new(20)), Some(place(1, Index::STEP)));
        assert_eq!(index.seek(Lsn::new(21)), Some(place(2, 2 * Index::STEP)));
        assert_eq!(index.seek(Lsn::new(9999)), Some(place(4, 4 * Index::STEP)));
        index.truncate_before(Lsn::new(30));
        assert_eq!(index.first(), Some(place(2, 2 * Index::STEP)));
        assert_eq!(index.seek(Lsn::new(20)), None);
        index.truncate_before(Lsn::new(31));
        assert_eq!(index.first(), Some(place(3, 3 * Index::STEP)));
        index.clear();
        assert_eq!(index.first(), None);
    }

    #[test]
    fn memory_is_bounded_and_places_stay_even() {
        let mut index = Index::new();
        let frames = 20 * Index::MAX as u64;
        (0..frames).for_each(|n| index.add(place(n, n * Index::STEP)));
        assert!(index.places.len() <= Index::MAX, "{}", index.places.len());
        assert!(index.places.len() >= Index::MAX / 2, "{}", index.places.len());
        assert_eq!(index.first(), Some(place(0, 0)));
        let gaps = index.places.windows(2).map(|two| two[1].at - two[0].at);
        assert!(gaps.max() <= Some(index.step), "no gap wider than the step");
    }
}
