//! `cargo xtask tidy`: rules of the house that neither rustfmt nor clippy holds.
//!
//! | file | idea |
//! | --- | --- |
//! | `size` | a file is a room, a function is seen at a glance |
//! | `rooms` | time, files, random numbers, sleeping and spinning only where they may be |
//! | `reach` | no file without a `mod`, one program for the tests of a package |
//! | `prose` | links, paths and file names that lead somewhere, no blanks at the ends of lines |
//! | `source` | what of a file is code |

mod prose;
mod reach;
mod rooms;
mod size;
mod source;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::process::Command;

use anyhow::{Context, bail};

use self::prose::Known;
use self::reach::Reach;
use self::source::Source;
use crate::models::root;

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    path: String,
    line: usize,
    what: String,
}

impl Problem {
    fn new(path: &str, line: usize, what: String) -> Self {
        Problem { path: path.into(), line, what }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Files whose lines have no blanks at their ends. Patches and kept inputs have them where they must.
const TEXTS: &[&str] = &["css", "md", "rs", "toml", "yml"];

/// Checks all files that git knows of, or would add.
pub(crate) fn run() -> anyhow::Result<()> {
    let paths = listed()?;
    let ending = |path: &str| path.rsplit_once('.').map_or("", |(_, ending)| ending).to_owned();
    let mut sources = Vec::new();
    let mut problems = Vec::new();
    let known = Known::of(&paths);
    for path in paths.iter().filter(|path| TEXTS.contains(&ending(path).as_str())) {
        let text = fs::read_to_string(root()?.join(path)).with_context(|| path.clone())?;
        problems.extend(prose::check(path, &text, &known));
        if path.ends_with(".rs") {
            sources.push(Source::new(path, text));
        }
    }
    let reach = Reach::of(&sources);
    problems.extend(reach.check(&sources));
    problems.extend(size::check(&sources));
    problems.extend(rooms::check(&sources, |path| reach.is_for_tests(path)));
    problems.iter().for_each(|problem| println!("{problem}"));
    if !problems.is_empty() {
        bail!("{} problems; the tables of exceptions are in xtask/src/tidy", problems.len());
    }
    println!("{} files are tidy", paths.len());
    Ok(())
}

fn listed() -> anyhow::Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root()?);
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = git.output().context("cannot start git")?;
    if !listed.status.success() {
        bail!("git does not list the files: {}", String::from_utf8_lossy(&listed.stderr));
    }
    let names = String::from_utf8(listed.stdout).context("a file's name is not UTF-8")?;
    let paths: BTreeSet<_> = names.split_terminator('\0').map(str::to_owned).collect();
    // What was deleted and not committed is listed, too.
    let root = root()?;
    Ok(paths.into_iter().filter(|path| root.join(path).is_file()).collect())
}
