//! O11: a salvage keeps nothing but what was appended, and may be cut short anywhere.

use super::at_rest::is_damage;
use super::examine::Probe;
use crate::promise::{Knowledge, oracle};
use crate::{CrashPolicy, Moment, Rng};

/// One of so many logs whose opening is refused is salvaged.
const ONE_OF: u64 = 8;
/// So many of the moments of that are crashed.
const CRASHES: u64 = 2;

/// Salvages a log whose opening was refused, and again from the middle of that; why it does not hold.
pub(super) fn check(
    probe: &Probe<'_>,
    known: &Knowledge,
    damaged: &Moment,
    rng: &mut Rng,
) -> Result<(), String> {
    // A salvage costs as much as many openings.
    if rng.below(ONE_OF) != 0 {
        return Ok(());
    }
    let disk = damaged.written_back();
    disk.record_moments();
    let found = match probe.salvage(&disk) {
        Ok(found) => found,
        // Segments that are not of one log, or of another version: nothing can be done.
        Err(error) if is_damage(error.kind()) => return Ok(()),
        Err(error) => return Err(format!("a salvage says: {error}")),
    };
    let moments = disk.take_moments();
    // If the header is lost that said that records were truncated, a salvage has them again. They were appended.
    let mut present = found.clone();
    present.retain(|(lsn, bytes)| !known.is_gone(*lsn, bytes));
    oracle::exact(known, &present)
        .map_err(|why| format!("a salvage keeps what was not there: {why}"))?;
    let after = disk.moment().crash(CrashPolicy::DropUnsynced);
    let opened = probe.open(&after).map_err(|e| format!("opening fails after a salvage: {e}"))?;
    if opened.found != found {
        return Err("an opening after a salvage finds other records".into());
    }
    for _ in 0..CRASHES {
        let at = rng.below(moments.len().max(1) as u64) as usize;
        let Some(moment) = moments.get(at) else { break };
        let policy = CrashPolicy::Seeded(rng.next());
        let again = probe.salvage(&moment.crash(policy));
        let again =
            again.map_err(|e| format!("a salvage that was cut short ({at}) ends in: {e}"))?;
        if again != found {
            return Err(format!(
                "a salvage that was cut short ({at}) ends in {} records, and not in {}",
                again.len(),
                found.len()
            ));
        }
    }
    Ok(())
}
