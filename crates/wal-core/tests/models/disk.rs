//! The storage of the models. It knows what was handed over and what a sync covered, and a crash
//! freezes it at any moment.
//!
//! Every operation is one critical section, a sync is two: it covers what was written before it
//! *began*, and counts when it *ends*. Between the two the checker lets other threads run. That is the
//! weakest storage that keeps the contract of `LogStorage`: nothing becomes durable but by a sync.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wal_core::format::{FRAME_HEADER_LEN, FrameHeader, FrameKind, SegmentHeader};
use wal_core::*;

use super::history::{self, Step};
use super::image::{After, Image, SegmentImage};
use super::{Mutex, TestClock};

/// What goes wrong.
#[derive(Clone, Copy, Default)]
pub struct Plan {
    /// The number of the sync that fails, from 1; later ones say `Ok` and do nothing.
    pub failing_sync: Option<u64>,
}

/// Shared by the log's storage and the threads of the model.
pub struct Disk {
    plan: Plan,
    claim: Claim,
    clock: Arc<TestClock>,
    state: Mutex<State>,
}

/// How long a sync takes on the clock of the model.
const SYNC_TIME: Duration = Duration::from_millis(1);

#[derive(Default)]
struct State {
    image: Image,
    crash_expected: bool,
    frozen: bool,
    syncing: bool,
    removing: bool,
    /// The log has let go of the storage: it is somebody else's.
    released: bool,
    syncs: u64,
    failed: bool,
    /// What callers were told before the crash.
    acknowledged: Vec<Lsn>,
    called_durable: Lsn,
    truncated_before: Lsn,
    /// Where the log may begin, since a truncation was asked for.
    may_start: Lsn,
    /// What a truncation at the back that was asked for keeps.
    cut: Option<Lsn>,
    worst_loss: u64,
}

impl Disk {
    pub fn new(plan: Plan, claim: Claim, clock: Arc<TestClock>) -> Self {
        history::clear();
        Disk { plan, claim, clock, state: Mutex::new(State::default()) }
    }

    fn state(&self) -> impl std::ops::DerefMut<Target = State> + '_ {
        self.state.lock().unwrap()
    }

    /// A thread of the model will [`freeze`](Self::freeze) the disk. Without one, power might be lost at
    /// every acknowledgement: it is judged in the same moment.
    pub fn expect_crash(&self) {
        self.state().crash_expected = true;
    }

    /// The crash: from now on nothing changes any more, and nobody hears of what the log says.
    pub fn freeze(&self) {
        let mut st = self.state();
        history::note(Step::Crash);
        st.frozen = true;
    }

    /// A caller was told that its record is safe, and read how far the log calls itself durable.
    pub fn acknowledge(&self, lsn: Lsn, durable_lsn: Lsn) {
        let mut st = self.state();
        if st.frozen {
            return;
        }
        history::note(Step::Acknowledged { lsn, durable_lsn });
        st.acknowledged.push(lsn);
        st.called_durable = st.called_durable.max(durable_lsn);
        if !st.crash_expected {
            st.judge(&self.claim);
        }
    }

    /// A caller was told that the log starts here.
    pub fn acknowledge_start(&self, log_start: Lsn) {
        let mut st = self.state();
        if !st.frozen {
            history::note(Step::Truncated { log_start });
            st.truncated_before = st.truncated_before.max(log_start);
        }
    }

    /// Somebody is about to ask for a truncation of everything before `log_start`.
    pub fn expect_start(&self, log_start: Lsn) {
        self.state().may_start = log_start;
    }

    /// Somebody is about to ask for a truncation that keeps records up to `kept`.
    pub fn expect_cut(&self, kept: Lsn) {
        self.state().cut = Some(kept);
    }

    /// Judges what the crash left, or would leave now. Returns how many acknowledged records a power loss
    /// took at worst.
    pub fn judge(&self) -> u64 {
        self.state().judge(&self.claim)
    }

    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }
}

/// The lock of the storage.
pub(super) struct Held(pub(super) Arc<Disk>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.state().released = true;
    }
}

impl State {
    fn begin_removal(&mut self) {
        assert!(!self.removing, "two removals at a time");
        self.removing = true;
    }

    fn is_cut_off(&self, lsn: Lsn) -> bool {
        self.cut.is_some_and(|kept| self.image.is_cut_off(lsn, kept))
    }

    fn is_lost(&self, lsn: Lsn, after: After) -> bool {
        let truncated = lsn < self.image.log_start().min(self.may_start) || self.is_cut_off(lsn);
        !truncated && !self.image.holds(lsn, after)
    }

    /// Compares what callers were told with what a recovery would find.
    fn judge(&mut self, claim: &Claim) -> u64 {
        let lost =
            |after| self.acknowledged.iter().filter(|&&lsn| self.is_lost(lsn, after)).count();
        let crash = (After::ProcessCrash, &claim.process_crash);
        for (after, claim) in [crash, (After::PowerLoss, &claim.power_loss)] {
            let lost = lost(after) as u64;
            assert!(
                claim.records.is_none_or(|allowed| lost <= allowed),
                "{after:?} loses {lost} acknowledged records, the claim is {claim}"
            );
        }
        for lsn in (1..=self.called_durable.get()).map(Lsn::new) {
            assert!(
                !self.is_lost(lsn, After::PowerLoss),
                "record {lsn} was called durable and is lost"
            );
        }
        assert!(
            self.image.log_start() >= self.truncated_before,
            "records before {} were truncated and come back",
            self.truncated_before
        );
        self.worst_loss = self.worst_loss.max(lost(After::PowerLoss) as u64);
        self.worst_loss
    }
}

/// The model disk as the engine sees it.
pub struct Storage(pub Arc<Disk>);

struct DiskSegment {
    disk: Arc<Disk>,
    name: Lsn,
}

impl LogStorage for Storage {
    fn capabilities(&self) -> Capabilities {
        Capabilities::durable()
    }

    fn describe(&self) -> String {
        "the model disk".into()
    }

    fn lock(&self) -> Io<'_, StorageLock> {
        Io::ready(Ok(StorageLock::new(())))
    }

    fn list(&self) -> Io<'_, Listing> {
        Io::ready(Ok(Listing::default()))
    }

    fn stage(&self, _: Lsn, _: u64) -> Io<'_, Staged> {
        unreachable!("the log creates its segments in one go")
    }

    fn create(&self, name: Lsn, header: Bytes, _: u64, _: Publish) -> Io<'_, Arc<dyn Segment>> {
        let header = SegmentHeader::decode(&header, name).expect("a header");
        let mut st = self.0.state();
        if !st.frozen {
            let SegmentHeader { follows, log_start, .. } = header;
            history::note(Step::Create { first: name, follows, log_start });
            // A reader takes the name for a proof: everything before is there.
            for lsn in (log_start.get()..=follows.get()).map(Lsn::new) {
                let there = st.image.holds(lsn, After::PowerLoss) || st.is_cut_off(lsn);
                assert!(there, "segment {name} says that record {lsn} is durable");
            }
            st.image.0.insert(name, SegmentImage::new(header));
        }
        drop(st);
        Io::ready(Ok(Arc::new(DiskSegment { disk: self.0.clone(), name })))
    }

    fn open(&self, _: Lsn, _: Access) -> Io<'_, Arc<dyn Segment>> {
        unreachable!("no model reads")
    }

    /// Each name goes on its own: a crash may come in between, and others write and create meanwhile.
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.0.state().begin_removal();
        for name in names {
            let mut st = self.0.state();
            assert!(!st.released, "a segment is removed from a storage that is somebody else's");
            if !st.frozen {
                history::note(Step::Remove { first: *name });
                st.image.0.remove(name);
            }
        }
        self.0.state().removing = false;
        Io::ready(Ok(()))
    }

    fn set_aside(&self, _: &str, _: Bytes) -> Io<'_, String> {
        unreachable!("nothing is repaired")
    }
}

impl Segment for DiskSegment {
    fn write_at(&self, _: u64, data: Bytes, _: WriteMode) -> Io<'_, ()> {
        let mut st = self.disk.state();
        let frozen = st.frozen;
        let Some(segment) = st.image.0.get_mut(&self.name).filter(|_| !frozen) else {
            return Io::ready(Ok(()));
        };
        let mut at = 0;
        while at < data.len() {
            let frame = FrameHeader::decode(&data[at..]);
            if frame.kind == FrameKind::Footer as u8 {
                history::note(Step::Footer { first: self.name });
                assert_eq!(segment.durable, segment.written, "a footer says that all is durable");
            } else {
                let records = frame.record_count(&data[at + FRAME_HEADER_LEN..]);
                segment.written = frame.lsn(self.name).advance(u64::from(records)).prev();
            }
            at += frame.frame_len() as usize;
        }
        history::note(Step::Write { first: self.name, upto: segment.written });
        Io::ready(Ok(()))
    }

    fn sync(&self) -> Io<'_, ()> {
        let first = self.name;
        let (covered, fails) = {
            let mut st = self.disk.state();
            assert!(st.frozen || !st.failed, "a failed sync is tried again");
            assert!(!st.syncing, "two syncs at a time");
            st.syncing = true;
            st.syncs += 1;
            let fails = self.disk.plan.failing_sync == Some(st.syncs);
            let covered = st.image.0.get(&first).map_or(Lsn::ZERO, |segment| segment.written);
            history::note(Step::SyncBegins { first, upto: covered });
            (covered, fails)
        };
        // Between the two locks anything may happen, and the sync covers none of it.
        self.disk.clock.advance_by(SYNC_TIME);
        let mut st = self.disk.state();
        st.syncing = false;
        st.failed |= fails;
        let frozen = st.frozen;
        if let Some(segment) = st.image.0.get_mut(&first).filter(|_| !frozen) {
            segment.gave_up |= fails;
            if !segment.gave_up {
                segment.durable = segment.durable.max(covered);
                history::note(Step::SyncEnds { first, upto: covered });
            }
        }
        if fails {
            history::note(Step::SyncFails { first });
            return Io::ready(Err(Error::new(ErrorKind::Io, "sync").with_detail("as planned")));
        }
        Io::ready(Ok(()))
    }

    fn read_at(&self, _: u64, _: usize) -> Io<'_, Bytes> {
        unreachable!("no model reads")
    }

    fn len(&self) -> Io<'_, u64> {
        unreachable!("no model reads")
    }

    fn truncate(&self, _: u64) -> Io<'_, ()> {
        Io::ready(Ok(()))
    }
}
