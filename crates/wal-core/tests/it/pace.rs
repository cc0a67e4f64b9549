//! What changes only the speed knows nothing of the engine: it could be deleted, and every promise would stay.

use std::fs;
use std::path::Path;

/// What code in `engine/pace/` may name: itself, and what it is told by or sleeps on.
const KNOWN: [&str; 7] = [
    "super::*",
    "super::Pace;",
    "super::super::ticking::",
    "crate::sync::",
    "crate::Clock;",
    "crate::{Clock, Timestamp};",
    "std::",
];

fn strange(code: &str) -> Vec<&str> {
    let imports = code.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    let inner = |path: &str| {
        ["backoff", "group_wait", "idle", "spin"].iter().any(|room| path.starts_with(room))
    };
    imports
        .filter(|line| {
            line.starts_with("use ")
                || line.contains(" use ")
                || line.contains("crate::")
                || line.contains("super::")
        })
        .filter(|line| {
            let path = line.split_once("use ").map_or(*line, |(_, path)| path);
            !(KNOWN.iter().any(|known| path.starts_with(known)) || inner(path))
        })
        .collect()
}

#[test]
fn pace_knows_nothing_of_the_engine() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/pace");
    let mut files = 0;
    for entry in fs::read_dir(room).unwrap() {
        let path = entry.unwrap().path();
        let code = fs::read_to_string(&path).unwrap();
        let strange = strange(&code);
        assert!(strange.is_empty(), "{} names more than it may: {strange:?}", path.display());
        files += 1;
    }
    assert!(files >= 5, "these are the files: {files}");
    assert_eq!(strange("use super::super::agenda::Agenda;").len(), 1);
    assert_eq!(strange("    let engine = crate::engine::Engine::new();").len(), 1);
    assert_eq!(strange("use crate::engine::Engine;\nuse crate::Clock;").len(), 1);
}
