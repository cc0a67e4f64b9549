//! A copy of the tree, to be changed at will.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

pub(crate) struct Tree {
    from: PathBuf,
    to: PathBuf,
}

impl Tree {
    /// Copies what git knows of, and what it does not ignore, as it is now. What is the same already is
    /// left alone, so that it need not be built again.
    pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<Self> {
        let tree = Tree { from: from.into(), to: to.into() };
        let wanted = tree.listed()?;
        for path in &wanted {
            tree.restore(path)?;
        }
        tree.sweep(to, &wanted)?;
        Ok(tree)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.to
    }

    fn listed(&self) -> anyhow::Result<BTreeSet<PathBuf>> {
        let mut git = Command::new("git");
        git.current_dir(&self.from);
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listed = git.output().context("cannot start git")?;
        if !listed.status.success() {
            bail!("git does not list the files: {}", String::from_utf8_lossy(&listed.stderr));
        }
        let names = String::from_utf8(listed.stdout).context("a file's name is not UTF-8")?;
        let paths = names.split_terminator('\0').map(PathBuf::from);
        // What was deleted and not committed is listed, too.
        Ok(paths.filter(|path| self.from.join(path).is_file()).collect())
    }

    /// Makes a file what it is in the original.
    fn restore(&self, path: &Path) -> anyhow::Result<()> {
        let (from, to) = (self.from.join(path), self.to.join(path));
        let bytes = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        if fs::read(&to).is_ok_and(|present| present == bytes) {
            return Ok(());
        }
        fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
        // Written anew: its time must say that it changed.
        fs::write(&to, bytes).with_context(|| format!("cannot write {}", to.display()))
    }

    /// Removes what is not in the original.
    fn sweep(&self, dir: &Path, wanted: &BTreeSet<PathBuf>) -> anyhow::Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                self.sweep(&path, wanted)?;
            } else if !wanted.contains(path.strip_prefix(&self.to)?) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Sees whether a patch would apply.
    pub(crate) fn check(&self, patch: &Path) -> anyhow::Result<()> {
        self.git_apply(patch, &["--check"])
    }

    pub(crate) fn apply(&self, patch: &Path) -> anyhow::Result<()> {
        self.git_apply(patch, &[])
    }

    fn git_apply(&self, patch: &Path, how: &[&str]) -> anyhow::Result<()> {
        let mut git = Command::new("git");
        // The copy lies inside the original's repository, whose paths are not meant.
        git.env("GIT_CEILING_DIRECTORIES", self.to.parent().context("not the root")?);
        let applied = git.current_dir(&self.to).arg("apply").args(how).arg(patch).output();
        let applied = applied.context("cannot start git")?;
        if !applied.status.success() {
            let reason = String::from_utf8_lossy(&applied.stderr);
            bail!("{} does not apply: {}", patch.display(), reason.trim_end());
        }
        Ok(())
    }

    pub(crate) fn revert(&self, touched: &[PathBuf]) -> anyhow::Result<()> {
        touched.iter().try_for_each(|path| self.restore(path))
    }
}
