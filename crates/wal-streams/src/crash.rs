//! Crashes at every change of the disk, and what the streams are afterwards.
//!
//! A workload runs once on the model file system, which keeps its state before every change. Each of these
//! moments is crashed in several ways; what comes back is held against what was known at that moment: what
//! had been acknowledged, and what had been asked for.

use std::collections::BTreeMap;

use wal_core::{Durability, Lsn, Result, Wal};
use wal_fs::{FileSettings, FileStorage};
use wal_recovery::Recovery;
use wal_sync::Os;
use wal_testkit::{CrashPolicy, ModelFs, Moment, Rng, SimulatedClock};

use crate::{Settings, Stream, StreamId, Streams, layout};

const STREAMS: u64 = 4;

/// What is put to the proof: the two steps whose order matters, right or wrong.
#[derive(Clone, Copy)]
struct Subject {
    reclaim_bytes: u64,
    truncate: fn(&Stream, Lsn) -> Result<Lsn>,
    reclaim: fn(&Streams) -> Result<Lsn>,
}

const RIGHT: Subject = Subject {
    reclaim_bytes: 1 << 30,
    truncate: Stream::truncate_before,
    reclaim: Streams::reclaim,
};

/// What an observer knows of one stream.
#[derive(Clone, Default)]
struct Known {
    /// Bytes of each record, and the last LSN of its batch.
    records: BTreeMap<u64, (Vec<u8>, u64)>,
    /// The last record that survives a power loss, and that survives the death of the process.
    durable: u64,
    written: u64,
    /// Where it starts: acknowledged, asked for.
    start_done: u64,
    start_asked: u64,
}

type Knowledge = [Known; STREAMS as usize];

/// A run: all moments, and what was known from which moment on.
struct Run {
    moments: Vec<Moment>,
    timeline: Vec<(usize, Knowledge)>,
}

fn open(fs: ModelFs, subject: Subject) -> Result<Streams> {
    let files = FileSettings::default().preallocate_bytes(1024).max_spares(1);
    let storage = FileStorage::create_with_file_system(fs, "/log", files)?;
    let clock = SimulatedClock::new();
    let (recovered, _) = Recovery::new(storage).threads(1).clock(clock.clone()).run()?;
    let sizes = wal_core::Settings::default().segment_size(4096).buffer_bytes(4096);
    let builder = Wal::builder(Os::new()).settings(sizes).clock(clock).manual_driver();
    let settings = Settings::default().reclaim_bytes(subject.reclaim_bytes);
    Streams::open_with(builder, recovered, settings)
}

fn stream(streams: &Streams, at: usize) -> Stream {
    streams.stream(StreamId(at as u64 + 1))
}

struct Workload {
    subject: Subject,
    fs: ModelFs,
    streams: Streams,
    rng: Rng,
    known: Knowledge,
    timeline: Vec<(usize, Knowledge)>,
    appends: u64,
}

impl Workload {
    fn run(seed: u64, steps: u32, subject: Subject) -> Result<Run, String> {
        let fs = ModelFs::new();
        fs.record_moments();
        let streams = open(fs.clone(), subject).unwrap();
        let mut known = Knowledge::default();
        known.iter_mut().for_each(|known| (known.start_done, known.start_asked) = (1, 1));
        let (rng, timeline) = (Rng::new(seed), vec![(0, known.clone())]);
        let mut workload = Workload { subject, fs, streams, rng, known, timeline, appends: 0 };
        for _ in 0..steps {
            workload.step()?;
        }
        let last = workload.fs.moment();
        let mut moments = workload.fs.take_moments();
        moments.push(last);
        Ok(Run { moments, timeline: workload.timeline })
    }

    /// What is known holds from the present moment on.
    fn note(&mut self) {
        self.timeline.push((self.fs.recorded(), self.known.clone()));
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
                self.known.iter_mut().for_each(everything_durable);
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
            let claimed = self::stream(&self.streams, at).durable_lsn().get();
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
        self.known.iter_mut().for_each(everything_durable);
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
            everything_durable(known);
        }
        self.note();
        Ok(())
    }
}

fn everything_durable(known: &mut Known) {
    let last = known.records.last_key_value().map_or(0, |(lsn, _)| *lsn);
    (known.durable, known.written) = (known.durable.max(last), known.written.max(last));
}

/// Which records a crash may not take.
#[derive(Clone, Copy, PartialEq)]
enum Survives {
    Durable,
    Written,
}

/// Opens what a crash left, and says what is wrong with it.
fn check(image: &ModelFs, known: &Knowledge, survives: Survives) -> Result<(), String> {
    let mut content = Vec::new();
    {
        let streams = open(image.clone(), RIGHT).map_err(|e| e.to_string())?;
        for (at, known) in known.iter().enumerate() {
            content.push(check_stream(&stream(&streams, at), known, survives)?);
        }
        // The log goes on: appended, reclaimed, opened once more, it holds the same and the new.
        for (at, content) in content.iter_mut().enumerate() {
            let lsn = stream(&streams, at).append(b"afterwards").map_err(|e| e.to_string())?;
            content.push((lsn.get(), b"afterwards".to_vec()));
        }
        streams.reclaim().map_err(|e| e.to_string())?;
        streams.close().map_err(|e| e.to_string())?;
    }
    let streams = open(image.process_crash(), RIGHT).map_err(|e| e.to_string())?;
    for (at, content) in content.iter().enumerate() {
        if records(&stream(&streams, at))? != *content {
            return Err(format!("stream {at}: another opening finds other records"));
        }
    }
    Ok(())
}

fn check_stream(
    stream: &Stream,
    known: &Known,
    survives: Survives,
) -> Result<Vec<(u64, Vec<u8>)>, String> {
    let say = |what: String| Err(format!("stream {}: {what}", stream.id()));
    let (first, next) = (stream.first_lsn().get(), stream.next_lsn().get());
    if !(known.start_done..=known.start_asked).contains(&first) {
        return say(format!(
            "starts at {first}, truncated up to {}, asked for {}",
            known.start_done, known.start_asked
        ));
    }
    let kept = if survives == Survives::Durable { known.durable } else { known.written };
    if next <= kept {
        return say(format!("goes on with {next}, {kept} had been acknowledged"));
    }
    let found = records(stream)?;
    let lsns: Vec<u64> = found.iter().map(|(lsn, _)| *lsn).collect();
    if lsns != (first..next).collect::<Vec<_>>() {
        return say(format!("from {first} to before {next}, found {lsns:?}"));
    }
    for (lsn, bytes) in &found {
        if known.records.get(lsn).is_none_or(|(expected, _)| expected != bytes) {
            return say(format!("record {lsn} was never appended like that"));
        }
    }
    match found.last().and_then(|(lsn, _)| known.records.get(lsn)) {
        Some(&(_, batch_last)) if batch_last != next - 1 => {
            say(format!("half of a batch that ends with {batch_last}: next is {next}"))
        }
        _ => Ok(found),
    }
}

fn records(stream: &Stream) -> Result<Vec<(u64, Vec<u8>)>, String> {
    let read = |entry: Result<wal_core::Entry<bytes::Bytes>>| {
        entry.map(|entry| (entry.lsn.get(), entry.record.to_vec()))
    };
    let all = stream.iter(Lsn::ZERO).and_then(|iter| iter.map(read).collect());
    all.map_err(|e| e.to_string())
}

/// Crashes a workload everywhere; returns how many images were looked at, and the first that was wrong.
fn explore(seed: u64, steps: u32, subject: Subject) -> (u64, Result<(), String>) {
    let run = match Workload::run(seed, steps, subject) {
        Ok(run) => run,
        // Wrong even without a crash within it.
        Err(wrong) => return (0, Err(format!("seed {seed}, reopened: {wrong}"))),
    };
    let mut images = 0;
    for (at, moment) in run.moments.iter().enumerate() {
        let known = run.timeline.partition_point(|(from, _)| *from <= at) - 1;
        let known = &run.timeline[known].1;
        let seeded = seed * 1_000_003 + at as u64;
        let power_losses = [
            CrashPolicy::DropUnsynced,
            CrashPolicy::KeepAll,
            CrashPolicy::Seeded(seeded),
            CrashPolicy::Seeded(!seeded),
        ];
        let mut outcomes = vec![("death of the process".to_string(), moment.process_crash())];
        if moment.has_pending() {
            let crash = |policy| (format!("{policy:?}"), moment.crash(policy));
            outcomes.extend(power_losses.map(crash));
        }
        for (nth, (how, image)) in outcomes.into_iter().enumerate() {
            images += 1;
            let survives = if nth == 0 { Survives::Written } else { Survives::Durable };
            if let Err(wrong) = check(&image, known, survives) {
                let place = format!("seed {seed}, change {at} of {}, {how}", run.moments.len());
                return (images, Err(format!("{place}: {wrong}")));
            }
        }
    }
    (images, Ok(()))
}

#[test]
fn no_crash_loses_or_revives_a_record_or_restarts_a_number() {
    let mut images = 0;
    // Shared log truncated when asked; and with every truncation of a stream.
    for subject in [RIGHT, Subject { reclaim_bytes: 0, ..RIGHT }] {
        for seed in 0..8 {
            let (looked_at, outcome) = explore(seed, 60, subject);
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
        let (images, outcome) = explore(seed, 60, mistake);
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
        let snapshot = streams.shared.snapshot();
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
        let mut snapshot = streams.shared.snapshot();
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
        drop(stream.shared.wal.submit(&record, Durability::Written)?);
        positions.truncate_before(lsn);
        Ok(lsn)
    };
    let wrong = found(Subject { truncate, ..RIGHT });
    assert!(wrong.contains("starts at") || wrong.contains("goes on with"), "{wrong}");
}
