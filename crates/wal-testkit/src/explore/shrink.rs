//! The smallest case that still fails.

use super::Failure;
use super::case::{Case, CrashSpec};
use super::examine::run_caught;
use super::fates::{self, Density};
use super::sweep::Sweep;
use crate::promise::Violation;
use crate::simulation::{Step, Subject, Workload};
use crate::{ATOM_BYTES, Rng};

/// How many shorter workloads are tried, and how many images of each.
const ATTEMPTS: usize = 400;
const IMAGES: u64 = 3000;

/// Makes a case as small as it gets, and tells its story.
pub(super) fn failure(subject: &Subject, violation: Violation, case: Case, small: bool) -> Failure {
    let (mut violation, mut case) = (violation, case);
    if small {
        fewer_steps(subject, &mut violation, &mut case);
        whole_sectors(subject, &mut violation, &mut case);
        fewer_lost(subject, &mut violation, &mut case);
    }
    // What a replay prints is what is reported.
    match case.replay(subject) {
        Err(again) => violation = again,
        Ok(()) => {
            violation.what.push_str(" (a replay does not show it: something is not deterministic)")
        }
    }
    let story = case.story(subject);
    Failure { violation, case, story }
}

/// Leaves out steps, larger runs of them first, as long as the same promise is broken by some crash.
fn fewer_steps(subject: &Subject, violation: &mut Violation, case: &mut Case) {
    let mut attempts = ATTEMPTS;
    let mut size = case.workload.steps.len().div_ceil(2);
    while size > 0 && attempts > 0 {
        let mut at = 0;
        let mut progress = false;
        while at < case.workload.steps.len() && attempts > 0 {
            attempts -= 1;
            let mut shorter = case.workload.clone();
            let end = (at + size).min(shorter.steps.len());
            shorter.steps.drain(at..end);
            match search(subject, &shorter, &violation.oracle) {
                Some((found, crashes)) => {
                    (*violation, case.workload, case.crashes) = (found, shorter, crashes);
                    progress = true;
                }
                None => at += size,
            }
        }
        if !progress || size > 1 {
            size /= 2;
        }
    }
    simpler_steps(subject, violation, case);
}

/// Tries smaller appends, and shorter lists beside a sync.
fn simpler_steps(subject: &Subject, violation: &mut Violation, case: &mut Case) {
    for at in 0..case.workload.steps.len() {
        for simpler in simpler(&case.workload.steps[at]) {
            let mut workload = case.workload.clone();
            workload.steps[at] = simpler;
            if let Some((found, crashes)) = search(subject, &workload, &violation.oracle) {
                (*violation, case.workload, case.crashes) = (found, workload, crashes);
                break;
            }
        }
    }
}

fn simpler(step: &Step) -> Vec<Step> {
    match step {
        Step::Append { count, len, durability } if *count > 1 || *len > 8 => {
            let append = |count, len| Step::Append { count, len, durability: *durability };
            vec![append(1, 8), append(1, *len), append(*count, 8)]
        }
        Step::Slow(steps) => (0..steps.len())
            .map(|at| {
                let mut fewer = steps.clone();
                fewer.remove(at);
                Step::Slow(fewer)
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Looks for a crash of a workload that breaks the same promise.
fn search(
    subject: &Subject,
    workload: &Workload,
    oracle: &str,
) -> Option<(Violation, Vec<CrashSpec>)> {
    let torn_sectors = !subject.storage.is_powersafe();
    let density = Density { exhaustive: 5, samples: 6, spoiled: 3, exotic: false, torn_sectors };
    for seed in 0..3 {
        let mut sweep = Sweep::new(subject, workload, density, seed);
        if let Some((violation, crashes)) = sweep.everywhere()
            && violation.oracle == oracle
        {
            return Some((violation, crashes));
        }
        if sweep.states() > IMAGES {
            break;
        }
    }
    None
}

/// Where writes tore into bytes or pages, tries sectors: there are fewer of them, or they say more.
fn whole_sectors(subject: &Subject, violation: &mut Violation, case: &mut Case) {
    let [CrashSpec::Power { point, atom_bytes, .. }] = case.crashes[..] else { return };
    let Ok(run) = run_caught(subject, &case.workload) else { return };
    let Some(moment) = run.moments.get(point).filter(|_| atom_bytes != ATOM_BYTES) else { return };
    let torn_sectors = !subject.storage.is_powersafe();
    let density = Density { exhaustive: 6, samples: 20, spoiled: 4, exotic: false, torn_sectors };
    for fates in fates::choices(&moment.pending(ATOM_BYTES), density, &mut Rng::new(1)) {
        let fates = fates::spell(&fates);
        let spec = CrashSpec::Power { point, atom_bytes: ATOM_BYTES, fates };
        let simpler = Case { crashes: vec![spec], ..case.clone() };
        match simpler.replay_run(subject, &run) {
            Err(found) if found.oracle == violation.oracle => {
                (*violation, *case) = (found, simpler);
                return;
            }
            _ => {}
        }
    }
}

/// Lets as little be lost as possible: every piece that need not be, is kept; what must be lost is
/// dropped rather than spoiled.
fn fewer_lost(subject: &Subject, violation: &mut Violation, case: &mut Case) {
    let Ok(run) = run_caught(subject, &case.workload) else { return };
    for link in 0..case.crashes.len() {
        let CrashSpec::Power { fates, .. } = &case.crashes[link] else { continue };
        for at in 0..fates.len() {
            for letter in ["k", "d"] {
                let mut simpler = case.clone();
                let CrashSpec::Power { fates, .. } = &mut simpler.crashes[link] else { break };
                if fates.get(at..=at).is_none_or(|now| now == "k" || now == letter) {
                    break;
                }
                fates.replace_range(at..=at, letter);
                match simpler.replay_run(subject, &run) {
                    Err(found) if found.oracle == violation.oracle => {
                        (*violation, *case) = (found, simpler);
                        break;
                    }
                    _ => {}
                }
            }
        }
    }
}
