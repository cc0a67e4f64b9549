//! Mutants at the seams: wrappers in the test kit, which the tool `wal-faults` knows and explores.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use anyhow::{Context, bail};

use super::killer::LONGEST;
use super::table::Row;
use crate::tools::{self, Build};

const TOOL: &str = "wal-faults";

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seam {
    pub(super) name: String,
    /// What is wrong.
    pub(super) bug: String,
}

/// All that the tool knows.
pub(super) fn all() -> anyhow::Result<Vec<Seam>> {
    let mut list = tools::command(TOOL, Build::Release);
    let output = list.arg("--seams").stderr(Stdio::inherit()).output();
    let output = output.context("cannot start cargo for the mutants at the seams")?;
    if !output.status.success() {
        bail!("{TOOL} does not list its mutants: {}", output.status);
    }
    let text = String::from_utf8(output.stdout).context("a mutant's name is not UTF-8")?;
    let seam = |line: &str| {
        let (name, bug) = line.split_once('\t')?;
        Some(Seam { name: name.into(), bug: bug.into() })
    };
    text.lines().map(seam).collect::<Option<_>>().context("a line that is no mutant")
}

/// Explores these, one after the other, and gives the row of each when it ends. One that hangs is found by that: the
/// others are explored in a new process.
pub(super) fn look<'a>(
    names: impl IntoIterator<Item = &'a str>,
    story: bool,
    mut each: impl FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let names: Vec<&str> = names.into_iter().collect();
    let mut told = 0;
    while told < names.len() {
        let hangs = look_until_one_hangs(&names[told..], story, |row| {
            told += 1;
            each(row)
        })?;
        if hangs {
            let (name, by) = (names[told].to_owned(), Some("hangs".to_owned()));
            told += 1;
            let (tried, seconds) = ("-".into(), LONGEST.as_secs_f64());
            each(Row { name, by, tried, seconds, story: String::new() })?;
        }
    }
    Ok(())
}

/// Explores these until one of them hangs. Whether one did.
fn look_until_one_hangs(
    names: &[&str],
    story: bool,
    mut each: impl FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let mut explore = tools::command(TOOL, Build::Release);
    for name in names {
        explore.args(["--look", name]);
    }
    let mut child = explore
        .args(story.then_some("--story"))
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo for the mutants at the seams")?;
    let lines = lines(child.stdout.take().context("piped")?);
    let mut present: Option<Row> = None;
    loop {
        let line = match lines.recv_timeout(LONGEST) {
            Ok(line) => line?,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                tools::kill(&mut child)
                    .and_then(|()| child.wait())
                    .context("cannot stop what hangs")?;
                present.map_or(Ok(()), &mut each)?;
                return Ok(true);
            }
        };
        match (line.strip_prefix('\t'), &mut present) {
            (Some(story), Some(row)) => row.story += &format!("{story}\n"),
            _ => {
                let read = row(&line).with_context(|| format!("{line:?} tells of no mutant"))?;
                present.replace(read).map_or(Ok(()), &mut each)?;
            }
        }
        // Nothing follows a row without a story.
        if !story {
            present.take().map_or(Ok(()), &mut each)?;
        }
    }
    present.map_or(Ok(()), &mut each)?;
    let status = child.wait()?;
    if !status.success() {
        bail!("{TOOL} failed: {status}");
    }
    Ok(false)
}

/// The lines, read by a thread of their own, so that a wait for one has a limit.
fn lines(pipe: impl Read + Send + 'static) -> mpsc::Receiver<std::io::Result<String>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        BufReader::new(pipe).lines().try_for_each(|line| sender.send(line).map_err(drop))
    });
    receiver
}

/// Name, what found it, states and seconds, separated by tabs.
fn row(line: &str) -> Option<Row> {
    let mut fields = line.split('\t');
    let (name, by) = (fields.next()?.to_owned(), fields.next()?.to_owned());
    let (tried, seconds) = (fields.next()?.to_owned(), fields.next()?.parse().ok()?);
    Some(Row { name, by: (by != "-").then_some(by), tried, seconds, story: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_tool_prints() {
        let caught = row("early\tO3\t17\t0.25").unwrap();
        assert_eq!((caught.name.as_str(), caught.by.as_deref()), ("early", Some("O3")));
        assert_eq!((caught.tried.as_str(), caught.seconds), ("17", 0.25));
        assert_eq!(row("late\t-\t120000\t9").unwrap().by, None);
        assert!(row("early").is_none() && row("early\tO3\tmany\tlong").is_none());
    }
}
