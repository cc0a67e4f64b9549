//! What happens to a log at its ends, beside many threads: rotation, truncation, a sync that fails, close.

use wal_core::{ErrorKind, Lsn};

use crate::check::{model, models};
use crate::contention::end;
use crate::models::{LARGE_RECORD, Plan, World, block_on};

/// Four threads whose records each fill a segment, and a crash.
fn rotation(policy: &str) -> u64 {
    let world = World::new(policy);
    let crash = world.crash_beside();
    let others = [(); 4].map(|()| {
        world.spawn(|world| {
            world.append(&LARGE_RECORD).unwrap();
            world.append(b"x").unwrap();
        })
    });
    end(&world, others, crash)
}

/// Truncation at both sides beside appends, a sync and a crash.
fn truncation(policy: &str) -> u64 {
    let world = World::new(policy);
    for _ in 0..4 {
        world.append_driving(&LARGE_RECORD).unwrap();
    }
    let crash = world.crash_beside();
    let mut others = Vec::new();
    for _ in 0..2 {
        others.push(world.spawn(|world| {
            world.append(b"x").unwrap();
            world.append(b"x").unwrap();
        }));
    }
    others.push(world.spawn(|world| {
        world.disk.expect_start(Lsn::new(3));
        let start = world.log.truncate_before(Lsn::new(3)).unwrap();
        world.disk.acknowledge_start(start);
    }));
    others.push(world.spawn(|world| {
        world.disk.expect_cut(Lsn::new(3));
        assert_eq!(world.log.truncate_after(Lsn::new(3)).unwrap(), Lsn::new(3));
    }));
    others.push(world.spawn(|world| {
        world.log.sync().unwrap();
    }));
    end(&world, others, crash)
}

/// A sync fails beside many threads. All of them come to an end, and each record that was acknowledged was covered by
/// a sync before.
fn failure(policy: &str, sync: u64) -> u64 {
    let world = World::with(policy, Plan { failing_sync: Some(sync) }, false);
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(world.spawn(|world| {
            let _ = world.append(b"x").and_then(|_| world.append(b"x"));
        }));
    }
    for _ in 0..2 {
        others.push(world.spawn(|world| {
            let _ = world.append_async(b"x").and_then(|_| world.append_async(b"x"));
        }));
    }
    others.push(world.spawn(|world| drop(world.log.sync())));
    world.drive_to_the_end();
    others.into_iter().for_each(|thread| thread.join().unwrap());
    // With few syncs so far the one that fails is still to come.
    while world.append(b"x").and_then(|_| world.log.sync()).is_ok() {}
    assert_eq!(world.log.sync().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(world.disk.syncs(), sync, "no sync after the one that failed");
    world.disk.judge()
}

/// Threads and tasks append until a task closes the log, on the log's own driver. Whoever is refused has
/// appended nothing.
fn close(policy: &str) -> u64 {
    let world = World::with(policy, Plan::default(), true);
    let acknowledged = |outcome: &wal_core::Result<Lsn>| match outcome {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Closed);
            false
        }
    };
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(
            world.spawn(move |world| {
                (0..2).take_while(|_| acknowledged(&world.append(b"x"))).count()
            }),
        );
    }
    for _ in 0..2 {
        others.push(world.spawn(move |world| usize::from(acknowledged(&world.append_async(b"x")))));
    }
    let log = world.log.asynchronous();
    block_on(log.close()).unwrap();
    let last = world.log.last_lsn();
    assert_eq!(world.log.durable_lsn(), last, "closing makes everything durable");
    let acknowledged: usize = others.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(world.log.last_lsn(), last, "nothing is appended to a closed log");
    assert_eq!(acknowledged as u64, last.get(), "whose record is in the log, is told so");
    world.disk.judge()
}

models! {
    rotation_always: || rotation("always");
    rotation_batch: || rotation("batch:3");
    rotation_os: || rotation("os");
    truncation_always: || truncation("always");
    truncation_os: || truncation("os");
    failure_always: || failure("always", 3);
    failure_batch: || failure("batch:3", 2);
    failure_interval: || failure("interval:2ms", 2);
    close_always: || close("always");
    close_os: || close("os");
}
