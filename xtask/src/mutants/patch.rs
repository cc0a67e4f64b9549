//! Patches: what is wrong, in which files, and what is to find it.
//!
//! A file begins with lines `Bug: …`, `Fault: …` (a number in the list of mistakes seen in real systems,
//! or `own`), where needed `Why: …` (why no exploration can see it), and `Killer: …`. An empty line and a
//! unified diff follow.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::killer::Killer;

/// One patch.
#[derive(Debug)]
pub(super) struct Patch {
    /// The file's name without its ending.
    pub(super) name: String,
    pub(super) file: PathBuf,
    /// What is wrong.
    pub(super) bug: String,
    pub(super) killer: Killer,
    /// The files that it changes.
    pub(super) touches: Vec<PathBuf>,
}

/// All patches in a folder, by name.
pub(super) fn all(dir: &Path) -> anyhow::Result<Vec<Patch>> {
    let mut patches = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("no patches in {}", dir.display()))? {
        let file = entry?.path();
        if file.extension().is_some_and(|ending| ending == "patch") {
            let text = fs::read_to_string(&file)?;
            patches.push(parse(&file, &text).with_context(|| file.display().to_string())?);
        }
    }
    patches.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(patches)
}

fn parse(file: &Path, text: &str) -> anyhow::Result<Patch> {
    let (preamble, diff) = text.split_once("\n\n").context("no empty line behind the preamble")?;
    let mut bug = None;
    let mut fault = None;
    let mut killer = None;
    for line in preamble.lines() {
        let (key, value) = line.split_once(": ").with_context(|| format!("{line:?} is no key"))?;
        match key {
            "Bug" => bug = Some(value.to_owned()),
            "Fault" => fault = Some(value.to_owned()),
            "Killer" if killer.is_none() => killer = Some(value.parse()?),
            "Why" => {}
            _ => bail!("{key:?} is unknown, or there twice"),
        }
    }
    let fault = fault.context("no line Fault")?;
    if fault != "own" && !fault.parse().is_ok_and(|number: u8| (1..=32).contains(&number)) {
        bail!("Fault is {fault:?}, allowed are 1 to 32 and own");
    }
    let changed = diff.lines().filter_map(|line| line.strip_prefix("+++ b/"));
    let touches: Vec<_> = changed.map(|path| PathBuf::from(path.trim_end())).collect();
    if touches.is_empty() {
        bail!("it changes no file");
    }
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Patch {
        name,
        file: file.to_owned(),
        bug: bug.context("no line Bug")?,
        killer: killer.context("no line Killer")?,
        touches,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "--- a/x/y.rs\n+++ b/x/y.rs\n@@ -1 +1 @@\n-a\n+b\n";

    fn parsed(preamble: &str) -> anyhow::Result<Patch> {
        parse(Path::new("mutants/07-name.patch"), &format!("{preamble}\n{DIFF}"))
    }

    #[test]
    fn reads_a_patch() {
        let patch = parsed("Bug: b: is a\nFault: 7\nKiller: loom x_2x1\n").unwrap();
        assert_eq!((patch.name.as_str(), patch.bug.as_str()), ("07-name", "b: is a"));
        assert_eq!(patch.touches, [PathBuf::from("x/y.rs")]);
        assert_eq!(patch.killer.to_string(), "loom x_2x1");
    }

    #[test]
    fn refuses_what_is_none() {
        for bad in [
            "Fault: 7\nKiller: loom x\n",
            "Bug: b\nKiller: loom x\n",
            "Bug: b\nFault: 33\nKiller: loom x\n",
            "Bug: b\nFault: 7\n",
            "Bug: b\nFault: 7\nKiller: loom x\nKiller: loom y\n",
            "Bug: b\nFault: 7\nKiller: hope\n",
            "Bug: b\nFault: 7\nKiller: loom x\nWhere: there\n",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}
