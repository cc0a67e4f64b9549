//! All crashes of one workload.

use std::time::Duration;

use wal_core::{Clock, SystemClock};

use super::case::CrashSpec;
use super::examine::{LAST_CRASHES, Probe, run_caught};
use super::fates::{self, Density};
use super::{Outcome, at_rest, full_disk, images};
use crate::promise::{Crash, FaultKind, Knowledge, Violation};
use crate::simulation::{Subject, Workload};
use crate::{ATOM_BYTES, Atom, AtomKind, Call, Fate, ModelFs, Moment, Rng};

/// All crashes of one workload.
pub(super) struct Sweep<'a> {
    probe: Probe<'a>,
    workload: &'a Workload,
    density: Density,
    rng: Rng,
    /// What was done in it.
    pub(super) outcome: Outcome,
    /// The crashes that led to where the sweep is.
    chain: Vec<CrashSpec>,
    /// When to leave off, by this clock.
    deadline: Option<(SystemClock, Duration)>,
}

type Broken = (Violation, Vec<CrashSpec>);

impl<'a> Sweep<'a> {
    pub(super) fn new(
        subject: &'a Subject,
        workload: &'a Workload,
        density: Density,
        seed: u64,
    ) -> Self {
        let claim = subject.strategy.claim();
        let own = Outcome::new(subject.spelling.clone(), subject.storage.name().into(), claim);
        Sweep {
            probe: Probe::new(subject, workload.segment_size),
            workload,
            density,
            rng: Rng::new(seed),
            outcome: own,
            chain: Vec::new(),
            deadline: None,
        }
    }

    /// Leaves off at this time, in the middle of the workload if need be.
    pub(super) fn until(mut self, deadline: Option<(SystemClock, Duration)>) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many states were examined.
    pub(super) fn states(&self) -> u64 {
        self.outcome.states
    }

    /// Runs the workload, and crashes at every moment of it.
    pub(super) fn everywhere(&mut self) -> Option<Broken> {
        let run = match run_caught(self.probe.subject, self.workload) {
            Ok(run) => run,
            Err(violation) => return Some((violation, Vec::new())),
        };
        self.outcome.workloads += 1;
        let mut known = Knowledge::default();
        let mut events = run.events.iter().peekable();
        for (point, moment) in run.moments.iter().enumerate() {
            while let Some((_, event)) = events.next_if(|(at, _)| *at <= point) {
                known.learn(event);
            }
            if self.deadline.is_some_and(|(clock, end)| clock.monotonic() >= end) {
                return None;
            }
            // Somebody hides a segment: what is in it cannot come back.
            if known.away {
                continue;
            }
            self.outcome.crash_points += 1;
            let broken = self.crash_here(&known, point, moment).err();
            let broken = broken.or_else(|| self.damage_here(&known, &run.moments, point).err());
            let broken = broken.or_else(|| self.full_here(&known, point, moment).err());
            if broken.is_some() {
                return broken;
            }
        }
        run.complaint.map(|violation| (violation, Vec::new()))
    }

    /// Damage at rest: a few pieces now and then, more of them to what the workload leaves in the end.
    fn damage_here(
        &mut self,
        known: &Knowledge,
        moments: &[Moment],
        point: usize,
    ) -> Result<(), Broken> {
        let pieces = match point + 1 == moments.len() {
            true => 16,
            false => u64::from(self.rng.below(16) == 0),
        };
        for _ in 0..pieces {
            // Short, because a trace shows it.
            let seed = self.rng.next() >> 32;
            // No crash state: fewer recoveries, and fewer oracles.
            self.outcome.damages += 1;
            at_rest::check(&self.probe, known, moments, point, seed)
                .map_err(|violation| (violation, vec![CrashSpec::Rot { point, seed }]))?;
        }
        Ok(())
    }

    /// A disk that is full from here on, for a storage with a reserve.
    fn full_here(
        &mut self,
        known: &Knowledge,
        point: usize,
        moment: &Moment,
    ) -> Result<(), Broken> {
        if self.probe.subject.storage.reserve().is_some() {
            let whole = full_disk::check(&self.probe, known, (point, moment))
                .map_err(|violation| (violation, vec![CrashSpec::Full { point }]))?;
            self.outcome.full_disks += u64::from(whole);
        }
        Ok(())
    }

    /// Every image of one moment.
    fn crash_here(
        &mut self,
        known: &Knowledge,
        point: usize,
        moment: &Moment,
    ) -> Result<(), Broken> {
        self.chain = vec![CrashSpec::Process { point }];
        self.examine(
            known,
            Crash::of_process(known),
            images::after_process_crash(moment),
            0,
            &[FaultKind::ProcessCrash],
        )?;
        let atom_bytes = self.atom_bytes(moment);
        let pending = moment.pending(atom_bytes);
        let thorough = self.density.exhaustive == fates::MOST_EXHAUSTIVE;
        let all = thorough && pending.len() <= fates::MOST_EXHAUSTIVE as usize;
        for fates in fates::choices(&pending, self.density, &mut self.rng) {
            let spec = CrashSpec::Power { point, atom_bytes, fates: fates::spell(&fates) };
            self.chain = vec![spec];
            let image = images::after_power_loss(moment, atom_bytes, &fates);
            let mut kinds = kinds(&pending, &fates, atom_bytes);
            if all {
                kinds.push(FaultKind::AllSubsets);
            }
            self.examine(known, Crash::Power, image, 0, &kinds)?;
        }
        Ok(())
    }

    /// Usually sectors; now and then bytes, or pages.
    fn atom_bytes(&mut self, moment: &Moment) -> u64 {
        match self.rng.below(16) {
            0 => 4096,
            // Bytes: only where they are few.
            1 if moment.pending(1).len() < 300 => 1,
            _ => ATOM_BYTES,
        }
    }

    /// One image, and now and then what is left when its recovery is interrupted in turn.
    fn examine(
        &mut self,
        known: &Knowledge,
        crash: Crash,
        image: ModelFs,
        depth: u64,
        kinds: &[FaultKind],
    ) -> Result<(), Broken> {
        let seed = self.rng.next();
        let again = self.density.exhaustive > 0;
        let watch = again && depth < 2 && seed.is_multiple_of(6);
        let faulty = again && depth == 0 && seed.is_multiple_of(31);
        let faulty = faulty.then(|| image.moment());
        let beyond = |kind: &FaultKind| {
            kind.is_exotic() && (*kind != FaultKind::TornSectors || !self.density.torn_sectors)
        };
        let exotic = self.density.exotic && kinds.iter().any(beyond);
        let examined = match self.probe.examine(known, crash, &image, seed % LAST_CRASHES, watch) {
            Ok(examined) => examined,
            Err(_) if exotic => {
                self.outcome.outside_claim += 1;
                return Ok(());
            }
            Err(violation) => return Err((violation, self.chain.clone())),
        };
        let outcome = &mut self.outcome;
        outcome.states += 1;
        outcome.recoveries += examined.recoveries;
        for kind in kinds.iter().chain(&known.befell) {
            *outcome.kinds.entry(*kind).or_default() += 1;
        }
        match crash {
            Crash::Process => outcome.process_crash.see(&examined.lost),
            Crash::Power => outcome.power_loss.see(&examined.lost),
            Crash::None | Crash::FailedSync => {}
        }
        if watch && !exotic {
            self.in_recovery(known, &examined.moments, depth, kinds)?;
        }
        if let Some(moment) = faulty.filter(|_| !exotic) {
            self.fault_in_recovery(known, crash, &moment)?;
        }
        Ok(())
    }

    /// Crashes at some moments of a recovery.
    fn in_recovery(
        &mut self,
        known: &Knowledge,
        moments: &[Moment],
        depth: u64,
        kinds: &[FaultKind],
    ) -> Result<(), Broken> {
        let nested = match depth {
            0 => FaultKind::CrashInRecovery,
            _ => FaultKind::CrashInSecondRecovery,
        };
        for _ in 0..4.min(moments.len()) {
            let point = self.rng.below(moments.len() as u64) as usize;
            let moment = &moments[point];
            let pending = moment.pending(ATOM_BYTES);
            let torn_sectors = self.density.torn_sectors;
            let density =
                Density { exhaustive: 1, samples: 2, spoiled: 2, exotic: false, torn_sectors };
            let choices = fates::choices(&pending, density, &mut self.rng);
            let fates = &choices[self.rng.below(choices.len() as u64) as usize];
            let spec =
                CrashSpec::Power { point, atom_bytes: ATOM_BYTES, fates: fates::spell(fates) };
            self.chain.push(spec);
            let mut kinds = kinds.to_vec();
            kinds.push(nested);
            let image = images::after_power_loss(moment, ATOM_BYTES, fates);
            self.examine(known, Crash::Power, image, depth + 1, &kinds)?;
            self.chain.pop();
        }
        Ok(())
    }

    /// A recovery that meets a failing call, and another one after it.
    fn fault_in_recovery(
        &mut self,
        known: &Knowledge,
        crash: Crash,
        moment: &Moment,
    ) -> Result<(), Broken> {
        let call = [Call::Write, Call::Sync, Call::Read, Call::SyncDir][self.rng.below(4) as usize];
        let nth = 1 + self.rng.below(4);
        self.chain.push(CrashSpec::Fault { call, nth });
        let image = images::after_faulty_recovery(&self.probe, moment, call, nth);
        self.examine(known, crash, image, 2, &[FaultKind::FaultInRecovery])?;
        self.chain.pop();
        Ok(())
    }
}

/// The kinds of fault that an image contains.
fn kinds(pending: &[Atom], fates: &[Fate], atom_bytes: u64) -> Vec<FaultKind> {
    let mut kinds = vec![FaultKind::PowerLoss];
    if atom_bytes == 1 {
        kinds.push(FaultKind::ByteTears);
    }
    let lost_bytes = pending
        .iter()
        .zip(fates)
        .any(|(atom, fate)| matches!(atom.kind, AtomKind::Bytes { .. }) && *fate != Fate::Kept);
    for (atom, fate) in pending.iter().zip(fates) {
        kinds.extend(match (fate, &atom.kind) {
            (Fate::Zeroed, _) => Some(FaultKind::Zeroed),
            (Fate::Garbage(_), _) => Some(FaultKind::Garbage),
            (Fate::Stale, _) => Some(FaultKind::Stale),
            (Fate::TornSectors(_), _) => Some(FaultKind::TornSectors),
            (Fate::BothNames | Fate::NeitherName, _) => Some(FaultKind::TornRename),
            (Fate::Dropped, AtomKind::Entries { .. }) => Some(FaultKind::LostEntry),
            (Fate::Kept, AtomKind::Length { .. }) if lost_bytes => Some(FaultKind::LengthApart),
            (Fate::Dropped, AtomKind::Length { .. }) if !lost_bytes => Some(FaultKind::LengthApart),
            _ => None,
        });
    }
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}
