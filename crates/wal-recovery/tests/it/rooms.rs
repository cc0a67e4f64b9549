//! The folders of the sources keep to their rights: what only reads does not write, and imports lead down.

use std::fs;
use std::path::{Path, PathBuf};

/// The sources in a folder, with their text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn only_repair_writes() {
    let writing =
        ["Access::Write", ".create(", ".remove(", ".set_aside(", "write_footer(", "shorten("];
    let writes = |text: &str| writing.iter().any(|call| text.contains(call));
    for folder in [".", "segment", "scan", "view"] {
        for (path, text) in sources(folder) {
            assert!(!writes(&text), "{} writes", path.display());
        }
    }
    assert!(sources("repair").iter().any(|(_, text)| writes(text)));
}

#[test]
fn imports_lead_down() {
    let above = [
        ("segment", &["scan", "repair", "view", "recovery", "inspect"][..]),
        ("scan", &["repair", "view", "recovery", "inspect"]),
        ("repair", &["view", "recovery", "inspect"]),
        ("view", &["repair", "recovery", "inspect"]),
    ];
    for (folder, above) in above {
        for (path, text) in sources(folder) {
            for room in above {
                let import = format!("use crate::{room}");
                assert!(!text.contains(&import), "{} imports {room}", path.display());
            }
        }
    }
}
