//! The work of a log, as methods of [`Engine`](super::Engine): each file is one thing that a caller or the driver does.
//!
//! | file | idea |
//! | --- | --- |
//! | `append` | the way of one append on a thread: frame it, decide, then return, wait or lead |
//! | `task` | the way of one append from a task, and what tasks wait for |
//! | `submit` | appending now, waiting later |
//! | `commit` | leading a commit: write, sync, publish, wake, hand over; waiting for one |
//! | `sleep` | sleeping in a queue, on a thread |
//! | `write` | the role of the writer, and waiting for a write |
//! | `flush` | taking the buffer, writing it, publishing how far that reached |
//! | `segment_writer` | the segment that is written: handing over bytes, rotation, sealing |
//! | `truncate` | front and back; removing segments beside appends |
//! | `close` | the clean end |
//! | `reserve` | space for truncating and closing on a full disk |
//! | `driver` | deadlines, and work for callers that cannot block |

mod append;
mod close;
mod commit;
mod driver;
mod flush;
mod reserve;
mod segment_writer;
mod sleep;
mod submit;
mod task;
mod truncate;
mod write;

pub use driver::Drive;
pub(crate) use driver::Driver;
pub(super) use driver::DriverLine;
pub(super) use segment_writer::SegmentWriter;
pub use submit::{Acknowledged, Submitted};
pub(crate) use task::{AppendFuture, Waiting};
