//! Our storage against the contract of `LogStorage`, and at work below a log.

use std::cell::RefCell;
use std::path::Path;

use downstream::DutyCycle;
use downstream::plain_files::PlainFiles;
use tempfile::TempDir;
use wal_core::{Lsn, Wal};
use wal_fs::FileSystem;
use wal_recovery::Recovery;
use wal_testkit::conformance::Medium;
use wal_testkit::{CrashPolicy, FaultFs, ModelFs};

/// A disk that loses its power: a model below the seam that our storage makes its calls through.
struct Disk {
    files: FaultFs<ModelFs>,
    /// As it was opened last.
    present: RefCell<ModelFs>,
}

impl Disk {
    fn new() -> Self {
        let model = ModelFs::new();
        Disk { files: FaultFs::new(model.clone()), present: RefCell::new(model) }
    }

    fn storage(&self, files: FaultFs<ModelFs>) -> PlainFiles<FaultFs<ModelFs>> {
        self.present.replace(files.inner().clone());
        PlainFiles::create_with_file_system(files, "/log").unwrap()
    }
}

impl Medium for Disk {
    type Storage = PlainFiles<FaultFs<ModelFs>>;

    fn open(&self) -> Self::Storage {
        self.storage(self.files.clone())
    }

    fn open_after_kill(&self) -> Option<Self::Storage> {
        Some(self.storage(FaultFs::new(self.files.inner().process_crash())))
    }

    fn cut_power_after(&self, calls: u64) {
        self.files.faults().power_off_after(calls);
    }

    fn open_after_power_loss(&self, policy: CrashPolicy) -> Option<Self::Storage> {
        Some(self.storage(FaultFs::new(self.files.inner().crash(policy))))
    }

    fn calls_below(&self) -> Vec<String> {
        self.files.faults().trace_lines()
    }

    fn put_foreign(&self) -> Option<String> {
        drop(self.files.create_new(Path::new("/log/notes.txt")).unwrap());
        Some("notes.txt".into())
    }

    fn read_set_aside(&self, name: &str) -> Option<Vec<u8>> {
        self.present.borrow().contents(&Path::new("/log").join(name)).ok()
    }
}

// It does not recycle.
wal_testkit::storage_conformance!(on_the_model, Disk::new(), skips: [
    recycled_space_holds_what_is_written,
    a_crash_in_create_over_recycled_space_leaves_nothing_or_a_whole_header,
]);

/// Files of this machine: its power cannot be cut from here.
struct Machine(TempDir);

impl Medium for Machine {
    type Storage = PlainFiles;

    fn open(&self) -> PlainFiles {
        PlainFiles::create(self.0.path()).unwrap()
    }

    fn put_foreign(&self) -> Option<String> {
        std::fs::write(self.0.path().join("notes.txt"), "mine").unwrap();
        Some("notes.txt".into())
    }

    fn read_set_aside(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.0.path().join(name)).ok()
    }
}

wal_testkit::storage_conformance!(on_this_machine, Machine(tempfile::tempdir().unwrap()), skips: [
    a_killed_holder_loses_the_lock,
    recycled_space_holds_what_is_written,
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

#[test]
fn a_log_on_plain_files_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let storage = PlainFiles::create(dir.path().join("log")).unwrap();
        let (recovered, _) = Recovery::new(storage).run().unwrap();
        let log = Wal::builder(DutyCycle { percent: 10, limit: 100 }).open(recovered).unwrap();
        for n in 0..100 {
            log.append(format!("{round}/{n}").as_bytes()).unwrap();
        }
        assert_eq!(log.iter(Lsn::ZERO).unwrap().count(), 100 * round);
        // Every other time the log is only dropped, and recovery has to do its work.
        if round % 2 == 0 {
            log.close().unwrap();
        }
    }
}
