//! The storages of this project run the kit that downstream storages run.

use crate::media::{self, *};
use wal_core::MemoryStorage;
#[cfg(target_os = "linux")]
use wal_fs::UringSettings;
use wal_fs::{DirectSettings, FileSettings, LastBlock, MmapSettings};
use wal_testkit::conformance::Medium;
use wal_testkit::{FaultStorage, Reuse, storage_conformance};

fn no_recycling() -> FileSettings {
    settings().max_spares(0)
}

fn write_through() -> FileSettings {
    settings().write_through(true)
}

fn no_filling() -> FileSettings {
    settings().preallocate_bytes(0)
}

fn small_blocks() -> DirectSettings {
    DirectSettings::default().block_bytes(Some(512)).preallocate_bytes(2048)
}

fn padded_blocks() -> DirectSettings {
    small_blocks().last_block(LastBlock::Padded)
}

fn small_windows() -> MmapSettings {
    MmapSettings::default().window_bytes(2048)
}

fn small_windows_without_a_thread() -> MmapSettings {
    small_windows().helper_thread(false)
}

// Files over the model of a disk: power is lost after every call.

storage_conformance!(disk_recycling, disk(settings()), skips: [
    a_new_segment_is_its_header_and_zeros,
    readers_of_a_removed_segment_see_nothing_else,
]);
storage_conformance!(disk_without_recycling, disk(no_recycling()), skips: [
    recycled_space_holds_what_is_written,
    a_crash_in_create_over_recycled_space_leaves_nothing_or_a_whole_header,
]);
storage_conformance!(disk_write_through, shared(disk(write_through())), skips: [
    a_new_segment_is_its_header_and_zeros,
    readers_of_a_removed_segment_see_nothing_else,
]);
storage_conformance!(disk_without_filling, boxed(disk(no_filling())), skips: [
    a_new_segment_is_its_header_and_zeros,
    readers_of_a_removed_segment_see_nothing_else,
]);
storage_conformance!(disk_shared, shared(disk(settings())), skips: [
    a_new_segment_is_its_header_and_zeros,
    readers_of_a_removed_segment_see_nothing_else,
]);
storage_conformance!(disk_boxed, boxed(disk(no_recycling())), skips: [
    recycled_space_holds_what_is_written,
    a_crash_in_create_over_recycled_space_leaves_nothing_or_a_whole_header,
]);

storage_conformance!(direct_disk, media::direct_disk(small_blocks()), skips: [
    a_new_segment_is_its_header_and_zeros,
    readers_of_a_removed_segment_see_nothing_else,
]);
storage_conformance!(
    direct_disk_without_recycling,
    shared(media::direct_disk(small_blocks().max_spares(0).preallocate_bytes(0))),
    skips: [
        recycled_space_holds_what_is_written,
        a_crash_in_create_over_recycled_space_leaves_nothing_or_a_whole_header,
    ]
);
storage_conformance!(
    direct_disk_with_large_blocks,
    boxed(media::direct_disk(DirectSettings::default())),
    skips: [
        a_new_segment_is_its_header_and_zeros,
        readers_of_a_removed_segment_see_nothing_else,
    ]
);
storage_conformance!(direct_disk_padded, shared(media::direct_disk(padded_blocks())), skips: [
    a_new_segment_is_its_header_and_zeros,
    readers_of_a_removed_segment_see_nothing_else,
]);
storage_conformance!(mmap_disk, media::mmap_disk(small_windows_without_a_thread()), skips: [
    a_new_segment_is_its_header_and_zeros,
    readers_of_a_removed_segment_see_nothing_else,
]);
storage_conformance!(
    mmap_disk_without_recycling,
    shared(media::mmap_disk(small_windows_without_a_thread().max_spares(0))),
    skips: [
        recycled_space_holds_what_is_written,
        a_crash_in_create_over_recycled_space_leaves_nothing_or_a_whole_header,
    ]
);

// Files of this machine: its power cannot be cut from here.

storage_conformance!(directory_recycling, directory(settings()), skips: [
    a_killed_holder_loses_the_lock,
    a_new_segment_is_its_header_and_zeros,
    readers_of_a_removed_segment_see_nothing_else,
    create_is_durable_when_it_returns,
    a_crash_in_create_leaves_nothing_or_a_whole_header,
    a_crash_in_create_over_recycled_space_leaves_nothing_or_a_whole_header,
    a_crash_in_create_over_a_segment_leaves_the_old_or_the_new,
    a_published_segment_is_durable_with_all_of_its_bytes,
    a_crash_in_publish_leaves_nothing_or_the_whole_segment,
    a_crash_in_a_replacement_leaves_the_old_or_the_new,
    a_crash_in_a_refused_publication_changes_nothing,
    many_removals_are_durable_together,
    a_crash_in_many_removals_leaves_whole_segments,
    remove_stays_removed,
    a_crash_in_remove_leaves_the_segment_or_nothing,
    sync_covers_what_was_written_before,
    a_write_through_is_durable_when_it_returns,
    sync_covers_what_an_earlier_process_wrote,
    a_cut_is_durable_after_the_next_sync,
    bytes_set_aside_are_durable,
]);
storage_conformance!(directory_write_through, boxed(directory(write_through().max_spares(0))));
storage_conformance!(directory_shared, shared(directory(FileSettings::default())));
storage_conformance!(directory_boxed, boxed(directory(no_filling())));

#[cfg(target_os = "linux")]
storage_conformance!(direct_directory, media::direct_directory(DirectSettings::default()));
#[cfg(target_os = "linux")]
storage_conformance!(
    direct_directory_with_the_least_blocks,
    shared(media::direct_directory(small_blocks().block_bytes(None).max_spares(0)))
);
#[cfg(target_os = "linux")]
storage_conformance!(direct_directory_padded, boxed(media::direct_directory(padded_blocks())));
storage_conformance!(mmap_directory, media::mmap_directory(small_windows()));
storage_conformance!(
    mmap_directory_shared,
    shared(media::mmap_directory(MmapSettings::default().max_spares(0)))
);

// Visibly skipped where the kernel forbids io_uring.
#[cfg(target_os = "linux")]
storage_conformance!(
    uring_directory,
    media::uring_directory(UringSettings::default().preallocate_bytes(2048))
);
#[cfg(target_os = "linux")]
storage_conformance!(
    uring_directory_shared,
    shared(media::uring_directory(UringSettings::default().max_spares(0).queue_depth(1)))
);
#[cfg(target_os = "linux")]
storage_conformance!(
    uring_directory_boxed,
    boxed(media::uring_directory(UringSettings::default().preallocate_bytes(0)))
);

// Memory, which promises to forget.

storage_conformance!(memory, Memory::default(), skips: [
    a_killed_holder_loses_the_lock,
    foreign_names_are_listed,
    recycled_space_holds_what_is_written,
    written_bytes_survive_the_process,
    create_is_durable_when_it_returns,
    a_crash_in_create_leaves_nothing_or_a_whole_header,
    a_crash_in_create_over_recycled_space_leaves_nothing_or_a_whole_header,
    a_crash_in_create_over_a_segment_leaves_the_old_or_the_new,
    a_published_segment_is_durable_with_all_of_its_bytes,
    a_crash_in_publish_leaves_nothing_or_the_whole_segment,
    a_crash_in_a_replacement_leaves_the_old_or_the_new,
    a_crash_in_a_refused_publication_changes_nothing,
    many_removals_are_durable_together,
    a_crash_in_many_removals_leaves_whole_segments,
    remove_stays_removed,
    a_crash_in_remove_leaves_the_segment_or_nothing,
    sync_covers_what_was_written_before,
    a_write_through_is_durable_when_it_returns,
    sync_covers_what_an_earlier_process_wrote,
    a_cut_is_durable_after_the_next_sync,
    bytes_set_aside_are_durable,
]);
storage_conformance!(memory_shared, shared(Memory::default()));
storage_conformance!(memory_boxed, boxed(Memory::default()));

// The wrapper that injects failures is none itself as long as it has none to inject.

storage_conformance!(faults_over_disk, shared(Wrapped {
    medium: disk(settings()),
    wrap: FaultStorage::new
}), skips: [
    a_new_segment_is_its_header_and_zeros,
    readers_of_a_removed_segment_see_nothing_else,
]);
storage_conformance!(
    faults_over_memory,
    boxed(Wrapped { medium: Memory::default(), wrap: FaultStorage::new })
);
#[cfg(target_os = "linux")]
storage_conformance!(
    faults_over_uring,
    shared(Wrapped {
        medium: media::uring_directory(UringSettings::default()),
        wrap: FaultStorage::new
    })
);

// The one that loses power makes of any storage one that can, memory included.

storage_conformance!(cached_memory, Cached::over(MemoryStorage::new()), skips: [
    foreign_names_are_listed,
    recycled_space_holds_what_is_written,
    a_crash_in_create_over_recycled_space_leaves_nothing_or_a_whole_header,
]);
storage_conformance!(
    cached_memory_with_old_frames,
    shared(Cached::over(MemoryStorage::new()).reusing(Reuse::OldFrames)),
    skips: [
        foreign_names_are_listed,
        a_new_segment_is_its_header_and_zeros,
        readers_of_a_removed_segment_see_nothing_else,
    ]
);
storage_conformance!(
    cached_memory_with_garbage,
    boxed(Cached::over(MemoryStorage::new()).reusing(Reuse::Garbage(7))),
    skips: [
        foreign_names_are_listed,
        a_new_segment_is_its_header_and_zeros,
        readers_of_a_removed_segment_see_nothing_else,
    ]
);
storage_conformance!(cached_memory_shared, shared(Cached::over(MemoryStorage::new())));
storage_conformance!(cached_disk, boxed(Cached::over(disk(settings()).open())));
#[cfg(target_os = "linux")]
storage_conformance!(
    cached_uring,
    shared(media::CachedUring::new(UringSettings::default().preallocate_bytes(0)))
);
