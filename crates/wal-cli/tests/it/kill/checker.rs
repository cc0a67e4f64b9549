//! Judges what a killed run left behind.

use std::collections::HashSet;

/// A run that was killed: who appended what, and what was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The numbers `first..` were appended, in this order, by so many writers in turn,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) writers: u64,
    /// and so many at a time.
    pub(crate) batch: u64,
    /// The LSNs on standard output, in the order in which they came.
    pub(crate) acked: Vec<u64>,
    /// Whether every acknowledged record must be there.
    pub(crate) acknowledged_survives: bool,
}

/// What the log holds: LSN and record.
pub(crate) type Records = Vec<(u64, String)>;

/// Everything that is wrong with the log after a run, given what it held before.
///
/// Three things hold for every strategy: what was there stays as it was, LSNs have no gap, and of each
/// writer's share exactly a beginning is there, in order, with whole batches only: nothing lost from
/// the middle, nothing twice, nothing foreign. And what was acknowledged is there.
pub(crate) fn check(run: &Run, before: &Records, after: &Records) -> Result<(), String> {
    for (n, (lsn, record)) in after.iter().enumerate() {
        if *lsn != n as u64 + 1 {
            return Err(format!("record {n} of the dump ({record}) has LSN {lsn}: a gap"));
        }
    }
    let old = before.len();
    if after.len() < old || after[..old] != before[..] {
        return Err(format!("the {old} records of earlier runs are not what they were"));
    }
    let fresh = &after[old..];
    check_acks(run, old as u64 + 1, fresh.len() as u64)?;
    check_shares(run, fresh)
}

/// Acknowledged: one after the other from the run's first LSN on, and all of them there.
fn check_acks(run: &Run, first: u64, present: u64) -> Result<(), String> {
    for (n, &lsn) in run.acked.iter().enumerate() {
        if lsn != first + n as u64 {
            return Err(format!("acknowledgement {n} is LSN {lsn}, not {}", first + n as u64));
        }
    }
    let acked = run.acked.len() as u64;
    if run.acknowledged_survives && acked > present {
        return Err(format!("LSN {} was acknowledged and is lost", first + present));
    }
    Ok(())
}

fn check_shares(run: &Run, fresh: &[(u64, String)]) -> Result<(), String> {
    let mut seen = HashSet::new();
    // How many records of its share each writer has got into the log.
    let mut done = vec![0; run.writers as usize];
    let mut open: Option<(u64, u64)> = None;
    for (lsn, record) in fresh {
        let number: u64 =
            record.parse().map_err(|_| format!("LSN {lsn} is foreign: {record:?}"))?;
        if number.to_string() != *record || !(run.first..=run.last).contains(&number) {
            return Err(format!("LSN {lsn} is foreign: {record:?}"));
        }
        if !seen.insert(number) {
            return Err(format!("{number} is there twice, again at LSN {lsn}"));
        }
        let at = number - run.first;
        let (batch, in_batch) = (at / run.batch, at % run.batch);
        let writer = (batch % run.writers) as usize;
        let expected = (done[writer] / run.batch * run.writers + writer as u64) * run.batch
            + done[writer] % run.batch;
        if at != expected {
            return Err(format!(
                "writer {writer} appended {number} at LSN {lsn} before {}",
                run.first + expected
            ));
        }
        done[writer] += 1;
        if open.is_some_and(|(other, next)| (other, next) != (batch, in_batch)) {
            return Err(format!("LSN {lsn} ({number}) is in the middle of another batch"));
        }
        let whole = in_batch + 1 == run.batch || number == run.last;
        open = (!whole).then_some((batch, in_batch + 1));
    }
    match open {
        None => Ok(()),
        Some((batch, n)) => Err(format!("only {n} records of batch {batch} are there")),
    }
}

mod the_checker {
    use super::*;

    fn records(numbers: &[u64]) -> Records {
        numbers.iter().enumerate().map(|(n, number)| (n as u64 + 1, number.to_string())).collect()
    }

    fn run(batch: u64, acked: &[u64]) -> Run {
        Run {
            first: 1,
            last: 12,
            writers: 2,
            batch,
            acked: acked.into(),
            acknowledged_survives: true,
        }
    }

    #[track_caller]
    fn refuses(run: &Run, after: &Records, why: &str) {
        let wrong = check(run, &Records::new(), after).unwrap_err();
        assert!(wrong.contains(why), "{wrong}");
    }

    #[test]
    fn accepts_every_interleaving_of_whole_shares() {
        check(&run(1, &[1, 2]), &Records::new(), &records(&[1, 2, 4, 3, 6, 5])).unwrap();
        check(&run(1, &[]), &Records::new(), &records(&[2, 4, 6])).unwrap();
        check(&run(5, &[1]), &Records::new(), &records(&[6, 7, 8, 9, 10, 1, 2, 3, 4, 5, 11, 12]))
            .unwrap();
    }

    #[test]
    fn refuses_a_missing_record() {
        refuses(&run(1, &[1, 2, 3]), &records(&[1, 2]), "LSN 3 was acknowledged and is lost");
        refuses(&run(1, &[]), &records(&[1, 2, 5]), "writer 0 appended 5 at LSN 3 before 3");
        let mut gap = records(&[1, 2, 3]);
        gap.remove(1);
        refuses(&run(1, &[]), &gap, "a gap");
    }

    #[test]
    fn refuses_what_is_twice_or_foreign() {
        refuses(&run(1, &[]), &records(&[1, 2, 1]), "twice");
        refuses(&run(1, &[]), &records(&[1, 2, 13]), "foreign");
        let mut foreign = records(&[1, 2]);
        foreign[1].1 = "2\0".into();
        refuses(&run(1, &[]), &foreign, "foreign");
    }

    #[test]
    fn refuses_acknowledgements_out_of_order() {
        refuses(&run(1, &[1, 3]), &records(&[1, 2, 3]), "acknowledgement 1 is LSN 3, not 2");
        refuses(&run(1, &[2]), &records(&[1, 2]), "acknowledgement 0 is LSN 2, not 1");
    }

    #[test]
    fn refuses_torn_batches() {
        refuses(&run(5, &[]), &records(&[1, 2, 3]), "only 3 records of batch 0");
        refuses(&run(5, &[]), &records(&[1, 2, 6, 3]), "in the middle of another batch");
    }

    #[test]
    fn refuses_a_changed_past() {
        let before = records(&[1, 2]);
        let run = Run { first: 3, ..run(1, &[]) };
        assert!(check(&run, &before, &records(&[1])).is_err());
        assert!(check(&run, &before, &records(&[2, 1, 3])).is_err());
        check(&run, &before, &records(&[1, 2, 3])).unwrap();
    }
}
