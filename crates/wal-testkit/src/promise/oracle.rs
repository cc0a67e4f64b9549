//! What must hold of the records that come back.

use std::time::Duration;

use wal_core::{Claim, Durability, Loss, Lsn};

use super::{Found, Knowledge, Violation};

/// How the last process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// It closed or dropped the log.
    None,
    /// It died; the operating system lives.
    Process,
    /// A sync failed: what it was to cover may be lost.
    FailedSync,
    /// The machine lost power.
    Power,
}

impl Crash {
    /// The death of the process, given what is known of the cache.
    pub(crate) fn of_process(known: &Knowledge) -> Self {
        match known {
            Knowledge { cache_fails: true, .. } => Crash::FailedSync,
            Knowledge { owner_lost: true, .. } => Crash::Power,
            _ => Crash::Process,
        }
    }
}

/// What is missing of the records that the strategy acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// The longest time between the appends of two of them, within one group: those that the sync in
    /// flight covered, and those appended since it began.
    pub(crate) span: Duration,
}

/// O1, O2, O3, O4 and O10.
pub(crate) fn records(
    known: &Knowledge,
    claim: &Claim,
    crash: Crash,
    found: &Found,
    next: Lsn,
) -> Result<Lost, Violation> {
    exact(known, found)?;
    contiguous(known, found)?;
    let lost = missing(known, crash, found)?;
    let bound = match crash {
        Crash::None => &Loss::NOTHING,
        Crash::Process => &claim.process_crash,
        Crash::Power => &claim.power_loss,
        Crash::FailedSync => &Loss::UNBOUNDED,
    };
    within(&lost, bound)?;
    truncated(known, found)?;
    // O10: no number that anybody was told is given out again.
    if next.get() <= known.durable || found.last().is_some_and(|(lsn, _)| next.get() <= *lsn) {
        let what = format!("the next LSN is {next}, but {} was durable", known.durable);
        return Err(Violation::new("O10", what));
    }
    Ok(lost)
}

/// O1: byte-exact, in order, each once, nothing that was never submitted; batches whole or absent.
pub(crate) fn exact(known: &Knowledge, found: &Found) -> Result<(), Violation> {
    for (at, (lsn, bytes)) in found.iter().enumerate() {
        let Some(record) = known.records.get(lsn) else {
            return Err(Violation::new(
                "O1",
                format!("LSN {lsn} came back, but was never submitted"),
            ));
        };
        if record.bytes != *bytes {
            return Err(Violation::new("O1", format!("LSN {lsn} came back with other bytes")));
        }
        let (first, last) = record.batch;
        if first == last {
            continue;
        }
        // Neighbours within the batch are there, or somebody truncated them.
        let before = at.checked_sub(1).map(|at| found[at].0);
        let after = found.get(at + 1).map(|(lsn, _)| *lsn);
        let torn = (first < *lsn && before != Some(lsn - 1) && !known.may_be_truncated(lsn - 1))
            || (*lsn < last && after != Some(lsn + 1) && !known.may_be_truncated(lsn + 1));
        if torn {
            let what =
                format!("LSN {lsn} came back without the rest of its batch, {first} to {last}");
            return Err(Violation::new("O1", what));
        }
    }
    Ok(())
}

/// O2: no gaps but those of truncations.
fn contiguous(known: &Knowledge, found: &Found) -> Result<(), Violation> {
    if let Some((first, _)) = found.first() {
        let before = known.records.range(..first).map(|(lsn, _)| *lsn);
        if let Some(lsn) = before.into_iter().find(|lsn| !known.may_be_truncated(*lsn)) {
            let what = format!("the log begins with LSN {first}, and {lsn} was never truncated");
            return Err(Violation::new("O2", what));
        }
    }
    for pair in found.windows(2) {
        let (a, b) = (pair[0].0, pair[1].0);
        if b <= a || (a + 1..b).any(|lsn| !known.may_be_truncated(lsn)) {
            return Err(Violation::new("O2", format!("LSN {b} follows {a}")));
        }
    }
    Ok(())
}

/// The first half of O3: nothing is missing that was reported durable, or that its own caller was
/// told to be safe in such a crash.
fn missing(known: &Knowledge, crash: Crash, found: &Found) -> Result<Lost, Violation> {
    let mut lost = Lost::default();
    let mut spans: [Option<(Duration, Duration)>; 2] = [None; 2];
    let mut present = found.iter().map(|(lsn, _)| *lsn).peekable();
    for (lsn, record) in &known.records {
        while present.next_if(|there| there < lsn).is_some() {}
        if present.peek() == Some(lsn) || known.may_be_truncated(*lsn) {
            continue;
        }
        if *lsn <= known.durable {
            let what =
                format!("LSN {lsn} is missing; the log had reported {} durable", known.durable);
            return Err(Violation::new("O3", what));
        }
        if !record.acknowledged {
            continue;
        }
        let promised = match (record.requested, crash) {
            (Some(Durability::Durable), _) | (_, Crash::None) => true,
            (Some(Durability::Written), Crash::Process) => true,
            (Some(Durability::Buffered | Durability::Written) | None, _) => false,
        };
        if promised {
            let level = asked_for(record.requested);
            let what = format!("LSN {lsn} is missing; its append had returned as {level}");
            return Err(Violation::new("O3", what));
        }
        if record.requested.is_none() {
            lost.records += 1;
            lost.bytes += record.bytes.len() as u64;
            let span = spans[usize::from(record.beside_sync)].get_or_insert((record.at, record.at));
            *span = (span.0.min(record.at), span.1.max(record.at));
        }
    }
    lost.span = spans.iter().flatten().map(|(a, b)| *b - *a).max().unwrap_or_default();
    Ok(lost)
}

/// What an append asked for, in words.
pub(crate) fn asked_for(requested: Option<Durability>) -> String {
    requested.map_or_else(|| "what the strategy says".into(), |level| format!("{level:?}"))
}

/// The second half of O3: the strategy's claim.
fn within(lost: &Lost, claim: &Loss) -> Result<(), Violation> {
    let exceeds = claim.records.is_some_and(|max| lost.records > max)
        || claim.bytes.is_some_and(|max| lost.bytes > max)
        || claim.window.is_some_and(|max| lost.span > max);
    if !exceeds {
        return Ok(());
    }
    let Lost { records, bytes, span } = lost;
    let what = format!(
        "{records} acknowledged records ({bytes} bytes, appended within {span:?}) are missing; the claim is: {claim}"
    );
    Err(Violation::new("O3", what))
}

/// O4: what was truncated stays away, and a truncation at the front takes all that it was asked for or nothing.
fn truncated(known: &Knowledge, found: &Found) -> Result<(), Violation> {
    if let Some((first, _)) = found.first().filter(|(lsn, _)| *lsn < known.start_asked) {
        let is_gone = |lsn: &&u64| !known.is_cut_off(**lsn);
        let gone = known.records.range(known.start_done.min(*first)..*first).map(|(lsn, _)| lsn);
        if let Some(lsn) = gone.into_iter().find(is_gone) {
            let what = format!(
                "the log begins with LSN {first}, and {lsn} is gone: a truncation before {} happened in part",
                known.start_asked
            );
            return Err(Violation::new("O4", what));
        }
    }
    if let Some((lsn, _)) = found.first().filter(|(lsn, _)| *lsn < known.start_done) {
        let what = format!("LSN {lsn} came back, truncated before {}", known.start_done);
        return Err(Violation::new("O4", what));
    }
    for &(kept, last, done) in &known.cuts {
        let next = found.partition_point(|(lsn, _)| *lsn <= kept);
        if let Some((lsn, _)) = found.get(next).filter(|(lsn, _)| done && *lsn <= last) {
            return Err(Violation::new(
                "O4",
                format!("LSN {lsn} came back, truncated after {kept}"),
            ));
        }
    }
    Ok(())
}

/// The other side of a claimed window: with a punctual driver, no acknowledged record gets older
/// without a sync having begun for it.
pub(crate) fn overdue(known: &Knowledge, now: Duration, window: Duration) -> Result<(), Violation> {
    let late = known.records.iter().find(|(lsn, record)| {
        **lsn > known.durable
            && record.acknowledged
            && record.requested.is_none()
            && now.saturating_sub(record.at) > window
            && !known.may_be_truncated(**lsn)
    });
    match late {
        None => Ok(()),
        Some((lsn, record)) => {
            let age = now - record.at;
            let what =
                format!("LSN {lsn} is {age:?} old and was never synced; the claim is {window:?}");
            Err(Violation::new("O3", what))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use wal_core::LsnRange;

    use super::*;
    use crate::promise::Event;

    fn bytes(lsn: u64) -> Bytes {
        Bytes::from(format!("record {lsn}"))
    }

    /// Knows of records 1 to 6; the last two are a batch. Up to 3 they are durable, up to 4 acknowledged.
    fn known() -> Knowledge {
        let mut known = Knowledge::default();
        let requested = None;
        for first in 1..=4 {
            let at = Duration::from_millis(first);
            known.learn(&Event::Submitted { first, records: vec![bytes(first)], requested, at });
            let range = LsnRange::new(Lsn::new(first), Lsn::new(first));
            known.learn(&Event::Acknowledged(range));
        }
        let (records, at) = (vec![bytes(5), bytes(6)], Duration::from_millis(9));
        known.learn(&Event::Submitted { first: 5, records, requested, at });
        known.learn(&Event::Durable(3));
        known
    }

    fn found(lsns: impl IntoIterator<Item = u64>) -> Found {
        lsns.into_iter().map(|lsn| (lsn, bytes(lsn))).collect()
    }

    /// Which oracle refuses what was found.
    fn refused(known: &Knowledge, found: &Found, next: u64) -> Option<String> {
        let claim = Claim::written(Loss::UNBOUNDED.records(1));
        records(known, &claim, Crash::Power, found, Lsn::new(next)).err().map(|v| v.oracle)
    }

    #[test]
    fn what_a_crash_may_leave_is_accepted() {
        for end in [3, 4, 6] {
            assert_eq!(refused(&known(), &found(1..=end), end + 1), None, "up to {end}");
        }
    }

    #[test]
    fn o1_refuses_foreign_and_changed_records_and_halves_of_batches() {
        let o1 = Some("O1".to_owned());
        assert_eq!(refused(&known(), &found(1..=7), 8), o1);
        assert_eq!(refused(&known(), &found(1..=5), 6), o1);
        let mut changed = found(1..=4);
        changed[1].1 = bytes(9);
        assert_eq!(refused(&known(), &changed, 5), o1);
    }

    #[test]
    fn o2_refuses_gaps_doubles_and_a_beginning_that_nobody_truncated() {
        let o2 = Some("O2".to_owned());
        assert_eq!(refused(&known(), &found([1, 2, 4]), 5), o2);
        assert_eq!(refused(&known(), &found([1, 2, 2, 3]), 4), o2);
        assert_eq!(refused(&known(), &found([2, 3]), 4), o2);
    }

    #[test]
    fn o3_refuses_the_loss_of_more_than_the_claim_and_of_anything_reported_durable() {
        let o3 = Some("O3".to_owned());
        assert_eq!(refused(&known(), &found(1..=2), 4), o3);
        let mut more = known();
        more.learn(&Event::Acknowledged(LsnRange::new(Lsn::new(5), Lsn::new(6))));
        assert_eq!(refused(&more, &found(1..=4), 5), o3);
        assert_eq!(refused(&more, &found(1..=6), 7), None);
    }

    #[test]
    fn o4_refuses_what_was_truncated_at_either_end() {
        let o4 = Some("O4".to_owned());
        let mut front = known();
        front.learn(&Event::BeforeAsked(3));
        assert_eq!(refused(&front, &found(1..=4), 5), None, "it may not have happened");
        front.learn(&Event::BeforeDone(3));
        assert_eq!(refused(&front, &found(1..=4), 5), o4);
        assert_eq!(refused(&front, &found(3..=4), 5), None);
        let mut back = known();
        back.learn(&Event::AfterAsked { kept: 2, last: 6 });
        assert_eq!(refused(&back, &found(1..=4), 5), None, "it may not have happened");
        back.learn(&Event::AfterDone);
        assert_eq!(refused(&back, &found(1..=4), 7), o4);
        assert_eq!(refused(&back, &found(1..=2), 7), None);
    }

    #[test]
    fn o10_refuses_numbers_that_begin_anew() {
        let o10 = Some("O10".to_owned());
        assert_eq!(refused(&known(), &found(1..=4), 4), o10);
        let mut emptied = known();
        emptied.learn(&Event::BeforeDone(7));
        emptied.learn(&Event::BeforeAsked(7));
        assert_eq!(refused(&emptied, &found([]), 1), o10);
        assert_eq!(refused(&emptied, &found([]), 7), None);
    }

    #[test]
    fn a_record_that_its_caller_asked_to_be_durable_is_missed_whatever_the_claim() {
        let mut known = Knowledge::default();
        let (records, at) = (vec![bytes(1)], Duration::ZERO);
        let requested = Some(Durability::Durable);
        known.learn(&Event::Submitted { first: 1, records, requested, at });
        assert_eq!(refused(&known, &found([]), 1), None);
        known.learn(&Event::Acknowledged(LsnRange::new(Lsn::FIRST, Lsn::FIRST)));
        assert_eq!(refused(&known, &found([]), 1), Some("O3".to_owned()));
    }

    #[test]
    fn a_record_gets_no_older_than_the_window() {
        let (ms, known) = (Duration::from_millis, known());
        assert!(overdue(&known, ms(10), ms(6)).is_ok());
        assert_eq!(overdue(&known, ms(11), ms(6)).unwrap_err().oracle, "O3");
    }
}
