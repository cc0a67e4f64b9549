//! Several owners of one log, under a lock that is granted to everybody.

use wal_testkit::{Act, Scenario};

use Act::{Append, Close, Fill, Open, Truncate};

fn holds(scenario: &Scenario, most: u64) {
    let orders = scenario.search(most);
    println!(
        "{}: {} orders, {} left off, {}",
        scenario.name,
        orders.whole,
        orders.known,
        if orders.exhaustive { "all" } else { "not all" }
    );
    if let Some((what, order)) = orders.failure {
        panic!("{}: {what}\nin the order {order}", scenario.name);
    }
}

#[test]
fn a_writer_and_one_who_takes_over() {
    holds(&Scenario::new("take over", 2, vec![vec![Open, Append], vec![Open]]), 200_000);
}

#[test]
fn two_owners_of_four_calls() {
    let owners = vec![vec![Open, Append, Append, Append], vec![Open, Append, Append, Close]];
    holds(&Scenario::new("two of four", 2, owners), 50_000);
}

#[test]
fn a_rotation_beside_a_take_over() {
    holds(&Scenario::new("rotation", 0, vec![vec![Open, Fill, Fill], vec![Open, Append]]), 50_000);
}

#[test]
fn a_truncation_beside_a_take_over() {
    holds(
        &Scenario::new("truncation", 3, vec![vec![Open, Append, Truncate], vec![Open, Append]]),
        50_000,
    );
}

#[test]
fn two_openers() {
    holds(
        &Scenario::new("two openers", 2, vec![vec![], vec![Open, Append], vec![Open, Append]]),
        50_000,
    );
}
