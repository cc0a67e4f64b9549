//! Rotation beside appends: the old segment is synced before the new one counts.

use crate::check::{EXHAUSTIVE, model, models, up_to};
use crate::models::{LARGE_RECORD, World};

/// Two records, each of which fills a segment, so that one of the appends rotates beside the other.
fn beside_an_append(policy: &str, crash: bool) -> u64 {
    let world = World::new(policy);
    let crash = crash.then(|| world.crash_beside());
    let other = world.spawn(|world| world.append(&LARGE_RECORD).unwrap());
    world.append(&LARGE_RECORD).unwrap();
    other.join().unwrap();
    crash.into_iter().for_each(|thread| thread.join().unwrap());
    let lost = world.disk.judge();
    assert!(world.log.durable_lsn().get() >= 1, "the rotation made the first record durable");
    assert_eq!(world.log.stats().segments_created, 2);
    lost
}

/// A sync by request, of a tail that reaches over two segments.
fn beside_a_sync(policy: &str) -> u64 {
    let world = World::new(policy);
    let other = world.spawn(|world| world.append(&LARGE_RECORD).unwrap());
    let mine = world.append(&LARGE_RECORD).unwrap();
    assert!(world.log.sync().unwrap() >= mine);
    world.disk.acknowledge(mine, mine);
    other.join().unwrap();
    world.disk.judge()
}

models! {
    rotation_2x1: EXHAUSTIVE.slice(3), || beside_an_append("always", false), loses 0;
    rotation_2x1_crash: up_to(3).slice(2), || beside_an_append("always", true), loses 0;
    // Acknowledged at *written*: the segment that was left is durable, only the newest can be lost.
    rotation_unsynced_2x1: EXHAUSTIVE.slice(3), || beside_an_append("os", false), loses 1;
    rotation_unsynced_2x1_crash: up_to(3).slice(2), || beside_an_append("os", true), loses 1;
    rotation_beside_a_sync: up_to(4).slice(3), || beside_a_sync("os"), loses 1;
}
