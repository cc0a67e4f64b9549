//! The directory: a log that was written, and what was done to it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use wal_core::{LogStorage, Wal};
use wal_fs::FileStorage;
use wal_recovery::Recovery;
use wal_sync::Policy;
use wal_testkit::{CrashPolicy, ModelFs};

use super::STRANGE_NAMES;
use crate::edit::{self, What};
use crate::plan::{Edit, Plan, Step};
use crate::world::{self, Files, Ticks};

/// LSN and bytes of each record.
pub(super) type Records = Vec<(u64, Vec<u8>)>;

/// A directory to recover, and what was ever appended to the log in it.
pub(super) struct Place {
    /// Durable as it is.
    disk: ModelFs,
    setup: u8,
    appended: BTreeMap<u64, Vec<u8>>,
    forged: bool,
    /// Whether a file got another name, and bytes were changed as well.
    pub(super) renamed: bool,
}

impl Place {
    pub(super) fn build(plan: &Plan) -> Place {
        let mut author = Author::new(plan.setup);
        plan.steps.iter().for_each(|step| author.step(*step));
        author.log = None;
        let Author { disk, appended, .. } = author;
        let mut files = world::files_of(&Self::power(disk, plan));
        let mut directories = Vec::new();
        let mut forged = false;
        for &edit in &plan.edits {
            forged |= inflict(&mut files, &mut directories, edit, &plan.raw);
        }
        let is_renamed = |edit: &Edit| edit.what >= 128 && matches!(edit.what % 6, 0 | 2 | 3);
        let is_changed = |edit: &Edit| edit.what < 128;
        let renamed = plan.edits.iter().any(is_renamed) && plan.edits.iter().any(is_changed);
        directories.sort();
        directories.dedup();
        directories.retain(|name| !files.contains_key(name) && !is_own(name));
        let disk = world::disk_of(&files, &directories);
        Place { disk, setup: plan.setup, appended, forged, renamed }
    }

    /// In three of four setups the power fails before anything else happens.
    fn power(disk: ModelFs, plan: &Plan) -> ModelFs {
        if plan.setup < 64 {
            return disk;
        }
        let seed =
            plan.raw.iter().fold(0, |seed: u64, &byte| seed << 8 ^ seed >> 56 ^ u64::from(byte));
        disk.crash(CrashPolicy::Seeded(seed))
    }

    /// A copy that can be changed.
    pub(super) fn copy(&self) -> ModelFs {
        self.disk.crash(CrashPolicy::DropUnsynced)
    }

    /// A storage on a copy.
    pub(super) fn storage(&self) -> FileStorage<ModelFs> {
        self.on(&self.copy())
    }

    pub(super) fn on(&self, disk: &ModelFs) -> FileStorage<ModelFs> {
        world::storage(disk, self.setup).expect("the model has a directory there")
    }

    /// Every record is one that was appended under its number, in order, unless checksums were forged.
    pub(super) fn genuine(&self, records: &Records) {
        assert!(records.is_sorted_by(|a, b| a.0 < b.0), "LSNs do not ascend");
        for (lsn, bytes) in records.iter().filter(|_| !self.forged) {
            assert_eq!(self.appended.get(lsn), Some(bytes), "LSN {lsn} was not appended so");
        }
    }
}

/// Writes the log.
struct Author {
    disk: ModelFs,
    setup: u8,
    log: Option<Wal>,
    appended: BTreeMap<u64, Vec<u8>>,
    records: u64,
}

impl Author {
    fn new(setup: u8) -> Author {
        let disk = ModelFs::new();
        let mut author = Author { disk, setup, log: None, appended: BTreeMap::new(), records: 0 };
        author.open();
        author
    }

    fn open(&mut self) {
        self.log = None;
        let storage = world::storage(&self.disk, self.setup).expect("the model has room");
        assert!(storage.list().wait().is_ok());
        let recovery = Recovery::new(storage).threads(1).clock(Ticks::default());
        let (recovered, _) =
            recovery.log_id(wal_core::format::LogId([7; 16])).run().expect("whole");
        let builder = Wal::builder("os".parse::<Policy>().expect("a policy"));
        let builder = builder.settings(world::settings()).clock(Ticks::default()).manual_driver();
        self.log = Some(builder.open(recovered).expect("recovered"));
    }

    fn record(&mut self, len: usize) -> Vec<u8> {
        self.records += 1;
        let mut bytes = self.records.to_le_bytes().to_vec();
        bytes.resize(len.max(bytes.len()), self.records as u8);
        bytes
    }

    fn step(&mut self, Step { what, size }: Step) {
        let size = usize::from(size);
        let log = self.log.take().expect("open");
        let held = log.next_lsn().since(log.first_lsn());
        let somewhere = log.first_lsn().advance((size as u64).checked_rem(held + 1).unwrap_or(0));
        let whole = "nothing is wrong while the log is written";
        match what % 8 {
            0..=2 => {
                let bytes = self.record(size % [40, 300, 1500][usize::from(what % 8)]);
                self.appended.insert(log.append(&bytes).expect(whole).get(), bytes);
            }
            3 => {
                let batch: Vec<Vec<u8>> = (0..=size % 5).map(|at| self.record(at * 9)).collect();
                let range = log.append_batch(&batch).expect(whole);
                self.appended.extend((range.first.get()..).zip(batch));
            }
            4 => drop(log.sync().expect(whole)),
            5 => drop(log.truncate_before(somewhere).expect(whole)),
            6 => drop(log.truncate_after(somewhere.prev()).expect(whole)),
            _ => {
                if size % 2 == 0 {
                    log.close().expect(whole);
                }
                drop(log);
                return self.open();
            }
        }
        self.log = Some(log);
    }
}

/// Does an edit to the directory; whether it may have made records that nobody appended.
fn inflict(files: &mut Files, directories: &mut Vec<OsString>, edit: Edit, raw: &[u8]) -> bool {
    let names: Vec<OsString> = files.keys().cloned().collect();
    let pick = |n: u16| names.get(usize::from(n).checked_rem(names.len())?).cloned();
    let chosen = pick(u16::from(edit.file));
    // The upper half of the numbers concerns the directory, the lower half one file.
    if edit.what < 128 {
        if let Some(name) = chosen {
            edit::apply(files.get_mut(&name).expect("picked"), edit, raw);
        }
        return What::of(edit.what).is_forgery();
    }
    let name = named(edit.arg);
    match (edit.what % 6, chosen, pick(edit.at)) {
        (0, Some(one), Some(other)) if one != other => {
            let (a, b) = (files[&one].clone(), files[&other].clone());
            files.insert(one, b);
            files.insert(other, a);
        }
        (1, Some(one), _) => drop(files.remove(&one)),
        (2, Some(one), _) => {
            let bytes = files.remove(&one).expect("picked");
            files.insert(name, bytes);
        }
        (3, Some(one), _) => {
            let bytes = files[&one].clone();
            files.insert(name, bytes);
        }
        (4, ..) => drop(files.insert(name, raw.to_vec())),
        (5, ..) => directories.push(directory(edit.arg)),
        _ => {}
    }
    // The input's rest may hold anything.
    edit.what % 6 == 4
}

/// The name of a segment, or a strange one.
fn named(number: u16) -> OsString {
    match usize::from(number) {
        n if n < 256 => format!("{n:020}.wal").into(),
        n => OsStr::from_bytes(STRANGE_NAMES[n % STRANGE_NAMES.len()]).into(),
    }
}

/// The name of a directory: not one that recovery needs, as that is an error of the file system.
fn directory(number: u16) -> OsString {
    match number {
        n if n < 256 => format!("{:020}.wal", (1_u64 << 40) + u64::from(n)).into(),
        n => named(n),
    }
}

/// The lock, the name of the owner and the spare space, which every writer touches.
pub(super) fn is_own(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name == "LOCK" || ["spare-", "OWNER-", "RESERVE-"].iter().any(|own| name.starts_with(own))
}
