//! A sync that fails: nobody whom it should have covered is acknowledged, nobody waits for ever, and
//! no sync is tried again. (That the disk would say `Ok` to the next one is what makes this matter.)

use wal_core::{ErrorKind, Lsn};

use crate::check::{EXHAUSTIVE, model, models, up_to};
use crate::models::{LARGE_RECORD, Plan, World};

fn failing(policy: &str, sync: u64) -> World {
    World::with(policy, Plan { failing_sync: Some(sync) }, false)
}

/// After the failure: the handle is of no use any more, and the disk was not bothered again.
fn is_poisoned(world: &World, syncs: u64) -> u64 {
    assert!(world.append(b"x").is_err());
    assert_eq!(world.log.sync().unwrap_err().kind(), ErrorKind::Poisoned);
    assert!(world.log.close().is_err());
    assert_eq!(world.disk.syncs(), syncs);
    world.disk.judge()
}

/// Two threads whose first sync fails: neither is acknowledged.
fn of_the_first_sync(policy: &str) -> u64 {
    let world = failing(policy, 1);
    let other = world.spawn(|world| world.append(b"x").is_err());
    assert!(world.append(b"x").is_err());
    assert!(other.join().unwrap());
    is_poisoned(&world, 1)
}

/// Three threads; the second sync fails. Who is acknowledged was covered by the first one, which `judge`
/// looks after. It may be nobody: who has led the first sync may hear of the failure as well.
fn of_the_second_sync() -> u64 {
    let world = failing("always", 2);
    let others = [(); 2].map(|()| world.spawn(|world| drop(world.append(b"x"))));
    let _ = world.append(b"x");
    others.into_iter().for_each(|thread| thread.join().unwrap());
    if world.disk.syncs() == 1 { world.disk.judge() } else { is_poisoned(&world, 2) }
}

/// The first of two records is acknowledged at *written*; the second waits for the sync that fails.
fn of_a_batch() -> u64 {
    let world = failing("batch:2", 1);
    let other = world.spawn(|world| world.append(b"x").is_ok());
    let mine = world.append(b"x").is_ok();
    let both = mine && other.join().unwrap();
    assert!(!both, "the second record fills the batch, so it needs the sync");
    is_poisoned(&world, 1)
}

/// The sync of a request fails beside an append that needs none.
fn of_a_request() -> u64 {
    let world = failing("os", 1);
    world.append(b"x").unwrap();
    let other = world.spawn(|world| drop(world.append(b"x")));
    assert!(world.log.sync().is_err());
    other.join().unwrap();
    is_poisoned(&world, 1)
}

/// The sync that seals a full segment fails beside an append to the next one.
fn of_a_rotation() -> u64 {
    let world = failing("os", 1);
    let other = world.spawn(|world| world.append(&LARGE_RECORD).is_ok());
    let mine = world.append(&LARGE_RECORD).is_ok();
    let both = other.join().unwrap() && mine;
    assert!(!both, "the second record needs a new segment");
    is_poisoned(&world, 1)
}

/// A thread that may begin to wait for a record to come while the others are being told.
fn beside_a_wait_for_a_record() -> u64 {
    let world = failing("always", 1);
    let other = world.spawn(|world| world.log.wait_durable(Lsn::new(9)).is_err());
    assert!(world.append(b"x").is_err());
    assert!(other.join().unwrap());
    is_poisoned(&world, 1)
}

/// A task and a thread wait for the same sync, which the driver makes, or the thread.
fn beside_a_task() -> u64 {
    let world = failing("always", 1);
    let other = world.spawn(|world| world.append(b"x").is_err());
    assert!(world.append_driving(b"x").is_err());
    assert!(other.join().unwrap());
    is_poisoned(&world, 1)
}

models! {
    failed_sync_2x1: EXHAUSTIVE, || of_the_first_sync("always"), loses 0;
    failed_sync_of_a_group_2x1: EXHAUSTIVE, || of_the_first_sync("group"), loses 0;
    failed_second_sync_3x1: up_to(3).slice(2), of_the_second_sync, loses 0;
    failed_sync_of_a_batch: EXHAUSTIVE, of_a_batch, loses 1;
    failed_sync_by_request: EXHAUSTIVE, of_a_request, loses 2;
    failed_sync_of_a_rotation: EXHAUSTIVE, of_a_rotation, loses 1;
    failed_sync_beside_a_wait_for_a_record: EXHAUSTIVE, beside_a_wait_for_a_record, loses 0;
    failed_sync_beside_a_task: EXHAUSTIVE.slice(3), beside_a_task, loses 0;
}
