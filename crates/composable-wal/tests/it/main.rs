//! The tests of the front door, in one program.

#[cfg(all(feature = "fs", feature = "recovery", feature = "sync"))]
mod backup;
mod front_door;
