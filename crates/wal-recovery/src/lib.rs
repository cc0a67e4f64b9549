#![doc = include_str!("../README.md")]
//!
//! # Map
//! | to | use |
//! | --- | --- |
//! | recover a log, so that it can be opened | [`Recovery`] with a [`Mode`] |
//! | end it at a record or at a time | [`Recovery::until`] with [`Until`] |
//! | verify it, changing nothing | [`inspect`], [`Inspect`] |
//! | read it without opening it, also beside its writer | [`View`] with [`Records`] |
//! | apply its records to something | [`View::replay`], or [`View::visit`] if none is kept |
//! | copy it beside its writer | [`Backup`] with [`BackupReport`] |
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
//! | `segment/` | one segment: its header, its frames, how it ends, what is readable behind damage |
//! | `scan/` | the whole log: which segments belong to it, and what is wrong with them |
//! | `repair/` | the only code that writes to a log |
//! | `view/` | reading without opening |
//! | `backup/` | a copy of a log, in another place, to which it writes |
//! | `recovery`, `inspect` | the ways in |
//! | `mode`, `report` | what the caller may choose, and is told |
//! | `watch` | progress and limits of whatever reads for long |
//! | `memory` | how much memory may be used, and how that is shared out |
//!
//! `repair` and `view` stand on `scan`, that on `segment`; `backup` stands on all of them. No import leads back up.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backup;
mod inspect;
mod memory;
mod mode;
mod recovery;
mod repair;
mod report;
mod scan;
mod segment;
mod view;
mod watch;

pub use backup::{Backup, BackupReport};
pub use inspect::{Inspect, inspect};
pub use mode::{Mode, Until, Verify};
pub use recovery::Recovery;
pub use report::{
    Cut, Damage, DamageKind, Finding, FindingKind, Hole, Report, SegmentReport, SegmentState,
    Verdict,
};
pub use view::View;
pub use view::records::Records;
pub use view::replay::{Applied, ReplayReport};
pub use watch::Progress;
