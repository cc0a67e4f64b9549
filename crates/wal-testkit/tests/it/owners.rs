//! Several owners of one log, under a lock that is granted to everybody.

use wal_testkit::{Act, Orders, Scenario};

use Act::{Append, Close, Fill, Open, Truncate};

fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new("take over", 2, vec![vec![Open, Append], vec![Open]]),
        Scenario::new(
            "two of four",
            2,
            vec![vec![Open, Append, Append, Append], vec![Open, Append, Append, Close]],
        ),
        Scenario::new("truncation", 3, vec![vec![Open, Append, Truncate], vec![Open, Append]]),
        Scenario::new("rotation", 0, vec![vec![Open, Fill, Fill], vec![Open, Append]]),
        Scenario::new(
            "three of three",
            1,
            vec![vec![Open, Append, Append], vec![Open, Append, Close], vec![Open, Append, Close]],
        ),
    ]
}

fn named(name: &str) -> Scenario {
    scenarios().into_iter().find(|scenario| scenario.name == name).unwrap()
}

fn told(scenario: &Scenario, orders: &Orders) {
    let all = if orders.exhaustive { "all" } else { "not all" };
    println!("{}: {} orders, {} left off, {all}", scenario.name, orders.whole, orders.known);
    if let Some((what, order)) = &orders.failure {
        panic!("{}: {what}\nin the order {order}", scenario.name);
    }
}

fn every_order(name: &str) {
    let scenario = named(name);
    let orders = scenario.search(u64::MAX);
    told(&scenario, &orders);
    assert!(orders.exhaustive && orders.whole > 100, "{orders:?}");
}

#[test]
fn a_writer_and_one_that_takes_over() {
    every_order("take over");
}

/// Takes a minute.
#[test]
#[ignore = "takes minutes: every order of the calls of two owners that do four things each"]
fn two_owners_of_four() {
    every_order("two of four");
}

#[test]
#[ignore = "takes minutes: every order of the calls beside a truncation"]
fn a_truncation_beside_a_take_over() {
    every_order("truncation");
}

#[test]
#[ignore = "takes minutes: every order of the calls beside two rotations"]
fn rotations_beside_a_take_over() {
    every_order("rotation");
}

/// Of those that are too many, some at random.
#[test]
fn random_orders_of_every_scenario() {
    for scenario in scenarios() {
        told(&scenario, &scenario.sample(7, 400));
    }
}

/// The proof of the proof: without the fence the search finds what is lost.
#[test]
fn without_the_fence_records_are_lost() {
    for name in ["take over", "two of four", "rotation"] {
        let orders = named(name).without_a_fence().search(5_000);
        let (what, order) = orders.failure.unwrap_or_else(|| panic!("{name}: nothing is lost"));
        println!("{name}: {what}, in the order {order}");
    }
}
