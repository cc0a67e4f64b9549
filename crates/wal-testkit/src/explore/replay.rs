//! Runs a case again.

use super::case::{Case, CrashSpec};
use super::examine::{LAST_CRASHES, Probe, run_caught};
use super::{at_rest, fates, full_disk, images};
use crate::promise::{Crash, Knowledge, Violation};
use crate::simulation::{Run, Subject};
use crate::{Fate, ModelFs, Moment};

impl Case {
    /// Runs the case again.
    ///
    /// # Errors
    /// The promise that is broken.
    pub fn replay(&self, subject: &Subject) -> Result<(), Violation> {
        let run = run_caught(subject, &self.workload)?;
        self.replay_run(subject, &run)
    }

    /// The same, on a run of its workload.
    pub(super) fn replay_run(&self, subject: &Subject, run: &Run) -> Result<(), Violation> {
        let Some(first) = self.crashes.first() else {
            return run.complaint.clone().map_or(Ok(()), Err);
        };
        let probe = Probe::new(subject, self.workload.segment_size);
        let point = match first {
            CrashSpec::Process { point }
            | CrashSpec::Power { point, .. }
            | CrashSpec::Full { point }
            | CrashSpec::Rot { point, .. } => *point,
            CrashSpec::Fault { .. } => run.moments.len() - 1,
        };
        let Some(moment) = run.moments.get(point) else {
            let changes = run.moments.len() - 1;
            let what = format!("there is no change {point}: the workload makes {changes}");
            return Err(Violation::new("case", what));
        };
        let known = knowledge(run, point);
        if let CrashSpec::Rot { seed, .. } = first {
            return at_rest::check(&probe, &known, &run.moments, point, *seed);
        }
        if let CrashSpec::Full { .. } = first {
            return full_disk::check(&probe, &known, (point, moment)).map(drop);
        }
        let crash = match first {
            CrashSpec::Power { .. } => Crash::Power,
            _ => Crash::of_process(&known),
        };
        follow(&probe, &known, crash, moment.clone(), &self.crashes)
    }
}

/// What is known at a crash point.
fn knowledge(run: &Run, point: usize) -> Knowledge {
    let mut known = Knowledge::default();
    let learned = run.events.iter().take_while(|(at, _)| *at <= point);
    learned.for_each(|(_, event)| known.learn(event));
    known
}

/// Goes down a chain of crashes, and examines what is left at its end with every way to go on that an
/// exploration may have taken.
fn follow(
    probe: &Probe<'_>,
    known: &Knowledge,
    crash: Crash,
    moment: Moment,
    chain: &[CrashSpec],
) -> Result<(), Violation> {
    let (spec, rest) = chain.split_first().expect("a chain has a link");
    fits(spec, &moment)?;
    let image = apply(probe, &moment, spec);
    let Some(next) = rest.first() else {
        return (0..LAST_CRASHES).try_for_each(|seed| {
            let image = image.moment().process_crash();
            probe.examine(known, crash, &image, seed, false).map(drop)
        });
    };
    if let CrashSpec::Fault { .. } = next {
        return follow(probe, known, crash, image.moment(), rest);
    }
    let examined = probe.examine(known, crash, &image, 0, true)?;
    let (CrashSpec::Process { point } | CrashSpec::Power { point, .. }) = next else {
        return Err(Violation::new("case", "only the first crash can come with damage at rest"));
    };
    match examined.moments.get(*point) {
        Some(moment) => follow(probe, known, Crash::Power, moment.clone(), rest),
        None => {
            let changes = examined.moments.len().saturating_sub(1);
            let what = format!("there is no change {point}: the recovery makes {changes}");
            Err(Violation::new("case", what))
        }
    }
}

/// Whether a crash says what becomes of every change that is pending there.
fn fits(spec: &CrashSpec, moment: &Moment) -> Result<(), Violation> {
    let CrashSpec::Power { atom_bytes, fates, .. } = spec else { return Ok(()) };
    let (told, pending) = (fates.len(), moment.pending(*atom_bytes).len());
    if told == pending {
        return Ok(());
    }
    let what = format!("there are fates of {told} changes; {pending} are pending there");
    Err(Violation::new("case", what))
}

fn apply(probe: &Probe<'_>, moment: &Moment, spec: &CrashSpec) -> ModelFs {
    match spec {
        CrashSpec::Process { .. } | CrashSpec::Full { .. } | CrashSpec::Rot { .. } => {
            images::after_process_crash(moment)
        }
        CrashSpec::Fault { call, nth } => images::after_faulty_recovery(probe, moment, *call, *nth),
        CrashSpec::Power { atom_bytes, fates, .. } => {
            let pending = moment.pending(*atom_bytes);
            let fates: Vec<Fate> = fates
                .chars()
                .zip(&pending)
                .filter_map(|(letter, atom)| fates::fate(letter, atom.seq))
                .collect();
            images::after_power_loss(moment, *atom_bytes, &fates)
        }
    }
}
