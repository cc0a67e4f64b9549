//! What the tools of this workspace share.
//!
//! | file | idea |
//! | --- | --- |
//! | `html` | pages that need nothing else: no script, no font, no other file |
//! | `number` | numbers for people |
//! | `memory` | how much memory this process has |
//! | `progress` | how far a run is: a bar on a terminal, else a line now and then; feature `progress` |

pub mod html;
pub mod memory;
pub mod number;
#[cfg(feature = "progress")]
pub mod progress;
