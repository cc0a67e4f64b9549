//! Segments come and go under their names, and other things lie beside them.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use wal_core::{Access, ErrorKind, LogStorage, Publish, WriteMode};

use super::shape::{
    CAPACITY, OVER, create, create_filled, create_over, data_offset, expect, expect_header,
    expect_zeros, header, lsn, names, pattern, write,
};
use crate::conformance::bench::Bench;
use crate::conformance::checked::{Stop, ensure};
use crate::conformance::medium::{Medium, Need};

/// What a storage says of itself makes sense and stays as it is.
pub fn capabilities_are_constant<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "capabilities: what this storage can do; constant over its life. alignment: at least 1, and a \
         multiple of pad_to",
        &[],
    )?;
    let (medium, storage) = bench.start();
    let first = storage.capabilities();
    ensure(first.alignment >= 1, || "alignment is 0".into())?;
    ensure(first.pad_to >= 1 && first.alignment.is_multiple_of(first.pad_to), || {
        format!("alignment is {}, pad_to {}", first.alignment, first.pad_to)
    })?;
    ensure(first.atomic_write_unit >= 1, || "atomic_write_unit is 0".into())?;
    ensure(!first.survives_power_loss || first.survives_process_crash, || {
        "it claims to survive a power loss, but not the death of the process".into()
    })?;
    let _lock = storage.lock().wait()?;
    create_filled(&storage, 1, 1)?;
    storage.remove(&[lsn(1)]).wait()?;
    for (when, now) in
        [("later", storage.capabilities()), ("reopened", medium.open().capabilities())]
    {
        ensure(now == first, || format!("at first it said {first:?}, {when} {now:?}"))?;
    }
    ensure(!storage.describe().is_empty(), || "describe() gives an empty text".into())
}

/// A new medium holds nothing, and a listing names what was created, in order.
pub fn a_listing_names_every_segment_in_order<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "list, on Ok: every segment whose creation returned Ok and whose removal did not begin; \
         segments: ascending",
        &[],
    )?;
    let (medium, storage) = bench.start();
    let listed = |expected: &[u64]| -> Result<(), Stop> {
        for storage in [&storage, &bench.watch(medium.open())] {
            let listing = storage.list().wait()?;
            let names: Vec<u64> = listing.segments.iter().map(|name| name.get()).collect();
            ensure(names == expected, || format!("listed {names:?} instead of {expected:?}"))?;
            ensure(listing.foreign.is_empty(), || format!("{:?} is foreign", listing.foreign))?;
        }
        Ok(())
    };
    listed(&[])?;
    let _lock = storage.lock().wait()?;
    listed(&[])?;
    for name in [100, 9, u64::MAX, 1, 10] {
        create(&storage, name, 1)?;
    }
    listed(&[1, 9, 10, 100, u64::MAX])?;
    storage.remove(&[lsn(9)]).wait()?;
    listed(&[1, 10, 100, u64::MAX])
}

/// What lies on the medium and is not the log's is told.
pub fn foreign_names_are_listed<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "list: names the segments and whatever else is there. foreign: names of things in the \
         place that are not the log's",
        &[Need::Foreign],
    )?;
    let (medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    create(&storage, 1, 1)?;
    let name = medium.put_foreign().unwrap_or_default();
    bench.note(format!("{name:?} is put onto the medium"));
    let listing = storage.list().wait()?;
    ensure(listing.foreign == [name.clone()], || {
        format!("listed as foreign: {:?}, expected {name:?}", listing.foreign)
    })?;
    ensure(listing.segments == [lsn(1)], || format!("segments are {:?}", listing.segments))
}

/// A new segment is its header and zeros, where nothing is recycled.
pub fn a_new_segment_is_its_header_and_zeros<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "create, on Ok: header is its first bytes; the bytes behind it are zeros (without recycles)",
        &[Need::NoRecycling],
    )?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    create_filled(&storage, 1, 0xff)?;
    storage.remove(&[lsn(1)]).wait()?;
    for name in [1, 9] {
        let segment = create(&storage, name, 2)?;
        expect(&segment, name, 0, &header(&storage, 2))?;
        let from = data_offset(&storage);
        expect_zeros(name, from, &segment.read_at(from, CAPACITY as usize).wait()?)?;
    }
    Ok(())
}

/// A recycled segment holds its own header whole, and what is written to it.
pub fn recycled_space_holds_what_is_written<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "create, on Ok: header is its first bytes; the bytes behind it are zeros, or, with \
         recycles, anything",
        &[Need::Recycling],
    )?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    for name in 1..8 {
        create_filled(&storage, name, name as u8)?;
        if name > 2 {
            storage.remove(&[lsn(name - 2)]).wait()?;
        }
        let segment = storage.open(lsn(name), Access::Write).wait()?;
        expect(&segment, name, 0, &header(&storage, name as u8))?;
        let data = pattern(0xa0 + name as u8, 3000);
        write(&segment, data_offset(&storage), &data)?;
        expect(&segment, name, data_offset(&storage), &data)?;
    }
    Ok(())
}

/// Headers may be of any length, longer than the capacity as well.
pub fn a_header_of_any_length_is_kept<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "create: creates a segment that starts with header, with room for capacity bytes in mind",
        &[],
    )?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    let alignment = storage.capabilities().alignment.max(1) as usize;
    for (i, len) in [1_usize, 128, 511, 512, 513, 4096, 20_000].into_iter().enumerate() {
        let (name, head) = (1 + i as u64, pattern(7, len.next_multiple_of(alignment)));
        for (capacity, how) in [(0, Publish::New), (4096, OVER)] {
            let segment = storage.create(lsn(name), head.clone(), capacity, how).wait()?;
            expect(&segment, name, 0, &head)?;
        }
        let reader = storage.open(lsn(name), Access::Read).wait()?;
        expect(&reader, name, 0, &head)?;
    }
    Ok(())
}

/// A segment that holds no record is replaced by the new one of its name.
pub fn create_replaces_an_empty_segment_in_one_step<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise("create: a segment of that name is replaced in one step", &[])?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    create(&storage, 1, 1)?;
    create(&storage, 9, 9)?;
    let segment = create_over(&storage, 9, 10)?;
    expect_header(&storage, 9, 10)?;
    let data = pattern(3, 1000);
    write(&segment, data_offset(&storage), &data)?;
    let reader = expect_header(&storage, 9, 10)?;
    expect(&reader, 9, data_offset(&storage), &data)?;
    expect_header(&storage, 1, 1)?;
    let left = names(&storage)?;
    ensure(left == [1, 9], || format!("the segments are {left:?} instead of [1, 9]"))
}

/// A creation that is given up leaves the name as it was, or the new segment.
pub fn a_cancelled_create_leaves_the_old_or_the_new<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise(
        "create, if cancelled: the name means what it meant before, or the new segment with its \
         whole header",
        &[],
    )?;
    for polled in [false, true] {
        let (_medium, storage) = bench.start();
        let _lock = storage.lock().wait()?;
        create(&storage, 1, 1)?;
        for (name, mark, how) in [(1, 2, OVER), (9, 9, Publish::New)] {
            let when = if polled { "after it was polled once" } else { "before it was polled" };
            bench.note(format!("the future of create({name}, ..) is dropped {when}"));
            let creation = storage.inner().create(lsn(name), header(&storage, mark), CAPACITY, how);
            if polled {
                let _ = pin!(creation).poll(&mut Context::from_waker(Waker::noop()));
            }
        }
        let found = super::shape::headers(&storage)?;
        let is = |name: u64, mark: u8| found.get(&name) == Some(&header(&storage, mark));
        ensure(is(1, 1) || is(1, 2), || {
            "segment 1 is neither the old one nor the new one with its whole header".into()
        })?;
        ensure(!found.contains_key(&9) || is(9, 9), || {
            "segment 9 is there without its whole header".into()
        })?;
    }
    Ok(())
}

/// What is not there cannot be opened.
pub fn opening_what_is_not_there_is_not_found<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise("open, on Err: NotFound, Denied or Io; nothing changed", &[])?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    create(&storage, 1, 1)?;
    for access in [Access::Read, Access::Write] {
        match storage.open(lsn(2), access).wait() {
            Ok(_) => return Err(Stop::broken("segment 2 was opened, which was never created")),
            Err(error) => ensure(error.kind() == ErrorKind::NotFound, || {
                format!("the error is of kind \"{}\" instead of \"not found\"", error.kind())
            })?,
        }
    }
    let left = names(&storage)?;
    ensure(left == [1], || format!("the segments are {left:?} instead of [1]"))
}

/// A removed name is gone and can be given again.
pub fn a_removed_name_can_be_created_again<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "remove, on Ok: the name is gone. Contract: a name that was removed may be created again",
        &[],
    )?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    create(&storage, 1, 1)?;
    for round in 0..6 {
        create_filled(&storage, 9, round)?;
        expect_header(&storage, 9, round)?;
        storage.remove(&[lsn(9)]).wait()?;
        let left = names(&storage)?;
        ensure(left == [1], || format!("after the removal the segments are {left:?}"))?;
        ensure(storage.open(lsn(9), Access::Read).wait().is_err(), || {
            "the removed segment 9 can still be opened".into()
        })?;
        expect_header(&storage, 1, 1)?;
    }
    Ok(())
}

/// Who reads a removed segment is not given another segment's bytes.
pub fn readers_of_a_removed_segment_see_nothing_else<P: Medium>(
    bench: &Bench<'_, P>,
) -> Result<(), Stop> {
    bench.promise(
        "remove, on Ok: readers that had opened the segment get its old bytes, or an error; the \
         bytes of a later segment only if the storage recycles",
        &[Need::NoRecycling],
    )?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    create_filled(&storage, 1, 1)?;
    let reader = storage.open(lsn(1), Access::Read).wait()?;
    storage.remove(&[lsn(1)]).wait()?;
    create_filled(&storage, 1, 2)?;
    create_filled(&storage, 9, 9)?;
    let old = [&header(&storage, 1)[..], &[1; 2000]].concat();
    let found = reader.read_at(0, old.len()).wait();
    ensure(found.is_err() || found.is_ok_and(|found| found == old), || {
        "the reader of the removed segment was given other bytes".into()
    })
}

/// Bytes that are set aside get a name of their own, each time.
pub fn set_aside_never_overwrites<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "set_aside, on Ok: an existing name is never overwritten; a new one is chosen from label",
        &[],
    )?;
    let (medium, _) = bench.start();
    let mut seen: Vec<(String, Vec<u8>)> = Vec::new();
    for round in 0..4_u8 {
        // Each round is a process of its own, which does not know what the earlier ones chose.
        let storage = bench.watch(medium.open());
        let lock = storage.lock().wait()?;
        for label in ["tail", "00000000000000000001-tail"] {
            let data = vec![round + 1; 700 * usize::from(round)];
            let name = storage.set_aside(label, data.clone().into()).wait()?;
            ensure(seen.iter().all(|(known, _)| *known != name), || {
                format!("{name:?} was given to two copies")
            })?;
            seen.push((name, data));
        }
        drop(lock);
    }
    for (name, data) in &seen {
        let kept = medium.read_set_aside(name);
        ensure(kept.is_none_or(|kept| kept == *data), || format!("{name:?} holds other bytes"))?;
    }
    Ok(())
}

/// What was set aside is neither a segment nor foreign.
pub fn what_is_set_aside_is_no_segment<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "set_aside: puts a copy aside, under a name that recovery never takes for a segment",
        &[],
    )?;
    let (_medium, storage) = bench.start();
    let _lock = storage.lock().wait()?;
    let segment = create(&storage, 1, 1)?;
    let whole = segment.read_at(0, CAPACITY as usize).wait()?;
    for label in ["1", "00000000000000000009", "00000000000000000001.wal", "tail"] {
        storage.set_aside(label, whole.clone()).wait()?;
    }
    let listing = storage.list().wait()?;
    ensure(listing.segments == [lsn(1)], || format!("segments are {:?}", listing.segments))?;
    ensure(listing.foreign.is_empty(), || format!("{:?} are foreign", listing.foreign))?;
    expect_header(&storage, 1, 1).map(drop)
}

/// What was written is there for the next process.
pub fn written_bytes_survive_the_process<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "write_at, on Ok: every later read, also after the death of the process, sees the bytes",
        &[Need::Survival],
    )?;
    let can_kill = Need::Kill.unmet(|| bench.start().0).is_none();
    let (medium, storage) = bench.start();
    let lock = storage.lock().wait()?;
    let segment = create(&storage, 1, 1)?;
    let (data, from) = (pattern(5, 5000), data_offset(&storage));
    for (i, piece) in data.chunks(700).enumerate() {
        let mode = if i % 3 == 0 { WriteMode::Through } else { WriteMode::Cached };
        let piece = data.slice_ref(piece);
        segment.write_at(from + 700 * i as u64, piece, mode).wait()?;
    }
    drop((segment, lock, storage));
    let next = if can_kill { bench.after_kill(&medium)? } else { bench.watch(medium.open()) };
    let segment = expect_header(&next, 1, 1)?;
    expect(&segment, 1, from, &data)
}

/// The pointers through which a storage is used change nothing.
pub fn arc_and_box_forward<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "a storage works behind Arc<dyn LogStorage> and Box<dyn LogStorage> as it does bare",
        &[],
    )?;
    let (medium, bare) = bench.start();
    let shared: std::sync::Arc<dyn LogStorage> = std::sync::Arc::new(bench.watch(medium.open()));
    let boxed: Box<dyn LogStorage> = Box::new(bench.watch(medium.open()));
    for (storage, other) in
        [(&shared as &dyn LogStorage, &boxed as &dyn LogStorage), (&boxed, &shared)]
    {
        ensure(storage.capabilities() == bare.capabilities(), || "other capabilities".into())?;
        ensure(storage.describe() == bare.describe(), || "another description".into())?;
        let lock = storage.lock().wait()?;
        ensure(other.lock().wait().is_err(), || "both got the lock".into())?;
        let data = header(&bare, 4);
        storage.create(lsn(4), data.clone(), CAPACITY, Publish::New).wait()?;
        let segment = other.open(lsn(4), Access::Read).wait()?;
        expect(&segment, 4, 0, &data)?;
        let listed = other.list().wait()?.segments;
        ensure(listed == [lsn(4)], || format!("segments are {listed:?}"))?;
        storage.set_aside("tail", data).wait()?;
        storage.remove(&[lsn(4)]).wait()?;
        drop(lock);
    }
    Ok(())
}
