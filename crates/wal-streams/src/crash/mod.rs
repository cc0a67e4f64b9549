//! Crashes at every change of the disk, and what the streams are afterwards.
//!
//! A workload runs once on the model file system, which keeps its state before every change. Each of these
//! moments is crashed in several ways; what comes back is held against what was known at that moment: what
//! had been acknowledged, and what had been asked for.
//!
//! - here: what is known of a stream, and the check of an image against it
//! - `steps`: random steps by one thread, and mistakes that must be found
//! - `threads`: streams that are appended to and truncated while the shared log is

mod steps;
mod threads;

use std::collections::BTreeMap;

use wal_core::{Lsn, Result, Wal};
use wal_fs::{FileSettings, FileStorage};
use wal_recovery::Recovery;
use wal_sync::Os;
use wal_testkit::{CrashPolicy, ModelFs, Moment, SimulatedClock};

use crate::{Settings, Stream, StreamId, Streams};

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

impl Known {
    fn nothing() -> Self {
        Known { start_done: 1, start_asked: 1, ..Known::default() }
    }

    fn everything_durable(&mut self) {
        let last = self.records.last_key_value().map_or(0, |(lsn, _)| *lsn);
        (self.durable, self.written) = (self.durable.max(last), self.written.max(last));
    }
}

/// What was known of a stream, each time from how many changes of the disk on.
type Timeline = Vec<(usize, Known)>;

/// A run: the disk before each change, and what was known of each stream.
struct Run {
    moments: Vec<Moment>,
    timelines: [Timeline; STREAMS as usize],
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

/// Which records a crash may not take.
#[derive(Clone, Copy, PartialEq)]
enum Survives {
    Durable,
    Written,
}

/// Opens what a crash left, and says what is wrong with it.
fn check(image: &ModelFs, known: &[&Known], survives: Survives) -> Result<(), String> {
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

impl Run {
    /// Crashes everywhere; returns how many images were looked at, and the first that was wrong.
    fn crash_everywhere(&self, seed: u64) -> (u64, Result<(), String>) {
        let mut images = 0;
        for (at, moment) in self.moments.iter().enumerate() {
            let known = self.timelines.each_ref().map(|timeline| {
                let after = timeline.partition_point(|(from, _)| *from <= at);
                &timeline[after - 1].1
            });
            for (how, image, survives) in images_of(moment, seed * 1_000_003 + at as u64) {
                images += 1;
                if let Err(wrong) = check(&image, &known, survives) {
                    let place =
                        format!("seed {seed}, change {at} of {}, {how}", self.moments.len());
                    return (images, Err(format!("{place}: {wrong}")));
                }
            }
        }
        (images, Ok(()))
    }
}

/// Several ways to crash at a moment.
fn images_of(moment: &Moment, seed: u64) -> Vec<(String, ModelFs, Survives)> {
    let process = ("death of the process".to_string(), moment.process_crash(), Survives::Written);
    let mut images = vec![process];
    if moment.has_pending() {
        let policies = [
            CrashPolicy::DropUnsynced,
            CrashPolicy::KeepAll,
            CrashPolicy::Seeded(seed),
            CrashPolicy::Seeded(!seed),
        ];
        let crash = |policy| (format!("{policy:?}"), moment.crash(policy), Survives::Durable);
        images.extend(policies.map(crash));
    }
    images
}
