//! `cargo xtask bench`: the log beside the raw device, in turns.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use wal_core::{Clock, Durability, MemoryStorage, Settings, SystemClock, Wal};
use wal_fs::FileStorage;
use wal_recovery::Recovery;
use wal_sync::{Always, Os};

const RECORD: usize = 100;

/// What one round measured: the median of one operation, and operations per second.
#[derive(Clone, Copy)]
struct Figure {
    median: Duration,
    per_second: f64,
}

/// Measures a contender for one round in a fresh directory.
type Contender = fn(&Path, u64) -> anyhow::Result<Figure>;

pub(crate) fn run(dir: &Path, rounds: usize, quick: bool) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let (durable, buffered) = if quick { (500, 500_000) } else { (5_000, 10_000_000) };

    println!(
        "one writer, {RECORD}-byte records, durable: {durable} appends a round, {rounds} rounds in turns"
    );
    let contenders: [(&str, Contender); 2] =
        [("raw pwrite + fdatasync, written file", raw), ("wal, file, always", always)];
    let figures = in_turns(&contenders, dir, rounds, durable)?;
    table(&figures);
    println!(
        "  median, wal / raw: {:.3} (at most 1.3)\n",
        ratio(&figures, |f| f.median.as_secs_f64())
    );

    println!(
        "one writer, {RECORD}-byte records, acknowledged in memory: {buffered} appends a round"
    );
    let contenders: [(&str, Contender); 2] =
        [("wal, memory, buffered", memory), ("wal, file, buffered", file_buffered)];
    let figures = in_turns(&contenders, dir, rounds, buffered)?;
    table(&figures);
    for (name, figures) in &figures {
        let rate = median(figures.iter().map(|f| f.per_second));
        println!("  {name}: {:.2} million records/s (at least 3)", rate / 1e6);
    }
    Ok(())
}

fn in_turns(
    contenders: &[(&'static str, Contender)],
    dir: &Path,
    rounds: usize,
    operations: u64,
) -> anyhow::Result<Vec<(&'static str, Vec<Figure>)>> {
    let mut figures: Vec<_> = contenders.iter().map(|(name, _)| (*name, Vec::new())).collect();
    for _ in 0..rounds {
        for ((_, contender), (_, figures)) in contenders.iter().zip(&mut figures) {
            let place = tempfile::tempdir_in(dir)?;
            figures.push(contender(place.path(), operations)?);
        }
    }
    Ok(figures)
}

fn table(figures: &[(&str, Vec<Figure>)]) {
    for (name, figures) in figures {
        let medians = figures.iter().map(|f| f.median.as_secs_f64() * 1e6);
        let rates = figures.iter().map(|f| f.per_second);
        println!(
            "  {name:<40} median {:>8.2} µs   {:>12.0} records/s",
            median(medians),
            median(rates)
        );
    }
}

/// The last contender's figure over the first one's, round by round; the median of that.
fn ratio(figures: &[(&str, Vec<Figure>)], of: fn(&Figure) -> f64) -> f64 {
    let (raw, ours) = (&figures[0].1, &figures[figures.len() - 1].1);
    median(raw.iter().zip(ours).map(|(raw, ours)| of(ours) / of(raw)))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Times each call on its own.
fn each(
    operations: u64,
    mut operation: impl FnMut(u64) -> anyhow::Result<()>,
) -> anyhow::Result<Figure> {
    let clock = SystemClock::new();
    for i in 0..operations / 10 {
        operation(i)?;
    }
    let mut times = Vec::with_capacity(operations as usize);
    let started = clock.monotonic();
    let mut before = started;
    for i in 0..operations {
        operation(operations / 10 + i)?;
        let now = clock.monotonic();
        times.push(now - before);
        before = now;
    }
    let all = clock.monotonic() - started;
    times.sort_unstable();
    Ok(Figure { median: times[times.len() / 2], per_second: operations as f64 / all.as_secs_f64() })
}

fn raw(dir: &Path, operations: u64) -> anyhow::Result<Figure> {
    let mut file = File::create_new(dir.join("raw"))?;
    let size = (operations * 2 * RECORD as u64).next_multiple_of(1 << 20);
    let zeros = vec![0; 1 << 20];
    for at in (0..size).step_by(1 << 20) {
        write_at(&mut file, &zeros, at)?;
    }
    file.sync_all()?;
    let record = [b'r'; RECORD];
    each(operations, |i| {
        write_at(&mut file, &record, i * RECORD as u64)?;
        Ok(file.sync_data()?)
    })
}

#[cfg(unix)]
fn write_at(file: &mut File, bytes: &[u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(not(unix))]
fn write_at(file: &mut File, bytes: &[u8], at: u64) -> std::io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}

fn open(dir: &Path, strategy: impl wal_core::SyncStrategy) -> anyhow::Result<Wal> {
    let (recovered, _) = Recovery::new(FileStorage::create(dir)?).run()?;
    Ok(Wal::builder(strategy).settings(Settings::default()).open(recovered)?)
}

fn always(dir: &Path, operations: u64) -> anyhow::Result<Figure> {
    let log = open(dir, Always::new())?;
    let figure = each(operations, |_| Ok(log.append(&[b'r'; RECORD]).map(drop)?))?;
    log.close()?;
    Ok(figure)
}

fn memory(_: &Path, operations: u64) -> anyhow::Result<Figure> {
    let storage: Arc<MemoryStorage> = Arc::default();
    buffered(Wal::builder(Os::new()).open((*storage).clone().into_empty_log()?)?, operations)
}

fn file_buffered(dir: &Path, operations: u64) -> anyhow::Result<Figure> {
    buffered(open(dir, Os::new())?, operations)
}

/// Times the whole loop: reading the clock would cost as much as an append.
fn buffered(log: Wal, operations: u64) -> anyhow::Result<Figure> {
    let clock = SystemClock::new();
    let started = clock.monotonic();
    for _ in 0..operations {
        log.append_with(&[b'r'; RECORD], Durability::Buffered)?;
    }
    let all = clock.monotonic() - started;
    log.close()?;
    let per_second = operations as f64 / all.as_secs_f64();
    Ok(Figure { median: all / operations as u32, per_second })
}
