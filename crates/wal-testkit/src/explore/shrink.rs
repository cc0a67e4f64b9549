//! The smallest case that still fails, and its story.

use super::case::{Case, CrashSpec};
use super::examine::Probe;
use super::images::{self, Density};
use super::oracle::Crash;
use super::walk::{LAST_CRASHES, Walk, after_faulty_recovery, image, process_image, run_caught};
use super::{Failure, Violation, at_rest};
use crate::simulation::{Event, Knowledge, Run, Step, Subject, Workload};
use crate::{ATOM_BYTES, Atom, AtomKind, Fate, ModelFs, Moment, Rng};

/// How many shorter workloads are tried, and how many images of each.
const ATTEMPTS: usize = 400;
const IMAGES: u64 = 3000;

impl Case {
    /// Runs the case again.
    ///
    /// # Errors
    /// The promise that is broken.
    pub fn replay(&self, subject: &Subject) -> Result<(), Violation> {
        let run = run_caught(subject, &self.workload)?;
        self.replay_run(subject, &run)
    }

    /// The case told line by line, as a [`Failure`] tells it.
    #[must_use]
    pub fn story(&self, subject: &Subject) -> Vec<String> {
        story(subject, self)
    }

    fn replay_run(&self, subject: &Subject, run: &Run) -> Result<(), Violation> {
        let Some(first) = self.crashes.first() else {
            return run.complaint.clone().map_or(Ok(()), Err);
        };
        let probe = Probe::new(subject, self.workload.segment_size);
        let point = match first {
            CrashSpec::Process { point }
            | CrashSpec::Power { point, .. }
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
        CrashSpec::Process { .. } | CrashSpec::Rot { .. } => process_image(moment),
        CrashSpec::Fault { call, nth } => after_faulty_recovery(probe, moment, *call, *nth),
        CrashSpec::Power { atom_bytes, fates, .. } => {
            let pending = moment.pending(*atom_bytes);
            let fates: Vec<Fate> = fates
                .chars()
                .zip(&pending)
                .filter_map(|(letter, atom)| images::fate(letter, atom.seq))
                .collect();
            image(moment, *atom_bytes, &fates)
        }
    }
}

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
    let story = story(subject, &case);
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
        let mut walk = Walk::new(subject, workload, density, seed);
        if let Some((violation, crashes)) = walk.everywhere()
            && violation.oracle == oracle
        {
            return Some((violation, crashes));
        }
        if walk.states() > IMAGES {
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
    for fates in images::choices(&moment.pending(ATOM_BYTES), density, &mut Rng::new(1)) {
        let fates = images::spell(&fates);
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

/// The case, told line by line.
fn story(subject: &Subject, case: &Case) -> Vec<String> {
    let mut lines = vec![format!(
        "{} on {}{}, claim: {} by a process crash, {} by a power loss",
        case.strategy,
        case.storage,
        case.mutant
            .as_ref()
            .map(|name| format!(" with the mistake \"{name}\""))
            .unwrap_or_default(),
        subject.strategy.claim().process_crash,
        subject.strategy.claim().power_loss,
    )];
    let Ok(run) = run_caught(subject, &case.workload) else {
        lines.extend(case.workload.steps.iter().map(|step| format!("step    {step}")));
        lines.push("        the code panics".into());
        return lines;
    };
    let point = match case.crashes.first() {
        Some(
            CrashSpec::Process { point }
            | CrashSpec::Power { point, .. }
            | CrashSpec::Rot { point, .. },
        ) => *point,
        _ => run.moments.len(),
    };
    lines.extend(case.workload.steps.iter().map(|step| format!("step    {step}")));
    let known = run.events.iter().take_while(|(at, _)| *at <= point);
    lines.extend(known.filter_map(|(at, event)| told(event).map(|t| format!("at {at:>4} {t}"))));
    for spec in &case.crashes {
        lines.push(format!("crash   {}", crash_told(spec)));
    }
    if let Some(CrashSpec::Power { point, atom_bytes, fates }) = case.crashes.first()
        && let Some(moment) = run.moments.get(*point)
    {
        let pending = moment.pending(*atom_bytes);
        let lost = fates.chars().zip(&pending).filter(|(letter, _)| *letter != 'k');
        lines.extend(lost.map(|(letter, atom)| {
            format!("        {}: {}", fate_told(letter), atom_told(atom, moment))
        }));
        let kept = fates.chars().filter(|letter| *letter == 'k').count();
        lines.push(format!("        kept: {kept} of {} pending changes", pending.len()));
    }
    lines
}

fn lsns(first: u64, last: u64) -> String {
    if first == last { format!("LSN {first}") } else { format!("LSN {first} to {last}") }
}

fn told(event: &Event) -> Option<String> {
    Some(match event {
        Event::Submitted { first, records, requested, .. } => {
            let last = first + records.len() as u64 - 1;
            format!("{} submitted, asked for: {requested:?}", lsns(*first, last))
        }
        Event::Acknowledged(range) => {
            format!("{} acknowledged", lsns(range.first.get(), range.last.get()))
        }
        Event::Durable(0) | Event::Befell(_) => return None,
        Event::Durable(lsn) => format!("reported durable: {lsn}"),
        Event::CacheFails => "the next sync is going to fail, and the cache with it".into(),
        Event::SyncBegan => "a slow sync begins".into(),
        Event::SyncEnded => "the slow sync ends".into(),
        Event::BeforeAsked(lsn) => format!("truncate_before({lsn}) begins"),
        Event::BeforeDone(lsn) => format!("truncate_before({lsn}) returns"),
        Event::AfterAsked { kept, .. } => format!("truncate_after({kept}) begins"),
        Event::AfterDone => "truncate_after returns".into(),
        Event::Reopened { found } => format!("the log is opened with {} records", found.len()),
    })
}

fn atom_told(atom: &Atom, moment: &Moment) -> String {
    let file = || moment.name_of(atom.node);
    match &atom.kind {
        AtomKind::Bytes { offset, len } => format!("bytes {offset}+{len} of {}", file()),
        AtomKind::Length { len } => format!("the length {len} of {}", file()),
        AtomKind::Entries { names } => {
            let told = names.iter().map(|(name, there)| {
                format!("{} {}", name.to_string_lossy(), if *there { "comes" } else { "goes" })
            });
            format!("the names: {}", told.collect::<Vec<_>>().join(", "))
        }
    }
}

fn crash_told(spec: &CrashSpec) -> String {
    match spec {
        CrashSpec::Process { point } => format!("the process dies before change {point}"),
        CrashSpec::Power { point, atom_bytes, .. } => {
            format!("the power fails before change {point}; writes tear at {atom_bytes} bytes")
        }
        CrashSpec::Fault { call, nth } => format!("{call:?} number {nth} of the recovery fails"),
        CrashSpec::Rot { point, .. } => {
            format!("the process dies before change {point}, and durable bytes are damaged")
        }
    }
}

fn fate_told(letter: char) -> &'static str {
    match letter {
        'k' => "kept",
        'd' => "lost",
        'z' => "lost, reads as zeros",
        'g' => "lost, reads as nonsense",
        's' => "lost, reads as a removed file's bytes",
        't' => "torn with its sectors",
        'b' => "both names exist",
        'n' => "neither name exists",
        _ => "?",
    }
}
