//! O6: damage to bytes that later bytes prove durable is an error, never a shorter log.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use wal_core::format::{SEGMENT_HEADER_LEN, SegmentHeader};
use wal_core::{
    ErrorKind, FrameReader, FrameStep, LogStorage, Lsn, MemoryStorage, WriteMode, block_on,
};
use wal_fs::FileSystem;

use super::case::CrashSpec;
use super::examine::{Probe, panicked};
use super::walk::process_image;
use super::{Violation, oracle};
use crate::simulation::Knowledge;
use crate::{ModelFs, Moment, Rng, Rot};

/// Pieces of damage tried on what each workload left.
const SAMPLES: u64 = 16;

/// Damages what is left at the end of a workload, in several ways, each on its own.
pub(super) fn explore(
    probe: &Probe<'_>,
    known: &Knowledge,
    last: &Moment,
    rng: &mut Rng,
    count: &mut dyn FnMut(u64, u64) -> Vec<CrashSpec>,
) -> Result<(), (Violation, Vec<CrashSpec>)> {
    let seed = rng.next() >> 32;
    for nth in 0..SAMPLES {
        let chain = count(seed, nth);
        check(probe, known, last, seed, nth).map_err(|violation| (violation, chain))?;
    }
    Ok(())
}

/// The `nth` damage of a seed.
pub(super) fn check(
    probe: &Probe<'_>,
    known: &Knowledge,
    last: &Moment,
    seed: u64,
    nth: u64,
) -> Result<(), Violation> {
    let checked = catch_unwind(AssertUnwindSafe(|| damage(probe, known, last, seed, nth)));
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
    last: &Moment,
    seed: u64,
    nth: u64,
) -> Result<(), Violation> {
    let mut rng = Rng::new(seed.wrapping_mul(SAMPLES).wrapping_add(nth));
    let image = process_image(last);
    // Half of the logs are sealed first, by a recovery.
    if rng.below(2) == 0 {
        let sealed = probe.open(&image).map(drop);
        sealed.map_err(|e| Violation::new("O7", format!("opening fails: {e}")))?;
    }
    let image = image.moment().process_crash();
    let segments = segments(&image);
    if segments.is_empty() {
        return Ok(());
    }
    let intact = probe
        .open(&image.moment().process_crash())
        .map_err(|e| Violation::new("O7", format!("opening fails: {e}")))?;
    let at = rng.below(segments.len() as u64) as usize;
    let hit = &segments[at];
    let rot = choose(hit, &mut rng);
    let range = apply(&image, hit, rot);
    let proven = proven(&segments, at, &range);
    let what = || {
        let name = hit.path.file_name().unwrap_or_default().to_string_lossy();
        format!("after damage \"{rot}\" to {name}, of {} bytes of frames,", hit.end)
    };
    let opened = match probe.open(&image) {
        Ok(opened) => opened,
        Err(error) if is_damage(error.kind()) => return Ok(()),
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
fn is_damage(kind: ErrorKind) -> bool {
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
    let copy = storage.create(Lsn::FIRST, head.to_vec().into(), 0).wait().ok()?;
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

/// What happens to a segment: mostly where its bytes mean something.
fn choose(segment: &Segment, rng: &mut Rng) -> Rot {
    let len = segment.bytes.len() as u64;
    let used = segment.end.max(1);
    let sectors = used.div_ceil(512);
    let sector = |rng: &mut Rng| rng.below(sectors) * 512;
    match rng.below(7) {
        0 | 1 => Rot::Flip { offset: rng.below(used), bit: rng.below(8) as u8 },
        2 => Rot::Zeroed { offset: sector(rng), len: 512 },
        3 => Rot::Copied { from: sector(rng), to: sector(rng), len: 512 },
        4 => Rot::Misdirected { offset: sector(rng), len: 512, seed: rng.next() },
        5 => Rot::Cut { len: rng.below(len + 1) },
        // A phantom write: a whole frame that was acknowledged and never made.
        _ => match segment.frames.len() as u64 {
            0 => Rot::Flip { offset: rng.below(used), bit: 0 },
            n => {
                let frame = &segment.frames[rng.below(n) as usize].range;
                Rot::Zeroed { offset: frame.start, len: frame.end - frame.start }
            }
        },
    }
}

/// Does it, and says which bytes are no longer what they were.
fn apply(image: &ModelFs, segment: &Segment, rot: Rot) -> Range<u64> {
    let path: &Path = &segment.path;
    image.rot(path, rot).expect("the file was there just now");
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
