//! A case, told line by line.

use super::case::{Case, CrashSpec};
use super::examine::run_caught;
use crate::promise::Event;
use crate::promise::oracle::asked_for;
use crate::simulation::Subject;
use crate::{Atom, AtomKind, Moment};

impl Case {
    /// The case told line by line, as a [`Failure`](super::Failure) tells it.
    #[must_use]
    pub fn story(&self, subject: &Subject) -> Vec<String> {
        let mut lines = vec![format!(
            "{} on {}{}, claim: {} by a process crash, {} by a power loss",
            self.strategy,
            self.storage,
            self.mutant
                .as_ref()
                .map(|name| format!(" with the mistake \"{name}\""))
                .unwrap_or_default(),
            subject.strategy.claim().process_crash,
            subject.strategy.claim().power_loss,
        )];
        let Ok(run) = run_caught(subject, &self.workload) else {
            lines.extend(self.workload.steps.iter().map(|step| format!("step    {step}")));
            lines.push("        the code panics".into());
            return lines;
        };
        let point = match self.crashes.first() {
            Some(
                CrashSpec::Process { point }
                | CrashSpec::Power { point, .. }
                | CrashSpec::Full { point }
                | CrashSpec::Rot { point, .. },
            ) => *point,
            _ => run.moments.len(),
        };
        lines.extend(self.workload.steps.iter().map(|step| format!("step    {step}")));
        let known = run.events.iter().take_while(|(at, _)| *at <= point);
        lines
            .extend(known.filter_map(|(at, event)| told(event).map(|t| format!("at {at:>4} {t}"))));
        for spec in &self.crashes {
            lines.push(format!("crash   {}", crash_told(spec)));
        }
        if let Some(CrashSpec::Power { point, atom_bytes, fates }) = self.crashes.first()
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
}

fn lsns(first: u64, last: u64) -> String {
    if first == last { format!("LSN {first}") } else { format!("LSN {first} to {last}") }
}

fn told(event: &Event) -> Option<String> {
    Some(match event {
        Event::Submitted { first, records, requested, .. } => {
            let last = first + records.len() as u64 - 1;
            format!("{} submitted, asked for: {}", lsns(*first, last), asked_for(*requested))
        }
        Event::Acknowledged(range) => {
            format!("{} acknowledged", lsns(range.first.get(), range.last.get()))
        }
        Event::Durable(0) | Event::Befell(_) => return None,
        Event::Durable(lsn) => format!("reported durable: {lsn}"),
        Event::CacheFails => "the next sync is going to fail, and the cache with it".into(),
        Event::OwnershipLost => "the log is taken away from its owner".into(),
        Event::Away(true) => "the segment gets another name".into(),
        Event::Away(false) => "the segment gets its name back".into(),
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
        CrashSpec::Full { point } => {
            format!("the process dies before change {point}, and the disk is full")
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
