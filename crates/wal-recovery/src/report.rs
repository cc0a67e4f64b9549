//! What a scan found and a recovery did.

use std::fmt;
use std::time::Duration;

use wal_core::format::{Ending, Layers};
use wal_core::{CodecId, Error, ErrorKind, Lsn, Timestamp};

/// What a scan found, and what a recovery changed.
///
/// `first_lsn`, `last_lsn`, `next_lsn` and `records` describe what is there now; `cut`, `holes` and
/// `rewritten_bytes` what the recovery did. Everything else describes the log as it was found.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Report {
    /// The log's identity in hexadecimal digits; `None` for an empty place.
    pub log_id: Option<String>,
    /// The codec of the records; `None` for an empty place.
    pub codec: Option<CodecId>,
    /// The layers through which the log was written, the one nearest to the engine first.
    pub layers: Layers,
    /// The first record; `next_lsn` if there is none.
    pub first_lsn: Lsn,
    /// The last record; before `first_lsn` if there is none.
    pub last_lsn: Lsn,
    /// What the next record will get.
    pub next_lsn: Lsn,
    /// Whether the log had been closed (its last segment was sealed), or is empty.
    pub clean: bool,
    /// All segments that were found, ascending.
    pub segments: Vec<SegmentReport>,
    /// Records whose checksums were verified.
    pub records_scanned: u64,
    /// Bytes that were read.
    pub bytes_scanned: u64,
    /// Records in the log.
    pub records: u64,
    /// Records that were readable, but are left out: truncated, or behind the place where the log was
    /// ended on purpose.
    pub skipped: u64,
    /// Up to here the bytes themselves proved that they had been durable.
    pub durable_proven: Lsn,
    /// What is wrong, ascending by place.
    pub damages: Vec<Damage>,
    /// What may be missing. Nothing shows for certain that it is.
    pub findings: Vec<Finding>,
    /// What was cut off.
    pub cut: Vec<Cut>,
    /// Where records are missing.
    pub holes: Vec<Hole>,
    /// Bytes that were written again because nothing proved them durable.
    pub rewritten_bytes: u64,
    /// Names in the place that are not the log's.
    pub foreign: Vec<String>,
    /// How many bytes were kept free for when the disk is full: see [`LogStorage::fill_reserve`](wal_core::LogStorage::fill_reserve).
    pub reserve_bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// One segment, as it was found.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SegmentReport {
    /// Its first LSN, which is its name.
    pub first_lsn: Lsn,
    /// Its last record that is valid; before `first_lsn` if there is none.
    pub last_lsn: Lsn,
    /// Records that it holds, those included that were truncated.
    pub records: u64,
    /// Its frames; a frame of padding, which holds no record, counts as well.
    pub frames: u64,
    /// Its length.
    pub bytes: u64,
    /// Bytes of its frames, the footer not included.
    pub data_bytes: u64,
    /// How many segments had been created when it was, itself included. 0 if its header is unreadable.
    pub generation: u64,
    /// When it was created.
    pub created: Timestamp,
    /// When its last record was appended; `created` if it holds none.
    pub last_time: Timestamp,
    /// Whether it ends in a footer.
    pub sealed: bool,
    /// Why it ends in one; `None` if it does not.
    pub ending: Option<Ending>,
    /// How it is.
    pub state: SegmentState,
}

/// How a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum SegmentState {
    /// Nothing is wrong.
    Ok,
    /// It ends in an incomplete write.
    Torn,
    /// Its records are all there, but its footer is not.
    Footer,
    /// Records of it are damaged or missing.
    Corrupt,
    /// Truncated: a leftover, of which nothing is valid.
    Void,
    /// Of an owner that had lost the log: no part of it.
    Stray,
}

impl SegmentState {
    /// The state's name, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            SegmentState::Ok => "ok",
            SegmentState::Torn => "torn",
            SegmentState::Footer => "footer",
            SegmentState::Corrupt => "corrupt",
            SegmentState::Void => "void",
            SegmentState::Stray => "stray",
        }
    }
}

impl fmt::Display for SegmentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is wrong at some place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum DamageKind {
    /// An incomplete write at the end of the log, as a crash may leave it. No record that was durable
    /// is concerned, as far as the bytes can tell.
    TornTail,
    /// A sealed segment's footer is damaged or missing; all its records are there.
    Footer,
    /// Bytes that had been durable do not check.
    Corrupt,
    /// Records are missing between two segments.
    Gap,
    /// A segment's header does not check.
    Header,
    /// A segment was begun by an owner of the log after a later owner had taken the log over: two processes wrote at
    /// the same time. No record that was acknowledged as durable is in it. A recovery copies it and takes it out.
    Stray,
    /// There are several such segments. An owner that has lost the log begins no more than one: the files of two copies of
    /// the log were mixed, which went on apart. A recovery in a mode that repairs keeps those of the later owner, and copies the others.
    Mixed,
}

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DamageKind::TornTail => "torn tail",
            DamageKind::Footer => "footer",
            DamageKind::Corrupt => "corrupt",
            DamageKind::Gap => "gap",
            DamageKind::Header => "header",
            DamageKind::Stray => "stray",
            DamageKind::Mixed => "mixed",
        })
    }
}

/// Something wrong, and where.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Damage {
    /// What it is.
    pub kind: DamageKind,
    /// The segment, named by its first LSN.
    pub segment: Lsn,
    /// Where it begins, in bytes from the start of the segment.
    pub offset: u64,
    /// The record that was expected there.
    pub lsn: Lsn,
    /// Bytes concerned at most: up to the frame that proves the damage, or else to the last byte there
    /// that is not zero, or to the end of the segment.
    pub bytes: u64,
    /// What was found, in words and numbers.
    pub reason: String,
}

impl Damage {
    /// Whether records may be lost by it that had been durable.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        !matches!(self.kind, DamageKind::TornTail | DamageKind::Footer | DamageKind::Stray)
    }

    pub(crate) fn error(&self) -> Error {
        let kind = match self.kind {
            DamageKind::TornTail => ErrorKind::TornTail,
            _ => ErrorKind::Corrupt,
        };
        Error::new(kind, "recover log")
            .with_segment(self.segment)
            .with_offset(self.offset)
            .with_lsn(self.lsn)
            .with_detail(self.reason.clone())
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage { kind, segment, offset, lsn, bytes, reason } = self;
        write!(f, "{kind} in segment {segment} at offset {offset} ({bytes} bytes, LSN {lsn}): ")?;
        f.write_str(reason)
    }
}

/// What may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum FindingKind {
    /// Segments at the front: the oldest one follows records that no truncation explains.
    Front,
    /// Segments at the end: the newest one says that another one was to be begun, and none is there. A crash between
    /// the two leaves the same, and then nothing is missing.
    End,
    /// Times: records have times that lie ahead of the clock, by more than 10 seconds.
    Ahead,
    /// The clock: the time of day was set while the log was written, by more than 10 seconds. Or the machine slept.
    ClockSet,
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FindingKind::Front => "front",
            FindingKind::End => "end",
            FindingKind::Ahead => "ahead",
            FindingKind::ClockSet => "clock set",
        })
    }
}

/// Something that is no damage, and that should be known: a part that may be missing, or what the times tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// The segment that tells of it, named by its first LSN.
    pub segment: Lsn,
    /// The first record that may be missing; of what the times tell, the first record of the segment.
    pub lsn: Lsn,
    /// What was found, and what explains it, in words and numbers.
    pub reason: String,
}

impl Finding {
    /// Whether records may be missing.
    #[must_use]
    pub const fn may_miss_records(&self) -> bool {
        matches!(self.kind, FindingKind::Front | FindingKind::End)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { kind, lsn, reason, .. } = self;
        match kind {
            FindingKind::Front | FindingKind::End => {
                write!(f, "the {kind} may be missing, from LSN {lsn} on: {reason}")
            }
            FindingKind::Ahead => {
                write!(f, "times are ahead of the clock: {reason}")
            }
            FindingKind::ClockSet => write!(f, "the clock was set: {reason}"),
        }
    }
}

/// Bytes that were taken out of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Cut {
    /// The segment, named by its first LSN.
    pub segment: Lsn,
    /// Where they began, in bytes from the start of the segment.
    pub offset: u64,
    /// How many they are.
    pub bytes: u64,
    /// The first record that was cut, as far as known.
    pub first_lsn: Lsn,
    /// Under which name the storage keeps a copy; `None` if none was asked for.
    pub saved_as: Option<String>,
}

/// Missing records: those between `after` and `before`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Hole {
    /// The last record before the hole.
    pub after: Lsn,
    /// The first record behind it; the next LSN if there is none.
    pub before: Lsn,
    /// Why they are missing.
    pub reason: String,
}

/// A report in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[expect(clippy::exhaustive_enums, reason = "whoever acts on a verdict has to know each of them")]
pub enum Verdict {
    /// Nothing is wrong.
    Clean,
    /// Nothing is damaged, but segments at an end of the log may be missing, as in a copy that is not whole:
    /// [`Report::findings`] says which.
    Incomplete,
    /// The log ends in an incomplete write, as a crash may leave it.
    TornTail,
    /// Something is damaged, be it a footer only.
    Corrupt,
}

impl Verdict {
    /// The verdict's name, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Clean => "clean",
            Verdict::Incomplete => "incomplete",
            Verdict::TornTail => "torn-tail",
            Verdict::Corrupt => "corrupt",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Report {
    pub(crate) fn empty(foreign: Vec<String>) -> Self {
        Report {
            log_id: None,
            codec: None,
            layers: Layers::NONE,
            first_lsn: Lsn::FIRST,
            last_lsn: Lsn::ZERO,
            next_lsn: Lsn::FIRST,
            clean: true,
            segments: Vec::new(),
            records_scanned: 0,
            bytes_scanned: 0,
            records: 0,
            skipped: 0,
            durable_proven: Lsn::ZERO,
            damages: Vec::new(),
            findings: Vec::new(),
            cut: Vec::new(),
            holes: Vec::new(),
            rewritten_bytes: 0,
            foreign,
            reserve_bytes: 0,
            elapsed: Duration::ZERO,
        }
    }

    /// How the log was found.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.damages.is_empty() && !self.findings.iter().any(Finding::may_miss_records) {
            Verdict::Clean
        } else if self.damages.is_empty() {
            Verdict::Incomplete
        } else if self.damages.iter().all(|d| d.kind == DamageKind::TornTail) {
            Verdict::TornTail
        } else {
            Verdict::Corrupt
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.log_id, self.codec) {
            (Some(id), Some(codec)) if self.layers.is_empty() => {
                writeln!(f, "log        {id} (codec {codec})")?;
            }
            (Some(id), Some(codec)) => {
                writeln!(f, "log        {id} (codec {codec}, layers {})", self.layers)?;
            }
            _ => writeln!(f, "log        none yet")?,
        }
        let closed = if self.clean { "closed cleanly" } else { "not closed cleanly" };
        writeln!(f, "verdict    {}, {closed}", self.verdict())?;
        if self.records == 0 {
            writeln!(f, "records    none; the next is LSN {}", self.next_lsn)?;
        } else {
            writeln!(
                f,
                "records    {} (LSN {} to {}); the next is LSN {}",
                self.records, self.first_lsn, self.last_lsn, self.next_lsn
            )?;
        }
        if self.skipped > 0 {
            writeln!(f, "left out   {} records", self.skipped)?;
        }
        writeln!(f, "segments   {}", self.segments.len())?;
        writeln!(
            f,
            "scanned    {} records, {} bytes in {:?}",
            self.records_scanned, self.bytes_scanned, self.elapsed
        )?;
        writeln!(f, "proven     durable up to LSN {}", self.durable_proven)?;
        if self.rewritten_bytes > 0 {
            writeln!(f, "rewritten  {} bytes", self.rewritten_bytes)?;
        }
        for damage in &self.damages {
            writeln!(f, "damage     {damage}")?;
        }
        for finding in &self.findings {
            writeln!(f, "finding    {finding}")?;
        }
        for Cut { segment, offset, bytes, saved_as, .. } in &self.cut {
            write!(f, "cut        {bytes} bytes of segment {segment} at offset {offset}")?;
            match saved_as {
                Some(name) => writeln!(f, ", saved as {name}")?,
                None => writeln!(f)?,
            }
        }
        for Hole { after, before, reason } in &self.holes {
            writeln!(f, "hole       between LSN {after} and LSN {before}: {reason}")?;
        }
        if !self.foreign.is_empty() {
            writeln!(f, "foreign    {}", self.foreign.join(", "))?;
        }
        Ok(())
    }
}
