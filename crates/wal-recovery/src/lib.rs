//! Recovery, verification and repair of a write-ahead log.
//!
//! # Map
//! | to | use |
//! | --- | --- |
//! | recover a log, so that it can be opened | [`Recovery`] with a [`Mode`] |
//! | end it at a record or at a time | [`Recovery::until`] with [`Until`] |
//! | verify it, changing nothing | [`inspect`], [`Inspect`] |
//! | read it without opening it, also beside its writer | [`View`] with [`Records`] |
//! | apply its records to something | [`View::replay`], or [`View::visit`] if none is kept |
//! | know what was found and done | [`Report`], [`ReplayReport`], [`Progress`] |
//!
//! # Torn tail or damage
//! A crash may leave any mixture of what was written and not yet synced: that is a *torn tail*, and
//! cutting it loses nothing that was ever promised. Everything else that does not check is *damage*.
//! The two are told apart by the bytes: each frame says how far the log was durable when it was
//! written, so a valid frame behind a bad place can prove that the place had been durable. A segment
//! that is not the last one was durable as a whole, and so was one with a footer.
//!
//! What no later frame proves cannot be told: rot in the very last write of a log that was not closed
//! looks like a torn tail. It is cut, and reported.
//!
//! # Inside
//! | file | idea |
//! | --- | --- |
//! | `chain` | which segments are the log, told from their headers |
//! | `walk`, `search`, `footer` | one segment: its frames, how it ends, and what that means |
//! | `scan`, `parallel`, `watch` | the whole log, by several threads, with progress and a time limit |
//! | `tail` | the end that nothing proves durable, moved to where it is |
//! | `settle`, `seal` | what every recovery ends with: sealed, without leftovers |
//! | `cut` | ending a log earlier: before its damage, or where the caller wants |
//! | `salvage`, `runs`, `image` | keeping what is readable |
//! | `padding`, `mend` | a header compared with what follows it; one wrong bit corrected |
//! | `repair`, `describe`, `report` | copies of what is taken out, and the account of it all |
//! | `recovery`, `inspect` | the ways in |
//! | `view`, `survey`, `records`, `position`, `replay` | reading without opening |
//! | `lend`, `ahead` | the same, quickly: records that are lent, windows that are read ahead |

mod ahead;
mod chain;
mod cut;
mod describe;
mod footer;
mod image;
mod inspect;
mod lend;
mod mend;
mod mode;
mod padding;
mod parallel;
mod position;
mod records;
mod recovery;
mod repair;
mod replay;
mod report;
mod runs;
mod salvage;
mod scan;
mod seal;
mod search;
mod settle;
mod survey;
mod tail;
mod view;
mod walk;
mod walked;
mod watch;

pub use inspect::{Inspect, inspect};
pub use mode::{Mode, Until, Verify};
pub use records::Records;
pub use recovery::Recovery;
pub use replay::{Applied, ReplayReport};
pub use report::{Cut, Damage, DamageKind, Hole, Report, SegmentReport, SegmentState, Verdict};
pub use view::View;
pub use watch::Progress;
