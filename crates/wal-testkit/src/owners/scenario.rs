//! Owners of one log, what each does, and what must be true in the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wal_core::format::LogId;
use wal_core::{Always, Error, ErrorKind, Lsn, Result, Settings, Wal};
use wal_fs::{FileSettings, FileStorage, FileSystem};
use wal_recovery::Recovery;

use super::file_system::Scheduled;
use super::observed::Observed;
use super::search::{Ended, Search};
use super::turns::Turns;
use crate::{CrashPolicy, FaultStorage, ModelFs, SimulatedClock};

const LOG_ID: LogId = LogId(*b"log of many ones");
const DIR: &str = "/log";
const SEGMENT: u64 = 4096;

/// What an owner does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an owner can do no more")]
pub enum Act {
    /// Recovers the log and opens it. Before the others begin if it is the first thing that the first owner does.
    Open,
    /// Appends a record, durable.
    Append,
    /// Appends a record that fills a segment, so that the next one begins another.
    Fill,
    /// Truncates everything in front of the last record.
    Truncate,
    /// Closes the log.
    Close,
}

/// How often an owner lets others come in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a storage is above files, and there is nothing else")]
pub enum Grain {
    /// Before each call of the file system.
    Files,
    /// Before each call of the storage that changes something, and before each look of its fence at a name. To take the
    /// lock is one call.
    Storage,
}

/// Owners of one log under a lock that is always granted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Scenario {
    /// Its name, for reports.
    pub name: &'static str,
    /// What each owner does.
    pub owners: Vec<Vec<Act>>,
    /// How many records the log holds before.
    pub records: u64,
    /// Whether all orders can be run in minutes.
    pub countable: bool,
    /// Where an owner stops, and another one may go on.
    pub grain: Grain,
    /// Whether the file system tells its files apart. If not, no owner notices that it has lost the log.
    pub tells_files_apart: bool,
}

impl Scenario {
    /// A scenario with a name.
    #[must_use]
    pub fn new(name: &'static str, records: u64, owners: Vec<Vec<Act>>) -> Self {
        Scenario {
            name,
            owners,
            records,
            countable: true,
            grain: Grain::Files,
            tells_files_apart: true,
        }
    }

    /// The same, of which all orders are too many to be run.
    #[must_use]
    pub fn uncountable(mut self) -> Self {
        self.countable = false;
        self
    }

    /// The same with fewer places at which others come in between, and so with fewer orders.
    #[must_use]
    pub fn by_calls_of_the_storage(mut self) -> Self {
        self.grain = Grain::Storage;
        self
    }

    /// The same on a file system that does not tell its files apart: to see that the search finds what is lost then.
    #[must_use]
    pub fn without_a_fence(mut self) -> Self {
        self.tells_files_apart = false;
        self
    }

    /// Runs it once, in the order that the search wants. What was wrong, if anything was.
    pub(super) fn run(&self, search: &mut Search) -> (Ended, Option<String>) {
        let observed = Arc::new(Observed::new(self.owners.len()));
        let world = World::new();
        let (disk, seen) = (world.disk.clone(), observed.clone());
        let turns = Arc::new(Turns::new(self.owners.len(), move || seen.fingerprint(&disk)));
        let view = |owner| Scheduled {
            disk: world.disk.clone(),
            owner,
            turns: turns.clone(),
            observed: observed.clone(),
            tells_files_apart: self.tells_files_apart,
            grain: self.grain,
        };
        let first = match self.prepare(&world, &view(0)) {
            Ok(first) => first,
            Err(error) => return (Ended::Whole, Some(format!("the beginning: {}", error.chain()))),
        };
        turns.begin(std::mem::take(search));
        std::thread::scope(|scope| {
            let mut first = first;
            for (owner, acts) in self.owners.iter().enumerate() {
                let (view, world, turns, log) = (view(owner), &world, &turns, first.take());
                scope.spawn(move || {
                    let acts = if log.is_some() { &acts[1..] } else { &acts[..] };
                    let ran = catch_unwind(AssertUnwindSafe(|| world.act(&view, log, acts)));
                    if ran.is_err() {
                        world.complain(format!("owner {owner} panicked"));
                    }
                    turns.done(owner);
                });
            }
        });
        *search = turns.end();
        let ended = search.ended();
        let complaint = match ended {
            Ended::Whole => world.judge(&view(0)),
            Ended::Known => None,
        };
        (ended, complaint)
    }

    /// Fills the disk. The log of the first owner, if it is open before the others begin.
    fn prepare(&self, world: &World, view: &Scheduled) -> Result<Option<Wal>> {
        if self.records > 0 {
            let log = open(view)?;
            for n in 0..self.records {
                world.append(&log, "before", n as usize)?;
            }
            log.close()?;
        }
        let is_open = self.owners.first().is_some_and(|acts| acts.first() == Some(&Act::Open));
        if is_open { open(view).map(Some) } else { Ok(None) }
    }
}

/// What the owners share, and what their callers were told.
struct World {
    disk: ModelFs,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// Records that were acknowledged as durable.
    records: Vec<(Lsn, Vec<u8>)>,
    /// Records before this one may be gone.
    start: Lsn,
    complaint: Option<String>,
}

impl World {
    fn new() -> Self {
        let disk = ModelFs::new();
        let (dir, root) = (Path::new(DIR), Path::new("/"));
        disk.create_dir(dir).and_then(|()| disk.sync_dir(root)).expect("the disk is empty");
        World { disk, told: Mutex::default() }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn complain(&self, what: String) {
        self.told().complaint.get_or_insert(what);
    }

    fn append(&self, log: &Wal, who: &str, n: usize) -> Result<()> {
        let record = format!("{who}-{n}").into_bytes();
        let lsn = log.append(&record)?;
        self.told().records.push((lsn, record));
        Ok(())
    }

    /// Does what an owner does, until something fails.
    fn act(&self, view: &Scheduled, mut log: Option<Wal>, acts: &[Act]) {
        for (n, act) in acts.iter().enumerate() {
            if let Err(error) = self.act_once(view, &mut log, n, *act) {
                if !is_fair(&error) {
                    self.complain(format!("owner {}, {act:?}: {}", view.owner, error.chain()));
                }
                break;
            }
        }
    }

    fn act_once(&self, view: &Scheduled, log: &mut Option<Wal>, n: usize, act: Act) -> Result<()> {
        if act == Act::Open {
            *log = Some(open(view)?);
            return Ok(());
        }
        let log = log.as_ref().expect("it is opened first");
        match act {
            Act::Open => {}
            Act::Append => self.append(log, &format!("owner-{}", view.owner), n)?,
            Act::Fill => {
                let large = format!("owner-{}{}", view.owner, " ".repeat(SEGMENT as usize / 2));
                self.append(log, &large, n)?;
            }
            Act::Truncate => {
                let start = log.last_lsn();
                {
                    // It may happen although it is refused in the end.
                    let mut told = self.told();
                    told.start = told.start.max(start);
                }
                log.truncate_before(start)?;
            }
            Act::Close => log.close()?,
        }
        Ok(())
    }

    /// What must be true in the end, as the disk is and after a power loss.
    fn judge(&self, view: &Scheduled) -> Option<String> {
        if let Some(complaint) = &self.told().complaint {
            return Some(complaint.clone());
        }
        let lost = self.disk.crash(CrashPolicy::DropUnsynced);
        [("without a crash", self.disk.clone()), ("after a power loss", lost)].into_iter().find_map(
            |(when, disk)| {
                let view = Scheduled { disk, ..view.clone() };
                let told = self.told();
                let records = match read(&view) {
                    Ok(records) => records,
                    Err(error) => return Some(format!("{when} the log cannot be read: {}", error.chain())),
                };
                told.records.iter().filter(|(lsn, _)| *lsn >= told.start).find_map(|(lsn, record)| {
                    let found = records.iter().find(|(found, _)| found == lsn);
                    (found.is_none_or(|(_, found)| found != record)).then(|| {
                        format!(
                            "{when}: record {lsn} was acknowledged as durable with {:?}, and is {:?}",
                            String::from_utf8_lossy(record),
                            found.map(|(_, found)| String::from_utf8_lossy(found))
                        )
                    })
                })
            },
        )
    }
}

/// Whether an owner may meet this although nothing is wrong with the log: another owner took it over, or came in
/// between.
fn is_fair(error: &Error) -> bool {
    use ErrorKind::{Exists, Io, LostOwnership, NotFound, NotRecovered, Poisoned};
    matches!(error.kind(), LostOwnership | Poisoned | Exists | NotFound | NotRecovered | Io)
}

fn storage(view: &Scheduled) -> Result<FaultStorage<FileStorage<Scheduled>>> {
    let settings =
        FileSettings::default().preallocate_bytes(0).max_spares(2).reserve_bytes(Some(0));
    let storage = FaultStorage::new(FileStorage::with_file_system(view.clone(), DIR, settings)?);
    if view.grain == Grain::Storage {
        let view = view.clone();
        storage.control().on_call(move |call| view.step_above(call));
    }
    Ok(storage)
}

fn open(view: &Scheduled) -> Result<Wal> {
    let clock = SimulatedClock::new();
    let recovery = Recovery::new(storage(view)?).threads(1).clock(clock.clone()).log_id(LOG_ID);
    let (recovered, _) = recovery.run()?;
    Wal::builder(Always)
        .settings(Settings::default().segment_size(SEGMENT))
        .clock(clock)
        .manual_driver()
        .open(recovered)
}

/// The records of the log, as the next opener gets them.
fn read(view: &Scheduled) -> Result<Vec<(Lsn, Vec<u8>)>> {
    let log = open(view)?;
    let entries = log.iter(Lsn::ZERO)?;
    entries.map(|entry| entry.map(|entry| (entry.lsn, entry.record.to_vec()))).collect()
}
