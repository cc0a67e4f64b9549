//! The tests of this crate, in one binary: a module for each folder of the sources, and some for all of it.
//!
//! | module | holds |
//! | --- | --- |
//! | `segment` | one segment: what is damage in it and what is not |
//! | `scan` | the whole log: what a scan finds, and what it tells |
//! | `repair` | what a recovery changes, and what it leaves |
//! | `view` | reading without opening |
//! | `backup` | copies of a log, made beside its writer |
//! | `every_damage` | every cut and every flipped bit of a small log, in every mode |
//! | `random` | random logs, random damage |
//! | `files` | real files |
//! | `golden` | the golden corpus: logs that every later build has to read |
//! | `rooms` | the folders of the sources keep to their rights |
//! | `support` | logs to recover, and ways to damage them |

mod backup;
mod every_damage;
mod files;
mod golden;
mod random;
mod repair;
mod rooms;
mod scan;
mod segment;
mod support;
mod view;
