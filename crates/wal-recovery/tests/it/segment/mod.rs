//! One segment: what is damage in it and what is not.

mod ends;
mod footer;
mod forged;
mod large_frames;
mod newer_format;
mod search;
mod torn_or_damaged;
