//! What a recovery changes, and what it leaves.

mod copies;
mod end_earlier;
mod full_disk;
mod interrupted;
mod log_clock;
mod lost_header;
mod memory;
mod mend_header;
mod move_tail;
mod padded;
mod salvage;
mod seal;
mod strays;
mod strays_of_owners;
