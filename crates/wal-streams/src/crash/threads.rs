//! Streams that are appended to and truncated, each by a thread of its own, while the shared log is given
//! back: a checkpoint is not a moment of all streams, and must not need to be.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use wal_core::{Durability, Lsn, Result};
use wal_testkit::{ModelFs, Rng};

use super::{Known, RIGHT, Run, STREAMS, Timeline, open, stream};
use crate::{Stream, Streams, layout};

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

fn run(seed: u64, reclaim: fn(&Streams) -> Result<Lsn>) -> Run {
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
                reclaim(&streams).unwrap();
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
        let run = run(seed, Streams::reclaim);
        let (looked_at, outcome) = run.crash_everywhere(seed);
        images += looked_at;
        outcome.unwrap();
    }
    println!("{images} crash images looked at");
    assert!(images > 1_000, "{images}: the workloads hardly touch the disk");
}

#[test]
fn a_checkpoint_older_than_what_is_given_back_is_found() {
    let reclaim = |streams: &Streams| {
        let shared = &streams.shared;
        let checkpoint = layout::checkpoint(&shared.snapshot().standings);
        // The producers go on here.
        thread::sleep(std::time::Duration::from_micros(200));
        let needed = shared.snapshot().needed;
        shared.wal.append_with(&checkpoint, Durability::Durable)?;
        shared.wal.truncate_before(needed)
    };
    let found = (0..100).find_map(|seed| run(seed, reclaim).crash_everywhere(seed).1.err());
    println!("found: {}", found.expect("a checkpoint that is too old"));
}
