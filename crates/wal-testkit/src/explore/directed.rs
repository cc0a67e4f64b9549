//! Written workloads: what has gone wrong in real systems, and what drives a strategy to its claim.

use std::time::Duration;

use wal_core::Claim;

use crate::simulation::{Step, Workload};

/// What every log goes through, and what has lost records elsewhere.
const WRITTEN: &[&str] = &[
    // The first records, a second opener, an idle tail, a clean end.
    "segment 4096; append 1x20; intrude; wait 10000us; append 1x30; close; append 1x5",
    // The log is taken away from its owner: between appends, and with some of them unsynced.
    "segment 4096; append 1x20; lose lock; append 1x21; sync; append 1x22; sync",
    "segment 4096; append 1x20; sync; append 1x23 written; lose second-owner; append 1x21; sync; append 1x22; sync",
    "segment 4096; append 1x900; append 1x900; append 1x900; lose second-owner; append 1x900; append 1x900; append 1x900; sync",
    "segment 4096; append 1x900; append 1x900; append 1x900; append 1x900; lose second-owner; before 500; append 1x20; sync",
    "segment 4096; append 1x20; append 1x20; lose segment; append 1x21; sync; append 1x22; sync",
    "segment 4096; append 1x20; lose fork; append 1x21; sync; kill; append 1x22; lose fork; close; append 1x3",
    // Rotation, and more of it, with records that do not fit what is left.
    "segment 4096; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; append 1x10; sync",
    // Batches: atomic, of one, of empty records, across a rotation.
    "segment 4096; append 5x40; append 3x0; append 1x0; append 4x700; append 5x300; drive; append 2x900",
    // Everything goes, and the numbers go on.
    "segment 4096; append 3x100; sync; before 1000; append 1x10; kill; append 1x11; after 0; append 1x12; drop; append 1x9",
    // Truncation at the back, again within what is left, and appends behind it.
    "segment 4096; append 1x50; append 1x51; append 1x52; sync; after 600; append 1x53; kill; after 500; append 1x54; sync",
    // Emptied at the front where a truncation at the back had begun an empty segment, and died.
    "segment 4096; append 5x8; append 4x8; after 70; kill; before 1000; kill; append 1x9; before 1000; close; append 1x8",
    // Truncation at the front in the middle of a segment: the header of the next one says where.
    "segment 4096; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; before 500; append 1x20; sync",
    // Truncation at the front with rotation: segments go, and come back as new ones.
    "segment 4096; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; before 900; append 1x900; append 1x900; append 1x900; append 1x900; before 800; append 1x20; sync",
    // Truncation at the front where a segment begins: of one segment, whose removal is all there is; then of more, which a header
    // tells before; and at the back, of more than one.
    "segment 4096; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; before 300; append 1x20; before 750; append 1x21; sync",
    "segment 4096; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; before 600; append 1x20; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; after 200; append 1x21; sync",
    // The process dies again and again.
    "segment 4096; append 1x20; kill; append 1x21; kill; append 2x22; drop; append 1x23; kill; append 1x24 durable; kill",
    // So much is unproven that it is moved in pieces.
    "segment 32768; append 1x20; sync; append 1x3000 written; append 1x5000 written; append 1x3000 written; append 1x2000 written; kill; append 1x9",
    // Truncation at the front where a segment begins.
    "segment 4096; append 1x1800; append 1x1800; append 1x1800; append 1x1800; append 1x1800; before 400; append 1x20; sync; before 800; kill; append 1x9",
    // A critical record among others; requests below the strategy's own.
    "segment 4096; append 1x10 buffered; append 1x10 written; append 1x10; append 1x10 durable; append 1x9 buffered; wait 20000us; append 1x8 written; append 1x10 buffered; drop; append 1x7 buffered; kill",
    // Failed syncs, with everything that a kernel may make of the bytes.
    "segment 4096; append 1x30; sync; bad-sync clean; append 1x31; sync; append 1x32; sync; append 1x33",
    "segment 4096; append 1x30; sync; bad-sync reverted:1; append 2x600; sync; append 1x32; sync",
    "segment 4096; append 1x30; sync; bad-sync evicted:4; append 2x600; sync; append 1x32; sync; kill; append 1x9",
    "segment 4096; append 1x30; sync; bad-sync read-only; append 1x31; sync; append 1x32; sync",
    "segment 4096; append 1x30; bad-sync dirty; append 1x900; append 1x900; append 1x900; append 1x900; append 1x900; sync",
    // A full disk: in the middle of a record, at a rotation, and room again.
    "segment 4096; append 1x100; sync; no-space 40; append 1x300; sync; append 1x50; sync",
    "segment 4096; append 1x900; append 1x900; append 1x900; no-space 700; append 1x900; append 1x900; append 1x900; sync",
    // Calls that do less than asked, or fail.
    "segment 4096; short-writes 7; append 2x100; sync; append 1x60; sync; kill; short-reads 11; append 1x61; sync",
    "segment 4096; interrupts 2; append 1x100; sync; append 1x900; append 1x900; append 1x900; append 1x900; sync",
    "segment 4096; append 1x40; sync; fail write; append 1x41; sync; append 1x42; sync",
    "segment 4096; append 1x900; append 1x900; append 1x900; fail rename; append 1x900; append 1x900; sync",
    "segment 4096; append 1x900; append 1x900; append 1x900; fail sync-dir; append 1x900; append 1x900; sync",
    // Openings that meet a failing call, and succeed the next time.
    "segment 4096; append 1x20; append 1x21; fail sync; kill; append 1x22; fail write; kill; append 1x23; fail read; kill; append 1x24",
    // A second opener, and a clock that jumps.
    "segment 4096; append 1x20; intrude; jump -4000000us; append 1x20; jump 9000000us; append 1x20; close; intrude; append 1x3",
];

/// The most records and bytes with which a claim is driven to its bound.
const MOST_RECORDS: u64 = 3000;
const MOST_BYTES: u64 = 2 << 20;

/// The written workloads.
pub(crate) fn written() -> Vec<Workload> {
    WRITTEN.iter().map(|text| text.parse().expect("a written workload is one")).collect()
}

/// Workloads that try to have more acknowledged than the claim says may be lost: by many small
/// records, by few large ones, and by records that spread over time; before a sync and beside one.
pub(crate) fn pressure(claim: &Claim) -> Vec<Workload> {
    let loss = claim.power_loss;
    let records = loss.records.unwrap_or(100).min(MOST_RECORDS);
    let bytes = loss.bytes.unwrap_or(100).min(MOST_BYTES);
    let mut loads = Vec::new();
    let small = Step::append(1, if loss.bytes.is_some_and(|b| b < records) { 0 } else { 1 });
    loads.push(vec![small.clone(); records as usize + 2]);
    // Batches, of which the last one exceeds what is left.
    loads.push(vec![Step::append(3, 1); records as usize / 3 + 2]);
    let large = |share: u64| Step::append(1, (bytes / share) as u32);
    loads.push(vec![large(1), small.clone()]);
    loads.push(vec![large(2), large(2), Step::append(1, (bytes % 2) as u32), small.clone()]);
    for window in [loss.window.unwrap_or(Duration::from_millis(5))] {
        let almost = window.saturating_sub(Duration::from_micros(1));
        for pause in [almost, window, window * 2] {
            loads.push(vec![small.clone(), Step::Starve(pause), small.clone(), small.clone()]);
        }
        loads.push(vec![small.clone(), Step::Starve(almost), small.clone(), Step::Wait(window)]);
    }
    let mut workloads = Vec::new();
    for load in loads {
        // Something is being synced, and the load comes beside it.
        let beside =
            vec![small.clone(), Step::Slow(load.clone()), Step::Wait(Duration::from_secs(1))];
        workloads.push(Workload::new(Workload::ROOMY, load.clone()));
        workloads.push(Workload::new(Workload::ROOMY, beside));
        // The tail is filled, and goes on being filled while it is synced.
        let mut both = load.clone();
        both.pop();
        both.push(Step::Slow(load));
        workloads.push(Workload::new(Workload::ROOMY, both));
    }
    workloads
}
