//! Each file is a module of some crate: a file that no `mod` names is compiled by nobody. And the tests of a package
//! are one program, which is linked once.

use std::collections::{BTreeMap, BTreeSet};

use super::Problem;
use super::source::{Source, words};

/// Folders in which cargo takes each file, and each `main.rs` in a folder of its own, for a program.
const PROGRAMS: &[&str] = &["bin", "tests", "benches", "examples", "fuzz_targets"];

/// Programs of tests beside a package's `tests/it`, and why.
const TESTS_APART: &[(&str, &str)] = &[
    ("bench/peers/tests/syncs.rs", "all tests of that package"),
    ("crates/wal-core/tests/allocations.rs", "replaces the allocator"),
    ("crates/wal-core/tests/loom/main.rs", "is built for loom"),
    ("crates/wal-core/tests/shuttle/main.rs", "is built for shuttle"),
    ("crates/wal-fs/tests/allocations.rs", "replaces the allocator"),
    ("crates/wal-streams/tests/allocations.rs", "replaces the allocator"),
    ("crates/wal-testkit/tests/codecs/main.rs", "replaces the allocator"),
    ("fuzz/tests/guard.rs", "hangs and takes memory on purpose"),
    ("fuzz/tests/replay.rs", "measures the memory of the whole process"),
];

/// Which files were reached, and which of them for tests only.
pub(super) struct Reach {
    reached: BTreeSet<String>,
    shipped: BTreeSet<String>,
}

impl Reach {
    /// From the roots of all crates, along their `mod`s.
    pub(super) fn of(sources: &[Source]) -> Self {
        let by_path: BTreeMap<_, _> = sources.iter().map(|s| (s.path.as_str(), s)).collect();
        let roots =
            || sources.iter().map(|source| source.path.clone()).filter(|path| is_root(path));
        let along = |code: fn(&Source) -> String| {
            let mut reached = BTreeSet::new();
            let mut open: Vec<_> = roots().collect();
            while let Some(path) = open.pop() {
                let Some(source) = by_path.get(path.as_str()) else { continue };
                if reached.insert(path) {
                    open.extend(children(source, &code(source)));
                }
            }
            reached
        };
        Reach { reached: along(|source| source.code.clone()), shipped: along(Source::shipped) }
    }

    /// Whether a file is compiled for tests only.
    pub(super) fn is_for_tests(&self, path: &str) -> bool {
        !self.shipped.contains(path)
    }

    /// Files that nobody reaches, and tests that are a program of their own without need.
    pub(super) fn check(&self, sources: &[Source]) -> Vec<Problem> {
        let told = |source: &Source, what: &str| Problem::new(&source.path, 1, what.into());
        let dead = sources.iter().filter(|source| !self.reached.contains(&source.path));
        let dead = dead.map(|source| told(source, "no `mod` leads to this file"));
        let apart = sources.iter().filter(|source| is_apart(&source.path));
        let apart =
            apart.map(|source| told(source, "the tests of a package are one program: `tests/it`"));
        dead.chain(apart).collect()
    }
}

/// Whether cargo compiles it without being told by another file.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let is_free = |above: &[&str]| !above.contains(&"src");
    match &parts[..] {
        [.., "src", "lib.rs" | "main.rs"] => true,
        [above @ .., "build.rs"] if is_free(above) => true,
        [above @ .., "src", "bin", _] => is_free(above),
        [above @ .., folder, _] if PROGRAMS.contains(folder) => is_free(above),
        [above @ .., folder, _, "main.rs"] if PROGRAMS.contains(folder) => is_free(above),
        _ => false,
    }
}

/// Whether it is a program of tests, is not its package's only one, and has no reason for it.
fn is_apart(path: &str) -> bool {
    let in_tests = path.split('/').any(|part| part == "tests");
    let is_known = TESTS_APART.iter().any(|(known, _)| *known == path);
    in_tests && is_root(path) && !path.ends_with("tests/it/main.rs") && !is_known
}

/// The files that the `mod`s of a file may mean.
fn children(source: &Source, code: &str) -> Vec<String> {
    let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let stem = source.path.strip_suffix(".rs").unwrap_or(&source.path);
    let own = match stem.rsplit('/').next() {
        _ if is_root(&source.path) => folder,
        Some("mod") => folder,
        _ => stem,
    };
    let mut files = Vec::new();
    for at in words(code, "mod") {
        let Some((name, _)) = code[at + 3..].split_once(';') else { continue };
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(super::source::is_word) {
            continue;
        }
        match path_attribute(source, at) {
            Some(path) => files.push(joined(folder, path)),
            None => {
                files.push(joined(own, &format!("{name}.rs")));
                files.push(joined(own, &format!("{name}/mod.rs")));
            }
        }
    }
    files
}

/// The path in the attributes of the item at `at`: of those that stand right before it.
fn path_attribute(source: &Source, at: usize) -> Option<&str> {
    let begun = source.code[..at].rfind([';', '}', '{']).map_or(0, |end| end + 1);
    let attribute = begun + source.code[begun..at].rfind("#[path")?;
    source.text[attribute..at].split('"').nth(1)
}

/// A path from a folder, with its `..` resolved.
pub(super) fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Vec<Source> {
        files.iter().map(|(path, text)| Source::new(*path, *text)).collect()
    }

    fn found(files: &[Source]) -> Vec<String> {
        Reach::of(files).check(files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_without_a_mod_is_a_problem() {
        let files = sources(&[
            ("a/src/lib.rs", "mod b; pub mod c;\n// mod dead;\n"),
            ("a/src/b.rs", "mod deep;"),
            ("a/src/b/deep.rs", ""),
            ("a/src/c/mod.rs", "#[path = \"../odd.rs\"]\nmod name;\n"),
            ("a/src/odd.rs", ""),
            ("a/src/dead.rs", ""),
            ("a/src/bin/tool.rs", ""),
            ("a/src/c/main.rs", ""),
            ("a/src/c/tests/dead.rs", ""),
            ("a/tests/it/main.rs", "mod b;\n#[path = \"../support/mod.rs\"]\nmod support;"),
            ("a/tests/it/b.rs", ""),
            ("a/tests/it/dead.rs", ""),
            ("a/tests/support/mod.rs", ""),
            ("a/benches/speed.rs", ""),
        ]);
        let dead =
            ["a/src/dead.rs", "a/src/c/main.rs", "a/src/c/tests/dead.rs", "a/tests/it/dead.rs"];
        assert_eq!(
            found(&files),
            dead.map(|path| format!("{path}:1: no `mod` leads to this file"))
        );
    }

    #[test]
    fn a_second_program_of_tests_is_a_problem_unless_it_has_a_reason() {
        let files = sources(&[
            ("a/tests/it/main.rs", ""),
            ("a/tests/more.rs", ""),
            ("a/tests/slow/main.rs", ""),
            (TESTS_APART[0].0, ""),
        ]);
        let told = ["a/tests/more.rs", "a/tests/slow/main.rs"]
            .map(|path| format!("{path}:1: the tests of a package are one program: `tests/it`"));
        assert_eq!(found(&files), told);
    }

    #[test]
    fn files_for_tests_are_told_from_those_that_ship() {
        let files = sources(&[
            ("a/src/lib.rs", "mod b;\n#[cfg(test)]\nmod c;\n"),
            ("a/src/b.rs", ""),
            ("a/src/c.rs", ""),
        ]);
        let reach = Reach::of(&files);
        assert!(reach.is_for_tests("a/src/c.rs") && !reach.is_for_tests("a/src/b.rs"));
    }
}
