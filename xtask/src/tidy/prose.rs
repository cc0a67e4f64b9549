//! Documents whose links, paths and file names lead somewhere, and no blanks at the ends of lines.

use std::collections::BTreeSet;

use super::Problem;
use super::reach::joined;

/// What is there to be named.
pub(super) struct Known<'a> {
    /// The files of the workspace, and every folder above one.
    paths: BTreeSet<&'a str>,
    /// The names of the files, without their folders.
    names: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    pub(super) fn of(files: &'a [String]) -> Self {
        let mut known = Known { paths: BTreeSet::from([""]), names: BTreeSet::new() };
        for file in files {
            known.paths.insert(file);
            known.paths.extend(file.match_indices('/').map(|(at, _)| &file[..at]));
            known.names.extend(file.rsplit('/').next());
        }
        known
    }
}

/// Trailing blanks, and links, paths and file names of a Markdown file that lead nowhere.
pub(super) fn check(path: &str, text: &str, known: &Known<'_>) -> Vec<Problem> {
    let exists = |file: &str| known.paths.contains(file);
    let mut problems = Vec::new();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut fenced = false;
    for (at, line) in text.lines().enumerate() {
        if line.ends_with([' ', '\t']) {
            problems.push(Problem::new(path, at + 1, "a blank at the end of the line".into()));
        }
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if !path.ends_with(".md") || fenced {
            continue;
        }
        for target in targets(line).into_iter().filter(|target| is_relative(target)) {
            let file = target.split('#').next().unwrap_or_default();
            if !exists(&joined(folder, file)) {
                problems.push(Problem::new(path, at + 1, format!("a link to nothing: {target}")));
            }
        }
        for file in paths(line) {
            if !exists(file) && !exists(&format!("crates/{file}")) {
                problems.push(Problem::new(path, at + 1, format!("a path to nothing: {file}")));
            }
        }
        for name in names(line).filter(|name| !known.names.contains(name)) {
            problems.push(Problem::new(path, at + 1, format!("no file is called {name}")));
        }
    }
    problems
}

/// Where the links of a line lead: `[text](target)`, and `[name]: target`.
fn targets(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    let mut rest = line;
    while let Some((_, behind)) = rest.split_once("](") {
        let end = behind.find(')').unwrap_or(behind.len());
        // Behind an odd number of backticks it is code, and no link.
        let before = line.len() - behind.len();
        if line[..before].matches('`').count().is_multiple_of(2) {
            targets.extend(behind[..end].split_whitespace().next());
        }
        rest = &behind[end..];
    }
    let definition = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
    targets.extend(definition.filter(|(name, _)| !name.contains(']')).map(|(_, to)| to.trim()));
    targets
}

/// What a line names in backticks and is a path in the workspace, or in its folder `crates`.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    const ROOTS: [&str; 8] =
        ["crates/", "tools/", "xtask/", "docs/", "bench/", "fuzz/", "examples/", "wal-"];
    in_backticks(line).map(|code| code.trim_end_matches('/')).filter(|code| {
        // A word in capitals stands for a name.
        let is_given = |part: &str| part.chars().any(|c| !c.is_ascii_uppercase());
        ROOTS.iter().any(|root| code.starts_with(root))
            && code.contains('/')
            && is_plain(code)
            && code.split('/').all(is_given)
    })
}

/// What a line names in backticks and is a file's name without a folder.
fn names(line: &str) -> impl Iterator<Item = &str> {
    const ENDINGS: [&str; 3] = [".md", ".rs", ".toml"];
    in_backticks(line).filter(|code| {
        let is_file =
            ENDINGS.iter().any(|ending| code.len() > ending.len() && code.ends_with(ending));
        is_file && is_plain(code) && !code.contains('/')
    })
}

fn in_backticks(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Whether it is nothing but a path.
fn is_plain(code: &str) -> bool {
    code.chars().all(|c| c.is_ascii_alphanumeric() || "/-_.".contains(c))
}

fn is_relative(target: &str) -> bool {
    !target.starts_with('#') && !target.contains("://") && !target.starts_with("mailto:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, text: &str) -> Vec<String> {
        let files = ["README.md", "crates/wal-core/src/lib.rs", "docs/a.md"].map(String::from);
        check(path, text, &Known::of(&files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_link_to_nothing_is_a_problem() {
        let good = "[a](a.md), [b](../README.md#top) [c](#here) [d](https://x.org/y)\n[e]: a.md\n";
        assert!(told("docs/b.md", good).is_empty(), "{:?}", told("docs/b.md", good));
        assert!(told("docs/b.md", "`[x](y)` and\n```\n[x](y.md)\n```\n").is_empty());
        assert_eq!(told("docs/b.md", "[a](b.md)\n"), ["docs/b.md:1: a link to nothing: b.md"]);
        assert_eq!(
            told("README.md", "\n[a]: gone.md\n"),
            ["README.md:2: a link to nothing: gone.md"]
        );
        assert_eq!(told("b.md", "`[x` [y](z.md)"), ["b.md:1: a link to nothing: z.md"]);
    }

    #[test]
    fn a_path_to_nothing_is_a_problem() {
        for good in [
            "`wal-core/src`, `crates/wal-core/src` and `docs/a.md`\n",
            "`wal-core` `docs/*.md` `a/b` `wal-core/src/{a,b}.rs` `docs/NAME/` wal-core/gone\n",
        ] {
            assert!(told("README.md", good).is_empty(), "{:?}", told("README.md", good));
        }
        let gone = ["README.md:1: a path to nothing: wal-core/gone.rs"];
        assert_eq!(told("README.md", "`a` and `wal-core/gone.rs`\n"), gone);
    }

    #[test]
    fn a_name_that_no_file_has_is_a_problem() {
        let good = "`lib.rs`, `a.md` and `*.rs`; `.rs` `x::y` `a b.rs` gone.rs `gone.txt`\n```\n`gone.rs`\n";
        assert!(told("README.md", good).is_empty(), "{:?}", told("README.md", good));
        let gone = ["README.md:2: no file is called tail.rs"];
        assert_eq!(told("README.md", "`lib.rs`\n(`tail.rs`)\n"), gone);
        assert!(told("a.rs", "// `tail.rs`\n").is_empty());
    }

    #[test]
    fn a_blank_at_the_end_is_a_problem() {
        let found = told("a.toml", "fine\nnot fine \n[x](y)\n");
        assert_eq!(found, ["a.toml:2: a blank at the end of the line"]);
    }
}
