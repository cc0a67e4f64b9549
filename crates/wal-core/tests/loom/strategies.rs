//! Every strategy under the real engine: what was acknowledged is there after a crash, but for what the
//! strategy's claim gives up. And each claim is tight: some execution loses that much.
//!
//! Two ways to crash. Without a thread for it, power is thought to be lost at every acknowledgement:
//! few threads, so these run through all interleavings. With one, the disk freezes at any moment and
//! the threads go on in ignorance, which shows as well that nobody waits for the dead.

use loom::thread::JoinHandle;

use crate::check::{EXHAUSTIVE, model, models, up_to};
use crate::models::World;

/// Two appends on two threads. Nobody drives: whoever waits for durability leads.
fn two(policy: &str, crash: bool) -> u64 {
    let world = World::new(policy);
    let crash = crash.then(|| world.crash_beside());
    let other = world.spawn(|world| world.append(b"x").unwrap());
    world.append(b"x").unwrap();
    end(&world, [other], crash)
}

/// Two appends on two threads, one of which drives: deadlines come.
fn two_and_deadlines(policy: &str, crash: bool) -> u64 {
    let world = World::new(policy);
    let crash = crash.then(|| world.crash_beside());
    let other = world.spawn(|world| world.append(b"x").unwrap());
    world.append_driving(b"x").unwrap();
    world.drive_until_durable(2);
    end(&world, [other], crash)
}

/// `appends` on each of three threads.
fn three(policy: &str, appends: usize) -> u64 {
    let world = World::new(policy);
    let append = move |world: &World| {
        for _ in 0..appends {
            world.append(b"x").unwrap();
        }
    };
    let others = [world.spawn(append), world.spawn(append)];
    append(&world);
    end(&world, others, None)
}

/// Joins everybody and judges. What was not synced by then is synced by request, for everybody.
fn end<T, const N: usize>(
    world: &World,
    threads: [JoinHandle<T>; N],
    crash: Option<JoinHandle<()>>,
) -> u64 {
    threads.into_iter().for_each(|thread| drop(thread.join().unwrap()));
    crash.into_iter().for_each(|thread| thread.join().unwrap());
    let lost = world.disk.judge();
    assert_eq!(world.log.sync().unwrap(), world.log.durable_lsn());
    world.disk.judge();
    lost
}

models! {
    always_2x1: EXHAUSTIVE, || two("always", false), loses 0;
    always_2x1_crash: up_to(4).slice(2), || two("always", true), loses 0;
    always_3x1: up_to(3).slice(2), || three("always", 1), loses 0;
    always_3x2: up_to(2).slice(1), || three("always", 2), loses 0;

    group_2x1: EXHAUSTIVE, || two("group", false), loses 0;
    group_2x1_crash: up_to(4).slice(2), || two("group", true), loses 0;
    group_3x1: up_to(3).slice(2), || three("group", 1), loses 0;
    group_with_a_wait_2x1: up_to(4).slice(3), || two_and_deadlines("group:1ms", false), loses 0;
    group_with_a_wait_2x1_crash: up_to(3).slice(2),
        || two_and_deadlines("group:1ms", true), loses 0;

    adaptive_2x1: EXHAUSTIVE.slice(3), || two_and_deadlines("adaptive", false), loses 0;
    adaptive_2x1_crash: up_to(3).slice(2), || two_and_deadlines("adaptive", true), loses 0;

    batch_2x1: EXHAUSTIVE, || two("batch:2", false), loses 1;
    batch_2x1_crash: up_to(4).slice(2), || two("batch:2", true), loses 1;
    batch_3x1: up_to(3).slice(2), || three("batch:2", 1), loses 1;
    batch_of_3_3x2: up_to(2).slice(1), || three("batch:3", 2), loses 2;
    batch_with_a_delay_2x1: EXHAUSTIVE, || two("batch:2,10ms", false), loses 1;
    batch_with_a_delay_2x1_crash: up_to(3).slice(2),
        || two_and_deadlines("batch:2,10ms", true), loses 1;

    interval_2x1: EXHAUSTIVE, || two("interval:10ms", false), loses 2;
    interval_2x1_and_deadlines: up_to(4).slice(3),
        || two_and_deadlines("interval:10ms", false), loses 2;
    interval_2x1_crash: up_to(3).slice(2), || two_and_deadlines("interval:10ms", true), loses 2;

    os_2x1: EXHAUSTIVE, || two("os", false), loses 2;
    os_2x1_crash: up_to(4).slice(2), || two("os", true), loses 2;
    os_3x1: up_to(3).slice(2), || three("os", 1), loses 3;
    os_3x2: up_to(2).slice(1), || three("os", 2), loses 6;
}
