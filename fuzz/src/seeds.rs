//! The inputs that every run starts from: one of each kind, small.

use wal_core::format::{
    Ending, FRAME_HEADER_LEN, Flags, Footer, FrameHeader, IndexEntry, LogId, SegmentHeader,
    SegmentSummary,
};
use wal_core::{Lsn, Timestamp};

use crate::cli::KINDS;
use crate::edit::What;
use crate::plan::{Edit, Plan, Step};

/// An input to start from.
pub struct Seed {
    /// The name of its file.
    pub name: String,
    /// The input.
    pub bytes: Vec<u8>,
}

fn seed(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Seed {
    Seed { name: name.into(), bytes: bytes.into() }
}

pub(crate) fn frames() -> Vec<Seed> {
    let header = SegmentHeader {
        created: Timestamp::from_micros(1_700_000_000_000_000),
        ..SegmentHeader::new(LogId([7; 16]), 3, Lsn::new(10))
    };
    let salt = header.salt();
    let frame = |body: &[u8], flags| {
        let frame = FrameHeader {
            crc: 0,
            body_len: body.len() as u32,
            lsn_delta: 2,
            durable_lag: 1,
            time_delta: 77,
            kind: 1,
            flags,
        };
        [&frame.seal(crc32c::crc32c(body), salt)[..], body].concat()
    };
    let summary = SegmentSummary {
        records: 9,
        frames: 4,
        data_end: 70_000,
        chain_crc: 5,
        last_time: 0,
        min_time: 0,
        max_time: 0,
        index: vec![
            IndexEntry { lsn_delta: 0, offset: 512 },
            IndexEntry { lsn_delta: 7, offset: 66_000 },
        ],
    };
    let footer = Footer::new(summary, Ending::Closed).encode(salt);
    vec![
        seed("segment-header", header.encode()),
        seed("record", frame(b"a record", Flags::default())),
        seed("batch", frame(b"\x03\0\0\0\x03\0\0\0\0\0\0\0onetwo", Flags::BATCH)),
        seed("footer-body", &footer[FRAME_HEADER_LEN..]),
    ]
}

fn step(what: u8, size: u16) -> Step {
    Step { what, size }
}

fn edit(what: What, file: u8, at: u16, arg: u16) -> Edit {
    let what = What::ALL.iter().position(|&one| one == what).expect("one of all") as u8;
    Edit { what, file, at, arg }
}

/// One seed for each kind of edit, on the same steps.
fn edited(steps: &[Step], file: u8) -> impl Iterator<Item = Seed> {
    let steps = steps.to_vec();
    What::ALL.into_iter().enumerate().map(move |(n, what)| {
        let edits = vec![edit(what, file, 520 + 37 * n as u16, 0x0903)];
        let plan = Plan { setup: n as u8, steps: steps.clone(), edits, raw: b"rest".to_vec() };
        seed(format!("{what:?}").to_lowercase(), plan.encode())
    })
}

pub(crate) fn scan() -> Vec<Seed> {
    let steps = [step(0, 20), step(1, 300), step(3, 4), step(2, 7), step(7, 0)];
    let open = Plan { steps: steps[..4].to_vec(), ..Plan::default() };
    let sealed = Plan { setup: 1, steps: steps.to_vec(), ..Plan::default() };
    let claims = Plan {
        steps: vec![step(0, 9), step(4, 0x0100), step(5, 50), step(0, 9)],
        raw: b"\x02\0\0\0\x01\0\0\0ab".to_vec(),
        ..Plan::default()
    };
    let mut seeds: Vec<Seed> = edited(&steps, 0).collect();
    seeds.extend([
        seed("open", open.encode()),
        seed("sealed", sealed.encode()),
        seed("claims", claims.encode()),
    ]);
    seeds
}

pub(crate) fn recovery() -> Vec<Seed> {
    let (append, batch, sync, close, kill) =
        (step(1, 200), step(3, 4), step(4, 0), step(7, 0), step(7, 1));
    let sessions = [append, batch, sync, close, append, append, kill, batch, append];
    let rotated = [step(2, 1400); 9];
    let plan = |setup, steps: &[Step]| Plan { setup, steps: steps.to_vec(), ..Plan::default() };
    let directory = |what: u8, at, arg| Edit { what: 132 + what, file: 1, at, arg };
    let mut seeds: Vec<Seed> = edited(&sessions, 1).collect();
    let truncated = [&rotated[..], &[step(5, 5), append, step(6, 8), append]].concat();
    seeds.extend([
        seed("empty", Plan::default().encode()),
        seed("sessions", plan(0, &sessions).encode()),
        seed("closed", plan(1, &sessions[..4]).encode()),
        seed("rotated", plan(2, &rotated).encode()),
        seed("truncated-recycled", plan(6, &truncated).encode()),
        seed("power-loss", Plan { raw: b"12".to_vec(), ..plan(70, &truncated) }.encode()),
    ]);
    // What was found once, in few steps.
    let two = [batch, kill, append];
    let stray = Plan { edits: vec![directory(3, 0, 3)], ..plan(0, &two) };
    let rot = vec![edit(What::Write, 0, 0, 0)];
    let foreign = Plan { edits: rot, raw: b"not a segment".to_vec(), ..plan(0, &two) };
    seeds.push(seed("stray-segment", stray.encode()));
    seeds.push(seed("foreign-segment", foreign.encode()));
    for (what, name) in
        ["swapped", "removed", "renamed", "copied", "raw", "directory"].iter().enumerate()
    {
        let edits = vec![directory(what as u8, 2, 5)];
        let plan = Plan { edits, raw: b"not a segment".to_vec(), ..plan(0, &sessions) };
        seeds.push(seed(*name, plan.encode()));
    }
    seeds
}

pub(crate) fn cli() -> Vec<Seed> {
    let record = [&7_u64.to_le_bytes()[..], &1_769_860_800_000_001_u64.to_le_bytes(), b"a\n\xff"];
    // In the order of the kinds.
    let inputs: [(&str, &[&[u8]]); KINDS.len()] = [
        (
            "arguments",
            &[
                b"append\n/log\n--sync\nbatch:32,64k,10ms\n--writers\n16\n--batch\n100\n--ack",
                b"append\n--storage\nmemory\n--segment-size=1MiB\n--durability\nwritten\n--input=len32",
                b"dump\n/log\n--from\n1\n--to=20\n--output\njsonl\n--follow",
                b"verify\n/log\n--json",
                b"repair\n/log\n--mode\nsalvage\n--until-time\n2026-01-31T12:00:00Z",
                b"stat\n/log\n--help",
                b"truncate\n/log\n--before\n7",
                b"completions\nbash",
            ],
        ),
        ("policy", &[b"batch:1000,1MiB,10ms", b"group:500us,64", b"adaptive:2ms", b"interval:1s"]),
        ("size", &[b"64KiB", b"17", b"99999999999G"]),
        ("time", &[b"2026-01-31T12:00:00.5+01:00", b"\xff\xff\xff\xff\xff\xff\xff\xff"]),
        ("lines", &[b"\x02\x00one\n\ntoo long by far\n", b"\xff\x03last"]),
        ("jsonl", &[b"\x20\x01{\"a\" : [1,2]}\n 7\n{\"a\":\n"]),
        ("len32", &[b"\x20\x01\0\0\0\0\x03\0\0\0a\n\xff\xff\xff\xff\xff"]),
        ("dump", &[&record.concat()]),
    ];
    let mut seeds = Vec::new();
    for (kind, (name, inputs)) in inputs.into_iter().enumerate() {
        for (n, input) in inputs.iter().enumerate() {
            seeds.push(seed(format!("{name}-{n}"), [&[kind as u8], *input].concat()));
        }
    }
    seeds
}
