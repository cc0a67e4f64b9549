//! What a replay must notice, it notices.

use std::hint::black_box;
use std::process::Command;
use std::{fs, path::Path};

use wal_fuzz::Target;
use wal_fuzz::stable::{MEMORY_MAX, run_all};

fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run, seeds: Vec::new }
}

/// Where failing inputs of a target are put; removed when it is looked at.
fn kept(name: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts").join(name);
    let Ok(entries) = fs::read_dir(&dir) else { return Vec::new() };
    let inputs = entries.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    fs::remove_dir_all(&dir).unwrap();
    inputs
}

#[test]
fn a_panic_is_told_and_the_input_is_kept() {
    let panics = target("guard-panics", |input| assert!(input.is_empty(), "not empty"));
    assert_eq!(run_all(&panics, &[Vec::new()]).unwrap().executions, 1);
    let error = run_all(&panics, &[Vec::new(), b"bad".to_vec()]).unwrap_err();
    assert!(error.contains("guard-panics: it panicked"), "{error}");
    assert_eq!(kept("guard-panics"), [b"bad"]);
}

#[test]
#[ignore = "run by the test below, in a process of its own"]
fn an_input_that_does_not_end() {
    let endless = target("guard-endless", |_| {
        loop {
            std::thread::yield_now();
        }
    });
    let _ = run_all(&endless, &[b"endless".to_vec()]);
}

#[test]
#[ignore = "run by the test below, in a process of its own"]
fn an_input_that_takes_memory() {
    let greedy =
        target("guard-greedy", |_| drop(black_box(Vec::<u8>::with_capacity(MEMORY_MAX + 1))));
    run_all(&greedy, &[b"greedy".to_vec()]).unwrap();
}

#[test]
fn what_does_not_end_or_takes_memory_ends_the_run_and_the_input_is_kept() {
    for (test, name, input) in [
        ("an_input_that_does_not_end", "guard-endless", &b"endless"[..]),
        ("an_input_that_takes_memory", "guard-greedy", b"greedy"),
    ] {
        let this = std::env::current_exe().unwrap();
        let run = Command::new(this).args(["--ignored", "--exact", test]).output().unwrap();
        assert!(!run.status.success(), "{test}");
        assert_eq!(kept(name), [input], "{test}");
    }
}
