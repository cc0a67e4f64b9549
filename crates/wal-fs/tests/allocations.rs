//! Writing allocates nothing, once a segment has its buffers. A program of its own: it counts what the
//! allocator of the whole process hands out.

use wal_core::{LogStorage, Lsn, Publish, WriteMode};
use wal_fs::{DirectStorage, FileStorage, MmapStorage};
use wal_testkit::conformance::AllocationWatch;

#[global_allocator]
static ALLOCATOR: AllocationWatch = AllocationWatch;

fn allocated(storage: &impl LogStorage, mode: WriteMode) -> u64 {
    let header = vec![0; storage.capabilities().alignment as usize].into();
    let segment = storage.create(Lsn::FIRST, header, 900 << 10, Publish::New).wait().unwrap();
    let record = bytes::Bytes::from(vec![7; 124]);
    let at = |n: u64| (4 << 10) + n * 100;
    // The first write takes the memory that the others use.
    segment.write_at(at(0), record.clone(), mode).wait().unwrap();
    let write = || {
        for n in 1..200 {
            segment.write_at(at(n), record.clone(), mode).wait().unwrap();
            segment.sync().wait().unwrap();
        }
    };
    let (bytes, ()) = AllocationWatch::count(write);
    bytes.expect("this program counts")
}

#[test]
fn writing_allocates_nothing() {
    for mode in [WriteMode::Cached, WriteMode::Through] {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(allocated(&FileStorage::open(dir.path()).unwrap(), mode), 0);
        assert_eq!(allocated(&MmapStorage::open(dir.path()).unwrap(), mode), 0);
        if cfg!(target_os = "linux") {
            assert_eq!(allocated(&DirectStorage::open(dir.path()).unwrap(), mode), 0);
        }
    }
}
