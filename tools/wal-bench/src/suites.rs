//! What is measured: one suite for each thing that the log has to reach, and a wide matrix.

use wal_core::Durability;
use wal_load::{Workload, Writers};

use super::bars::{Bar, Figure, Pick};
use super::cell::Cell;
use super::choice::Choice;
use super::many::Many;
use super::measure::Kind;
use super::open::Open;
use super::ours::{IN_PLACE, Ours};
use super::pace::pace;
use super::raw::Raw;
use super::recovery::Recover;
use super::report::Bound::{AtLeast, AtMost};

/// Cells that are measured in turns, and the bars that they are held against.
#[derive(Clone, Debug)]
pub(super) struct Suite {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) cells: Vec<Cell>,
    pub(super) bars: Vec<Bar>,
}

impl Suite {
    /// Only cells that have each of these in their name or load, if there are any.
    pub(super) fn only(mut self, texts: &[String]) -> Self {
        let has = |cell: &Cell, text: &String| cell.who.contains(text) || cell.load.contains(text);
        self.cells.retain(|cell| texts.iter().all(|text| has(cell, text)));
        self
    }

    pub(super) fn ratios(&self) -> usize {
        self.bars.iter().filter(|bar| bar.is_ratio()).count()
    }

    /// How often something is measured, if no two bars are about the same pair.
    pub(super) fn measurements(&self, rounds: usize, duels: usize) -> usize {
        self.cells.len() * rounds + self.ratios() * duels * 2
    }
}

/// Makes a suite of what was chosen.
type Make = fn(&Choice) -> Suite;

/// By name; the last two only if they are asked for.
pub(super) const SUITES: &[(&str, Make)] = &[
    ("one-writer", one_writer),
    ("threads", threads),
    ("tasks", tasks),
    ("batches", batches),
    ("unsynced", unsynced),
    ("strategies", strategies),
    ("recovery", recovery),
    ("open", open),
    ("many-logs", many_logs),
    ("pace", pace),
    ("matrix", matrix),
];

/// Measured unless somebody names suites: what the log has to reach.
pub(super) fn usual() -> impl Iterator<Item = &'static str> {
    SUITES.iter().map(|(name, _)| *name).filter(|name| !matches!(*name, "matrix" | "pace"))
}

const DISKS: [Raw; 4] = [Raw::Growing, Raw::Written, Raw::Direct(4096), Raw::Direct(512)];

/// Every durable storage with each of these strategies.
fn durable(choice: &Choice, strategies: &[&str], load: Workload) -> Vec<Cell> {
    let cell = |storage, strategy: &&str| Cell::ours(Ours::new(storage, strategy), load);
    let on = |storage| strategies.iter().map(move |strategy| cell(storage, strategy));
    choice.durable_storages().flat_map(on).collect()
}

fn peers(choice: &Choice, load: Workload) -> impl Iterator<Item = Cell> {
    choice.peers.names().iter().map(move |name| Cell::peer(name, load))
}

fn one_writer(choice: &Choice) -> Suite {
    let (mut cells, mut bars) = (Vec::new(), Vec::new());
    for record in [100, 1024, 16 << 10] {
        let load = Workload::threads(1, record);
        cells.extend(DISKS.map(|disk| Cell::raw(disk, load)));
        cells.extend(durable(choice, &["always"], load));
        cells.extend(peers(choice, load));
        if record > 1024 {
            continue;
        }
        let [ours, raw] = [Kind::Ours, Kind::Raw].map(|kind| Pick::new(kind, load));
        let text = format!("one writer, {record} B, rate: ours / best raw loop");
        bars.push(Bar::ratio(text, Figure::Rate, AtLeast(0.95), ours.clone(), raw.clone()));
        let text = format!("one writer, {record} B, p99: ours / best raw loop");
        bars.push(Bar::ratio(text, Figure::P99, AtMost(1.25), ours, raw));
    }
    Suite { name: "one-writer", title: "One writer, durable", cells, bars }
}

fn threads(choice: &Choice) -> Suite {
    let (mut cells, mut bars) = (Vec::new(), Vec::new());
    for (count, over_peers) in [(4, None), (16, Some(1.25)), (64, Some(1.5))] {
        let load = Workload::threads(count, 100);
        cells.extend([Raw::CommitGroups, Raw::DirectCommitGroups].map(|raw| Cell::raw(raw, load)));
        cells.extend(durable(choice, &["always", "group"], load));
        cells.extend(peers(choice, load));
        let Some(over_peers) = over_peers else { continue };
        let pick = |kind| Pick::new(kind, load);
        let text = format!("{count} threads, 100 B: ours / best durable peer");
        let (ours, peer) = (pick(Kind::Ours), pick(Kind::Peer));
        bars.push(Bar::ratio(text, Figure::Rate, AtLeast(over_peers), ours, peer));
        let text = format!("{count} threads, 100 B: ours / futex commit groups");
        let (ours, raw) = (pick(Kind::Ours), pick(Kind::Raw));
        bars.push(Bar::ratio(text, Figure::Rate, AtLeast(0.9), ours, raw));
    }
    Suite { name: "threads", title: "Threads that share syncs, durable", cells, bars }
}

fn tasks(choice: &Choice) -> Suite {
    let one = Workload::threads(1, 100);
    let mut cells: Vec<_> = DISKS[1..].iter().map(|&disk| Cell::raw(disk, one)).collect();
    let threads = Workload::threads(64, 100);
    cells.extend(peers(choice, threads));
    let load = |count| Workload::tasks(count, 100);
    for count in [1, 64, 1024, 10_000] {
        cells.push(Cell::raw(Raw::Sketch, load(count)));
        cells.extend(durable(choice, &["always", "group"], load(count)));
        if count <= 64 {
            let cell = |storage| Cell::ours(Ours::in_place(storage, "always"), load(count));
            cells.extend(choice.durable_storages().map(cell));
        }
    }
    let ours = |count| Pick::new(Kind::Ours, load(count)).does_not_end(IN_PLACE);
    let in_place = Pick::new(Kind::Ours, load(1)).ends(IN_PLACE);
    let raw = || Pick::new(Kind::Raw, one);
    let peer = || Pick::new(Kind::Peer, threads);
    let ratio = |text, bound, ours, baseline| Bar::ratio(text, Figure::Rate, bound, ours, baseline);
    let bars = vec![
        ratio("1 task: ours / best raw loop", AtLeast(0.8), ours(1), raw()),
        ratio("1 task that commits in place: ours / best raw loop", AtLeast(0.8), in_place, raw()),
        ratio("64 tasks: ours / best durable peer, 64 threads", AtLeast(2.0), ours(64), peer()),
        ratio(
            "1,024 tasks: ours / best durable peer, 64 threads",
            AtLeast(10.0),
            ours(1024),
            peer(),
        ),
        ratio("10,000 tasks / 1,024 tasks", AtLeast(0.75), ours(10_000), ours(1024)),
    ];
    Suite { name: "tasks", title: "Asynchronous tasks that share syncs, durable", cells, bars }
}

fn batches(choice: &Choice) -> Suite {
    let (mut cells, mut bars) = (Vec::new(), Vec::new());
    for (records, bound) in [(100, 0.95), (1000, 0.9)] {
        let load = Workload::threads(1, 100).batch(records);
        cells.extend(DISKS.map(|disk| Cell::raw(disk, load)));
        cells.extend(durable(choice, &["always"], load));
        cells.extend(peers(choice, load));
        let [ours, raw] = [Kind::Ours, Kind::Raw].map(|kind| Pick::new(kind, load));
        let text = format!("batches of {records} x 100 B: ours / best raw loop");
        bars.push(Bar::ratio(text, Figure::Rate, AtLeast(bound), ours, raw));
    }
    Suite { name: "batches", title: "Atomic batches by one writer, durable", cells, bars }
}

/// Reading the clock takes as long as half an append here, so it is read after many.
pub(super) const STRIDE: u32 = 256;

fn unsynced(choice: &Choice) -> Suite {
    let mut cells = Vec::new();
    let load = |count| Workload::threads(count, 100);
    for raw in [Raw::Copy, Raw::Unsynced] {
        cells.push(Cell::raw(raw, load(1)).stride(STRIDE));
    }
    for storage in choice.storages() {
        for count in [1, 2, 4] {
            let ours = Ours::unsynced(storage, Durability::Buffered);
            cells.push(Cell::ours(ours, load(count)).stride(STRIDE));
            // The memory of this process does not survive it, written to or not.
            if storage.durable {
                let ours = Ours::unsynced(storage, Durability::Written);
                cells.push(Cell::ours(ours, load(count)).stride(STRIDE));
            }
        }
    }
    let ours = |count, what| Pick::new(Kind::Ours, load(count)).ends(what);
    let four_to_one = |text, what, storage| {
        let on = |count| ours(count, what).begins(storage);
        Bar::ratio(text, Figure::Rate, AtLeast(1.0), on(4), on(1))
    };
    let bars = vec![
        Bar::absolute(
            "1 thread, acknowledged in memory, records/s",
            Figure::Rate,
            AtLeast(10e6),
            ours(1, "buffered"),
        ),
        Bar::absolute(
            "1 thread, surviving a process crash, records/s",
            Figure::Rate,
            AtLeast(4e6),
            ours(1, "written"),
        ),
        four_to_one(
            "4 threads / 1 thread, from recycled memory",
            "buffered",
            "wal memory-recycled",
        ),
        four_to_one("4 threads / 1 thread, and the disk behind", "buffered", "wal file"),
        four_to_one("4 threads / 1 thread, surviving a process crash", "written", "wal mmap"),
    ];
    Suite { name: "unsynced", title: "Acknowledged before any sync", cells, bars }
}

/// Strategies, from the safest on.
const STRATEGIES: [&str; 9] = [
    "always",
    "group",
    "adaptive",
    "batch:10",
    "batch:100",
    "batch:1000",
    "interval:1ms",
    "interval:10ms",
    "os",
];

fn strategies(choice: &Choice) -> Suite {
    let mut cells = Vec::new();
    for count in [1, 16] {
        let load = Workload::threads(count, 100);
        let cell = |name: &&str| Cell::ours(Ours::new(choice.plain(), name), load);
        cells.extend(STRATEGIES.iter().map(cell));
    }
    Suite {
        name: "strategies",
        title: "What a strategy costs, and what it risks",
        cells,
        bars: Vec::new(),
    }
}

fn recovery(choice: &Choice) -> Suite {
    let bytes = choice.recovery_bytes;
    let (raw, ours) = (Recover::Raw { bytes }, Recover::Visit { bytes, batch: 1 });
    let jobs = [
        raw,
        ours,
        Recover::Visit { bytes, batch: 100 },
        Recover::Replay { bytes, batch: 1 },
        Recover::Replay { bytes, batch: 100 },
        Recover::Verify { bytes, batch: 1 },
        Recover::Verify { bytes, batch: 100 },
    ];
    let visit = || Pick::new(Kind::Ours, ours.load()).begins("wal visit");
    let scan = Pick::new(Kind::Raw, raw.load());
    let text = "every record checked and handed over: ours / raw scan";
    let bars = vec![
        Bar::ratio(text, Figure::Rate, AtLeast(0.7), visit(), scan),
        Bar::absolute(
            "peak memory of it, whole process",
            Figure::PeakMemory,
            AtMost((64_u32 << 20).into()),
            visit(),
        ),
    ];
    let cells = jobs.map(Cell::recover).into();
    Suite { name: "recovery", title: "Reading a log back, page cache warm", cells, bars }
}

fn open(choice: &Choice) -> Suite {
    let segments = choice.open_segments;
    let jobs = [Open::Open { segments }, Open::Scan { segments }];
    let [open, scan] = jobs.map(|job| Pick::new(Kind::Ours, job.load()));
    let (open, scan) = (open.begins("wal open"), scan.begins("wal scan"));
    let text = "time to open a cleanly closed log / to scan it";
    Suite {
        name: "open",
        title: "Opening a cleanly closed log",
        cells: jobs.map(Cell::open).into(),
        bars: vec![Bar::ratio(text, Figure::Seconds, AtMost(0.01), open, scan)],
    }
}

fn many_logs(choice: &Choice) -> Suite {
    let mut cells = Vec::new();
    for storage in choice.durable_storages().filter(|storage| !storage.recycles) {
        let spreads = [Many::one(storage), Many::streams(storage), Many::separate(storage)];
        cells.extend(spreads.map(Cell::many));
    }
    let load = Many::one(choice.plain()).load();
    let logs = |name| Pick::new(Kind::Ours, load).ends(name);
    let text = "4 producers: 32 logs that share one / one log with the same work";
    let (shared, one) = (logs("32 streams"), logs("one log"));
    let bars = vec![Bar::ratio(text, Figure::Rate, AtLeast(0.8), shared, one)];
    Suite { name: "many-logs", title: "Few producers, many logs, durable", cells, bars }
}

/// Each axis around the same middle: 100-byte records, one at a time.
fn matrix(choice: &Choice) -> Suite {
    let names = ["always", "group", "batch:1000", "interval:10ms", "os", "adaptive"];
    let writers = [1, 4, 16, 64].map(Writers::Threads).into_iter();
    let writers = writers.chain([1, 64, 1024, 10_000].map(Writers::Tasks));
    let loads: Vec<_> =
        writers.map(|writers| Workload { writers, batch: None, record: 100 }).collect();
    let one = Workload::threads(1, 100);
    let more = [
        Workload::threads(1, 1024),
        Workload::threads(1, 16 << 10),
        Workload::threads(16, 1024),
        Workload::threads(16, 16 << 10),
        Workload::tasks(1024, 1024),
        Workload::tasks(64, 16 << 10),
        one.batch(100),
        one.batch(1000),
        Workload::threads(4, 100).batch(1000),
        Workload::tasks(64, 100).batch(100),
    ];
    let mut cells = Vec::new();
    for storage in choice.storages() {
        for name in names {
            cells.extend(loads.iter().map(|&load| Cell::ours(Ours::new(storage, name), load)));
        }
        for name in ["group", "os"] {
            cells.extend(more.map(|load| Cell::ours(Ours::new(storage, name), load)));
        }
    }
    cells.extend(DISKS.map(|disk| Cell::raw(disk, one)));
    Suite {
        name: "matrix",
        title: "Storages, strategies, writers, sizes, batches",
        cells,
        bars: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::choice::tests::choice;
    use super::super::peers::Which;
    use super::*;

    #[test]
    fn cells_of_a_suite_have_names_of_their_own() {
        for (name, make) in SUITES {
            let suite = make(&choice(&[], Which::All));
            assert_eq!(suite.name, *name);
            let names: HashSet<_> = suite.cells.iter().map(|c| (&c.who, &c.load)).collect();
            assert_eq!(names.len(), suite.cells.len(), "{name}");
        }
    }

    #[test]
    fn cells_are_picked_by_what_is_in_their_name_and_load() {
        let pick = |texts: &[&str]| {
            let texts: Vec<_> = texts.iter().map(ToString::to_string).collect();
            one_writer(&choice(&["file", "mmap"], Which::None)).only(&texts).cells
        };
        let names: Vec<_> = pick(&["file", "1:100"]).into_iter().map(|cell| cell.who).collect();
        assert_eq!(names, ["wal file always"]);
        assert!(pick(&["tape"]).is_empty());
        assert_eq!(
            pick(&[]).len(),
            one_writer(&choice(&["file", "mmap"], Which::None)).cells.len()
        );
    }

    /// A bar whose cells do not exist would never be judged, and nobody would notice.
    #[test]
    fn every_bar_has_its_cells() {
        use super::super::report::CellReport;
        for (name, make) in SUITES {
            let suite = make(&choice(&[], Which::Fast));
            let sample = || wal_load::Sample {
                peak_memory: Some(1),
                ..wal_load::Sample::once(5, std::time::Duration::from_secs(1))
            };
            let report =
                |cell: &Cell| CellReport { samples: vec![sample()], ..CellReport::begun(cell) };
            let cells: Vec<_> = suite.cells.iter().map(report).collect();
            let pairs = suite.bars.iter().filter_map(|bar| bar.pair(&cells));
            let duels = pairs.map(|pair| (pair, vec![[sample(), sample()]])).collect();
            for bar in suite.bars.iter().map(|bar| bar.judge(&cells, &duels)) {
                assert!(bar.value.is_some(), "{name}: {}", bar.text);
            }
        }
    }
}
