//! Holds durability claims against crashes: those of the strategies in `wal-sync`, and those of your own.
//!
//! A strategy says how much of what it has acknowledged may be lost when the process dies, and when the power
//! fails. This crate runs workloads with it on a model disk, crashes them at every change of the disk,
//! recovers each image that a crash may leave, with the real code, and checks what comes back. It says
//! whether the claim was kept, and whether it is *tight*: whether some crash took as much as is claimed.
//!
//! ```
//! use wal_core::{Claim, Decision, Loss, SyncStrategy, SyncWhen, TailView};
//! use wal_faults::{Faults, StorageUnderTest, Verdict};
//!
//! /// At most so many records are at risk.
//! struct AtMost(u64);
//!
//! impl SyncStrategy for AtMost {
//!     fn name(&self) -> String {
//!         format!("at-most({})", self.0)
//!     }
//!     fn claim(&self) -> Claim {
//!         Claim::written(Loss::UNBOUNDED.records(self.0))
//!     }
//!     fn decide(&self, tail: &TailView) -> Decision {
//!         match tail.records > self.0 {
//!             true => Decision::durable(SyncWhen::Now),
//!             false => Decision::written(SyncWhen::OnRequest),
//!         }
//!     }
//! }
//!
//! let storage = StorageUnderTest::named("file").expect("it is shipped");
//! let report = Faults::new().strategy("mine", AtMost(8)).storage(storage).states(500).run()?;
//!
//! let mine = report.strategy("mine").expect("it was explored");
//! assert!(mine.verdict().is_tight(), "{report}");
//! assert_eq!(mine.power_loss().records, 8);
//! # let dir = tempfile::tempdir()?;
//! report.html(dir.path().join("faults.html"))?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A strategy that is wrong is [`Verdict::Broken`], with the steps that lead there and one line of text that
//! shows the same crash again: [`Faults::replay`].
//!
//! In a test, [`strategy_conformance!`](wal_testkit::strategy_conformance) is shorter: one named test for each
//! sentence of the contract. This crate is for what it does not give: several strategies beside each other,
//! [storages of your own](StorageUnderTest::new), long runs on [all processors](Faults::threads) for a
//! [given time](Faults::budget), and a page to show.
//!
//! The program `cargo xtask faults` of this workspace is the same with options. Without the feature `cli`, which
//! it needs, the library has fewer dependencies: a project of your own names it with
//! `default-features = false`, as `examples/downstream` does.
//!
//! | file | idea |
//! | --- | --- |
//! | `faults` | [`Faults`]: what to explore, and for how long |
//! | `subjects` | which strategies are explored on which storages |
//! | `explore` | mutants and subjects, spread over threads and over the time there is |
//! | `owners` | [`Owners`]: several owners of one log, in every order of their calls |
//! | `progress` | [`Progress`]: what a run tells while it goes on |
//! | `report` | [`Report`]: what was found, made of `risk` ([`Risk`], [`Verdict`]) and `trial` ([`Trial`]) |
//! | `output`, over `table`, `html`, `kinds` | the report as text, as a page, as JSON |
//! | `replay` | [`Replay`]: one case again |

mod explore;
mod faults;
mod html;
mod kinds;
mod output;
mod owners;
mod progress;
mod replay;
mod report;
mod risk;
mod subjects;
mod table;
mod trial;

pub use faults::Faults;
pub use owners::{Owned, Owners};
pub use progress::{Length, Progress};
pub use replay::Replay;
pub use report::Report;
pub use risk::{Risk, Verdict};
pub use trial::Trial;
#[doc(no_inline)]
pub use wal_testkit::{
    Case, Failure, FaultKind, Outcome, StorageUnderTest, Subject, Tested, Violation, Worst,
};
