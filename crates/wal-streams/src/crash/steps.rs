//! Random steps by one thread, crashed everywhere; and mistakes in the order of steps, each of which must be
//! found.

use wal_core::{Durability, Lsn};
use wal_testkit::{ModelFs, Rng};

use super::{Known, RIGHT, Run, STREAMS, Subject, Survives, Timeline, check_stream, open, stream};
use crate::{Stream, Streams, layout, truncate};

const STEPS: u32 = 60;

struct Workload {
    subject: Subject,
    fs: ModelFs,
    streams: Streams,
    rng: Rng,
    known: [Known; STREAMS as usize],
    timelines: [Timeline; STREAMS as usize],
    appends: u64,
}

impl Workload {
    fn run(seed: u64, steps: u32, subject: Subject) -> Result<Run, String> {
        let fs = ModelFs::new();
        fs.record_moments();
        let streams = open(fs.clone(), subject).unwrap();
        let mut workload = Workload {
            subject,
            fs,
            streams,
            rng: Rng::new(seed),
            known: std::array::from_fn(|_| Known::nothing()),
            timelines: std::array::from_fn(|_| vec![(0, Known::nothing())]),
            appends: 0,
        };
        for _ in 0..steps {
            workload.step()?;
        }
        let last = workload.fs.moment();
        let mut moments = workload.fs.take_moments();
        moments.push(last);
        Ok(Run { moments, timelines: workload.timelines })
    }

    /// What is known holds from the present moment on.
    fn note(&mut self) {
        let from = self.fs.recorded();
        for (timeline, known) in self.timelines.iter_mut().zip(&self.known) {
            timeline.push((from, known.clone()));
        }
    }

    fn step(&mut self) -> Result<(), String> {
        let at = self.rng.below(STREAMS) as usize;
        match self.rng.below(32) {
            0..18 => self.append(at),
            18..24 => self.truncate(at),
            24..28 => {
                (self.subject.reclaim)(&self.streams).unwrap();
            }
            28 => self.sync(),
            29 => {
                self.streams.close().unwrap();
                self.known.iter_mut().for_each(Known::everything_durable);
                self.note();
                self.reopen()?;
            }
            _ => self.reopen()?,
        }
        Ok(())
    }

    fn append(&mut self, at: usize) {
        let stream = stream(&self.streams, at);
        let (count, len) = (1 + self.rng.below(4), self.rng.below(250) as usize);
        let durability = [Durability::Buffered, Durability::Written, Durability::Durable];
        let durability = durability[self.rng.below(3) as usize];
        let first = stream.next_lsn().get();
        let last = first + count - 1;
        let mut records = Vec::new();
        for lsn in first..=last {
            self.appends += 1;
            let mut bytes = format!("{at} {lsn} {} ", self.appends).into_bytes();
            bytes.resize(bytes.len() + len, lsn as u8);
            self.known[at].records.insert(lsn, (bytes.clone(), last));
            records.push(bytes);
        }
        self.note();
        let range = stream.append_batch_with(&records, durability).unwrap();
        assert_eq!((range.first.get(), range.last.get()), (first, last));
        if durability == Durability::Durable {
            self.known[at].durable = last;
        }
        if durability != Durability::Buffered {
            self.known[at].written = last;
        }
        self.note();
        for (at, known) in self.known.iter().enumerate() {
            let claimed = super::stream(&self.streams, at).durable_lsn().get();
            assert!(claimed >= known.durable, "durable_lsn fell behind an acknowledgement");
        }
    }

    fn truncate(&mut self, at: usize) {
        let stream = stream(&self.streams, at);
        let (first, next) = (stream.first_lsn().get(), stream.next_lsn().get());
        // Often everything: an emptied stream has only its numbers left.
        let to =
            if self.rng.below(2) == 0 { next } else { first + self.rng.below(next - first + 1) };
        self.known[at].start_asked = to;
        self.note();
        assert_eq!((self.subject.truncate)(&stream, Lsn::new(to)).unwrap(), Lsn::new(to));
        self.known[at].start_done = to;
        // A durable record lies behind all of the stream's records that are gone.
        self.known[at].durable = self.known[at].durable.max(to - 1);
        self.note();
    }

    fn sync(&mut self) {
        self.streams.sync().unwrap();
        self.known.iter_mut().for_each(Known::everything_durable);
        self.note();
    }

    /// The process dies, if the log was not closed, and the next one opens the log.
    fn reopen(&mut self) -> Result<(), String> {
        self.fs = self.fs.process_crash();
        self.streams = open(self.fs.clone(), self.subject).map_err(|e| e.to_string())?;
        for (at, known) in self.known.iter_mut().enumerate() {
            let stream = stream(&self.streams, at);
            check_stream(&stream, known, Survives::Written)?;
            let next = stream.next_lsn().get();
            known.records.retain(|lsn, _| *lsn < next);
            known.everything_durable();
        }
        self.note();
        Ok(())
    }
}

fn explore(seed: u64, subject: Subject) -> (u64, Result<(), String>) {
    match Workload::run(seed, STEPS, subject) {
        Ok(run) => run.crash_everywhere(seed),
        // Wrong even without a crash within it.
        Err(wrong) => (0, Err(format!("seed {seed}, reopened: {wrong}"))),
    }
}

#[test]
fn no_crash_loses_or_revives_a_record_or_restarts_a_number() {
    let mut images = 0;
    // Shared log truncated when asked; and with every truncation of a stream.
    for subject in [RIGHT, Subject { reclaim_bytes: 0, ..RIGHT }] {
        for seed in 0..8 {
            let (looked_at, outcome) = explore(seed, subject);
            images += looked_at;
            outcome.unwrap();
        }
    }
    println!("{images} crash images looked at");
    assert!(images > 5_000, "{images}: the workloads hardly touch the disk");
}

/// The first seed under which a mistake is found.
fn found(mistake: Subject) -> String {
    let mut looked_at = 0;
    for seed in 0..8 {
        let (images, outcome) = explore(seed, mistake);
        looked_at += images;
        if let Err(wrong) = outcome {
            println!("found after {looked_at} images: {wrong}");
            return wrong;
        }
    }
    panic!("not found in {looked_at} images");
}

#[test]
fn truncating_the_shared_log_before_its_checkpoint_is_found() {
    let reclaim = |streams: &Streams| {
        let snapshot = truncate::snapshot(&streams.shared);
        let start = streams.shared.wal.truncate_before(snapshot.needed)?;
        let checkpoint = layout::checkpoint(&snapshot.standings);
        streams.shared.wal.append_with(&checkpoint, Durability::Durable)?;
        Ok(start)
    };
    let wrong = found(Subject { reclaim, ..RIGHT });
    assert!(wrong.contains("goes on with") || wrong.contains("starts at"), "{wrong}");
}

#[test]
fn a_checkpoint_that_forgets_empty_streams_is_found() {
    let reclaim = |streams: &Streams| {
        let mut snapshot = truncate::snapshot(&streams.shared);
        snapshot.standings.retain(|standing| standing.start < standing.next);
        let checkpoint = layout::checkpoint(&snapshot.standings);
        streams.shared.wal.append_with(&checkpoint, Durability::Durable)?;
        streams.shared.wal.truncate_before(snapshot.needed)
    };
    let wrong = found(Subject { reclaim, ..RIGHT });
    assert!(wrong.contains("goes on with") || wrong.contains("starts at"), "{wrong}");
}

#[test]
fn a_truncation_that_returns_before_it_is_durable_is_found() {
    let truncate = |stream: &Stream, lsn: Lsn| {
        let mut positions = stream.state.lock();
        let record = layout::start(stream.id(), lsn);
        drop(stream.shared.wal.submit_with(&record, Durability::Written)?);
        positions.truncate_before(lsn);
        Ok(lsn)
    };
    let wrong = found(Subject { truncate, ..RIGHT });
    assert!(wrong.contains("starts at") || wrong.contains("goes on with"), "{wrong}");
}
