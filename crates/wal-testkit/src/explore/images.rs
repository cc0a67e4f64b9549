//! What a crash leaves of a moment: images of the disk, with room on it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::examine::Probe;
use crate::{Call, Fate, FaultFs, ModelFs, Moment};

/// What is left when a recovery has met a failing call and its process has ended.
pub(super) fn after_faulty_recovery(
    probe: &Probe<'_>,
    moment: &Moment,
    call: Call,
    nth: u64,
) -> ModelFs {
    let image = after_process_crash(moment);
    let fs = FaultFs::new(image.clone());
    fs.faults().fail_once(call, nth, std::io::ErrorKind::Other);
    // Whether it fails is its business; what it leaves must be recoverable.
    let _ = catch_unwind(AssertUnwindSafe(|| probe.open_over(fs).map(drop)));
    after_process_crash(&image.moment())
}

/// The image that these fates leave.
pub(super) fn after_power_loss(moment: &Moment, atom_bytes: u64, fates: &[Fate]) -> ModelFs {
    let mut fates = fates.iter();
    let image =
        moment.crash_with(atom_bytes, &mut |_| fates.next().copied().unwrap_or(Fate::Dropped));
    // A disk that was full has room again: recovery may need some.
    image.remount();
    image
}

/// What the death of the process leaves.
pub(super) fn after_process_crash(moment: &Moment) -> ModelFs {
    let image = moment.process_crash();
    image.remount();
    image
}
