//! One segment is read here, and never written.
//!
//! | file | idea |
//! | --- | --- |
//! | `header` | the header, held against what follows it |
//! | `frames` | the frames in order, each in its place |
//! | `walk`, `outcome` | the segment from frame to frame, and how it ends |
//! | `search` | frames behind a bad place, and what they prove |
//! | `footer` | what a footer may be, and how it differs from what was found |
//! | `runs` | what is readable of a damaged segment |

pub(crate) mod footer;
pub(crate) mod frames;
pub(crate) mod header;
pub(crate) mod outcome;
pub(crate) mod runs;
pub(crate) mod search;
pub(crate) mod walk;
