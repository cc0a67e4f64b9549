//! Tasks: they cannot lead, so the driver or a thread must, and must wake them.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use wal_core::Lsn;

use crate::check::{EXHAUSTIVE, model, models, up_to};
use crate::models::{Plan, World, block_on};

/// One task, and a thread that drives until its record is durable.
fn one_and_a_driver(policy: &str) -> u64 {
    let world = World::new(policy);
    let task = world.spawn(|world| world.append_async(b"x").unwrap());
    world.drive_until_durable(1);
    task.join().unwrap();
    world.disk.judge()
}

/// Two tasks, and a driver for whoever does not commit in place.
fn two_and_a_driver(world: World) -> u64 {
    let tasks = [(); 2].map(|()| world.spawn(|world| world.append_async(b"x").unwrap()));
    world.drive_until_durable(2);
    for task in tasks {
        task.join().unwrap();
    }
    world.disk.judge()
}

/// The log's own driver thread, which sleeps until somebody needs it.
fn one_and_a_sleeping_driver(policy: &str) -> u64 {
    let world = World::with(policy, Plan::default(), true);
    world.append_async(b"x").unwrap();
    world.disk.judge()
}

/// A task beside a thread that leads: it may be the leader who wakes the task. If the task commits in place,
/// whoever comes second is woken by the first, or is left to the driver.
fn one_beside_a_thread(world: World) -> u64 {
    let thread = world.spawn(|world| world.append(b"x").unwrap());
    world.append_driving(b"x").unwrap();
    thread.join().unwrap();
    world.disk.judge()
}

/// An append that is polled once and dropped: its record stays, once, and nobody else is delayed.
fn dropped(policy: &str) -> u64 {
    let world = World::new(policy);
    let thread = world.spawn(|world| {
        let task = world.log.asynchronous();
        let mut cx = Context::from_waker(Waker::noop());
        drop(pin!(task.append(b"x")).poll(&mut cx));
    });
    world.append(b"x").unwrap();
    thread.join().unwrap();
    assert_eq!(world.log.sync().unwrap(), Lsn::new(2));
    world.disk.acknowledge(Lsn::new(2), world.log.durable_lsn());
    world.disk.judge()
}

/// A task waits for a record that somebody else appends, and that nobody else wants durable.
fn waits_for_a_record_to_come(policy: &str) -> u64 {
    let world = World::new(policy);
    let task = world.spawn(|world| {
        let log = world.log.asynchronous();
        block_on(log.wait_durable(Lsn::FIRST)).unwrap();
        world.disk.acknowledge(Lsn::FIRST, world.log.durable_lsn());
    });
    world.append(b"x").unwrap();
    world.drive_until_durable(1);
    task.join().unwrap();
    world.disk.judge()
}

/// The same on a thread, which leads the sync itself or is woken.
fn thread_waits_for_a_record_to_come(policy: &str) -> u64 {
    let world = World::new(policy);
    let thread = world.spawn(|world| world.log.wait_durable(Lsn::FIRST).unwrap());
    world.append(b"x").unwrap();
    world.drive_until_durable(1);
    thread.join().unwrap();
    world.disk.judge()
}

models! {
    task_and_driver: EXHAUSTIVE.slice(3), || one_and_a_driver("always"), loses 0;
    task_and_driver_by_deadline: EXHAUSTIVE.slice(3), || one_and_a_driver("group:1ms"), loses 0;
    task_and_sleeping_driver: up_to(4).slice(3), || one_and_a_sleeping_driver("always"), loses 0;
    task_and_sleeping_driver_at_written: up_to(4).slice(3),
        || one_and_a_sleeping_driver("os"), loses 1;
    task_beside_a_thread: EXHAUSTIVE.slice(3), || one_beside_a_thread(World::new("always")), loses 0;
    task_in_place_beside_a_thread: EXHAUSTIVE.slice(3),
        || one_beside_a_thread(World::in_place("always")), loses 0;
    task_in_place_beside_a_thread_at_written: up_to(3).slice(2),
        || one_beside_a_thread(World::in_place("os")), loses 2;
    two_tasks_in_place: up_to(2).slice(1), || two_and_a_driver(World::in_place("always")), loses 0;
    two_tasks_and_driver: up_to(2).slice(1), || two_and_a_driver(World::new("always")), loses 0;
    dropped_append: EXHAUSTIVE, || dropped("always"), loses 0;
    dropped_append_at_written: EXHAUSTIVE, || dropped("os"), loses 1;
    wait_for_a_record_to_come: up_to(4).slice(3),
        || thread_waits_for_a_record_to_come("os"), loses 1;
    task_waits_for_a_record_to_come: up_to(4).slice(3),
        || waits_for_a_record_to_come("os"), loses 1;
}
