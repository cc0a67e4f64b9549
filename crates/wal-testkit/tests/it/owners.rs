//! Several owners of one log, under a lock that is granted to everybody.

use wal_testkit::{Orders, Scenario};

fn named(name: &str) -> Scenario {
    Scenario::all().into_iter().find(|scenario| scenario.name == name).unwrap()
}

fn told(scenario: &Scenario, orders: &Orders) {
    let all = if orders.exhaustive { "all" } else { "not all" };
    let Orders { whole, known, ends, states, .. } = orders;
    let name = scenario.name;
    println!("{name}: {whole} orders, {known} left off, {states} states, {ends} ends, {all}");
    if let Some((what, order)) = &orders.failure {
        panic!("{}: {what}\nin the order {order}", scenario.name);
    }
}

fn every_order(name: &str) {
    let scenario = named(name);
    let orders = scenario.search(u64::MAX);
    told(&scenario, &orders);
    assert!(orders.exhaustive && orders.whole > 100, "{orders:?}");
    assert_eq!(documented(name), [orders.whole, orders.known, orders.states, orders.ends]);
}

/// The figures of a scenario in the document.
fn documented(name: &str) -> Vec<u64> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/fault-model.md");
    let text = std::fs::read_to_string(file).unwrap();
    let row = text.lines().find(|line| line.starts_with(&format!("| {name} |"))).unwrap();
    let cells = row.split('|').skip(4).take(4);
    cells.map(|cell| cell.trim().replace(',', "").parse().unwrap()).collect()
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

#[test]
#[ignore = "takes minutes: every order of the calls of three owners that do three things each"]
fn three_owners_of_three() {
    every_order("three of three");
}

/// The proof of the proof: without the fence the search finds what is lost.
#[test]
fn without_the_fence_records_are_lost() {
    for name in ["take over", "two of four", "rotation", "three of three"] {
        let blind = named(name).without_a_fence();
        // The last calls are changed first: of three owners that comes to the loss late.
        let orders =
            if blind.owners.len() > 2 { blind.sample(1, 2_000) } else { blind.search(5_000) };
        let (what, order) = orders.failure.unwrap_or_else(|| panic!("{name}: nothing is lost"));
        println!("{name}: {what}, in the order {order}");
    }
}

/// Two of the orders in which three owners lost a record once: the second owner put a copy in the place of a segment
/// that the third one had read, and it sealed a segment of the third one, by its name.
#[test]
fn orders_that_lost_records_lose_none() {
    for order in ["aaaaaaaabaaabbcbbcccccccc", "aaabaaabccccbbbbbbbcccccccccccccccccccccc"] {
        told(&named("three of three"), &named("three of three").replay(order));
    }
}
