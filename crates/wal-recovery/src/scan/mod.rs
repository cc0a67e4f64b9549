//! The whole log is judged here, and nothing is written.
//!
//! | file | idea |
//! | --- | --- |
//! | `options` | what a caller may say of a scan |
//! | `scanner`, `parallel` | the scan, by several threads |
//! | `identity` | whether what is there is a log, and a single one |
//! | `chain` | which segments are the log, told from their headers |
//! | `owners` | segments of an owner that had lost the log |
//! | `found` | what a scan finds |
//! | `times` | what the times of a log tell of the clock |
//! | `judge` | what is wrong with it |
//! | `ends` | what may be missing in front of it and behind it |
//! | `account` | the report of it, and the value that a log is opened with |

pub(crate) mod account;
pub(crate) mod chain;
mod ends;
pub(crate) mod found;
pub(crate) mod identity;
pub(crate) mod judge;
pub(crate) mod options;
pub(crate) mod owners;
mod parallel;
pub(crate) mod scanner;
pub(crate) mod times;
