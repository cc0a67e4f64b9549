//! The whole log: what a scan finds, and what it tells.

mod chain;
mod ends;
mod inspect;
mod options;
mod report;
mod scanner;
mod times;
