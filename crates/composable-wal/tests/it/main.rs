//! The tests of the front door, in one program.

#[cfg(all(feature = "fs", feature = "recovery", feature = "sync"))]
mod front_door;
