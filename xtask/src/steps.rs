//! Commands that are run in order, what they took, and what the tests in them came to.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::models::root;
use crate::stopwatch::Stopwatch;
use crate::tools;

/// How a line begins that says what was left out, and why. It counts in the closing line.
pub(crate) const SKIPPED: &str = "SKIPPED: ";

/// How a line of a test begins that says that it leaves something out, past the capture of its harness.
const SKIPPED_IN_TEST: &str = "skipped: ";

/// A step: what it is called, the directory it runs in, the command, extra environment.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) dir: &'static str,
    /// Words without blanks in them.
    pub(crate) command: &'static str,
    pub(crate) env: &'static [(&'static str, &'static str)],
}

impl Step {
    pub(crate) const fn new(name: &'static str, command: &'static str) -> Self {
        Step { name, dir: ".", command, env: &[] }
    }

    pub(crate) const fn of(name: &'static str, dir: &'static str, command: &'static str) -> Self {
        Step { name, dir, command, env: &[] }
    }
}

/// Runs all of them, with these variables in their environment unless they are set already, and ends with the time of
/// each and the count of tests.
///
/// # Errors
/// If a step fails: no other is run.
pub(crate) fn run(steps: &[Step], env: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut times = Vec::new();
    let mut counts = Counts::default();
    let all = Stopwatch::start();
    for (at, step) in steps.iter().enumerate() {
        println!("\n=== {} ({}/{}): {}", step.name, at + 1, steps.len(), step.command);
        let watch = Stopwatch::start();
        let status = execute(step, root()?, env, LONGEST, &mut counts)?;
        if !status.success() {
            bail!("step \"{}\" failed: {status}", step.name);
        }
        times.push((step.name, watch.seconds()));
    }
    println!("\n=== all steps passed");
    times.iter().for_each(|(name, took)| println!("{took:>7.1} s  {name}"));
    println!("{:>7.1} s  together", all.seconds());
    let Counts { passed, failed, ignored } = counts;
    println!("\ntests: {passed} passed, {failed} failed, {ignored} skipped");
    Ok(())
}

/// No step takes as long on two cores, with everything still to be built. What does hangs.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// Runs a step; passes on what it prints, and adds up what test runners say at their end.
fn execute(
    step: &Step,
    root: &Path,
    env: &[(&str, &str)],
    longest: Duration,
    counts: &mut Counts,
) -> anyhow::Result<ExitStatus> {
    let mut words = step.command.split(' ');
    let program = words.next().context("a command has a program")?;
    let mut child = Command::new(program)
        .args(words)
        .current_dir(root.join(step.dir))
        .envs(env.iter().copied().filter(|(name, _)| std::env::var_os(name).is_none()))
        .envs(step.env.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let errors = child.stderr.take().context("piped")?;
    let errors = thread::spawn(move || {
        let mut skipped = 0;
        pass_on(errors, |line| {
            eprintln!("{line}");
            skipped += u64::from(line.starts_with(SKIPPED_IN_TEST));
        })
        .map(|()| skipped)
    });
    let lines = child.stdout.take().context("piped")?;
    let lines = thread::spawn(move || {
        let mut counts = Counts::default();
        pass_on(lines, |line| {
            println!("{line}");
            counts.add(line);
        })
        .map(|()| counts)
    });
    let Some(status) = tools::wait(&mut child, longest)? else {
        bail!(
            "step \"{}\" did not end within {} s, and was stopped; what it had started may still run",
            step.name,
            longest.as_secs()
        );
    };
    let told = lines.join().expect("it does not panic")?;
    counts.passed += told.passed;
    counts.failed += told.failed;
    counts.ignored += told.ignored + errors.join().expect("it does not panic")?;
    Ok(status)
}

/// Hands on each line as it comes, until the other end is closed.
fn pass_on(pipe: impl Read, mut line: impl FnMut(&str)) -> io::Result<()> {
    BufReader::new(pipe).split(b'\n').try_for_each(|bytes| {
        line(&String::from_utf8_lossy(&bytes?));
        Ok(())
    })
}

/// Tests that were run, and what was left out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Takes account of a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; …`, or of one that
    /// says what was skipped.
    fn add(&mut self, line: &str) {
        if line.starts_with(SKIPPED) {
            self.ignored += 1;
        }
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|l| l.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            match count.split_once(' ').map(|(n, what)| (n.parse::<u64>(), what)) {
                Some((Ok(n), "passed")) => self.passed += n,
                Some((Ok(n), "failed")) => self.failed += n,
                Some((Ok(n), "ignored")) => self.ignored += n,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_what_test_runners_say() {
        let mut counts = Counts::default();
        counts.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 9 filtered out");
        counts.add("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured");
        counts.add("test something ... ok");
        counts.add("error: 7 passed; 7 failed");
        assert_eq!(counts, Counts { passed: 7, failed: 2, ignored: 1 });
    }

    #[test]
    #[cfg(unix)]
    fn what_a_test_leaves_out_counts_although_it_passes() {
        let mut counts = Counts::default();
        let command = "sh steps-test.sh";
        let dir = std::env::temp_dir().join(format!("steps-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let script = "echo 'skipped: one: it needs root' >&2\necho 'test result: ok. 3 passed; 0 failed; 0 ignored'\n";
        std::fs::write(dir.join("steps-test.sh"), script).unwrap();
        let status = execute(&Step::new("a step", command), &dir, &[], LONGEST, &mut counts);
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(status.unwrap().success());
        assert_eq!(counts, Counts { passed: 3, failed: 0, ignored: 1 });
    }

    #[test]
    #[cfg(unix)]
    fn a_step_that_hangs_is_stopped() {
        let limit = Duration::from_millis(200);
        let step = Step::new("a step", "sleep 600");
        let error = execute(&step, Path::new("."), &[], limit, &mut Counts::default()).unwrap_err();
        assert!(error.to_string().starts_with("step \"a step\" did not end within"), "{error}");
    }

    #[test]
    fn what_a_step_leaves_out_counts_as_skipped() {
        let mut counts = Counts::default();
        counts.add("SKIPPED: x86_64-pc-windows-gnu: its standard library is not installed");
        counts.add("nothing was SKIPPED: here");
        assert_eq!(counts, Counts { passed: 0, failed: 0, ignored: 1 });
    }
}
