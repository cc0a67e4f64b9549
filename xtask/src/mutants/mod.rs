//! `cargo xtask mutants`: real code with one seeded mistake, which a check must find.
//!
//! Mistakes at a seam are wrappers in the test kit, which the tool `wal-faults` explores. All others are patches in `mutants/`, applied one after
//! the other to a copy of the tree that has a build folder of its own. A check that does not pass on the
//! copy as it is would prove nothing, so each of them runs there first.
//!
//! - `seam`: the mistakes at the seams
//! - `patch`: the patches, and what is to find each
//! - `killer`: a check: an exploration, a test, a model
//! - `table`: what is printed

mod killer;
mod patch;
mod seam;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use self::killer::{Cargo, Found, Killer};
use self::patch::Patch;
use self::seam::Seam;
use self::table::{Row, Table};
use crate::models::{root, target_dir};
use crate::tree::Tree;

/// Which mutants, and what to say of them.
#[derive(Args)]
pub(crate) struct Options {
    /// Only mutants whose names contain this; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only those at the seams: no copy of the tree is built.
    #[arg(long, conflicts_with = "patches")]
    seams: bool,
    /// Only the patches.
    #[arg(long)]
    patches: bool,
    /// All at the seams and a few patches, for CI.
    #[arg(long, conflicts_with_all = ["seams", "patches"])]
    slice: bool,
    /// Only says which there are.
    #[arg(long)]
    list: bool,
    /// Prints the shortest case that shows each.
    #[arg(long)]
    verbose: bool,
    /// How many compilers run at once.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
}

/// Seconds within which a mutant must be found, building and shrinking left out. What takes longer is
/// looked at once more: others may be using the machine.
const BOUND: f64 = 10.0;

/// Patches of the slice: few, of crates that are quickly built, and with one exploration as their killer.
const SLICE: &[&str] =
    &["09-torn-tail-not-cut", "10-cut-not-synced", "12-torn-tail-fails-the-opening"];

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let seams = if options.patches { Vec::new() } else { seam::all()? };
    let patches = if options.seams { Vec::new() } else { patch::all(&root()?.join("mutants"))? };
    let wanted = |name: &str| {
        options.only.is_empty() || options.only.iter().any(|part| name.contains(part.as_str()))
    };
    let seams: Vec<_> = seams.into_iter().filter(|mutant| wanted(&mutant.name)).collect();
    let sliced = |name: &str| !options.slice || SLICE.contains(&name);
    let files: Vec<_> = patches.iter().map(|patch| patch.file.clone()).collect();
    let patches: Vec<_> =
        patches.into_iter().filter(|p| wanted(&p.name) && sliced(&p.name)).collect();
    if seams.is_empty() && patches.is_empty() {
        bail!("no mutant is called like that; --list shows all");
    }
    if options.list {
        list(&seams, &patches);
        return Ok(());
    }
    let tree = if patches.is_empty() { None } else { Some(copied_tree(&files)?) };
    let mut table = Table::new(options.verbose);
    at_seams(&seams, &mut table)?;
    let counts = (seams.len(), patches.len());
    if let Some(tree) = tree {
        patched(patches, &tree, options, &mut table)?;
    }
    table.end(counts)
}

fn list(seams: &[Seam], patches: &[Patch]) {
    for mutant in seams {
        println!("{:<50} {}", mutant.name, mutant.bug);
    }
    for patch in patches {
        println!("{:<50} {}", patch.name, patch.bug);
    }
}

/// Explores the mutants at the seams.
fn at_seams(seams: &[Seam], table: &mut Table) -> anyhow::Result<()> {
    let names = || seams.iter().map(|seam| seam.name.as_str());
    let (Some(first), mut next) = (names().next(), names().skip(1)) else { return Ok(()) };
    table.working(first);
    let story = table.verbose;
    seam::look(names(), story, |row| {
        let mut found = row;
        if found.seconds > BOUND {
            let name = found.name.clone();
            seam::look([name.as_str()], story, |again| {
                found = again;
                Ok(())
            })?;
        }
        table.row(&found);
        next.next().into_iter().for_each(|name| table.working(name));
        Ok(())
    })
}

/// Where the copy of the tree lies, and what is built of it.
fn workshop() -> anyhow::Result<PathBuf> {
    Ok(target_dir()?.join("mutants"))
}

/// Copies the tree. All patches must apply, also those that are not wanted this time: one that the code
/// has left behind is found at once, not at the end of a long run.
fn copied_tree(patches: &[PathBuf]) -> anyhow::Result<Tree> {
    let dir = workshop()?;
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let tree = Tree::copy(root()?, &dir.join("tree"))?;
    patches.iter().try_for_each(|patch| tree.check(patch))?;
    Ok(tree)
}

/// Applies patch after patch to the copy of the tree, and lets the killer of each look for it.
fn patched(
    mut patches: Vec<Patch>,
    tree: &Tree,
    options: &Options,
    table: &mut Table,
) -> anyhow::Result<()> {
    let builds = workshop()?.join("build");
    let cargo = Cargo { tree: tree.dir().into(), builds, jobs: options.jobs };
    let killers: BTreeSet<&Killer> = patches.iter().map(|patch| &patch.killer).collect();
    for killer in killers {
        table.working(&format!("without a mistake: {killer}"));
        cargo.build(killer).with_context(|| format!("{killer}: the tree does not build"))?;
        if let Found::Something { by, story, .. } = cargo.run(killer, true)? {
            bail!("{killer}: finds {by} without any mistake, so it proves nothing\n{story}");
        }
    }
    // What was touched last is built next, so neighbours in the code and in their checks share work.
    patches.sort_by(|a, b| (&a.killer, &a.touches).cmp(&(&b.killer, &b.touches)));
    for patch in &patches {
        table.working(&patch.name);
        tree.apply(&patch.file)?;
        let built = cargo.build(&patch.killer);
        let look = |()| cargo.run(&patch.killer, options.verbose);
        let found = built.and_then(look).and_then(|found| match found {
            Found::Something { seconds, .. } if seconds > BOUND => look(()),
            in_time => Ok(in_time),
        });
        tree.revert(&patch.touches)?;
        let row = match found.with_context(|| format!("{} does not build", patch.name))? {
            Found::Nothing { tried, seconds } => {
                Row { name: patch.name.clone(), by: None, tried, seconds, story: String::new() }
            }
            Found::Something { by, tried, seconds, story } => {
                Row { name: patch.name.clone(), by: Some(by), tried, seconds, story }
            }
        };
        table.row(&row);
    }
    Ok(())
}
