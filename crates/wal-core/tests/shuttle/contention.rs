//! Every strategy under contention: threads and tasks that append, a thread that syncs, a thread that drives, and a
//! crash at any moment.

use shuttle::thread::JoinHandle;
use wal_core::Lsn;

use crate::check::{model, models};
use crate::models::{Plan, World};

/// Three threads append, two tasks append, and one thread syncs. A further thread crashes the disk, and this one
/// drives until all are done: eight threads.
fn contended(policy: &str) -> u64 {
    let world = World::new(policy);
    let crash = world.crash_beside();
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(world.spawn(|world| {
            world.append(b"x").unwrap();
            world.append(b"xyz").unwrap();
        }));
    }
    for _ in 0..2 {
        others.push(world.spawn(|world| {
            world.append_async(b"x").unwrap();
            world.append_async(b"xyz").unwrap();
        }));
    }
    others.push(world.spawn(|world| {
        let lsn = world.log.sync().unwrap();
        assert!(world.log.durable_lsn() >= lsn);
    }));
    let lost = end(&world, others, crash);
    assert_eq!(world.log.last_lsn(), Lsn::new(10));
    lost
}

/// Four tasks under the log's own driver, which sleeps until it is called.
fn tasks(policy: &str) -> u64 {
    let world = World::with(policy, Plan::default(), true);
    let tasks = [(); 4].map(|()| {
        world.spawn(|world| {
            world.append_async(b"x").unwrap();
            world.append_async(b"x").unwrap();
        })
    });
    tasks.into_iter().for_each(|task| task.join().unwrap());
    world.disk.judge()
}

/// Drives until all threads have come to their ends, and judges. What was not synced by then is synced by
/// request.
pub(crate) fn end(
    world: &World,
    threads: impl IntoIterator<Item = JoinHandle<()>>,
    crash: JoinHandle<()>,
) -> u64 {
    world.drive_to_the_end();
    threads.into_iter().chain([crash]).for_each(|thread| thread.join().unwrap());
    let lost = world.disk.judge();
    assert_eq!(world.log.sync().unwrap(), world.log.durable_lsn());
    world.disk.judge();
    lost
}

models! {
    always_contended: || contended("always");
    group_contended: || contended("group");
    group_with_a_wait_contended: || contended("group:1ms,4");
    adaptive_contended: || contended("adaptive");
    batch_contended: || contended("batch:3");
    batch_with_a_delay_contended: || contended("batch:4,6B,10ms");
    interval_contended: || contended("interval:10ms");
    os_contended: || contended("os");
    always_tasks: || tasks("always");
    os_tasks: || tasks("os");
}
