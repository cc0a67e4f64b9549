//! What a power loss leaves, after each call of each operation.

use bytes::Bytes;
use wal_core::{Access, LogStorage, Result, WriteMode};

use super::shape::{
    create, create_filled, create_over, data_offset, expect, expect_header, header, headers, lsn,
    names, pattern, write,
};
use crate::conformance::bench::Bench;
use crate::conformance::checked::{Stop, ensure};
use crate::conformance::medium::{Medium, Need};

/// What is said of a segment that a crash left.
fn state_of(found: Option<&Bytes>, marks: &[(&str, &Bytes)]) -> String {
    match found {
        None => "missing".into(),
        Some(bytes) => marks
            .iter()
            .find(|(_, header)| *header == bytes)
            .map_or("there, with a header that is torn or missing".into(), |(what, _)| {
                (*what).to_string()
            }),
    }
}

/// What `create` made is there after a power loss, name and header.
pub fn create_is_durable_when_it_returns<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "create, on Ok: the segment exists under its name, header is its first bytes, and both \
         facts are durable, the directory entry included",
        &[Need::PowerLoss],
    )?;
    for policy in bench.policies(&bench.start().0) {
        let (medium, storage) = bench.start();
        let _lock = storage.lock().wait()?;
        create(&storage, 1, 1)?;
        create(&storage, 9, 9)?;
        let after = bench.after_power_loss(&medium, policy)?;
        let found = headers(&after)?;
        for (name, mark) in [(1, 1), (9, 9)] {
            let state = state_of(found.get(&name), &[("whole", &header(&after, mark))]);
            ensure(state == "whole", || {
                format!(
                    "after a power loss segment {name} is {state}, although create({name}) had returned Ok"
                )
            })?;
        }
    }
    Ok(())
}

/// A crash at any moment of a creation leaves nothing or a whole header.
pub fn a_crash_in_create_leaves_nothing_or_a_whole_header<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise(
        "create, durability: a crash at any moment leaves what was there before, or the new \
         segment with its whole header: never a segment whose header is missing or torn",
        &[Need::PowerLoss],
    )?;
    bench.crash_everywhere(
        |storage| create_filled(storage, 1, 1),
        |storage| create(storage, 9, 9).map(drop),
        |after, done| {
            let found = headers(after)?;
            let state = state_of(found.get(&9), &[("whole", &header(after, 9))]);
            ensure(state == "whole" || !done && state == "missing", || {
                let returned = if done { "had returned Ok" } else { "was under way" };
                format!("after a crash segment 9 is {state}; create(9) {returned}")
            })?;
            only(after, &[1, 9])?;
            expect_header(after, 1, 1).map(drop)
        },
    )
}

/// The same where the new segment takes the space of a removed one.
pub fn a_crash_in_create_over_recycled_space_leaves_nothing_or_a_whole_header<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise(
        "create, durability: a crash at any moment leaves what was there before, or the new \
         segment with its whole header; also over recycled space",
        &[Need::PowerLoss, Need::Recycling],
    )?;
    bench.crash_everywhere(
        |storage| {
            create_filled(storage, 1, 1)?;
            create_filled(storage, 9, 9)?;
            storage.remove(&[lsn(1)]).wait()
        },
        |storage| create(storage, 17, 17).map(drop),
        |after, done| {
            let found = headers(after)?;
            let state = state_of(found.get(&17), &[("whole", &header(after, 17))]);
            ensure(state == "whole" || !done && state == "missing", || {
                let returned = if done { "had returned Ok" } else { "was under way" };
                format!("after a crash segment 17 is {state}; create(17) {returned}")
            })?;
            only(after, &[9, 17])?;
            expect_header(after, 9, 9).map(drop)
        },
    )
}

/// A crash while a segment is replaced leaves one of the two.
pub fn a_crash_in_create_over_a_segment_leaves_the_old_or_the_new<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise(
        "create: a segment of that name is replaced in one step; durability: a crash at any moment \
         leaves what was there before, or the new segment with its whole header",
        &[Need::PowerLoss],
    )?;
    bench.crash_everywhere(
        |storage| create(storage, 1, 1).map(drop),
        |storage| create_over(storage, 1, 2).map(drop),
        |after, done| {
            let (old, new) = (header(after, 1), header(after, 2));
            let state =
                state_of(headers(after)?.get(&1), &[("the new one", &new), ("the old one", &old)]);
            ensure(state == "the new one" || !done && state == "the old one", || {
                let returned = if done { "had returned Ok" } else { "was under way" };
                format!("after a crash segment 1 is {state}; the create(1) over it {returned}")
            })
        },
    )
}

/// What was removed does not come back.
pub fn remove_stays_removed<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "remove, on Ok: the name is gone and stays gone after a crash (directory synced)",
        &[Need::PowerLoss],
    )?;
    for policy in bench.policies(&bench.start().0) {
        let (medium, storage) = bench.start();
        let _lock = storage.lock().wait()?;
        // Enough that storages that recycle have all the spares they want.
        for name in 1..6 {
            create_filled(&storage, name, name as u8)?;
        }
        for name in 1..5 {
            storage.remove(&[lsn(name)]).wait()?;
        }
        let after = bench.after_power_loss(&medium, policy)?;
        let left = names(&after)?;
        ensure(left == [5], || {
            format!("after a power loss the segments are {left:?}; removed were 1 to 4, kept was 5")
        })?;
        expect_header(&after, 5, 5)?;
    }
    Ok(())
}

/// A crash at any moment of a removal leaves the segment, or nothing.
pub fn a_crash_in_remove_leaves_the_segment_or_nothing<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise(
        "remove, on Err: the segment may or may not exist; durability: the removal is durable on Ok",
        &[Need::PowerLoss],
    )?;
    for spares in [0, 3] {
        bench.crash_everywhere(
            |storage| {
                create_filled(storage, 1, 1)?;
                create_filled(storage, 9, 9)?;
                (100..100 + spares).try_for_each(|name| {
                    create_filled(storage, name, 0)?;
                    storage.remove(&[lsn(name)]).wait()
                })
            },
            |storage| storage.remove(&[lsn(1)]).wait(),
            |after, done| {
                let state = state_of(headers(after)?.get(&1), &[("whole", &header(after, 1))]);
                ensure(state == "missing" || !done && state == "whole", || {
                    let returned = if done { "had returned Ok" } else { "was under way" };
                    format!("after a crash segment 1 is {state}; remove(1) {returned}")
                })?;
                only(after, &[1, 9])?;
                expect_header(after, 9, 9).map(drop)
            },
        )?;
    }
    Ok(())
}

fn only(storage: &impl LogStorage, known: &[u64]) -> Result<(), Stop> {
    let left = names(storage)?;
    ensure(left.iter().all(|name| known.contains(name)), || {
        format!("after a crash the segments are {left:?}; expected was nothing but {known:?}")
    })
}

/// What was written before a sync is there after a power loss.
pub fn sync_covers_what_was_written_before<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "sync: makes every byte durable whose write returned before this call, and the length they \
         need",
        &[Need::PowerLoss],
    )?;
    grow_and_crash(bench, |segment, offset, data| {
        segment.write_at(offset, data, WriteMode::Cached).wait()?;
        segment.sync().wait()
    })
}

/// What was written through is there after a power loss, without a sync.
pub fn a_write_through_is_durable_when_it_returns<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise(
        "write_at, on Ok: with WriteMode::Through the bytes are durable, together with the length \
         they need",
        &[Need::PowerLoss],
    )?;
    grow_and_crash(bench, |segment, offset, data| {
        segment.write_at(offset, data, WriteMode::Through).wait()
    })
}

/// Commits pieces one after another with a cached write behind each, loses the power after each of
/// them, and expects all that was committed.
fn grow_and_crash<P: Medium>(
    bench: &Bench<'_, P>,
    commit: impl Fn(&std::sync::Arc<dyn wal_core::Segment>, u64, Bytes) -> Result<()>,
) -> Result<(), Stop> {
    const PIECE: usize = 450;
    let data = pattern(8, PIECE * 40);
    // Few pieces leave the part of the segment that was there from the start; many do.
    for pieces in [1, 2, 3, 7, 40] {
        for policy in bench.policies(&bench.start().0) {
            let (medium, storage) = bench.start();
            let _lock = storage.lock().wait()?;
            let (segment, from) = (create(&storage, 1, 1)?, data_offset(&storage));
            for i in 0..pieces {
                let piece = data.slice(i * PIECE..(i + 1) * PIECE);
                let at = from + (i * PIECE) as u64;
                commit(&segment, at, piece)?;
                // Under way when the power goes off, in part over the place of the next commit.
                write(&segment, at + PIECE as u64, &pattern(0xcc, 700))?;
            }
            let after = bench.after_power_loss(&medium, policy)?;
            let survivor = expect_header(&after, 1, 1)?;
            expect(&survivor, 1, from, &data[..pieces * PIECE]).map_err(|stop| match stop {
                Stop::Broken(how) => Stop::Broken(format!(
                    "bytes {from} to {} were made durable, and then the power was lost. {how}",
                    from + (pieces * PIECE) as u64
                )),
                other => other,
            })?;
        }
    }
    Ok(())
}

/// A recovery syncs what an earlier process wrote, and may rely on it.
pub fn sync_covers_what_an_earlier_process_wrote<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise(
        "sync: makes every byte durable whose write returned before this call, whoever wrote it",
        &[Need::PowerLoss, Need::Survival],
    )?;
    for policy in bench.policies(&bench.start().0) {
        let (medium, storage) = bench.start();
        let lock = storage.lock().wait()?;
        let (segment, from) = (create(&storage, 1, 1)?, data_offset(&storage));
        let data = pattern(4, 6000);
        write(&segment, from, &data)?;
        drop((segment, lock, storage));
        let next = bench.watch(medium.open());
        let _lock = next.lock().wait()?;
        next.open(lsn(1), Access::Write).wait()?.sync().wait()?;
        let after = bench.after_power_loss(&medium, policy)?;
        expect(&expect_header(&after, 1, 1)?, 1, from, &data)?;
    }
    Ok(())
}

/// A cut is durable after the next sync.
pub fn a_cut_is_durable_after_the_next_sync<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise("truncate, durability: after the next sync", &[Need::PowerLoss])?;
    for policy in bench.policies(&bench.start().0) {
        let (medium, storage) = bench.start();
        let _lock = storage.lock().wait()?;
        let (segment, from) = (create(&storage, 1, 1)?, data_offset(&storage));
        let data = pattern(4, 6000);
        write(&segment, from, &data)?;
        segment.sync().wait()?;
        segment.truncate(from + 1000).wait()?;
        segment.sync().wait()?;
        let after = bench.after_power_loss(&medium, policy)?;
        let survivor = expect_header(&after, 1, 1)?;
        expect(&survivor, 1, from, &data[..1000])?;
        let len = survivor.len().wait()?;
        ensure(len == from + 1000, || {
            format!(
                "after a power loss the length is {len}; it was cut to {} and synced",
                from + 1000
            )
        })?;
    }
    Ok(())
}

/// What was set aside is there after a power loss, and its name is not given again.
pub fn bytes_set_aside_are_durable<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "set_aside, on Ok: the bytes are durable under the returned name, directory entry included",
        &[Need::PowerLoss],
    )?;
    for policy in bench.policies(&bench.start().0) {
        let (medium, storage) = bench.start();
        let _lock = storage.lock().wait()?;
        let data = pattern(7, 5000);
        let name = storage.set_aside("tail", data.clone()).wait()?;
        let after = bench.after_power_loss(&medium, policy)?;
        if let Some(kept) = medium.read_set_aside(&name) {
            ensure(kept == data, || {
                format!(
                    "after a power loss {name:?} holds {} bytes, and not those set aside",
                    kept.len()
                )
            })?;
        }
        let again = after.set_aside("tail", data).wait()?;
        ensure(again != name, || {
            format!("after a power loss {name:?} was given again: the first copy is gone")
        })?;
    }
    Ok(())
}
