//! A log on files that syncs as our own strategy says.

use std::error::Error;

use downstream::DutyCycle;
use wal_core::{Durability, Event, Lsn, Wal};
use wal_fs::FileStorage;
use wal_recovery::Recovery;

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = std::env::temp_dir().join(format!("downstream-{}", std::process::id()));
    let dir = std::env::args_os().nth(1).map_or(temporary.clone(), Into::into);

    // Where the bytes live, what a crash left of them, and when they are synced.
    let storage = FileStorage::create(&dir)?;
    let (recovered, report) = Recovery::new(storage).run()?;
    println!("recovered {}:\n{report}", dir.display());
    let log = Wal::builder(DutyCycle { percent: 10, limit: 1000 })
        .on_event(|event| {
            if let Event::Synced { upto, elapsed, .. } = event {
                println!("  synced up to LSN {upto} in {elapsed:.1?}");
            }
        })
        .open(recovered)?;
    let claim = log.claim();
    println!("lost by a process crash: {}", claim.process_crash);
    println!("lost by a power loss:    {}", claim.power_loss);

    // These share a few syncs, as the strategy decides.
    for n in 1..=5000 {
        log.append(format!("record {n}").as_bytes())?;
    }
    // This one is durable when the call returns, whatever the strategy decides.
    let payment = log.append_with(b"the payment", Durability::Durable)?;
    assert!(log.durable_lsn() >= payment);

    let stats = log.stats();
    println!("{} records, {} syncs", stats.records, stats.syncs);
    let records = log.iter(Lsn::ZERO)?.count();
    println!("the log holds {records} records, the last is LSN {}", log.last_lsn());
    log.close()?;
    if dir == temporary {
        std::fs::remove_dir_all(dir)?;
    }
    Ok(())
}
