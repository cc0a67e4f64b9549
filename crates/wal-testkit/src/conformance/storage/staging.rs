//! Segments that are staged, published as new or in the place of another, and removed together.

use std::sync::Arc;

use bytes::Bytes;
use wal_core::{Access, ErrorKind, LogStorage, Publish, Result, Segment, Staged};

use super::shape::{
    CAPACITY, create, create_filled, data_offset, expect, expect_header, expect_zeros, generation,
    headers, lsn, names, pattern, write,
};
use crate::conformance::bench::Bench;
use crate::conformance::checked::{Stop, ensure};
use crate::conformance::medium::{Medium, Need};

/// A staged segment is written in so many pieces.
const PIECES: usize = 5;

fn replace(generation: u64) -> Publish {
    Publish::Replace { generation: Some(generation) }
}

const REPLACE_UNREADABLE: Publish = Publish::Replace { generation: None };

/// A whole segment of this generation: a header that can be read, and bytes behind it.
fn whole(storage: &impl LogStorage, name: u64, number: u64) -> Bytes {
    let mut whole = generation(storage, name, number).to_vec();
    whole.extend_from_slice(&pattern(number as u8, 3000));
    whole.into()
}

/// Stages a segment and writes it in pieces, the last one first, with a sync in between.
fn staged(storage: &impl LogStorage, name: u64, whole: &Bytes) -> Result<Staged> {
    let mut staged = storage.stage(lsn(name), CAPACITY).wait()?;
    let piece = whole.len().div_ceil(PIECES);
    for at in (0..whole.len()).step_by(piece).rev() {
        staged.write_at(at as u64, whole.slice(at..whole.len().min(at + piece))).wait()?;
        if at == 2 * piece {
            staged.sync().wait()?;
        }
    }
    Ok(staged)
}

fn publish(
    storage: &impl LogStorage,
    name: u64,
    number: u64,
    how: Publish,
) -> Result<Arc<dyn Segment>> {
    staged(storage, name, &whole(storage, name, number))?.publish(how).wait()
}

/// That a publication was refused so.
fn refused(outcome: Result<Arc<dyn Segment>>, how: Publish, kind: ErrorKind) -> Result<(), Stop> {
    let found = outcome.err().map(|error| error.kind());
    ensure(found == Some(kind), || match found {
        None => format!("{how:?} returned Ok instead of an error of kind \"{kind}\""),
        Some(found) => format!("{how:?} failed as \"{found}\" instead of \"{kind}\""),
    })
}

/// That a segment is there, whole.
fn expect_whole(storage: &impl LogStorage, name: u64, number: u64) -> Result<(), Stop> {
    let segment = storage.open(lsn(name), Access::Read).wait()?;
    expect(&segment, name, 0, &whole(storage, name, number))
}

fn expect_names(storage: &impl LogStorage, expected: &[u64]) -> Result<(), Stop> {
    let left = names(storage)?;
    ensure(left == expected, || format!("the segments are {left:?} instead of {expected:?}"))
}

/// Before it is published a segment has no name, and without that it was never there.
pub fn a_staged_segment_has_no_name<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "stage, on Ok: nothing under any name has changed; several segments may be staged at once. \
         StagedSegment: if it is dropped, it was never there",
        &[],
    )?;
    let (medium, storage) = bench.start();
    let lock = storage.lock().wait()?;
    create(&storage, 1, 1)?;
    let [given_up, second, first] =
        [9, 17, 25].map(|name| staged(&storage, name, &whole(&storage, name, name)));
    let (given_up, second, first) = (given_up?, second?, first?);
    let nothing_new = |expected: &[u64]| -> Result<(), Stop> {
        expect_names(&storage, expected)?;
        for name in [9, 17, 25].iter().filter(|name| !expected.contains(name)) {
            ensure(storage.open(lsn(*name), Access::Read).wait().is_err(), || {
                format!("segment {name} can be opened, and was not published")
            })?;
        }
        let foreign = storage.list().wait()?.foreign;
        ensure(foreign.is_empty(), || format!("{foreign:?} are listed as foreign"))
    };
    nothing_new(&[1])?;
    first.publish(Publish::New).wait()?;
    nothing_new(&[1, 25])?;
    drop(given_up);
    second.publish(Publish::New).wait()?;
    nothing_new(&[1, 17, 25])?;
    // The name is as free as it was, in this process and in the next.
    publish(&storage, 9, 3, Publish::New)?;
    drop(staged(&storage, 33, &whole(&storage, 33, 33))?);
    drop((lock, storage));
    let next = bench.watch(medium.open());
    let _lock = next.lock().wait()?;
    expect_names(&next, &[1, 9, 17, 25])?;
    for (name, number) in [(9, 3), (17, 17), (25, 25)] {
        expect_whole(&next, name, number)?;
    }
    publish(&next, 33, 4, Publish::New)?;
    expect_whole(&next, 33, 4)
}

/// Pieces may come in any order; what was not written is zeros, where nothing is recycled.
pub fn a_staged_segment_is_written_in_pieces<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "StagedSegment::write_at, on Ok: the bytes are there; those that were never written are \
         zeros, or, with recycles, anything. publish, on Ok: the segment can be used as one that was \
         opened for writing",
        &[],
    )?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    for (name, publish) in [(1, Publish::New), (9, Publish::New), (1, replace(1))] {
        let number = if publish == Publish::New { name } else { 2 };
        let whole = whole(&storage, name, number);
        let far = whole.len() as u64 + 500;
        let mut staged = staged(&storage, name, &whole)?;
        // Behind a gap, as far as beyond the capacity, and not synced.
        let tail = pattern(0x55, CAPACITY as usize);
        staged.write_at(far, tail.clone()).wait()?;
        let segment = staged.publish(publish).wait()?;
        expect_whole(&storage, name, number)?;
        expect(&segment, name, far, &tail)?;
        if !storage.capabilities().recycles {
            expect_zeros(name, whole.len() as u64, &segment.read_at(far - 500, 500).wait()?)?;
        }
        let end = far + tail.len() as u64;
        write(&segment, end, &tail)?;
        segment.sync().wait()?;
        expect(&storage.open(lsn(name), Access::Read).wait()?, name, end, &tail)?;
    }
    Ok(())
}

/// A name that is taken stays with what has it.
pub fn publishing_as_new_replaces_nothing<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "Publish::New: nothing is replaced; if the name is taken, publishing fails as Exists",
        &[],
    )?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    publish(&storage, 1, 1, Publish::New)?;
    create(&storage, 9, 9)?;
    for name in [1, 9] {
        refused(publish(&storage, name, 2, Publish::New), Publish::New, ErrorKind::Exists)?;
        let created =
            storage.create(lsn(name), whole(&storage, name, 2), CAPACITY, Publish::New).wait();
        refused(created, Publish::New, ErrorKind::Exists)?;
    }
    expect_names(&storage, &[1, 9])?;
    expect_whole(&storage, 1, 1)?;
    expect_header(&storage, 9, 9).map(drop)
}

/// What is not what was named is not replaced.
pub fn a_replacement_replaces_only_what_it_names<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise(
        "Publish::Replace: replaces the segment of this generation, as its header says; None if its \
         header cannot be read. If something else is there, or nothing, publishing fails as Exists or \
         NotFound",
        &[],
    )?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    publish(&storage, 1, 3, Publish::New)?;
    // Its header cannot be read.
    create_filled(&storage, 9, 9)?;
    for (name, how, kind) in [
        (1, replace(2), ErrorKind::Exists),
        (1, replace(4), ErrorKind::Exists),
        (1, REPLACE_UNREADABLE, ErrorKind::Exists),
        (9, replace(9), ErrorKind::Exists),
        (17, replace(3), ErrorKind::NotFound),
        (17, REPLACE_UNREADABLE, ErrorKind::NotFound),
    ] {
        refused(publish(&storage, name, 7, how), how, kind)?;
        let created = storage.create(lsn(name), whole(&storage, name, 7), CAPACITY, how).wait();
        refused(created, how, kind)?;
    }
    expect_names(&storage, &[1, 9])?;
    expect_whole(&storage, 1, 3)?;
    expect_header(&storage, 9, 9)?;
    publish(&storage, 1, 5, replace(3))?;
    publish(&storage, 9, 6, REPLACE_UNREADABLE)?;
    expect_whole(&storage, 1, 5)?;
    expect_whole(&storage, 9, 6)?;
    expect_names(&storage, &[1, 9])
}

/// A segment of another version is not damaged, and nobody may replace it.
pub fn a_segment_of_another_version_is_not_replaced<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench
        .promise("Publish::check: Unsupported if only another build can read what is there", &[])?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    for (name, version) in [(1, 1), (9, 3)] {
        let mut other = whole(&storage, name, 5).to_vec();
        other[8] = version;
        // Its checksum is where that version has it.
        other[100..600].fill(version);
        let other = Bytes::from(other);
        storage.create(lsn(name), other.clone(), CAPACITY, Publish::New).wait()?;
        for how in [REPLACE_UNREADABLE, replace(5)] {
            let outcome = publish(&storage, name, 7, how);
            refused(outcome, how, ErrorKind::Unsupported)?;
        }
        let new = publish(&storage, name, 7, Publish::New);
        refused(new, Publish::New, ErrorKind::Exists)?;
        let segment = storage.open(lsn(name), Access::Read).wait()?;
        expect(&segment, name, 0, &other)?;
    }
    expect_names(&storage, &[1, 9])
}

/// Many names go in one call, and no others.
pub fn many_names_are_removed_in_one_call<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "remove, on Ok: the names are gone; a name that does not exist is not an error",
        &[],
    )?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    for name in 1..9 {
        create_filled(&storage, name, name as u8)?;
    }
    storage.remove(&[]).wait()?;
    expect_names(&storage, &[1, 2, 3, 4, 5, 6, 7, 8])?;
    storage.remove(&[7, 99, 1, 2, 3, 5].map(lsn)).wait()?;
    storage.remove(&[99, 1].map(lsn)).wait()?;
    expect_names(&storage, &[4, 6, 8])?;
    for name in [4, 6, 8] {
        let segment = expect_header(&storage, name, name as u8)?;
        expect(&segment, name, data_offset(&storage), &[name as u8; 2000])?;
    }
    create(&storage, 1, 1).map(drop).map_err(Stop::from)
}

/// Name and bytes are there once it is published.
pub fn a_published_segment_is_durable_with_all_of_its_bytes<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise(
        "publish, on Ok: the bytes, and that they have this name, are durable; what was not synced \
         is synced before",
        &[Need::PowerLoss],
    )?;
    for policy in bench.policies(&bench.start().0) {
        let (medium, storage) = bench.start();
        let _lock = storage.lock().wait()?;
        publish(&storage, 1, 1, Publish::New)?;
        publish(&storage, 9, 2, Publish::New)?;
        publish(&storage, 1, 3, replace(1))?;
        let after = bench.after_power_loss(&medium, policy)?;
        expect_names(&after, &[1, 9])?;
        for (name, number) in [(1, 3), (9, 2)] {
            expect_whole(&after, name, number).map_err(published_before)?;
        }
    }
    Ok(())
}

fn published_before(stop: Stop) -> Stop {
    match stop {
        Stop::Broken(how) => {
            Stop::Broken(format!("publish had returned Ok, and then the power was lost. {how}"))
        }
        other => other,
    }
}

/// A crash while a segment is staged and published leaves all of it or nothing.
pub fn a_crash_in_publish_leaves_nothing_or_the_whole_segment<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise(
        "publish, durability: a crash at any moment leaves what was there before, or this segment \
         with all of its bytes. stage, durability: after a crash a staged segment is gone",
        &[Need::PowerLoss],
    )?;
    bench.crash_everywhere(
        |storage| {
            create_filled(storage, 1, 1)?;
            create_filled(storage, 2, 2)?;
            storage.remove(&[lsn(2)]).wait()
        },
        |storage| publish(storage, 9, 9, Publish::New).map(drop),
        |after, done| {
            expect_header(after, 1, 1)?;
            match names(after)?[..] {
                [1] if !done => Ok(()),
                [1, 9] => expect_whole(after, 9, 9),
                ref left => {
                    let returned = if done { "had returned Ok" } else { "was under way" };
                    Err(Stop::broken(format!(
                        "after a crash the segments are {left:?}; the publication of 9 {returned}"
                    )))
                }
            }
        },
    )
}

/// A crash while a segment takes the place of another leaves one of the two, whole.
pub fn a_crash_in_a_replacement_leaves_the_old_or_the_new<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise(
        "publish, on Ok: Publish::Replace has replaced what it names, in one step; durability: a \
         crash at any moment leaves what was there before, or this segment with all of its bytes",
        &[Need::PowerLoss],
    )?;
    bench.crash_everywhere(
        |storage| publish(storage, 1, 1, Publish::New).map(drop),
        |storage| publish(storage, 1, 2, replace(1)).map(drop),
        |after, done| {
            expect_names(after, &[1])?;
            let is_old = headers(after)?.get(&1) == Some(&generation(after, 1, 1));
            expect_whole(after, 1, if is_old && !done { 1 } else { 2 })
        },
    )
}

/// What was refused has changed nothing, also for those who come after a crash.
pub fn a_crash_in_a_refused_publication_changes_nothing<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise(
        "publish, on Err as Exists: the name means what it meant before",
        &[Need::PowerLoss],
    )?;
    for how in [Publish::New, replace(2), REPLACE_UNREADABLE] {
        bench.crash_everywhere(
            |storage| publish(storage, 1, 1, Publish::New).map(drop),
            |storage| match publish(storage, 1, 3, how) {
                Err(error) if error.kind() == ErrorKind::Exists => Ok(()),
                Err(error) => Err(error),
                // What it did is seen below.
                Ok(_) => Ok(()),
            },
            |after, _| {
                expect_names(after, &[1])?;
                expect_whole(after, 1, 1)
            },
        )?;
    }
    Ok(())
}

/// Removals of one call are durable, all of them.
pub fn many_removals_are_durable_together<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "remove, on Ok: the names are gone and stay gone after a crash (one sync of the directory \
         for all)",
        &[Need::PowerLoss],
    )?;
    for policy in bench.policies(&bench.start().0) {
        let (medium, storage) = bench.start();
        let _lock = storage.lock().wait()?;
        for name in 1..8 {
            create_filled(&storage, name, name as u8)?;
        }
        storage.remove(&[1, 2, 3, 4, 5, 6].map(lsn)).wait()?;
        let after = bench.after_power_loss(&medium, policy)?;
        let left = names(&after)?;
        ensure(left == [7], || {
            format!("after a power loss the segments are {left:?}; removed were 1 to 6, kept was 7")
        })?;
        expect_header(&after, 7, 7)?;
    }
    Ok(())
}

/// A crash before that leaves any of them, each as it was.
pub fn a_crash_in_many_removals_leaves_whole_segments<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise(
        "remove, on Err: each of the segments may or may not exist; durability: a crash before Ok may \
         leave any of the removals undone, in any order",
        &[Need::PowerLoss],
    )?;
    bench.crash_everywhere(
        |storage| (1..7).try_for_each(|name| create_filled(storage, name, name as u8)),
        |storage| storage.remove(&[1, 2, 3, 5].map(lsn)).wait(),
        |after, done| {
            let left = names(after)?;
            ensure(left.ends_with(&[6]) && left.contains(&4) && (!done || left == [4, 6]), || {
                let returned = if done { "had returned Ok" } else { "was under way" };
                format!(
                    "after a crash the segments are {left:?}; the removal of 1, 2, 3, 5 {returned}"
                )
            })?;
            for name in left {
                let segment = expect_header(after, name, name as u8)?;
                expect(&segment, name, data_offset(after), &[name as u8; 2000])?;
            }
            Ok(())
        },
    )
}
