//! Writes the seeds into the corpus. What else is there, because it was found, stays.

use std::path::Path;

use wal_fuzz::{Seed, TARGETS};

fn main() -> std::io::Result<()> {
    for target in TARGETS {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        std::fs::create_dir_all(&dir)?;
        for Seed { name, bytes } in (target.seeds)() {
            std::fs::write(dir.join(name), bytes)?;
        }
    }
    Ok(())
}
