//! Reading: frames of one segment, and records of a whole open log.

mod cursor;
mod frames;

pub(crate) use cursor::Cursor;
pub use frames::{Frame, FrameReader, FrameRef, FrameStep, FramesAhead};
