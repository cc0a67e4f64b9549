//! Reading without opening.

mod beside_writer;
mod cost;
mod damage;
mod following;
mod read_ahead;
mod records;
mod survey;

use wal_recovery::Records;

/// The LSNs of what can be read up to the present end.
fn rest(records: &mut Records) -> Vec<u64> {
    records.map(|entry| entry.unwrap().lsn.get()).collect()
}
