//! The whole log is judged here, and nothing is written.
//!
//! | file | idea |
//! | --- | --- |
//! | `scanner` | the scan |
//! | `chain` | which segments are the log, told from their headers |
//! | `parallel` | the same work on many segments, by several threads |
//! | `account` | from a scan to a report, and to the value that a log is opened with |

pub(crate) mod account;
pub(crate) mod chain;
pub(crate) mod parallel;
pub(crate) mod scanner;
