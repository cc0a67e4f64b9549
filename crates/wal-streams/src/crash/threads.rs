//! Streams that are appended to and truncated, each by a thread of its own, while the shared log is given
//! back: a checkpoint is not a moment of all streams, and must not need to be.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use wal_core::{Durability, ErrorKind, Lsn, Result};
use wal_testkit::{ModelFs, Rng};

use super::{Known, RIGHT, Run, STREAMS, Timeline, open, stream};
use crate::Stream;
use crate::shared::Freed;
use crate::truncate;

/// Appends to a stream and truncates it; returns what was known of it when.
fn produce(fs: &ModelFs, stream: &Stream, mut rng: Rng) -> Timeline {
    let mut known = Known::nothing();
    let mut timeline = vec![(0, known.clone())];
    for round in 0..30 {
        let first = stream.next_lsn().get();
        let last = first + rng.below(3);
        let records: Vec<_> = (first..=last)
            .map(|lsn| format!("{} {lsn} {round:>60}", stream.id()).into_bytes())
            .collect();
        known.records.extend((first..=last).zip(records.iter().map(|bytes| (bytes.clone(), last))));
        timeline.push((fs.recorded(), known.clone()));
        stream.append_batch_with(&records, Durability::Durable).unwrap();
        (known.durable, known.written) = (last, last);
        timeline.push((fs.recorded(), known.clone()));
        if rng.below(3) == 0 {
            let start = stream.first_lsn().get();
            known.start_asked = start + rng.below(last + 2 - start);
            timeline.push((fs.recorded(), known.clone()));
            stream.truncate_before(Lsn::new(known.start_asked)).unwrap();
            known.start_done = known.start_asked;
            timeline.push((fs.recorded(), known.clone()));
        }
    }
    timeline
}

fn run(seed: u64) -> Run {
    let fs = ModelFs::new();
    fs.record_moments();
    let streams = open(fs.clone(), RIGHT).unwrap();
    let done = AtomicBool::new(false);
    let timelines = thread::scope(|scope| {
        let producers = std::array::from_fn::<_, { STREAMS as usize }, _>(|at| {
            let (fs, stream) = (&fs, stream(&streams, at));
            scope.spawn(move || produce(fs, &stream, Rng::new(seed << 8 | at as u64)))
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                streams.reclaim().unwrap();
                thread::yield_now();
            }
        });
        let timelines = producers.map(|producer| producer.join());
        done.store(true, Ordering::Relaxed);
        timelines.map(Result::unwrap)
    });
    let last = fs.moment();
    let mut moments = fs.take_moments();
    moments.push(last);
    Run { moments, timelines }
}

#[test]
fn giving_back_the_shared_log_beside_producers_loses_nothing() {
    let mut images = 0;
    for seed in 0..3 {
        let run = run(seed);
        let (looked_at, outcome) = run.crash_everywhere(seed);
        images += looked_at;
        outcome.unwrap();
    }
    println!("{images} crash images looked at");
    assert!(images > 1_000, "{images}: the workloads hardly touch the disk");
}

/// What lies between looking at the streams and writing down what was seen: one stream goes on, one is
/// emptied after it went on, one begins and is emptied. Then the process dies.
fn overtaken(later_cut: bool) -> Result<Vec<(u64, u64)>> {
    let fs = ModelFs::new();
    let streams = open(fs.clone(), RIGHT)?;
    let all: Vec<_> = (0..3).map(|at| stream(&streams, at)).collect();
    let append = |at: usize| all[at].append_with(b"a record", Durability::Durable);
    for at in [0, 1] {
        append(at)?;
    }
    all[1].truncate_before(Lsn::MAX)?;
    let mut snapshot = truncate::snapshot(&streams.shared);
    for at in [0, 1, 2] {
        append(at)?;
    }
    for at in [1, 2] {
        all[at].truncate_before(Lsn::MAX)?;
    }
    if later_cut {
        all[0].truncate_before(Lsn::MAX)?;
        snapshot.needed = truncate::snapshot(&streams.shared).needed;
    }
    truncate::give_back(&streams.shared, &snapshot, &mut Freed::default())?;
    let streams = open(fs.process_crash(), RIGHT)?;
    let stood = |at| {
        let stream = stream(&streams, at);
        (stream.first_lsn().get(), stream.next_lsn().get())
    };
    Ok((0..3).map(stood).collect())
}

#[test]
fn a_checkpoint_may_be_overtaken_but_not_by_its_cut() {
    assert_eq!(overtaken(false).unwrap(), [(1, 3), (3, 3), (2, 2)]);
    // The mistake: cutting what is not needed any more, but was when the streams were looked at.
    assert_eq!(overtaken(true).unwrap_err().kind(), ErrorKind::Corrupt);
}
