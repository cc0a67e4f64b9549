//! The kit catches those who lie, and says so in words that a newcomer understands. And no check of it
//! is for show: each is failed by somebody.

use std::collections::BTreeSet;

use crate::media::forgetful::{Forgetful, Forgets};
use crate::media::liar::{Lie, Lying};
use crate::media::*;
use wal_core::MemoryStorage;
use wal_fs::{FileSettings, FileStorage};
use wal_testkit::Reuse;
use wal_testkit::conformance::{Breach, Medium, examine, storage};

/// Files, the calls of which are forgotten in part.
fn forgetful(settings: FileSettings, forgets: Forgets) -> Disk<FileStorage<Forgetful<Honest>>> {
    Disk::new(move |fs| {
        let fs = Forgetful::new(fs, forgets);
        FileStorage::create_with_file_system(fs, DIR, settings.clone())
    })
}

/// The names of the checks that find something, and what they found.
fn breaches<P: Medium>(fresh: &dyn Fn() -> P) -> Vec<(&'static str, Breach)> {
    let all = storage::all::<P>().into_iter();
    all.filter_map(|(name, check)| Some((name, examine(fresh, check).err()?))).collect()
}

fn message<P: Medium>(fresh: &dyn Fn() -> P, check: storage::Check<P>) -> String {
    examine(fresh, check).expect_err("the lie was believed").to_string()
}

#[test]
fn a_sync_that_does_nothing_is_told_from_the_outside() {
    let fresh = || forgetful(settings().preallocate_bytes(0), Forgets::SyncData);
    let text = message(&fresh, storage::sync_covers_what_was_written_before);
    let (story, below) = text.split_once("\n    below the storage, up to the crash:\n").unwrap();
    assert_eq!(
        story,
        "the storage \"/var/wal\" breaks its contract
  promised: sync: makes every byte durable whose write returned before this call, and the length they need
  seen:     bytes 1300 to 1750 were made durable, and then the power was lost. segment 1: read_at(1300, 450) gave only 0 bytes
  after these calls:
    lock() -> Ok
    create(1, 1300 bytes, 16384, new) -> Ok
    segment 1: write_at(1300, 450 bytes, Cached) -> Ok
    segment 1: sync() -> Ok
    segment 1: write_at(1750, 700 bytes, Cached) -> Ok
    -- power loss: whatever was not synced is lost --
    open(1, Read) -> Ok
    segment 1: read_at(0, 1300) -> 1300 bytes
    segment 1: read_at(1300, 450) -> 0 bytes"
    );
    // The last calls to the disk, with no sync among them.
    let last = "
      sync dir wal
      write 00000000000000000001.wal 1300+450
      write 00000000000000000001.wal 1750+700";
    assert!(below.ends_with(last), "{below}");
}

#[test]
fn a_create_without_a_directory_sync_is_told_from_the_outside() {
    let text = message(
        &|| forgetful(settings(), Forgets::SyncDir),
        storage::create_is_durable_when_it_returns,
    );
    for part in [
        "promised: create, on Ok: the segment exists under its name, header is its first bytes, and \
         both facts are durable, the directory entry included",
        "seen:     after a power loss segment 1 is missing, although create(1) had returned Ok",
        "create(1, 1300 bytes, 16384, new) -> Ok",
        "-- power loss: whatever was not synced is lost --",
        "list() -> segments [], foreign []",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_name_before_its_header_is_told_from_the_outside() {
    let fresh = || forgetful(settings(), Forgets::SyncAll);
    let text = message(&fresh, storage::a_crash_in_create_leaves_nothing_or_a_whole_header);
    for part in [
        "promised: create, durability: a crash at any moment leaves what was there before, or the new \
         segment with its whole header: never a segment whose header is missing or torn",
        "seen:     after a crash segment 9 is there, with a header that is torn or missing; create(9) \
         was under way",
        "-- the power will go off after",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn forgotten_calls_are_found_by_the_checks_that_are_about_them() {
    for (forgets, found) in [
        (
            Forgets::SyncData,
            &[
                "sync_covers_what_was_written_before",
                "sync_covers_what_an_earlier_process_wrote",
                "a_cut_is_durable_after_the_next_sync",
            ][..],
        ),
        (
            Forgets::SyncAll,
            &[
                "create_is_durable_when_it_returns",
                "a_crash_in_create_leaves_nothing_or_a_whole_header",
                "a_crash_in_create_over_recycled_space_leaves_nothing_or_a_whole_header",
                "a_crash_in_create_over_a_segment_leaves_the_old_or_the_new",
                "a_published_segment_is_durable_with_all_of_its_bytes",
                "a_crash_in_a_replacement_leaves_the_old_or_the_new",
                "bytes_set_aside_are_durable",
            ],
        ),
        (
            Forgets::SyncDir,
            &[
                "create_is_durable_when_it_returns",
                "a_published_segment_is_durable_with_all_of_its_bytes",
                "many_removals_are_durable_together",
                "a_crash_in_many_removals_leaves_whole_segments",
                "remove_stays_removed",
                "a_crash_in_remove_leaves_the_segment_or_nothing",
                "bytes_set_aside_are_durable",
            ],
        ),
        (Forgets::Through, &["a_write_through_is_durable_when_it_returns"]),
        (
            Forgets::Atomicity,
            &[
                "a_crash_in_create_over_a_segment_leaves_the_old_or_the_new",
                "a_crash_in_a_replacement_leaves_the_old_or_the_new",
            ],
        ),
    ] {
        let seen = breaches(&|| forgetful(settings(), forgets));
        let seen: Vec<&str> = seen.iter().map(|(name, _)| *name).collect();
        for name in found {
            assert!(seen.contains(name), "{forgets:?}: {name} is not among {seen:?}");
        }
    }
}

/// Where a lie is told: memory below a cache that can be lost, files, or recycled space.
#[derive(Clone, Copy)]
enum Where {
    Memory,
    Files,
    Recycling,
}

fn lying(medium: Where, lie: Lie) -> Lying {
    let medium = match medium {
        Where::Memory => boxed(Cached::over(MemoryStorage::new())),
        Where::Files => boxed(disk(settings().max_spares(0))),
        Where::Recycling => boxed(Cached::over(MemoryStorage::new()).reusing(Reuse::OldFrames)),
    };
    Lying::new(medium, lie)
}

/// Each lie, and the checks that are about it; others may find it as well.
const LIES: &[(Lie, Where, &[&str])] = &[
    (Lie::NeverLocks, Where::Memory, &["a_second_lock_is_refused", "of_many_lockers_one_wins"]),
    (Lie::NeverUnlocks, Where::Memory, &["a_dropped_lock_is_free", "a_cancelled_lock_is_not_held"]),
    (Lie::LockOutlivesItsHolder, Where::Memory, &["a_killed_holder_loses_the_lock"]),
    (Lie::RefusalRemovesASegment, Where::Memory, &["a_refused_lock_changes_nothing"]),
    (Lie::CapabilitiesChange, Where::Memory, &["capabilities_are_constant"]),
    (Lie::PadsBesideItsAlignment, Where::Memory, &["capabilities_are_constant"]),
    (Lie::ListsBackwards, Where::Memory, &["a_listing_names_every_segment_in_order"]),
    (Lie::HidesForeign, Where::Files, &["foreign_names_are_listed"]),
    (Lie::ListsSetAside, Where::Memory, &["what_is_set_aside_is_no_segment"]),
    (Lie::ListsPassingNames, Where::Memory, &["a_listing_runs_beside_the_writer"]),
    (Lie::DirtBehindTheHeader, Where::Memory, &["a_new_segment_is_its_header_and_zeros"]),
    (Lie::CutsTheHeader, Where::Memory, &["a_header_of_any_length_is_kept"]),
    (Lie::CutsTheHeader, Where::Recycling, &["recycled_space_holds_what_is_written"]),
    (Lie::KeepsTheOldSegment, Where::Memory, &["create_replaces_an_empty_segment_in_one_step"]),
    (
        Lie::ReplacesInTwoSteps,
        Where::Memory,
        &[
            "a_cancelled_create_leaves_the_old_or_the_new",
            "a_replacement_is_seen_whole_or_not_at_all",
            "a_crash_in_create_over_a_segment_leaves_the_old_or_the_new",
        ],
    ),
    (
        Lie::CreatesInTwoSteps,
        Where::Recycling,
        &[
            "create_is_durable_when_it_returns",
            "a_crash_in_create_leaves_nothing_or_a_whole_header",
            "a_crash_in_create_over_recycled_space_leaves_nothing_or_a_whole_header",
        ],
    ),
    (
        Lie::StagesUnderTheName,
        Where::Memory,
        &["a_staged_segment_has_no_name", "a_crash_in_publish_leaves_nothing_or_the_whole_segment"],
    ),
    (
        Lie::KeepsTheFirstPiece,
        Where::Memory,
        &[
            "a_staged_segment_is_written_in_pieces",
            "a_published_segment_is_durable_with_all_of_its_bytes",
        ],
    ),
    (
        Lie::BytesAfterTheName,
        Where::Files,
        &[
            "a_published_segment_is_durable_with_all_of_its_bytes",
            "a_crash_in_publish_leaves_nothing_or_the_whole_segment",
            "a_crash_in_a_replacement_leaves_the_old_or_the_new",
        ],
    ),
    (
        Lie::ReplacesWhatIsNew,
        Where::Files,
        &["publishing_as_new_replaces_nothing", "a_crash_in_a_refused_publication_changes_nothing"],
    ),
    (
        Lie::ReplacesAnyGeneration,
        Where::Memory,
        &[
            "a_replacement_replaces_only_what_it_names",
            "a_crash_in_a_refused_publication_changes_nothing",
        ],
    ),
    (Lie::ReplacesAnyVersion, Where::Memory, &["a_segment_of_another_version_is_not_replaced"]),
    (
        Lie::PublishesInTwoSteps,
        Where::Memory,
        &["a_crash_in_a_replacement_leaves_the_old_or_the_new"],
    ),
    (
        Lie::RemovesTheFirst,
        Where::Memory,
        &[
            "many_names_are_removed_in_one_call",
            "many_removals_are_durable_together",
            "a_crash_in_many_removals_leaves_whole_segments",
        ],
    ),
    (
        Lie::RemovesWhatCameMeanwhile,
        Where::Memory,
        &["segments_are_removed_beside_creations_and_writes"],
    ),
    (Lie::OpensAnything, Where::Memory, &["opening_what_is_not_there_is_not_found"]),
    (
        Lie::RemovesNothing,
        Where::Memory,
        &[
            "a_removed_name_can_be_created_again",
            "remove_stays_removed",
            "a_crash_in_remove_leaves_the_segment_or_nothing",
        ],
    ),
    (Lie::RemoveFails, Where::Memory, &["a_crash_in_remove_leaves_the_segment_or_nothing"]),
    (Lie::ReadersFollowTheName, Where::Memory, &["readers_of_a_removed_segment_see_nothing_else"]),
    (
        Lie::SetAsideOverwrites,
        Where::Memory,
        &["set_aside_never_overwrites", "bytes_set_aside_are_durable"],
    ),
    (
        Lie::BuffersInTheHandle,
        Where::Memory,
        &["written_bytes_survive_the_process", "many_readers_beside_the_writer"],
    ),
    (Lie::CountsItsDescriptions, Where::Memory, &["arc_and_box_forward"]),
    (Lie::CutsLongWrites, Where::Memory, &["writes_at_any_offset_up_to_alignment"]),
    (Lie::EmptyWritesGrow, Where::Memory, &["an_empty_write_changes_nothing"]),
    (Lie::WritesTheNeighbourToo, Where::Memory, &["segments_do_not_share_bytes"]),
    (Lie::ReopensEmpty, Where::Memory, &["a_reopened_segment_can_be_written"]),
    (Lie::ReadsShort, Where::Memory, &["read_behind_the_end_is_short"]),
    (Lie::GivesSpentMemoryBack, Where::Memory, &["read_behind_the_end_is_short"]),
    (Lie::NoiseInGaps, Where::Memory, &["a_gap_reads_as_zeros"]),
    (Lie::TruncateGrows, Where::Memory, &["truncate_never_grows"]),
    (Lie::SyncUndoesWrites, Where::Memory, &["writes_run_beside_a_sync"]),
    (
        Lie::SyncDoesNothing,
        Where::Memory,
        &[
            "sync_covers_what_was_written_before",
            "sync_covers_what_an_earlier_process_wrote",
            "a_cut_is_durable_after_the_next_sync",
        ],
    ),
    (Lie::ThroughIsCached, Where::Memory, &["a_write_through_is_durable_when_it_returns"]),
];

#[test]
fn every_lie_is_found_by_the_checks_that_are_about_it() {
    let all = storage::all::<Lying>();
    for &(lie, medium, found) in LIES {
        for name in found {
            let (_, check) = all.iter().find(|(known, _)| known == name).expect(name);
            let outcome = examine(&|| lying(medium, lie), *check);
            assert!(outcome.is_err(), "{lie:?} is not found by {name}: {outcome:?}");
        }
    }
}

#[test]
fn every_check_is_failed_by_somebody() {
    let caught: BTreeSet<&str> =
        LIES.iter().flat_map(|(_, _, found)| found.iter().copied()).collect();
    let all: BTreeSet<&str> = storage::all::<Lying>().into_iter().map(|(name, _)| name).collect();
    assert_eq!(caught, all);
}

#[test]
fn an_alignment_is_no_lie() {
    for medium in [Where::Memory, Where::Files, Where::Recycling] {
        let found = breaches(&|| lying(medium, Lie::Aligned));
        assert!(found.is_empty(), "{}", found[0].1);
    }
}
