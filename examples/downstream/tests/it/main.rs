//! The tests of our strategy and our storages, in one program.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `proof` | the strategy keeps its claim, whatever crashes |
//! | `plain_files` | the storage keeps its contract |
//! | `faults` | the strategy on the storages, with a report |
//! | `files` | the strategy at work, on real files |
//! | `forgetful` | a strategy that is wrong |

mod faults;
mod files;
mod forgetful;
mod plain_files;
mod proof;
