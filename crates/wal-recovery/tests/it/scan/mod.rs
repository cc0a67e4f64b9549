//! The whole log: what a scan finds, and what it tells.

mod chain;
mod inspect;
mod options;
mod report;
mod scanner;
