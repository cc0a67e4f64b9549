// Its examples need the feature `codec` when they run as tests.
#![cfg_attr(any(feature = "codec", not(doctest)), doc = include_str!("../README.md"))]
//!
//! # Where what lives
//! | here | from |
//! | --- | --- |
//! | [`Wal`], [`AsyncWal`], [`Durability`], [`Lsn`], [`Error`] and everything else at the root | `wal-core` |
//! | [`fs`](mod@fs): files, direct I/O, mapped memory, io_uring | `wal-fs` |
//! | [`recovery`]: recovery modes, read-only views, verification | `wal-recovery` |
//! | [`sync`]: strategies and their claims | `wal-sync` |
//! | `codec`: JSON, postcard, key-value records (feature `codec`) | `wal-codec` |
//! | `streams`: many logs in one (feature `streams`) | `wal-streams` |
//!
//! This crate adds [`open`], [`open_async`] and [`Options`], the usual composition, and [`backup`] with [`WalBackup`],
//! which copies a log into a new directory. Nothing in it is needed: the parts can be put together by hand, with [`Wal::builder`].
#![cfg_attr(docsrs, feature(doc_cfg))]

#[doc(inline)]
pub use wal_core::*;

#[cfg(feature = "codec")]
#[doc(inline)]
pub use wal_codec as codec;
#[cfg(feature = "fs")]
#[doc(inline)]
pub use wal_fs as fs;
#[cfg(feature = "recovery")]
#[doc(inline)]
pub use wal_recovery as recovery;
#[cfg(feature = "streams")]
#[doc(inline)]
pub use wal_streams as streams;
#[cfg(feature = "sync")]
#[doc(inline)]
pub use wal_sync as sync;

#[cfg(all(feature = "fs", feature = "recovery"))]
mod backup;
#[cfg(all(feature = "fs", feature = "recovery", feature = "sync"))]
mod open;

#[cfg(all(feature = "fs", feature = "recovery"))]
pub use backup::{WalBackup, backup};
#[cfg(all(feature = "fs", feature = "recovery", feature = "sync"))]
pub use open::{Options, open, open_async};

/// The examples in the workspace's own README run as tests of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
