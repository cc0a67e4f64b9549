//! O6: damage to bytes that later bytes prove durable is an error, never a shorter log.

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use wal_core::format::{SEGMENT_HEADER_LEN, SegmentHeader};
use wal_core::{
    ErrorKind, FrameReader, FrameStep, LogStorage, Lsn, MemoryStorage, Publish, WriteMode, block_on,
};
use wal_fs::FileSystem;

use super::examine::{Probe, panicked};
use super::salvage;
use crate::promise::{Knowledge, Violation, oracle};
use crate::{ModelFs, Moment, Rng, Rot};

/// Holds one piece of damage against O6: to what the moment number `point` left when the process died.
/// The seed says which piece.
pub(super) fn check(
    probe: &Probe<'_>,
    known: &Knowledge,
    moments: &[Moment],
    point: usize,
    seed: u64,
) -> Result<(), Violation> {
    let checked = catch_unwind(AssertUnwindSafe(|| damage(probe, known, moments, point, seed)));
    checked.unwrap_or_else(|panic| Err(panicked(&*panic)))
}

/// A segment file, as it was before the damage.
struct Segment {
    path: PathBuf,
    bytes: Vec<u8>,
    header: SegmentHeader,
    frames: Vec<Frame>,
    /// Where the last frame ends.
    end: u64,
}

struct Frame {
    range: Range<u64>,
    /// Everything up to here was durable when the frame was written.
    proves: u64,
}

fn damage(
    probe: &Probe<'_>,
    known: &Knowledge,
    moments: &[Moment],
    point: usize,
    seed: u64,
) -> Result<(), Violation> {
    let mut rng = Rng::new(seed);
    let image = moments[point].written_back();
    image.remount();
    // Half of the logs are sealed first, by a recovery.
    if seed % 2 == 1 {
        let sealed = probe.open(&image).map(drop);
        sealed.map_err(|e| Violation::new("O7", format!("opening fails: {e}")))?;
    }
    let image = image.moment().written_back();
    let segments = segments(&image);
    if segments.is_empty() {
        return Ok(());
    }
    let intact = probe
        .open(&image.moment().written_back())
        .map_err(|e| Violation::new("O7", format!("opening fails: {e}")))?;
    let at = rng.below(segments.len() as u64) as usize;
    let hit = &segments[at];
    let earlier = &moments[rng.below(point as u64 + 1) as usize];
    let damage = choose(&segments, hit, earlier, &mut rng);
    let range = apply(&image, hit, &damage);
    let proven = proven(&segments, at, &range);
    let what = || {
        let name = hit.path.file_name().unwrap_or_default().to_string_lossy();
        format!("after damage \"{damage}\" to {name}, of {} bytes of frames,", hit.end)
    };
    let damaged = image.moment();
    let opened = match probe.open(&image) {
        Ok(opened) => opened,
        Err(error) if is_damage(error.kind()) => {
            let checked = salvage::check(probe, known, &damaged, &mut rng);
            return checked.map_err(|why| Violation::new("O11", format!("{} {why}", what())));
        }
        Err(error) => {
            return Err(Violation::new("O6", format!("{} opening says: {error}", what())));
        }
    };
    oracle::exact(known, &opened.found)?;
    let missing = intact.found.iter().find(|(lsn, _)| {
        *lsn <= proven && opened.found.binary_search_by_key(lsn, |(there, _)| *there).is_err()
    });
    match missing {
        None => Ok(()),
        Some((lsn, _)) => {
            let what = format!(
                "{} opening says that all is well, but LSN {lsn} is missing; later bytes prove {proven} durable",
                what()
            );
            Err(Violation::new("O6", what))
        }
    }
}

/// Errors that tell of damage.
pub(super) fn is_damage(kind: ErrorKind) -> bool {
    use ErrorKind::{CodecMismatch, Corrupt, NotALog, TornTail, Unsupported};
    matches!(kind, Corrupt | TornTail | Unsupported | NotALog | CodecMismatch)
}

/// All files of the image that begin with a segment's header.
fn segments(image: &ModelFs) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut places = vec![PathBuf::from("/")];
    while let Some(place) = places.pop() {
        for entry in image.read_dir(&place).unwrap_or_default() {
            let path = place.join(&entry.name);
            if entry.is_dir {
                places.push(path);
            } else if let Some(segment) = segment(image, path) {
                segments.push(segment);
            }
        }
    }
    segments.sort_by_key(|segment| segment.header.generation);
    segments
}

fn segment(image: &ModelFs, path: PathBuf) -> Option<Segment> {
    // What was removed and kept for reuse is no part of the log, and has another name.
    let name = path.file_name()?.to_str()?.strip_suffix(".wal")?.parse().ok()?;
    let bytes = image.contents(&path).ok()?;
    let header = SegmentHeader::decode(bytes.get(..SEGMENT_HEADER_LEN)?, Lsn::new(name)).ok()?;
    let (head, rest) = bytes.split_at(SEGMENT_HEADER_LEN);
    let storage = MemoryStorage::new();
    let copy = storage.create(Lsn::FIRST, head.to_vec().into(), 0, Publish::New).wait().ok()?;
    copy.write_at(head.len() as u64, rest.to_vec().into(), WriteMode::Cached).wait().ok()?;
    let start = u64::from(header.data_offset);
    let mut reader = FrameReader::new(copy, &header, start, bytes.len() as u64);
    let mut frames = Vec::new();
    while let Ok(FrameStep::Frame(frame)) = block_on(reader.next()) {
        let range = frame.offset..frame.offset + frame.header.frame_len();
        frames.push(Frame { range, proves: frame.header.durable_upto(header.first_lsn).get() });
    }
    let end = reader.offset();
    Some(Segment { path, bytes, header, frames, end })
}

/// What happens to a segment.
enum Damage {
    Rot(Rot),
    /// A write that went astray, or one that was acknowledged and never made: other bytes are there.
    Other {
        offset: u64,
        bytes: Vec<u8>,
        whence: String,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Rot(rot) => rot.fmt(f),
            Damage::Other { offset, bytes, whence } => {
                write!(f, "{whence} at {offset}+{}", bytes.len())
            }
        }
    }
}

/// Chooses damage, mostly where bytes mean something.
fn choose(segments: &[Segment], hit: &Segment, earlier: &Moment, rng: &mut Rng) -> Damage {
    let used = hit.end.max(1);
    let sector = |of: &Segment, rng: &mut Rng| rng.below(of.end.max(1).div_ceil(512)) * 512;
    Damage::Rot(match rng.below(9) {
        0 | 1 => Rot::Flip { offset: rng.below(used), bit: rng.below(8) as u8 },
        2 => Rot::Zeroed { offset: sector(hit, rng), len: 512 },
        3 => Rot::Copied { from: sector(hit, rng), to: sector(hit, rng), len: 512 },
        4 => Rot::Misdirected { offset: sector(hit, rng), len: 512, seed: rng.next() },
        5 => Rot::Cut { len: rng.below(hit.bytes.len() as u64 + 1) },
        6 => {
            let other = &segments[rng.below(segments.len() as u64) as usize];
            let from = sector(other, rng) as usize;
            let bytes = other.bytes[from..(from + 512).min(other.bytes.len())].to_vec();
            let whence = format!("sector {} of segment {}", from / 512, other.header.first_lsn);
            return Damage::Other { offset: sector(hit, rng), bytes, whence };
        }
        _ => match hit.frames.len() as u64 {
            0 => Rot::Flip { offset: rng.below(used), bit: 0 },
            n => return phantom(hit, &hit.frames[rng.below(n) as usize].range, earlier),
        },
    })
}

/// The write of a frame was acknowledged and never made: what was there earlier still is.
fn phantom(hit: &Segment, range: &Range<u64>, earlier: &Moment) -> Damage {
    let before = earlier.written_back().contents(&hit.path).unwrap_or_default();
    let at = |offset: u64| before.get(offset as usize).copied().unwrap_or(0);
    let bytes = range.clone().map(at).collect();
    Damage::Other { offset: range.start, bytes, whence: "what was there before".into() }
}

/// Does it, and says which bytes are no longer what they were.
fn apply(image: &ModelFs, segment: &Segment, damage: &Damage) -> Range<u64> {
    let path: &Path = &segment.path;
    let done = match damage {
        Damage::Rot(rot) => image.rot(path, *rot),
        Damage::Other { offset, bytes, .. } => image.put_back(path, *offset, bytes),
    };
    done.expect("the file was there just now");
    let now = image.contents(path).expect("the file was there just now");
    let old = &segment.bytes;
    let changed = |at: &usize| now.get(*at) != old.get(*at);
    let first = (0..old.len()).find(changed).unwrap_or(old.len());
    let last = (0..old.len()).rev().find(changed).map_or(first, |at| at + 1);
    first as u64..last as u64
}

/// Up to where the bytes that are left prove the log durable.
fn proven(segments: &[Segment], hit: usize, damage: &Range<u64>) -> u64 {
    let mut proven = 0;
    for (at, segment) in segments.iter().enumerate() {
        let whole = |range: &Range<u64>| {
            at != hit || range.end <= damage.start || damage.end <= range.start
        };
        if !whole(&(0..SEGMENT_HEADER_LEN as u64)) {
            continue;
        }
        // A segment is begun when everything before it is durable.
        proven = proven.max(segment.header.follows.get());
        let frames = segment.frames.iter().filter(|frame| whole(&frame.range));
        proven = frames.map(|frame| frame.proves).fold(proven, u64::max);
    }
    proven
}
