//! The ends of a log beside appends: close, and truncation at either side.

use wal_core::{ErrorKind, Lsn, Result};

use crate::check::{EXHAUSTIVE, model, models, up_to};
use crate::models::{LARGE_RECORD, World};

/// Acknowledged, or refused because the log was closed before.
fn durable_or_closed(world: &World, outcome: Result<Lsn>) {
    match outcome {
        Ok(lsn) => assert!(world.log.durable_lsn() >= lsn, "closing makes everything durable"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
    }
}

/// Whoever was acknowledged is durable once the log is closed, the others are refused.
fn close(policy: &str, crash: bool) -> u64 {
    let world = World::new(policy);
    let crash = crash.then(|| world.crash_beside());
    let other = world.spawn(|world| world.append(b"x"));
    world.log.close().unwrap();
    durable_or_closed(&world, other.join().unwrap());
    crash.into_iter().for_each(|thread| thread.join().unwrap());
    world.disk.judge()
}

/// The same beside two threads. Whoever is refused has appended nothing.
fn close_beside_two(policy: &str) -> u64 {
    let world = World::new(policy);
    let others = [(); 2].map(|()| world.spawn(|world| world.append(b"x")));
    world.log.close().unwrap();
    let outcomes = others.map(|other| other.join().unwrap());
    let acknowledged = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(
        acknowledged as u64,
        world.log.last_lsn().get(),
        "whose record is in the log, is told so"
    );
    outcomes.into_iter().for_each(|outcome| durable_or_closed(&world, outcome));
    world.disk.judge()
}

/// The same for a task, which nobody drives any more.
fn close_with_a_task(policy: &str) -> u64 {
    let world = World::new(policy);
    let other = world.spawn(|world| world.append_async(b"x"));
    world.log.close().unwrap();
    durable_or_closed(&world, other.join().unwrap());
    world.disk.judge()
}

/// Two threads close.
fn two_close() -> u64 {
    let world = World::new("os");
    world.append(b"x").unwrap();
    let other = world.spawn(|world| {
        world.log.close().unwrap();
        assert_eq!(world.log.durable_lsn(), Lsn::FIRST);
    });
    world.log.close().unwrap();
    assert_eq!(world.log.durable_lsn(), Lsn::FIRST);
    other.join().unwrap();
    world.disk.judge()
}

/// Somebody waits for a record that nobody will append any more.
fn close_beside_a_vain_wait() -> u64 {
    let world = World::new("os");
    let other = world.spawn(|world| world.log.wait_durable(Lsn::FIRST).unwrap_err().kind());
    world.log.close().unwrap();
    assert_eq!(other.join().unwrap(), ErrorKind::Closed);
    world.disk.judge()
}

/// The first of two records is truncated beside the append of a third.
fn truncate_before(policy: &str, crash: bool) -> u64 {
    let world = World::new(policy);
    world.append(b"x").unwrap();
    world.append(b"x").unwrap();
    let crash = crash.then(|| world.crash_beside());
    let other = world.spawn(|world| world.append(b"x").unwrap());
    world.disk.expect_start(Lsn::new(2));
    let start = world.log.truncate_before(Lsn::new(2)).unwrap();
    world.disk.acknowledge_start(start);
    other.join().unwrap();
    crash.into_iter().for_each(|thread| thread.join().unwrap());
    world.disk.judge()
}

/// The second of two records is cut off beside the append of a third, which may be cut off with it.
fn truncate_after(policy: &str, crash: bool) -> u64 {
    let world = World::new(policy);
    world.append(b"x").unwrap();
    world.append(b"x").unwrap();
    let crash = crash.then(|| world.crash_beside());
    let other = world.spawn(|world| world.append(b"x").unwrap());
    world.disk.expect_cut(Lsn::FIRST);
    assert_eq!(world.log.truncate_after(Lsn::FIRST).unwrap(), Lsn::FIRST);
    assert_eq!(other.join().unwrap(), Lsn::new(3), "numbers are not given out again");
    crash.into_iter().for_each(|thread| thread.join().unwrap());
    world.disk.judge()
}

/// A log of two segments with a record each, in front of a third one.
fn three_segments(policy: &str) -> World {
    let world = World::new(policy);
    for _ in 0..3 {
        world.append(&LARGE_RECORD).unwrap();
    }
    world
}

/// Two segments go beside an append, which goes on meanwhile: a crash leaves both, or says that both are void.
fn remove_two(crash: bool) -> u64 {
    let world = three_segments("always");
    let crash = crash.then(|| world.crash_beside());
    let other = world.spawn(|world| world.append(b"x").unwrap());
    world.disk.expect_start(Lsn::new(3));
    let start = world.log.truncate_before(Lsn::new(3)).unwrap();
    world.disk.acknowledge_start(start);
    other.join().unwrap();
    crash.into_iter().for_each(|thread| thread.join().unwrap());
    world.disk.judge()
}

/// Two threads truncate, one at either side.
fn two_truncate() -> u64 {
    let world = three_segments("always");
    world.disk.expect_start(Lsn::new(2));
    world.disk.expect_cut(Lsn::new(2));
    let other = world.spawn(|world| world.log.truncate_after(Lsn::new(2)).unwrap());
    let start = world.log.truncate_before(Lsn::new(2)).unwrap();
    assert_eq!((start, other.join().unwrap()), (Lsn::new(2), Lsn::new(2)));
    world.disk.judge()
}

/// The log is closed while it is truncated: nothing is removed once the storage is free.
fn close_while_truncated() -> u64 {
    let world = three_segments("always");
    world.disk.expect_start(Lsn::new(3));
    let other = world.spawn(|world| match world.log.truncate_before(Lsn::new(3)) {
        Ok(start) => world.disk.acknowledge_start(start),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
    });
    world.log.close().unwrap();
    other.join().unwrap();
    world.disk.judge()
}

models! {
    close_beside_an_append: EXHAUSTIVE, || close("always", false), loses 0;
    close_beside_an_append_at_written: EXHAUSTIVE, || close("os", false), loses 1;
    close_beside_two_appends: up_to(3).slice(2), || close_beside_two("always"), loses 0;
    close_beside_two_appends_at_written: up_to(3).slice(3), || close_beside_two("os"), loses 2;
    close_beside_an_append_crash: up_to(4).slice(3), || close("always", true), loses 0;
    close_beside_a_task: EXHAUSTIVE.slice(3), || close_with_a_task("always"), loses 0;
    close_twice: EXHAUSTIVE, two_close, loses 1;
    close_beside_a_wait_for_a_record: EXHAUSTIVE, close_beside_a_vain_wait, loses 0;
    truncate_before_beside_an_append: up_to(4).slice(3),
        || truncate_before("always", false), loses 0;
    truncate_before_crash: up_to(3).slice(2), || truncate_before("os", true), loses 3;
    truncate_after_beside_an_append: up_to(4).slice(3),
        || truncate_after("always", false), loses 0;
    truncate_after_crash: up_to(3).slice(2), || truncate_after("os", true), loses 3;
    two_segments_removed_beside_an_append: up_to(4).slice(2), || remove_two(false), loses 0;
    two_segments_removed_crash: up_to(3).slice(2), || remove_two(true), loses 0;
    two_truncations: EXHAUSTIVE.slice(3), two_truncate, loses 0;
    close_beside_a_truncation: EXHAUSTIVE.slice(3), close_while_truncated, loses 0;
}
