//! Documents whose links and paths lead somewhere, and no blanks at the ends of lines.

use super::Problem;
use super::reach::joined;

/// Trailing blanks, and links and paths of a Markdown file that lead nowhere. `exists` knows the files and folders of
/// the workspace.
pub(super) fn check(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Problem> {
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
    let code = line.split('`').skip(1).step_by(2);
    code.map(|code| code.trim_end_matches('/')).filter(|code| {
        // A word in capitals stands for a name.
        let is_given = |part: &str| part.chars().any(|c| !c.is_ascii_uppercase());
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
        ROOTS.iter().any(|root| code.starts_with(root))
            && code.contains('/')
            && code.chars().all(is_plain)
            && code.split('/').all(is_given)
    })
}

fn is_relative(target: &str) -> bool {
    !target.starts_with('#') && !target.contains("://") && !target.starts_with("mailto:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, text: &str) -> Vec<String> {
        let exists = |file: &str| ["docs/a.md", "README.md", "docs"].contains(&file);
        check(path, text, exists).iter().map(ToString::to_string).collect()
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
        let exists = |file: &str| ["crates/wal-core/src", "docs/a.md"].contains(&file);
        let told = |text: &str| {
            let found = check("README.md", text, exists);
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(told("`wal-core/src`, `crates/wal-core/src` and `docs/a.md`\n").is_empty());
        assert!(
            told(
                "`wal-core` `docs/*.md` `a/b` `wal-core/src/{a,b}.rs` `docs/NAME/` wal-core/gone\n"
            )
            .is_empty()
        );
        let gone = ["README.md:1: a path to nothing: wal-core/gone.rs"];
        assert_eq!(told("`a` and `wal-core/gone.rs`\n"), gone);
    }

    #[test]
    fn a_blank_at_the_end_is_a_problem() {
        let found = told("a.toml", "fine\nnot fine \n[x](y)\n");
        assert_eq!(found, ["a.toml:2: a blank at the end of the line"]);
    }
}
