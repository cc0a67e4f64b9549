//! One writer, in this process and among others.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use wal_core::{ErrorKind, LogStorage};
use wal_fs::{FileStorage, FileSystem};
use wal_testkit::{CrashPolicy, ModelFs};

const DIR: &str = "WAL_FS_TEST_DIR";

/// Run in a child process: takes the lock, says so, and holds it until it is killed.
#[test]
#[ignore = "started by the other tests"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    match FileStorage::open(dir).unwrap().lock().wait() {
        Ok(_lock) => {
            println!("\nlocked");
            loop {
                std::thread::park();
            }
        }
        Err(error) => println!("\nrefused: {error}"),
    }
}

/// Starts the child, and returns it with what it says of the lock.
fn start(dir: &std::path::Path) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lock::child", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    // The pipe stays open, or else the child would fail at what it says later.
    let stdout = child.stdout.as_mut().unwrap();
    for line in BufReader::new(stdout).lines().map(Result::unwrap) {
        if line == "locked" || line.starts_with("refused") {
            said = line;
            break;
        }
    }
    (child, said)
}

#[test]
fn a_second_opener_in_this_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (FileStorage::open(dir.path()), FileStorage::open(dir.path()));
    let (one, two) = (one.unwrap(), two.unwrap());
    let lock = one.lock().wait().unwrap();
    for storage in [&one, &two] {
        let error = storage.lock().wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        let text = error.to_string();
        assert!(text.contains(dir.path().to_str().unwrap()), "{text}");
        if cfg!(unix) {
            assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
        }
    }
    drop(lock);
    let _lock = two.lock().wait().unwrap();
    one.lock().wait().unwrap_err();
}

#[test]
fn another_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FileStorage::open(dir.path()).unwrap();
    let _lock = storage.lock().wait().unwrap();
    let (mut child, said) = start(dir.path());
    child.wait().unwrap();
    assert!(said.starts_with("refused: lock log: locked"), "{said}");
}

#[test]
fn a_killed_process_leaves_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FileStorage::open(dir.path()).unwrap();
    let (mut child, said) = start(dir.path());
    assert_eq!(said, "locked");
    let error = storage.lock().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    if cfg!(unix) {
        assert!(error.to_string().contains(&format!("process {}", child.id())), "{error}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    storage.lock().wait().unwrap();
}

#[test]
fn a_longer_process_id_of_an_earlier_holder_does_not_show_through() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("LOCK"), "4000000000 and more").unwrap();
    let storage = FileStorage::open(dir.path()).unwrap();
    let _lock = storage.lock().wait().unwrap();
    if cfg!(unix) {
        let text = std::fs::read_to_string(dir.path().join("LOCK")).unwrap();
        assert_eq!(text, format!("{:010}", std::process::id()));
    }
}

#[test]
fn the_lock_is_free_after_a_crash_of_either_kind() {
    let fs = ModelFs::new();
    let open = |fs: &ModelFs| {
        FileStorage::create_with_file_system(fs.clone(), "/wal", Default::default()).unwrap()
    };
    let storage = open(&fs);
    let _lock = storage.lock().wait().unwrap();
    assert!(fs.read_dir("/wal".as_ref()).unwrap().iter().any(|entry| entry.name == "LOCK"));
    open(&fs).lock().wait().unwrap_err();
    open(&fs.crash(CrashPolicy::KeepAll)).lock().wait().unwrap();
    open(&fs.process_crash()).lock().wait().unwrap();
}

#[test]
fn a_full_disk_does_not_prevent_the_lock() {
    let fs = ModelFs::new();
    fs.set_capacity(Some(0));
    let storage = FileStorage::create_with_file_system(fs, "/wal", Default::default()).unwrap();
    let _lock = storage.lock().wait().unwrap();
    assert_eq!(storage.lock().wait().unwrap_err().kind(), ErrorKind::Locked);
}
