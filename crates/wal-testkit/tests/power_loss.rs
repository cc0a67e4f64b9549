//! The real engine, strategies, storage code and recovery on the model file system: power is lost after
//! every operation of random workloads, and once more during recovery. What comes back is held against
//! what was acknowledged and against the strategy's own claim.
#![allow(unreachable_pub, reason = "shared between tests")]

mod simulation;

use simulation::*;
use wal_core::*;
use wal_recovery::Recovery;
use wal_sync::Policy;
use wal_testkit::{CrashPolicy, FaultFs, ModelFs};

const POLICIES: &[&str] = &[
    "always",
    "group",
    "group:1ms,8",
    "batch:8,400,3ms",
    "batch:1",
    "interval:2ms",
    "os",
    "adaptive",
];

/// LSNs and bytes.
type Records = Vec<(u64, Vec<u8>)>;

/// What recovery brought back, and the log open for more.
fn recover(disk: &ModelFs) -> Result<(Records, Wal)> {
    let (recovered, _) = Recovery::new(storage(disk.clone())?).threads(1).run()?;
    let log = Wal::builder(wal_sync::Always::new())
        .settings(settings())
        .manual_driver()
        .open(recovered)?;
    let records = log
        .iter(Lsn::ZERO)?
        .map(|e| e.map(|e| (e.lsn.get(), e.record.to_vec())))
        .collect::<Result<_>>()?;
    Ok((records, log))
}

/// The oracles. `claim` is what the strategy says may be lost in this kind of crash.
fn check(
    known: &Knowledge,
    claim: Loss,
    survives: Durability,
    found: &[(u64, Vec<u8>)],
    log: &Wal,
) -> Result<(), String> {
    let present = |lsn: u64| found.binary_search_by_key(&lsn, |(lsn, _)| *lsn).is_ok();
    // O1: byte-exact, in order, each once, nothing that was never submitted.
    for (lsn, bytes) in found {
        match known.records.get(lsn) {
            None => return Err(format!("LSN {lsn} was never submitted")),
            Some(k) if k.bytes != *bytes => return Err(format!("LSN {lsn} holds other bytes")),
            Some(_) => {}
        }
    }
    // O2: contiguous but for truncations.
    for pair in found.windows(2) {
        let (a, b) = (pair[0].0, pair[1].0);
        if b <= a || (a + 1..b).any(|lsn| !known.may_be_truncated(lsn)) {
            return Err(format!("LSN {b} follows {a}"));
        }
    }
    // O3: the claim; and nothing that was ever durable, or acknowledged as safe in this crash, is missing.
    let (mut records, mut bytes, mut oldest) = (0, 0, None);
    for (lsn, k) in &known.records {
        if present(*lsn) || known.may_be_truncated(*lsn) {
            continue;
        }
        if *lsn <= known.durable {
            return Err(format!("LSN {lsn} is missing, durable was {}", known.durable));
        }
        if !k.acknowledged {
            continue;
        }
        if k.requested == survives || k.requested == Durability::Durable {
            return Err(format!("LSN {lsn} is missing, acknowledged as {:?}", k.requested));
        }
        if k.requested == Durability::Strategy {
            (records, bytes) = (records + 1, bytes + k.bytes.len() as u64);
            oldest.get_or_insert(k.appended_at);
        }
    }
    if claim.records.is_some_and(|max| records > max) || claim.bytes.is_some_and(|max| bytes > max)
    {
        return Err(format!("lost {records} records, {bytes} bytes; the claim is {claim}"));
    }
    // O4: what was truncated stays away.
    for (lsn, _) in found {
        if *lsn < known.start_acknowledged {
            return Err(format!(
                "LSN {lsn} came back, truncated before {}",
                known.start_acknowledged
            ));
        }
        if let Some(cut) = known.cuts.iter().find(|c| c.2 && c.0 < *lsn && *lsn <= c.1) {
            return Err(format!("LSN {lsn} came back, truncated after {}", cut.0));
        }
    }
    // O10: LSNs never restart.
    if log.next_lsn().get() <= known.durable {
        return Err(format!("the next LSN is {}, durable was {}", log.next_lsn(), known.durable));
    }
    Ok(())
}

/// Everything that must hold for one image of the disk.
fn examine(
    known: &Knowledge,
    claim: Loss,
    survives: Durability,
    image: &ModelFs,
    seed: u64,
) -> Result<(), String> {
    let say = |what: &str, error: Error| format!("{what}: {error}");
    // O7: a crash never makes opening fail. First a recovery that is itself cut short.
    let cut_short = FaultFs::new(image.clone());
    cut_short.faults().power_off_after(seed % 9);
    let _ = storage(cut_short).and_then(|s| Recovery::new(s).threads(1).run());
    let image = image.crash(CrashPolicy::Seeded(seed ^ 0xabc));
    let (found, log) = recover(&image).map_err(|e| say("O7", e))?;
    check(known, claim, survives, &found, &log)?;
    // O5: what recovery returned survives at once.
    let (again, again_log) =
        recover(&image.crash(CrashPolicy::DropUnsynced)).map_err(|e| say("O5", e))?;
    if again != found {
        return Err(format!("O5: {} records, then {}", found.len(), again.len()));
    }
    drop(again_log);
    // O9: what is appended afterwards survives the next crash.
    let lsn = log.append(b"after").map_err(|e| say("O9", e))?;
    if lsn.get() <= known.durable {
        return Err(format!("O10: LSN {lsn} was given out again"));
    }
    let (later, _log) =
        recover(&image.crash(CrashPolicy::Seeded(seed))).map_err(|e| say("O9", e))?;
    if later.len() != found.len() + 1 || later.last() != Some(&(lsn.get(), b"after".to_vec())) {
        return Err(format!("O9: {} records, then {} after one more", found.len(), later.len()));
    }
    Ok(())
}

/// Crashes after every operation of a workload. Returns how many images were examined.
fn crash_everywhere(policy: &Policy, workload: u64, steps: usize, power: bool) -> u64 {
    let claim = policy.claim();
    let mut states = 0;
    for point in 0.. {
        let mut world = World::new(ModelFs::new(), *policy);
        world.fs.faults().power_off_after(point);
        let outcome = world.run(workload, steps);
        let variants = if power { 3 } else { 1 };
        for variant in 0..variants {
            let seed = workload * 1_000_003 + point * 31 + variant;
            let (image, loss, survives) = if power {
                let crash = if variant == 0 {
                    CrashPolicy::DropUnsynced
                } else {
                    CrashPolicy::Seeded(seed)
                };
                (world.disk.crash(crash), claim.power_loss, Durability::Durable)
            } else {
                // The cache survives, the memory does not: everything pending is on the disk.
                (world.disk.crash(CrashPolicy::KeepAll), claim.process_crash, Durability::Written)
            };
            if let Err(what) = examine(&world.known, loss, survives, &image, seed) {
                panic!(
                    "{policy}, workload {workload}, after operation {point}, variant {variant}: {what}"
                );
            }
            states += 1;
        }
        if outcome.is_ok() {
            return states;
        }
    }
    unreachable!("a workload ends")
}

/// How many random workloads; `WAL_WORKLOADS` asks for more than the usual few.
fn workloads(usual: u64) -> u64 {
    std::env::var("WAL_WORKLOADS").map_or(usual, |n| n.parse().expect("WAL_WORKLOADS is a number"))
}

#[test]
fn no_power_loss_takes_more_than_the_claim() {
    let mut states = 0;
    for text in POLICIES {
        let policy: Policy = text.parse().unwrap();
        let mut of_policy = 0;
        for workload in 0..workloads(4) {
            of_policy += crash_everywhere(&policy, workload, 120, true);
        }
        println!("{text}: {of_policy} states");
        states += of_policy;
    }
    println!("{states} states");
}

#[test]
fn no_process_crash_takes_an_acknowledged_record() {
    for text in POLICIES {
        let policy: Policy = text.parse().unwrap();
        for workload in 0..workloads(2) {
            crash_everywhere(&policy, workload, 80, false);
        }
    }
}

/// How many records and bytes are lost when the power fails after `appends`, following a sync.
fn worst_loss(policy: &str, appends: &[usize]) -> (u64, u64) {
    let disk = ModelFs::new();
    let (recovered, _) = Recovery::new(storage(disk.clone()).unwrap()).run().unwrap();
    let policy: Policy = policy.parse().unwrap();
    let log = Wal::builder(policy).manual_driver().open(recovered).unwrap();
    log.append_with(b"synced", Durability::Durable).unwrap();
    let acknowledged: Vec<_> =
        appends.iter().map(|len| (log.append(&vec![7; *len]).unwrap().get(), *len)).collect();
    let (found, _log) = recover(&disk.crash(CrashPolicy::DropUnsynced)).unwrap();
    let lost = acknowledged.iter().filter(|(lsn, _)| !found.iter().any(|(there, _)| there == lsn));
    lost.fold((0, 0), |(records, bytes), (_, len)| (records + 1, bytes + *len as u64))
}

/// A claim that no crash reaches would be too modest. The window of time is left to the model of
/// wal-sync, as it needs a clock that moves while a sync runs.
#[test]
fn the_bounds_of_batch_are_reached_and_not_exceeded() {
    for n in [2, 8, 32] {
        let policy = format!("batch:{n}");
        assert_eq!(worst_loss(&policy, &vec![1; n - 1]), (n as u64 - 1, n as u64 - 1));
        assert_eq!(worst_loss(&policy, &vec![1; n]).0, 0, "the one that fills it is durable");
    }
    assert_eq!(worst_loss("batch:1MiB", &[1000, 500]), (2, 1500));
    assert_eq!(worst_loss("batch:1k", &[1023]), (1, 1023));
    assert_eq!(worst_loss("batch:1k", &[1023, 1]), (0, 0));
    for lossless in ["always", "group", "adaptive"] {
        assert_eq!(worst_loss(lossless, &[1; 10]), (0, 0));
    }
    assert_eq!(worst_loss("os", &[1; 100]).0, 100);
}
