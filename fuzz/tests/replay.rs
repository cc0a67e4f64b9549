//! The corpus, and some thousand mutations of it, through every target: on any toolchain.

use std::sync::Mutex;

use wal_fuzz::stable::{Budget, INPUT_TIME_MAX, MEMORY_MAX, corpus, replay};
use wal_fuzz::{CLI, FRAMES, RECOVERY, SCAN, TARGETS, Target};

/// One at a time: memory is counted for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

fn withstands(target: &Target, mutations: u64) {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let summary = replay(target, Budget::Mutations(mutations)).unwrap_or_else(|e| panic!("{e}"));
    println!("{}: {summary:?}", target.name);
    assert_eq!(summary.executions, summary.corpus + mutations);
    assert!(summary.slowest < INPUT_TIME_MAX && summary.peak_bytes < MEMORY_MAX, "{summary:?}");
}

#[test]
fn frames() {
    withstands(&FRAMES, 20_000);
}

#[test]
fn scan() {
    withstands(&SCAN, 10_000);
}

#[test]
fn recovery() {
    withstands(&RECOVERY, 2_000);
}

#[test]
fn cli() {
    withstands(&CLI, 20_000);
}

#[test]
fn the_corpus_holds_the_seeds_and_stays_small() {
    let mut total = 0;
    for target in TARGETS {
        let kept = corpus(target);
        total += kept.iter().map(Vec::len).sum::<usize>();
        for seed in (target.seeds)() {
            let found = kept.contains(&seed.bytes);
            assert!(
                found,
                "{} of {} is not written: cargo run --bin seeds",
                seed.name, target.name
            );
        }
    }
    assert!(total < 200 << 10, "{total} bytes");
}
