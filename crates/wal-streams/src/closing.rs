//! The closing checkpoint: what a clean close leaves, so that the next opening need not read the whole log.
//!
//! The last record of a cleanly closed log holds all that is remembered of the streams. It is believed only
//! as the last record: whatever follows it makes it an ordinary checkpoint, and the log is read. Only a
//! record that is alone in its frame can be one, so no bytes that a caller appends are taken for it.

use std::sync::PoisonError;

use wal_core::format::{FrameKind, SegmentSummary, record_overhead};
use wal_core::{Access, Durability, ErrorKind, FrameReader, FrameStep, Recovered, Result, Wal};

use crate::index::Index;
use crate::inventory::Inventory;
use crate::layout;
use crate::positions::Positions;
use crate::shared::Shared;
use crate::streams::LAYERS;

/// Appends a closing checkpoint of all streams, for a log that is about to be closed. If that fails, the next
/// opening reads the log; what else is wrong, closing will tell.
pub(crate) fn leave(shared: &Shared) {
    let freed = shared.freed.lock().unwrap_or_else(PoisonError::into_inner);
    if shared.closing_end == shared.wal.next_lsn() {
        return;
    }
    // Nobody appends, and no stream begins, until the checkpoint has its place.
    let states = shared.states.write().unwrap_or_else(PoisonError::into_inner);
    let all: Vec<_> = states.values().map(|state| (state.id, state.lock())).collect();
    let exist: Vec<_> =
        all.iter().map(|(id, at)| (*id, &**at)).filter(|(_, at)| at.exists()).collect();
    if exist.is_empty() {
        return;
    }
    // Where a record may not be that large, a coarser index does it.
    for stride in [1, 8, 64, Index::MAX] {
        let mut record = Vec::new();
        let streams = exist.iter().copied();
        layout::put_closing(&mut record, shared.bytes(), freed.bytes, streams, stride);
        match shared.wal.submit_with(&record, Durability::Buffered) {
            Err(error) if error.kind() == ErrorKind::TooLarge => {}
            Ok(_) => return shared.add_record(&record),
            Err(_) => return,
        }
    }
}

/// Whether the last record is alone in its frame, as a closing checkpoint is. Reads some 64 KiB
/// and a frame.
pub(crate) fn may_end(recovered: &Recovered) -> Result<bool> {
    let last = recovered.last_lsn();
    if last < recovered.first_lsn() {
        return Ok(false);
    }
    let holder = recovered.segments().iter().rev().find(|segment| segment.header.first_lsn <= last);
    let (Some(segment), true) = (holder, recovered.layers() == Some(LAYERS)) else {
        return Ok(false);
    };
    let first_lsn = segment.header.first_lsn;
    let delta = u32::try_from(last.since(first_lsn)).unwrap_or(u32::MAX);
    let Some(near) = segment.summary.seek(delta) else { return Ok(false) };
    let handle = recovered.storage().open(first_lsn, Access::Read).wait()?;
    let (offset, end) = (u64::from(near.offset), segment.summary.data_end);
    let near = SegmentSummary::INDEX_STEP as usize;
    let mut reader = FrameReader::new(handle, &segment.header, offset, end).read_size(near);
    while let FrameStep::Frame(frame) = wal_core::block_on(reader.next())? {
        if frame.header.kind == FrameKind::Data as u8 && frame.header.lsn(first_lsn) == last {
            return Ok(frame.header.record_count(&frame.body) == 1);
        }
    }
    Ok(false)
}

/// What the closing checkpoint says, if the last record of the log is one, and true. The caller has made sure
/// that it is alone in its frame.
pub(crate) fn at_end(wal: &Wal) -> Result<Option<Inventory>> {
    let mut record = wal.read(wal.last_lsn())?.record;
    if record.first() != Some(&layout::CLOSING) {
        return Ok(None);
    }
    let own_bytes = record.len() as u64 + record_overhead(1);
    let mut inventory = layout::take_closing(&mut record.split_off(1))
        .map_err(|error| error.with_lsn(wal.last_lsn()))?;
    inventory.bytes += own_bytes;
    // Somebody else truncated the log since: reading it tells what is missing.
    let begins = wal.first_lsn();
    let there =
        |positions: &Positions| positions.index.first().is_none_or(|first| first.shared >= begins);
    Ok(inventory.streams.iter().all(|(_, positions)| there(positions)).then_some(inventory))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wal_core::{LogStorage, Lsn, MemoryStorage};
    use wal_recovery::Recovery;
    use wal_sync::Os;
    use wal_testkit::FaultStorage;

    use crate::positions::Standing;
    use crate::scan::scan;
    use crate::truncate::snapshot;
    use crate::{Settings, Streams};

    use super::*;

    fn open_with(storage: &Arc<dyn LogStorage>, sizes: wal_core::Settings) -> Streams {
        let (recovered, _) = Recovery::new(storage.clone()).run().unwrap();
        let settings = Settings::default().reclaim_bytes(100 << 10);
        Streams::open_with(Wal::builder(Os::new()).settings(sizes), recovered, settings).unwrap()
    }

    fn open(storage: &Arc<dyn LogStorage>) -> Streams {
        open_with(storage, wal_core::Settings::default())
    }

    /// Three streams over some MiB: one whole, one truncated, one emptied.
    fn fill(streams: &Streams) {
        let batch = vec![[5; 1000]; 20];
        for round in 0..60 {
            (1..=3).for_each(|id| assert!(streams.stream(id).append_batch(&batch).is_ok()));
            if round % 10 == 9 {
                streams.stream(3).truncate_before(Lsn::MAX).unwrap();
            }
            if round == 30 {
                streams.stream(1).truncate_before(Lsn::new(123)).unwrap();
                streams.stream(2).truncate_before(Lsn::new(456)).unwrap();
            }
        }
    }

    fn standings(streams: &Streams) -> Vec<Standing> {
        snapshot(&streams.shared).standings
    }

    #[test]
    fn the_closing_checkpoint_says_what_reading_the_log_says() {
        let storage = FaultStorage::new(MemoryStorage::new());
        let control = storage.control();
        let storage: Arc<dyn LogStorage> = Arc::new(storage);
        let streams = open(&storage);
        fill(&streams);
        let (before, bytes) = (standings(&streams), streams.stats().bytes);
        assert!(streams.shared.wal.first_lsn() > Lsn::FIRST, "something was freed");
        streams.close().unwrap();
        drop(streams);
        let (recovered, _) = Recovery::new(storage.clone()).run().unwrap();
        let reads = control.counters().reads;
        let streams = Streams::open(Wal::builder(Os::new()), recovered).unwrap();
        let reads = control.counters().reads - reads;
        // Header and footer of the newest segment, which every opening looks at (three); then the end of the log, and
        // the record there.
        assert!(reads <= 5, "{reads} reads for the last record");
        assert_ne!(streams.shared.closing_end, Lsn::ZERO);
        assert_eq!(standings(&streams), before);
        let scanned = scan(&streams.shared.wal).unwrap();
        assert_eq!(scanned.standings(), before);
        assert_eq!(scanned.bytes, streams.shared.bytes());
        assert!(
            streams.shared.bytes() - bytes < 2000,
            "the closing checkpoint is what came on top"
        );
        for (id, positions) in &scanned.streams {
            let known = streams.stream(*id);
            assert_eq!(known.durable_lsn(), positions.next.prev());
            let middle = positions.start.advance(positions.next.since(positions.start) / 2);
            let found = |at: &Positions| at.index.seek(middle);
            assert_eq!(found(&known.state.lock()), found(positions), "stream {id}");
        }

        // Nothing was appended: no further checkpoint.
        let end = streams.shared.wal.next_lsn();
        streams.close().unwrap();
        assert_eq!(streams.shared.wal.next_lsn(), end);
    }

    #[test]
    fn a_closing_checkpoint_too_large_is_made_coarser() {
        let storage: Arc<dyn LogStorage> = Arc::new(MemoryStorage::new());
        let sizes = wal_core::Settings::default();
        let streams = open(&storage);
        fill(&streams);
        let before = standings(&streams);
        drop(streams);
        let streams = open_with(&storage, sizes.max_record_bytes(150));
        streams.close().unwrap();
        drop(streams);
        let streams = open(&storage);
        assert_ne!(streams.shared.closing_end, Lsn::ZERO);
        assert_eq!(standings(&streams), before);
        let whole =
            streams.stream(1).iter(Lsn::ZERO).unwrap().map(|entry| entry.unwrap().lsn.get());
        assert!(whole.eq(123..=1200));
        assert_eq!(streams.stream(2).read(Lsn::new(900)).unwrap().lsn, Lsn::new(900));
    }

    #[test]
    fn only_the_last_record_alone_in_its_frame_is_believed() {
        let storage: Arc<dyn LogStorage> = Arc::new(MemoryStorage::new());
        let streams = open(&storage);
        let stream = streams.stream(1);
        // The closing checkpoint of a log without streams, in the hands of a caller.
        let forged = [layout::CLOSING, 0, 0];
        stream.append_batch(&[&b"a batch"[..], &forged]).unwrap();
        drop((streams, stream));
        let streams = open(&storage);
        assert_eq!((streams.shared.closing_end, streams.ids().len()), (Lsn::ZERO, 1));
        streams.stream(1).append(&forged).unwrap();
        drop(streams);
        let streams = open(&storage);
        assert_eq!(
            (streams.shared.closing_end, streams.stream(1).last_lsn().get()),
            (Lsn::ZERO, 3)
        );

        // Somebody appends between the closing checkpoint and the end.
        leave(&streams.shared);
        streams.stream(1).append(b"late").unwrap();
        streams.shared.wal.close().unwrap();
        drop(streams);
        let streams = open(&storage);
        assert_eq!(
            (streams.shared.closing_end, streams.stream(1).last_lsn().get()),
            (Lsn::ZERO, 4)
        );
    }
}
