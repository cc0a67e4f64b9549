//! One segment is read here, and never written.
//!
//! | file | idea |
//! | --- | --- |
//! | `header` | the header, held against what follows it |
//! | `walk`, `outcome` | the segment frame by frame, and how it ends |
//! | `search` | frames behind a bad place, and what they prove |
//! | `footer` | the footer at the end of a sealed segment |
//! | `runs` | what is readable of a damaged segment |

pub(crate) mod footer;
pub(crate) mod header;
pub(crate) mod outcome;
pub(crate) mod runs;
pub(crate) mod search;
pub(crate) mod walk;
