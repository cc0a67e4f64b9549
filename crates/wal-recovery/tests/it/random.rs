//! Random logs, random damage: never a panic, never a wrong record, always a way out.

use std::collections::BTreeMap;

use crate::support::*;
use proptest::prelude::*;
use proptest::sample::Index;
use wal_core::*;
use wal_recovery::{Inspect, Mode, Recovery, Until, Verdict, Verify, View};

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Batch(Vec<usize>),
    Sync,
    TruncateBefore(Index),
    TruncateAfter(Index),
    Close,
    Drop,
}

#[derive(Clone, Debug)]
enum Damage {
    Flip { segment: Index, at: Index, bit: u8 },
    Fill { segment: Index, at: Index, len: usize, with: u8 },
    Cut { segment: Index, at: Index },
    Grow { segment: Index, bytes: Vec<u8> },
    Copy { segment: Index, from: Index, to: Index, len: usize },
    Remove { segment: Index },
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![4 => 0..40_usize, 1 => 0..1500_usize];
    prop_oneof![
        8 => size.clone().prop_map(Step::Append),
        4 => prop::collection::vec(0..60_usize, 1..6).prop_map(Step::Batch),
        2 => Just(Step::Sync),
        1 => any::<Index>().prop_map(Step::TruncateBefore),
        1 => any::<Index>().prop_map(Step::TruncateAfter),
        1 => Just(Step::Close),
        1 => Just(Step::Drop),
    ]
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<Index>;
    prop_oneof![
        3 => (index(), index(), 0..8_u8)
            .prop_map(|(segment, at, bit)| Damage::Flip { segment, at, bit }),
        2 => (index(), index(), 1..600_usize, prop_oneof![Just(0), any::<u8>()])
            .prop_map(|(segment, at, len, with)| Damage::Fill { segment, at, len, with }),
        1 => (index(), index()).prop_map(|(segment, at)| Damage::Cut { segment, at }),
        1 => (index(), prop::collection::vec(any::<u8>(), 1..400))
            .prop_map(|(segment, bytes)| Damage::Grow { segment, bytes }),
        1 => (index(), index(), index(), 1..300_usize)
            .prop_map(|(segment, from, to, len)| Damage::Copy { segment, from, to, len }),
        1 => index().prop_map(|segment| Damage::Remove { segment }),
    ]
}

/// Runs the steps; every record ever appended, by LSN, and what the log holds at the end.
fn build(steps: &[Step]) -> (Image, BTreeMap<u64, Vec<u8>>, Content) {
    let storage = MemoryStorage::new();
    let mut all = BTreeMap::new();
    let mut log = open_with(storage.clone(), lazy());
    let mut n = 0_u64;
    let mut record = |len: usize| {
        n += 1;
        let mut bytes = n.to_le_bytes().to_vec();
        bytes.resize(len.max(8), n as u8);
        bytes
    };
    for step in steps {
        match step {
            Step::Append(len) => {
                let bytes = record(*len);
                all.insert(log.append(&bytes).unwrap().get(), bytes);
            }
            Step::Batch(lens) => {
                let batch: Vec<Vec<u8>> = lens.iter().map(|len| record(*len)).collect();
                let range = log.append_batch(&batch).unwrap();
                all.extend((range.first.get()..).zip(batch));
            }
            Step::Sync => {
                log.sync().unwrap();
            }
            Step::TruncateBefore(at) => {
                let held = log.last_lsn().next().since(log.first_lsn());
                let lsn = log.first_lsn().advance(at.index(held as usize + 1) as u64);
                log.truncate_before(lsn).unwrap();
            }
            Step::TruncateAfter(at) => {
                let held = log.last_lsn().next().since(log.first_lsn());
                let keep = log.first_lsn().prev().advance(at.index(held as usize + 1) as u64);
                log.truncate_after(keep).unwrap();
            }
            Step::Close | Step::Drop => {
                if matches!(step, Step::Close) {
                    log.close().unwrap();
                }
                drop(log);
                log = open_with(storage.clone(), lazy());
            }
        }
    }
    let content = try_content(&log).unwrap();
    drop(log);
    (image_of(&storage), all, content)
}

fn inflict(image: &mut Image, damage: &Damage) {
    use Damage::{Copy, Cut, Fill, Flip, Grow, Remove};
    let names: Vec<u64> = image.keys().copied().collect();
    let (Flip { segment, .. }
    | Fill { segment, .. }
    | Cut { segment, .. }
    | Grow { segment, .. }
    | Copy { segment, .. }
    | Remove { segment }) = damage;
    let Some(name) = (!names.is_empty()).then(|| segment.get(&names)) else { return };
    let bytes = image.get_mut(name).unwrap();
    let len = bytes.len();
    if len == 0 {
        return;
    }
    match damage {
        Flip { at, bit, .. } => bytes[at.index(len)] ^= 1 << bit,
        Fill { at, len, with, .. } => {
            let at = at.index(bytes.len());
            let end = bytes.len().min(at + len);
            bytes[at..end].fill(*with);
        }
        Cut { at, .. } => bytes.truncate(at.index(bytes.len())),
        Grow { bytes: more, .. } => bytes.extend_from_slice(more),
        Copy { from, to, len, .. } => {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            let len = *len.min(&(bytes.len() - from)).min(&(bytes.len() - to));
            bytes.copy_within(from..from + len, to);
        }
        Remove { .. } => drop(image.remove(name)),
    }
}

fn genuine(found: &Content, all: &BTreeMap<u64, Vec<u8>>) -> bool {
    found.windows(2).all(|pair| pair[0].0 < pair[1].0)
        && found.iter().all(|(lsn, bytes)| all.get(lsn) == Some(bytes))
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..Default::default() })]

    #[test]
    fn an_undamaged_log_comes_back(steps in prop::collection::vec(step(), 1..60)) {
        let (image, _, expected) = build(&steps);
        let report = Inspect::new(memory_of(&image)).threads(2).run().unwrap();
        prop_assert_eq!(report.verdict(), Verdict::Clean);
        prop_assert_eq!(report.records, expected.len() as u64);
        let view = View::open(memory_of(&image)).unwrap();
        let seen: Result<Content> = view
            .records(Lsn::ZERO)
            .map(|entry| entry.map(|e| (e.lsn.get(), e.record.to_vec())))
            .collect();
        prop_assert_eq!(&seen.unwrap(), &expected);
        let (recovered, report) = recover(memory_of(&image), Mode::Strict).unwrap();
        prop_assert_eq!(report.records, expected.len() as u64);
        prop_assert_eq!(content(recovered), expected);
    }

    #[test]
    fn an_end_in_the_past_is_exact(
        steps in prop::collection::vec(step(), 1..60),
        at in any::<Index>(),
    ) {
        let (image, _, whole) = build(&steps);
        let (_, report) = recover(memory_of(&image), Mode::Strict).unwrap();
        let span = report.next_lsn.since(report.first_lsn) as usize;
        let until = report.first_lsn.prev().advance(at.index(span + 1) as u64);
        let storage = memory_of(&image);
        let recovery = Recovery::new(storage.clone()).until(Until::Lsn(until)).threads(1);
        let (recovered, ended) = recovery.run().unwrap();
        prop_assert_eq!(ended.next_lsn, report.next_lsn);
        let expected: Content =
            whole.into_iter().filter(|(lsn, _)| *lsn <= until.get()).collect();
        prop_assert_eq!(&content(recovered), &expected);
        prop_assert_eq!(content(recover(storage, Mode::Strict).unwrap().0), expected);
    }

    #[test]
    fn damage_never_makes_a_wrong_record(
        steps in prop::collection::vec(step(), 1..60),
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let (mut image, all, _) = build(&steps);
        damages.iter().for_each(|damage| inflict(&mut image, damage));
        let looked = Inspect::new(memory_of(&image)).threads(1).run();
        for verify in [Verify::All, Verify::Footers] {
            let run = Recovery::new(memory_of(&image)).verify(verify).threads(1).run();
            if let Ok((recovered, _)) = run {
                let log = Wal::builder(always()).manual_driver().open(recovered).unwrap();
                if let Ok(found) = try_content(&log) {
                    prop_assert!(genuine(&found, &all));
                }
            }
        }
        let skipping = View::open(memory_of(&image)).map(|view| view.skip_corrupted(true));
        if let Ok(view) = skipping {
            let seen: Result<Content> = view
                .records(Lsn::ZERO)
                .take(100_000)
                .map(|entry| entry.map(|e| (e.lsn.get(), e.record.to_vec())))
                .collect();
            prop_assert!(genuine(&seen.unwrap(), &all));
        }
        for mode in [Mode::PointInTime, Mode::Salvage] {
            let storage = memory_of(&image);
            let (recovered, report) = match recover(storage.clone(), mode) {
                Ok(outcome) => outcome,
                Err(error) => {
                    // Nothing is left that could be told to be a log.
                    prop_assert!(looked.is_err(), "{} {}", mode, error);
                    continue;
                }
            };
            let next = recovered.next_lsn();
            let found = content(recovered);
            prop_assert!(genuine(&found, &all), "{}", report);
            let (recovered, again) = recover(storage, Mode::Strict).unwrap();
            prop_assert_eq!(again.next_lsn, next);
            let log = Wal::builder(always()).settings(settings()).manual_driver().open(recovered).unwrap();
            prop_assert_eq!(&try_content(&log).unwrap(), &found);
            prop_assert_eq!(log.append(b"more").unwrap(), next);
        }
    }
}
