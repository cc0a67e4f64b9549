//! What may run beside what.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use wal_core::{Access, LogStorage, WriteMode};

use super::shape::{
    create, create_over, data_offset, difference, expect, expect_header, header, headers, lsn,
    names, pattern, write,
};
use crate::conformance::bench::Bench;
use crate::conformance::checked::{Stop, ensure};
use crate::conformance::medium::Medium;

const READERS: usize = 3;
const PIECE: usize = 300;
const PIECES: u64 = 200;

/// Lets the threads beside the writer end with it, also if the storage panics.
struct TellsTheEnd<'a>(&'a AtomicBool);

impl Drop for TellsTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Readers see what was written before they asked, however many there are.
pub fn many_readers_beside_the_writer<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "read_at, concurrency: any number of readers beside the writer; write_at, on Ok: every \
         later read sees the bytes",
        &[],
    )?;
    let (medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    let (segment, from) = (create(&storage, 1, 1)?, data_offset(&storage));
    let data = pattern(9, PIECE * PIECES as usize);
    let (written, over) = (AtomicU64::new(0), AtomicBool::new(false));
    // The calls of many threads tell no story: they are not written down.
    let others: Vec<_> = (0..READERS).map(|_| medium.open()).collect();
    thread::scope(|scope| {
        let end = TellsTheEnd(&over);
        let read = |storage: &P::Storage| -> Result<(), Stop> {
            let reader = storage.open(lsn(1), Access::Read).wait()?;
            loop {
                let last = over.load(Ordering::Acquire);
                let end = written.load(Ordering::Acquire) as usize;
                let found = reader.read_at(from, end).wait()?;
                if let Some(how) = difference(&found, from, &data[..end]) {
                    return Err(Stop::broken(format!("a reader beside the writer: {how}")));
                }
                if last {
                    return Ok(());
                }
            }
        };
        let readers: Vec<_> = others.iter().map(|other| scope.spawn(move || read(other))).collect();
        let wrote = data.chunks(PIECE).try_for_each(|piece| {
            let at = written.load(Ordering::Relaxed);
            write(&segment, from + at, &data.slice_ref(piece))?;
            written.fetch_add(PIECE as u64, Ordering::Release);
            Ok(())
        });
        drop(end);
        readers.into_iter().try_for_each(|reader| reader.join().expect("readers do not panic"))?;
        wrote
    })
}

/// A write runs beside a sync, and neither disturbs the other.
pub fn writes_run_beside_a_sync<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "write_at, concurrency: one write at a time; beside it sync and read_at may run",
        &[],
    )?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    let (segment, from) = (create(&storage, 1, 1)?, data_offset(&storage));
    let data = pattern(6, PIECE * 2000);
    let (syncs, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut written = 0;
    thread::scope(|scope| {
        let end = TellsTheEnd(&over);
        let syncing = scope.spawn(|| -> Result<(), Stop> {
            while !over.load(Ordering::Acquire) {
                syncs.fetch_add(1, Ordering::Release);
                segment.sync().wait()?;
            }
            Ok(())
        });
        while syncs.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        let mut pieces = data.chunks(PIECE).enumerate();
        let wrote = pieces.try_for_each(|(i, piece)| {
            // Once there were enough syncs to disturb it.
            if i > 60 && syncs.load(Ordering::Acquire) > 20 {
                return Ok(());
            }
            let mode = if i % 8 == 0 { WriteMode::Through } else { WriteMode::Cached };
            segment.write_at(from + written as u64, data.slice_ref(piece), mode).wait()?;
            written += PIECE;
            Ok(())
        });
        drop(end);
        syncing.join().expect("syncing does not panic")?;
        wrote.map_err(|error: wal_core::Error| Stop::from(error))
    })?;
    expect(&expect_header(&storage, 1, 1)?, 1, from, &data[..written])
}

/// A listing may be asked for at any time, and what stays is always in it.
pub fn a_listing_runs_beside_the_writer<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "list, concurrency: may run beside everything else; on Ok: every segment whose creation \
         returned Ok and whose removal did not begin",
        &[],
    )?;
    let (medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    create(&storage, 1, 1)?;
    let other = medium.open();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let end = TellsTheEnd(&over);
        let listing = scope.spawn(|| -> Result<(), Stop> {
            while !over.load(Ordering::Acquire) {
                let listing = other.list().wait()?;
                ensure(listing.segments.contains(&lsn(1)), || {
                    format!(
                        "segment 1 is there all the time, but listed are {:?}",
                        listing.segments
                    )
                })?;
                ensure(listing.segments.is_sorted(), || format!("{:?}", listing.segments))?;
                ensure(listing.foreign.is_empty(), || {
                    format!("a passing name was listed as foreign: {:?}", listing.foreign)
                })?;
            }
            Ok(())
        });
        let wrote = (0..25).try_for_each(|i| {
            create(&storage, 10 + i, i as u8)?;
            storage.remove(&[lsn(10 + i)]).wait()
        });
        drop(end);
        listing.join().expect("listing does not panic")?;
        wrote.map_err(Stop::from)
    })
}

/// An opener of a name whose segment is being replaced finds one of the two, whole.
pub fn a_replacement_is_seen_whole_or_not_at_all<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise("create: a segment of that name is replaced in one step", &[])?;
    let (medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    create(&storage, 1, 0)?;
    let other = medium.open();
    let over = AtomicBool::new(false);
    let rounds = 40_u8;
    thread::scope(|scope| {
        let end = TellsTheEnd(&over);
        let looking = scope.spawn(|| -> Result<(), Stop> {
            while !over.load(Ordering::Acquire) {
                let found = headers(&other)?;
                let bytes = found.get(&1).ok_or_else(|| {
                    Stop::broken("segment 1 was missing while it was being replaced")
                })?;
                let whole = (0..=rounds).any(|mark| *bytes == header(&other, mark));
                ensure(whole, || {
                    format!("segment 1 had no whole header, but {} bytes", bytes.len())
                })?;
            }
            Ok(())
        });
        let wrote = (1..=rounds).try_for_each(|mark| create_over(&storage, 1, mark).map(drop));
        drop(end);
        looking.join().expect("looking does not panic")?;
        wrote.map_err(Stop::from)
    })
}

/// A removal runs beside the writer, who creates other segments and writes to them.
pub fn segments_are_removed_beside_creations_and_writes<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise(
        "remove, concurrency: it runs beside everything else: other segments are staged, created, written and \
         synced meanwhile",
        &[],
    )?;
    const ROUNDS: u64 = 12;
    const MANY: u64 = 4;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    for name in 1..=ROUNDS * MANY {
        create(&storage, name, name as u8)?;
    }
    let data = pattern(5, PIECE);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let removing = scope.spawn(|| -> Result<(), Stop> {
            for round in 0..ROUNDS {
                let some: Vec<_> = (1..=MANY).map(|n| lsn(round * MANY + n)).collect();
                storage.remove(&some).wait()?;
            }
            over.store(true, Ordering::Release);
            Ok(())
        });
        let mut newest = 1000;
        // A few more than are created while it removes: a storage may keep the space of those that were removed.
        let mut left = 6;
        let wrote = (|| -> Result<(), Stop> {
            while left > 0 && newest < 2000 {
                newest += 1;
                let segment = create(&storage, newest, newest as u8)?;
                write(&segment, data_offset(&storage), &data)?;
                segment.sync().wait()?;
                if over.load(Ordering::Acquire) || removing.is_finished() {
                    left -= 1;
                }
            }
            Ok(())
        })();
        removing.join().expect("removing does not panic")?;
        wrote?;
        let there: Vec<u64> = names(&storage)?;
        ensure(there == (1001..=newest).collect::<Vec<_>>(), || {
            format!(
                "removed were 1 to {}, created meanwhile 1001 to {newest}; there are {there:?}",
                ROUNDS * MANY
            )
        })?;
        for name in there {
            let segment = expect_header(&storage, name, name as u8)?;
            expect(&segment, name, data_offset(&storage), &data)?;
        }
        Ok(())
    })
}
