//! `cargo xtask loom`: two and three threads, under every schedule or under those with few preemptions.

use clap::Args;

use crate::models::Models;

/// What to check, and how far.
#[derive(Args)]
pub(crate) struct Options {
    /// Only models whose names contain this.
    model: Option<String>,
    /// With fewer preemptions in the models that take long: under a minute, for CI.
    #[arg(long)]
    slice: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let slice = options.slice.then(|| ("WAL_LOOM_SLICE", "1".to_owned()));
    Models {
        target: "loom",
        cfg: "wal_loom",
        how: "preemptions",
        filter: options.model.as_deref(),
        env: slice.into_iter().collect(),
    }
    .run()
}
