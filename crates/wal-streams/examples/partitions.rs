//! 32 partitions fed by 4 producers, durable: one shared log, one plain log with the same work, and 32
//! logs, in turns.
//!
//! ```text
//! cargo run --release -p wal-streams --example partitions -- [directory] [rounds]
//! ```

use std::path::Path;
use std::thread;
use std::time::Duration;

use wal_core::{Clock, Lsn, Result, SystemClock, Wal};
use wal_fs::FileStorage;
use wal_recovery::Recovery;
use wal_streams::Streams;
use wal_sync::Always;

const PARTITIONS: u64 = 32;
const PRODUCERS: u64 = 4;
const BATCHES_EACH: u64 = 2;
const BATCH: usize = 2000;
const LEN: usize = 128;

/// What one turn took, and how many syncs it made.
#[derive(Clone, Copy)]
struct Turn {
    elapsed: Duration,
    syncs: u64,
}

impl Turn {
    fn records_per_second(self) -> f64 {
        (PARTITIONS * BATCHES_EACH) as f64 * BATCH as f64 / self.elapsed.as_secs_f64()
    }
}

/// A name, and how to take a turn in a directory.
type Subject = (&'static str, fn(&Path) -> Result<Turn>);

/// Lets each producer append `batch` to each of its partitions.
fn produce(append: impl Fn(u64, &[[u8; LEN]]) -> Result<()> + Sync) -> Result<Duration> {
    let clock = SystemClock::new();
    let batch = [[7; LEN]; BATCH];
    let produce = |producer: u64| -> Result<()> {
        for _ in 0..BATCHES_EACH {
            for partition in (producer..PARTITIONS).step_by(PRODUCERS as usize) {
                append(partition, &batch)?;
            }
        }
        Ok(())
    };
    let produce = &produce;
    let began = clock.monotonic();
    thread::scope(|scope| {
        let start = |producer| scope.spawn(move || produce(producer));
        let producers: Vec<_> = (0..PRODUCERS).map(start).collect();
        producers.into_iter().try_for_each(|producer| producer.join().expect("no panic"))
    })?;
    Ok(clock.monotonic() - began)
}

fn shared(dir: &Path) -> Result<Turn> {
    let (recovered, _) = Recovery::new(FileStorage::create(dir.join("shared"))?).run()?;
    let streams = Streams::open(Wal::builder(Always::new()), recovered)?;
    let partitions: Vec<_> = (0..PARTITIONS).map(|id| streams.stream(id)).collect();
    let elapsed =
        produce(|partition, batch| partitions[partition as usize].append_batch(batch).map(|_| ()))?;
    let syncs = streams.stats().log.syncs;
    streams.close()?;
    Ok(Turn { elapsed, syncs })
}

fn plain(dir: &Path) -> Result<Turn> {
    let (recovered, _) = Recovery::new(FileStorage::create(dir.join("plain"))?).run()?;
    let log = Wal::builder(Always::new()).open(recovered)?;
    let elapsed = produce(|_, batch| log.append_batch(batch).map(|_| ()))?;
    let syncs = log.stats().syncs;
    log.close()?;
    Ok(Turn { elapsed, syncs })
}

fn separate(dir: &Path) -> Result<Turn> {
    let open = |partition: u64| {
        let storage = FileStorage::create(dir.join(format!("separate-{partition}")))?;
        let (recovered, _) = Recovery::new(storage).run()?;
        Wal::builder(Always::new()).open(recovered)
    };
    let logs = (0..PARTITIONS).map(open).collect::<Result<Vec<_>>>()?;
    let elapsed =
        produce(|partition, batch| logs[partition as usize].append_batch(batch).map(|_| ()))?;
    let syncs = logs.iter().map(|log| log.stats().syncs).sum();
    logs.iter().try_for_each(Wal::close)?;
    Ok(Turn { elapsed, syncs })
}

/// What opening and reading cost.
fn read(dir: &Path) -> Result<()> {
    let clock = SystemClock::new();
    let timed = |what: &str, f: &mut dyn FnMut() -> Result<u64>| {
        let began = clock.monotonic();
        let records = f()?;
        println!("{what:>32}: {records:>7} records in {:.1?}", clock.monotonic() - began);
        Ok::<_, wal_core::Error>(())
    };
    let storage = || FileStorage::create(dir.join("shared"));
    let open = || Streams::open(Wal::builder(Always::new()), Recovery::new(storage()?).run()?.0);
    let streams = open()?;
    produce(|partition, batch| streams.stream(partition).append_batch(batch).map(|_| ()))?;
    drop(streams);
    let mut recovered = Some(Recovery::new(storage()?).run()?.0);
    let mut streams = None;
    timed("opening by reading the log", &mut || {
        let recovered = recovered.take().expect("opened once");
        let opened = streams.insert(Streams::open(Wal::builder(Always::new()), recovered)?);
        Ok(opened.stats().streams.iter().map(|stream| stream.records()).sum())
    })?;
    let streams = streams.expect("opened above");
    timed("reading one partition", &mut || {
        let records = streams.stream(PARTITIONS / 2).iter(Lsn::ZERO)?;
        records.map(|entry| entry.map(|_| 1)).sum()
    })?;
    timed("reading all of them in one pass", &mut || {
        streams.iter()?.map(|entry| entry.map(|_| 1)).sum()
    })?;
    streams.close()?;
    drop(streams);
    let mut recovered = Some(Recovery::new(storage()?).run()?.0);
    timed("opening after a clean close", &mut || {
        let recovered = recovered.take().expect("opened once");
        let streams = Streams::open(Wal::builder(Always::new()), recovered)?;
        Ok(streams.stats().streams.iter().map(|stream| stream.records()).sum())
    })
}

fn median(turns: &[Turn]) -> f64 {
    let mut rates: Vec<_> = turns.iter().map(|turn| turn.records_per_second()).collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let rounds: usize = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(5);
    let records = PARTITIONS * BATCHES_EACH * BATCH as u64;
    println!(
        "{PARTITIONS} partitions, {PRODUCERS} producers, {records} records of {LEN} bytes in batches \
         of {BATCH}, durable; {rounds} rounds in turns"
    );
    let subjects: [Subject; 3] =
        [("shared log", shared), ("plain log", plain), ("32 logs", separate)];
    let mut turns = vec![Vec::new(); subjects.len()];
    for round in 0..rounds {
        for nth in 0..subjects.len() {
            // Nobody is always the first, nor always behind the same one.
            let which = (round + nth) % subjects.len();
            let name = format!("partitions-{}-{round}", std::process::id());
            let dir = place.join(name);
            let outcome = subjects[which].1(&dir);
            // Whatever happened, nothing is left behind.
            let _ = std::fs::remove_dir_all(&dir);
            turns[which].push(outcome?);
        }
    }
    let plain = median(&turns[1]);
    for ((name, _), turns) in subjects.iter().zip(&turns) {
        let syncs = turns.iter().map(|turn| turn.syncs).sum::<u64>() as f64 / turns.len() as f64;
        let rate = median(turns);
        println!(
            "{name:>10}: {rate:>10.0} records/s, {:.2} x the plain log, {syncs:.0} syncs a round",
            rate / plain
        );
    }
    let dir = place.join(format!("partitions-{}", std::process::id()));
    let outcome = read(&dir);
    let _ = std::fs::remove_dir_all(&dir);
    outcome
}
