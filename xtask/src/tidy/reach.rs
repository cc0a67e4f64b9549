//! Each file is a module of some crate: a file that no `mod` names is compiled by nobody.

use std::collections::{BTreeMap, BTreeSet};

use super::Problem;
use super::source::{Source, words};

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

    /// Files in a `src` that nobody reaches.
    pub(super) fn check(&self, sources: &[Source]) -> Vec<Problem> {
        let dead = sources.iter().filter(|source| {
            source.path.split('/').any(|part| part == "src") && !self.reached.contains(&source.path)
        });
        dead.map(|source| Problem::new(&source.path, 1, "no `mod` leads to this file".into()))
            .collect()
    }
}

/// Whether cargo compiles it without being told by another file.
fn is_root(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let folder = path.strip_suffix(name).unwrap_or_default().trim_end_matches('/');
    match folder.rsplit('/').next().unwrap_or_default() {
        "src" => ["lib.rs", "main.rs"].contains(&name),
        "bin" | "tests" | "benches" | "examples" | "fuzz_targets" => true,
        _ => name == "build.rs" || name == "main.rs",
    }
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
        ]);
        let found: Vec<_> =
            Reach::of(&files).check(&files).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["a/src/dead.rs:1: no `mod` leads to this file"]);
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
