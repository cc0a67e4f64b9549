//! The golden corpus: logs as they are on a disk, byte by byte, in `golden/`. Every later build has to read them.
//!
//! Each case is a folder of segments and a file `expected`, which says what a reader makes of them. What a build can
//! write itself is written again and compared. After a change of the format that is meant,
//! `GOLDEN=write cargo test -p wal-recovery --test it golden` writes the corpus anew.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::*;
use wal_core::format::{LayerId, Layers, LogId, SegmentHeader};
use wal_core::*;
use wal_recovery::{Inspect, Mode, Recovery, View};

const LOG_ID: LogId = LogId(*b"golden-log-id-16");

fn begin(storage: impl LogStorage, clock: &Hands, layers: Layers) -> Wal {
    let recovery = Recovery::new(storage).log_id(LOG_ID).threads(1).clock(clock.clone());
    let (recovered, _) = recovery.run().unwrap();
    let builder = Wal::builder(lazy()).settings(settings()).clock(clock.clone()).layers(layers);
    builder.manual_driver().open(recovered).unwrap()
}

/// A record, an empty one, a batch; one each 100 ms.
fn some(log: &Wal, clock: &Hands) {
    log.append(b"hello").unwrap();
    clock.pass(100_000);
    log.append(b"").unwrap();
    log.sync().unwrap();
    clock.pass(100_000);
    log.append_batch(&[&b"a"[..], b"", b"ccc"]).unwrap();
}

fn closed() -> Image {
    let (memory, clock) = (MemoryStorage::new(), Hands::new());
    let log = begin(memory.clone(), &clock, Layers::NONE);
    some(&log, &clock);
    log.close().unwrap();
    image_of(&memory)
}

fn not_closed() -> Image {
    let (memory, clock) = (MemoryStorage::new(), Hands::new());
    some(&begin(memory.clone(), &clock, Layers::NONE), &clock);
    image_of(&memory)
}

fn torn() -> Image {
    let mut image = not_closed();
    let bytes = image.get_mut(&1).unwrap();
    bytes.truncate(bytes.len() - 3);
    image
}

/// An end that nothing proved was moved, and the log goes on behind it.
fn moved() -> Image {
    let (memory, clock) = (memory_of(&not_closed()), Hands::new());
    let log = begin(memory.clone(), &clock, Layers::NONE);
    log.append(b"behind").unwrap();
    log.close().unwrap();
    image_of(&memory)
}

/// The same, interrupted before the old segment was cut.
fn moved_interrupted() -> Image {
    let mut image = moved();
    image.retain(|name, _| *name < 6);
    image.insert(1, not_closed()[&1].clone());
    image
}

fn rotated() -> Image {
    let (memory, clock) = (MemoryStorage::new(), Hands::new());
    let log = begin(memory.clone(), &clock, Layers::NONE);
    for n in 0..5 {
        log.append(&[n; 1000]).unwrap();
        clock.pass(1_000_000);
    }
    drop(log);
    image_of(&memory)
}

fn truncated() -> Image {
    let (memory, clock) = (MemoryStorage::new(), Hands::new());
    let log = begin(memory.clone(), &clock, Layers::NONE);
    some(&log, &clock);
    log.truncate_after(Lsn::new(4)).unwrap();
    log.truncate_before(Lsn::new(2)).unwrap();
    log.append(b"next").unwrap();
    log.close().unwrap();
    image_of(&memory)
}

/// With a blank behind every write.
fn blanks() -> Image {
    let (memory, clock) = (MemoryStorage::new(), Hands::new());
    some(&begin(recycling(memory.clone()), &clock, Layers::NONE), &clock);
    image_of(&memory)
}

fn aligned_frames() -> Image {
    let (memory, clock) = (MemoryStorage::new(), Hands::new());
    some(&begin(aligned(memory.clone()), &clock, Layers::NONE), &clock);
    image_of(&memory)
}

/// The clock is set back by an hour, and then forwards by years.
fn clock_was_set() -> Image {
    let (memory, clock) = (MemoryStorage::new(), Hands::new());
    let log = begin(memory.clone(), &clock, Layers::NONE);
    log.append(b"at noon").unwrap();
    clock.set_back(3_600_000_000);
    clock.pass(30_000);
    log.append(b"an hour before").unwrap();
    clock.pass(5 * 365 * 24 * 3_600_000_000);
    log.append(b"years later").unwrap();
    log.close().unwrap();
    image_of(&memory)
}

fn layers() -> Image {
    let (memory, clock) = (MemoryStorage::new(), Hands::new());
    let layers = Layers::new(&[LayerId::STREAMS, LayerId(0x8001)]).unwrap();
    let log = begin(memory.clone(), &clock, layers);
    log.append(b"of a layer").unwrap();
    log.close().unwrap();
    image_of(&memory)
}

/// What only other builds write.
fn forged(change: impl Fn(&mut [u8])) -> Image {
    let mut image = closed();
    forge_header(image.get_mut(&1).unwrap(), change);
    image
}

fn branch() -> Image {
    forged(|header| {
        header[128..144].copy_from_slice(b"its-origin-log-1");
        header[144] = 40;
    })
}

/// A header of another version, with everything else elsewhere: its checksum, its length.
fn other_version(version: u8) -> Image {
    let mut bytes = closed()[&1][..275].to_vec();
    bytes[8] = version;
    bytes[64..].fill(0x5a);
    Image::from([(1, bytes)])
}

type Case = (&'static str, fn() -> Image);

const CASES: [Case; 19] = [
    ("closed", closed),
    ("not-closed", not_closed),
    ("torn", torn),
    ("moved-end", moved),
    ("moved-end-interrupted", moved_interrupted),
    ("rotated", rotated),
    ("truncated", truncated),
    ("blanks", blanks),
    ("aligned", aligned_frames),
    ("clock-was-set", clock_was_set),
    ("layers", layers),
    ("branch", branch),
    ("feature-incompatible", || forged(|header| header[79] = 0x80)),
    ("feature-read-only", || forged(|header| (header[83], header[300]) = (0x80, 7))),
    ("feature-compatible", || forged(|header| (header[87], header[300]) = (0x80, 7))),
    ("reserved-byte", || forged(|header| header[300] = 7)),
    ("version-1", || other_version(1)),
    ("version-3", || other_version(3)),
    ("version-damaged", || {
        let mut image = closed();
        image.get_mut(&1).unwrap()[8] = 3;
        image
    }),
];

/// What a reader, a verification and an opening make of it.
fn account(image: &Image) -> String {
    let mut out = String::new();
    for (name, bytes) in image {
        match SegmentHeader::decode(bytes, Lsn::new(*name)) {
            Ok(header) => writeln!(out, "header  {header:?}"),
            Err(error) => writeln!(out, "header  {error}"),
        }
        .unwrap();
    }
    match View::open(memory_of(image)) {
        Ok(view) => {
            for entry in view.records(Lsn::ZERO) {
                match entry {
                    Ok(Entry { lsn, timestamp, record, .. }) => {
                        let record = record.iter().map(|byte| format!("{byte:02x}"));
                        let record: String = record.take(16).collect();
                        writeln!(out, "record  {lsn} {timestamp} {record}").unwrap();
                    }
                    Err(error) => writeln!(out, "record  {error}").unwrap(),
                }
            }
        }
        Err(error) => writeln!(out, "view    {error}").unwrap(),
    }
    match Inspect::new(memory_of(image)).threads(1).run() {
        Ok(report) => writeln!(
            out,
            "verify  {}, closed: {}, next LSN {}",
            report.verdict(),
            report.clean,
            report.next_lsn
        ),
        Err(error) => writeln!(out, "verify  {error}"),
    }
    .unwrap();
    for mode in [Mode::TornTail, Mode::Salvage] {
        match Recovery::new(memory_of(image)).mode(mode).threads(1).run() {
            Ok((recovered, report)) => {
                let (verdict, next) = (report.verdict(), recovered.next_lsn());
                writeln!(out, "{mode}  {} records, {verdict}, next LSN {next}", report.records)
            }
            Err(error) => writeln!(out, "{mode}  {error}"),
        }
        .unwrap();
    }
    out
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden/v2")
}

fn stored(folder: &Path) -> Image {
    let mut image = Image::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "wal") {
            let name = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            image.insert(name, fs::read(&path).unwrap());
        }
    }
    image
}

#[test]
fn every_build_writes_and_reads_the_golden_corpus() {
    let is_written = std::env::var("GOLDEN").is_ok_and(|what| what == "write");
    for (name, make) in CASES {
        let (folder, image) = (corpus().join(name), make());
        let expected = account(&image);
        if is_written {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            for (lsn, bytes) in &image {
                fs::write(folder.join(format!("{lsn:020}.wal")), bytes).unwrap();
            }
            fs::write(folder.join("expected"), &expected).unwrap();
            continue;
        }
        let there = stored(&folder);
        assert!(there == image, "{name}: this build writes other bytes than those of the corpus");
        let says = fs::read_to_string(folder.join("expected")).unwrap();
        assert_eq!(account(&there), says, "{name}: this build reads something else in the corpus");
    }
    let folders = fs::read_dir(corpus()).unwrap().count();
    assert_eq!(folders, CASES.len(), "each folder of the corpus is a case");
}
