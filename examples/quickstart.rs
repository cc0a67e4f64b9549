//! Lose a process in the middle of its work, and see that nothing acknowledged is lost.
//!
//! ```text
//! cargo run --release --example quickstart [FILE]
//! ```
//!
//! 1. A child process appends the lines of FILE (the README by default) from several tasks, with group
//!    commit. For each line that the log has acknowledged it prints a line. Half-way it kills itself.
//! 2. This process recovers the log, and compares: every acknowledged line must be there.
//! 3. It appends what is missing, and closes the log.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs};

use anyhow::{Context, Result};
use bytes::Bytes;
use wal_core::{AsyncWal, Entry, Lsn, Wal};
use wal_fs::FileStorage;
use wal_recovery::{Recovery, Report};
use wal_sync::GroupCommit;

const TASKS: usize = 8;

/// Opens the log in `dir`. A log cannot be opened without having been recovered: whatever a crash left
/// half-written is cut here, and the report says so.
fn open(dir: &Path) -> Result<(Wal, Report)> {
    let storage = FileStorage::create(dir)?;
    let (recovered, report) = Recovery::new(storage).run()?;
    Ok((Wal::builder(GroupCommit::new()).open(recovered)?, report))
}

fn main() -> Result<ExitCode> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--child", dir, file] => {
            child(Path::new(dir), &read(Path::new(file))?).map(|()| ExitCode::FAILURE)
        }
        [] => parent(&default_file()?),
        [file] => parent(Path::new(file)),
        _ => anyhow::bail!("usage: quickstart [FILE]"),
    }
}

/// The process that dies: appends from several tasks, and aborts when half is acknowledged.
#[tokio::main]
async fn child(dir: &Path, lines: &[String]) -> Result<()> {
    let log: AsyncWal = open(dir)?.0.asynchronous();
    let lines: Arc<[String]> = lines.into();
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let tasks = (0..TASKS).map(|task| {
        let (log, lines, acknowledged) = (log.clone(), lines.clone(), acknowledged.clone());
        tokio::spawn(async move {
            for number in (task..lines.len()).step_by(TASKS) {
                // When this returns, the record is on the disk. Several tasks share one sync.
                let lsn = log.append(record(number, &lines[number]).as_bytes()).await?;
                println!("{lsn} {number}");
                if acknowledged.fetch_add(1, Ordering::Relaxed) + 1 == lines.len() / 2 {
                    // No destructor runs, nothing is flushed, no file is closed in an orderly way.
                    std::process::abort();
                }
            }
            anyhow::Ok(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    Ok(())
}

/// The process that lives: recovers what the child left, checks it, and appends the rest.
fn parent(file: &Path) -> Result<ExitCode> {
    let lines = read(file)?;
    let temp = tempfile::tempdir()?;
    let dir = temp.path().join("log");

    println!(
        "1. A child process appends {}, {} lines, and kills itself.",
        file.display(),
        lines.len()
    );
    let acknowledged = run_child(&dir, file)?;
    println!("   It was told that {} lines are durable.\n", acknowledged.len());

    println!("2. Recover {}:", dir.display());
    let (log, report) = open(&dir)?;
    println!("{}\n", indented(&report.to_string()));
    let found = records(&log)?;
    let lost = acknowledged
        .iter()
        .filter(|(lsn, number)| found.get(lsn) != Some(&record(*number, &lines[*number])))
        .inspect(|(lsn, number)| eprintln!("   LOST: line {number}, acknowledged as LSN {lsn}"))
        .count();
    println!("   {lost} of the {} acknowledged lines are lost.", acknowledged.len());
    println!("   {} were on their way when the process died, and are there.\n", {
        found.len().saturating_sub(acknowledged.len())
    });

    let rest = append_rest(&log, &lines, &found)?;
    let (first, last) = (log.first_lsn(), log.last_lsn());
    let complete = lost == 0 && records(&log)?.len() == lines.len();
    log.close()?;
    println!("3. Appended the other {rest} lines and closed the log: LSN {first} to {last}.\n");

    println!("{}", if complete { "Nothing acknowledged was lost." } else { "This is a bug!" });
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All records of the log.
fn records(log: &Wal) -> Result<HashMap<Lsn, String>> {
    let text =
        |entry: Entry<Bytes>| (entry.lsn, String::from_utf8_lossy(&entry.record).into_owned());
    Ok(log.iter(Lsn::ZERO)?.map(|entry| entry.map(text)).collect::<Result<_, _>>()?)
}

/// Appends the lines that the log does not hold, in batches: each of them is there as a whole after a
/// crash, or not at all.
fn append_rest(log: &Wal, lines: &[String], found: &HashMap<Lsn, String>) -> Result<usize> {
    let present: HashSet<&String> = found.values().collect();
    let all = lines.iter().enumerate().map(|(number, line)| record(number, line));
    let rest: Vec<String> = all.filter(|record| !present.contains(record)).collect();
    for batch in rest.chunks(100) {
        let batch: Vec<&[u8]> = batch.iter().map(String::as_bytes).collect();
        log.append_batch(&batch)?;
    }
    Ok(rest.len())
}

/// Runs the child until it dies; returns what it was told to be durable, as LSN and line number.
fn run_child(dir: &Path, file: &Path) -> Result<Vec<(Lsn, usize)>> {
    let mut child = Command::new(env::current_exe()?)
        .arg("--child")
        .args([dir, file])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stdout.take().context("piped")?).lines() {
        let line = line?;
        let (lsn, number) = line.split_once(' ').context("an LSN and a line number")?;
        acknowledged.push((Lsn::new(lsn.parse()?), number.parse()?));
    }
    let status = child.wait()?;
    anyhow::ensure!(status.code().is_none_or(|code| code != 1), "the child failed: {status}");
    println!("   It is gone: {status}.");
    Ok(acknowledged)
}

/// The line number makes equal lines different records.
fn record(number: usize, line: &str) -> String {
    format!("{number}\t{line}")
}

fn read(file: &Path) -> Result<Vec<String>> {
    let bytes = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let lines: Vec<_> = String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
    anyhow::ensure!(lines.len() >= 2, "{} has fewer than two lines", file.display());
    Ok(lines)
}

/// The workspace's README.
fn default_file() -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let candidates = [PathBuf::from("README.md"), workspace.join("README.md")];
    candidates.into_iter().find(|path| path.exists()).context("no README.md here; name a file")
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("   {line}")).collect::<Vec<_>>().join("\n")
}
