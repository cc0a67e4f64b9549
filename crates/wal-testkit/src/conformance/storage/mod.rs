//! The checks of a [`LogStorage`](wal_core::LogStorage), one for each sentence of its contract that
//! can be seen from outside.
//!
//! [`storage_conformance!`](crate::storage_conformance) makes a test of each. They are plain
//! functions, to be run by [`examine`](super::examine).
//!
//! | file | idea |
//! | --- | --- |
//! | `locking` | the one-writer lock |
//! | `naming` | segments come and go, and other things lie beside them |
//! | `staging` | segments are staged, published as new or in the place of another, and removed together |
//! | `bytes` | a segment is an array of bytes |
//! | `beside` | what may run beside what |
//! | `crash` | what a power loss leaves, after each call of each operation |

mod beside;
mod bytes;
mod crash;
mod locking;
mod naming;
mod shape;
mod staging;

pub use beside::*;
pub use bytes::*;
pub use crash::*;
pub use locking::*;
pub use naming::*;
pub use staging::*;

use super::{Bench, Medium, Stop};

/// A check of a storage.
pub type Check<P> = fn(&Bench<'_, P>) -> Result<(), Stop>;

/// All checks with their names, for those who run them otherwise than as tests.
#[must_use]
pub fn all<P: Medium>() -> Vec<(&'static str, Check<P>)> {
    crate::__storage_checks! { __storage_table { Check<P> } }
}

/// Makes a module of tests that show whether a storage keeps the contract of
/// [`LogStorage`](wal_core::LogStorage).
///
/// `storage_conformance!(module, medium)`: `medium` is an expression of a type that implements
/// [`Medium`](crate::conformance::Medium). It is evaluated anew for each test, and gives a fresh, empty
/// medium each time.
///
/// Tests that cannot be run are skipped. That is told on standard error, past the capture of the test
/// harness, and once more by the test `what_was_skipped`. To have it fail when another test is skipped
/// than you know of, list them: `storage_conformance!(module, medium, skips: [foreign_names_are_listed])`.
///
/// # Examples
/// Files in a directory, of which no power loss can be simulated. What needs one is skipped:
///
/// ```rust,test_harness
/// mod tests {
///     use wal_fs::FileStorage;
///     use wal_testkit::conformance::Medium;
///
///     struct Directory(tempfile::TempDir);
///
///     impl Medium for Directory {
///         type Storage = FileStorage;
///         fn open(&self) -> FileStorage {
///             FileStorage::open(self.0.path()).unwrap()
///         }
///     }
///
///     wal_testkit::storage_conformance!(real_files, Directory(tempfile::tempdir().unwrap()));
/// }
/// ```
///
/// The same storage over a model of a disk, which can lose its power after every call:
///
/// ```rust,test_harness
/// mod tests {
///     use wal_fs::{FileSettings, FileStorage};
///     use wal_testkit::conformance::Medium;
///     use wal_testkit::{CrashPolicy, FaultFs, ModelFs};
///
///     struct Disk(FaultFs<ModelFs>);
///
///     fn storage(fs: FaultFs<ModelFs>) -> FileStorage<FaultFs<ModelFs>> {
///         FileStorage::create_with_file_system(fs, "/wal", FileSettings::default()).unwrap()
///     }
///
///     impl Medium for Disk {
///         type Storage = FileStorage<FaultFs<ModelFs>>;
///
///         fn open(&self) -> Self::Storage {
///             storage(self.0.clone())
///         }
///
///         fn open_after_kill(&self) -> Option<Self::Storage> {
///             Some(storage(FaultFs::new(self.0.inner().process_crash())))
///         }
///
///         fn cut_power_after(&self, calls: u64) {
///             self.0.faults().power_off_after(calls);
///         }
///
///         fn open_after_power_loss(&self, policy: CrashPolicy) -> Option<Self::Storage> {
///             Some(storage(FaultFs::new(self.0.inner().crash(policy))))
///         }
///
///         fn calls_below(&self) -> Vec<String> {
///             self.0.faults().trace_lines()
///         }
///     }
///
///     wal_testkit::storage_conformance!(
///         model_disk,
///         Disk(FaultFs::new(ModelFs::new())),
///         skips: [
///             foreign_names_are_listed,
///             a_new_segment_is_its_header_and_zeros,
///             readers_of_a_removed_segment_see_nothing_else,
///         ]
///     );
/// }
/// ```
///
/// A failing test prints a [`Breach`](crate::conformance::Breach). This is what a storage gets
/// whose `create` forgets the directory:
///
/// ```text
/// the storage "/wal" breaks its contract
///   promised: create, on Ok: the segment exists under its name, header is its first bytes, and both
///             facts are durable, the directory entry included
///   seen:     after a power loss segment 1 is missing, although create(1) had returned Ok
///   after these calls:
///     lock() -> Ok
///     create(1, 1300 bytes, 16384, new) -> Ok
///     create(9, 1300 bytes, 16384, new) -> Ok
///     -- power loss: whatever was not synced is lost --
///     list() -> segments [], foreign []
/// ```
#[macro_export]
macro_rules! storage_conformance {
    ($(#[$meta:meta])* $module:ident, $medium:expr $(,)?) => {
        $crate::__storage_checks! { __storage_tests {
            [$(#[$meta])*] $module, $medium, ::core::option::Option::None
        } }
    };
    ($(#[$meta:meta])* $module:ident, $medium:expr, skips: [$($skip:ident),* $(,)?] $(,)?) => {
        $crate::__storage_checks! { __storage_tests {
            [$(#[$meta])*] $module, $medium,
            ::core::option::Option::Some(&[$(::core::stringify!($skip)),*])
        } }
    };
}

/// The one list of the checks.
#[doc(hidden)]
#[macro_export]
macro_rules! __storage_checks {
    ($then:ident $arguments:tt) => {
        $crate::$then! { $arguments
            a_second_lock_is_refused
            a_refused_lock_changes_nothing
            a_dropped_lock_is_free
            a_cancelled_lock_is_not_held
            of_many_lockers_one_wins
            a_killed_holder_loses_the_lock
            capabilities_are_constant
            a_listing_names_every_segment_in_order
            foreign_names_are_listed
            a_new_segment_is_its_header_and_zeros
            recycled_space_holds_what_is_written
            a_header_of_any_length_is_kept
            create_replaces_an_empty_segment_in_one_step
            a_cancelled_create_leaves_the_old_or_the_new
            opening_what_is_not_there_is_not_found
            a_staged_segment_has_no_name
            a_staged_segment_is_written_in_pieces
            publishing_as_new_replaces_nothing
            a_replacement_replaces_only_what_it_names
            a_segment_of_another_version_is_not_replaced
            a_removed_name_can_be_created_again
            many_names_are_removed_in_one_call
            readers_of_a_removed_segment_see_nothing_else
            set_aside_never_overwrites
            what_is_set_aside_is_no_segment
            written_bytes_survive_the_process
            arc_and_box_forward
            writes_at_any_offset_up_to_alignment
            an_empty_write_changes_nothing
            segments_do_not_share_bytes
            a_reopened_segment_can_be_written
            read_behind_the_end_is_short
            a_gap_reads_as_zeros
            truncate_never_grows
            many_readers_beside_the_writer
            writes_run_beside_a_sync
            a_listing_runs_beside_the_writer
            a_replacement_is_seen_whole_or_not_at_all
            segments_are_removed_beside_creations_and_writes
            create_is_durable_when_it_returns
            a_crash_in_create_leaves_nothing_or_a_whole_header
            a_crash_in_create_over_recycled_space_leaves_nothing_or_a_whole_header
            a_crash_in_create_over_a_segment_leaves_the_old_or_the_new
            remove_stays_removed
            a_crash_in_remove_leaves_the_segment_or_nothing
            a_published_segment_is_durable_with_all_of_its_bytes
            a_crash_in_publish_leaves_nothing_or_the_whole_segment
            a_crash_in_a_replacement_leaves_the_old_or_the_new
            a_crash_in_a_refused_publication_changes_nothing
            many_removals_are_durable_together
            a_crash_in_many_removals_leaves_whole_segments
            sync_covers_what_was_written_before
            a_write_through_is_durable_when_it_returns
            sync_covers_what_an_earlier_process_wrote
            a_cut_is_durable_after_the_next_sync
            bytes_set_aside_are_durable
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __storage_tests {
    ({ [$($meta:tt)*] $module:ident, $medium:expr, $skips:expr } $($check:ident)*) => {
        $($meta)*
        mod $module {
            #[allow(unused_imports, reason = "the expression may be a path from here")]
            use super::*;

            $(#[test]
            fn $check() {
                let outcome = $crate::conformance::examine(
                    &|| $medium,
                    $crate::conformance::storage::$check,
                );
                $crate::conformance::report(
                    ::core::module_path!(),
                    ::core::stringify!($check),
                    outcome,
                );
            })*

            #[test]
            fn what_was_skipped() {
                let tests = [$((
                    ::core::stringify!($check),
                    $crate::conformance::need_of(
                        &|| $medium,
                        $crate::conformance::storage::$check,
                    ),
                )),*];
                $crate::conformance::report_skips(::core::module_path!(), &tests, $skips);
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __storage_table {
    ({ $type:ty } $($check:ident)*) => {
        vec![$((stringify!($check), $check as $type)),*]
    };
}
