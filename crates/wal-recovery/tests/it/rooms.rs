//! The folders of the sources keep to their rights: what only reads does not write, and imports lead down.

use std::fs;
use std::path::{Path, PathBuf};

/// Calls that change a storage or a segment, and what they need.
const WRITING: [&str; 12] = [
    "Access::Write",
    ".create(",
    ".copy_segment(",
    ".stage(",
    ".publish(",
    ".remove(",
    ".set_aside(",
    ".write_at(",
    ".truncate(",
    ".sync(",
    "write_footer(",
    "shorten(",
];

/// The sources in a folder, with their code.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.map(|path| (path.clone(), code(&fs::read_to_string(&path).unwrap()))).collect()
}

/// Without comments, and without the tests at the end.
fn code(text: &str) -> String {
    let shipped = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = shipped.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn writes(code: &str) -> bool {
    WRITING.iter().any(|call| code.contains(call))
}

/// The modules of the crate that a file names, in an import or elsewhere.
fn named(code: &str) -> Vec<&str> {
    let paths = code.match_indices("crate::").map(|(at, root)| &code[at + root.len()..]);
    paths
        .flat_map(|path| path.strip_prefix('{').map_or_else(|| vec![path], items))
        .map(word)
        .collect()
}

/// What stands side by side in braces, from behind the first of them on.
fn items(group: &str) -> Vec<&str> {
    let (mut items, mut depth) = (vec![group], 0);
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => break,
            b'}' => depth -= 1,
            b',' if depth == 0 => items.push(&group[at + 1..]),
            _ => {}
        }
    }
    items
}

fn word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| c != '_' && !c.is_alphanumeric());
    &text[..end.unwrap_or(text.len())]
}

#[test]
fn only_repair_and_backup_write() {
    for folder in [".", "segment", "scan", "view"] {
        for (path, code) in sources(folder) {
            assert!(!writes(&code), "{} writes", path.display());
        }
    }
    for folder in ["repair", "backup"] {
        assert!(sources(folder).iter().any(|(_, code)| writes(code)));
    }
}

/// A backup changes nothing in the log that it copies.
#[test]
fn a_backup_writes_to_its_target_only() {
    for (path, code) in sources("backup") {
        let code: String = code.split_whitespace().collect();
        for call in WRITING.iter().filter(|call| call.starts_with('.')) {
            for (at, _) in code.match_indices(call) {
                let receiver = &code[..at];
                let fine = ["target", "copy"].iter().any(|name| receiver.ends_with(name));
                assert!(
                    fine,
                    "{}: {call} of {}",
                    path.display(),
                    &receiver[at.saturating_sub(30)..]
                );
            }
        }
        for (at, _) in code.match_indices("Access::Write") {
            let opens = &code[..at];
            let opens = &opens[opens.rfind(".open(").unwrap()..];
            assert!(code[..at - opens.len()].ends_with("target"), "{}", path.display());
        }
    }
}

#[test]
fn imports_lead_down() {
    let above = [
        ("segment", &["scan", "repair", "view", "recovery", "inspect", "backup"][..]),
        ("scan", &["repair", "view", "recovery", "inspect", "backup"]),
        ("repair", &["view", "recovery", "inspect", "backup"]),
        ("view", &["repair", "recovery", "inspect", "backup"]),
        ("backup", &["repair"]),
    ];
    for (folder, above) in above {
        for (path, code) in sources(folder) {
            for room in named(&code) {
                assert!(!above.contains(&room), "{} names {room}", path.display());
            }
            // The way up to the other folders, without their names.
            let way_up = if path.ends_with("mod.rs") { "super::" } else { "super::super" };
            assert!(!code.contains(way_up), "{} leaves its folder", path.display());
        }
    }
}

#[test]
fn each_way_to_write_and_to_import_is_seen() {
    for call in ["storage.stage(name, 0)", "staged.publish(how)", "segment\n    .sync()"] {
        assert!(writes(&code(call)), "{call}");
    }
    for call in ["segment.write_at(0, data, mode)", "segment.truncate(len)", "Access::Write"] {
        assert!(writes(&code(call)), "{call}");
    }
    for reads in ["// segment.sync()", "fn sync(&self) {}", "Access::Read"] {
        assert!(!writes(&code(reads)), "{reads}");
    }
    assert_eq!(named("use crate::scan;\nfn f() { crate::repair::g() }"), ["scan", "repair"]);
    assert_eq!(
        named("use crate::{\n    a::{b, c},\n    view::d,\n};\nuse x::e;"),
        ["a", "view", ""]
    );
}
