//! A file is a room, and a function is seen at a glance.

use super::Problem;
use super::source::{Source, is_word, item_end, words};

/// Lines that hold code, of a file. Comments and empty lines are free.
const FILE_LINES: usize = 400;
/// Lines of a function, from its `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;

/// Files that may be longer, and why.
const LONG_FILES: &[(&str, &str)] = &[];

/// Functions that may be longer: file, name, why.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[
    ("crates/wal-testkit/src/mutants/list.rs", "file_systems", "a list"),
    ("crates/wal-testkit/src/mutants/list.rs", "strategies", "a list"),
];

/// Files and functions that are too long, and exceptions that nothing needs.
pub(super) fn check(sources: &[Source]) -> Vec<Problem> {
    judge(sources, LONG_FILES, LONG_FUNCTIONS)
}

fn judge(
    sources: &[Source],
    long_files: &[(&str, &str)],
    long_functions: &[(&str, &str, &str)],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut files: Vec<_> = long_files.iter().map(|(path, _)| *path).collect();
    let mut functions: Vec<_> =
        long_functions.iter().map(|(path, name, _)| (*path, *name)).collect();
    for source in sources {
        let lines = source.code.lines().filter(|line| !line.trim().is_empty()).count();
        if lines > FILE_LINES && !took(&mut files, |path| *path == source.path) {
            let told = format!("{lines} lines of code; a file has at most {FILE_LINES}");
            problems.push(Problem::new(&source.path, 1, told));
        }
        for Function { name, line, lines } in functions_of(source) {
            let known = |known: &(&str, &str)| *known == (source.path.as_str(), name);
            if lines > FUNCTION_LINES && !took(&mut functions, known) {
                let told =
                    format!("{name} has {lines} lines; a function has at most {FUNCTION_LINES}");
                problems.push(Problem::new(&source.path, line, told));
            }
        }
    }
    let needless = |path: &str, what: &str| {
        Problem::new(
            "xtask/src/tidy/size.rs",
            1,
            format!("{path}: {what} is no exception any more"),
        )
    };
    problems.extend(files.iter().map(|path| needless(path, "the file")));
    problems.extend(functions.iter().map(|(path, name)| needless(path, name)));
    problems
}

/// Takes the exception that fits out of the list, if there is one.
fn took<T>(exceptions: &mut Vec<T>, fits: impl Fn(&T) -> bool) -> bool {
    let place = exceptions.iter().position(fits);
    place.is_some_and(|at| {
        exceptions.swap_remove(at);
        true
    })
}

struct Function<'a> {
    name: &'a str,
    line: usize,
    lines: usize,
}

fn functions_of(source: &Source) -> Vec<Function<'_>> {
    let code = source.code.as_str();
    let function = |at: usize| {
        let behind = code[at + 2..].trim_start();
        let name = &behind[..behind.bytes().take_while(|byte| is_word(*byte)).count()];
        let end = item_end(code, at)?;
        let lines = code[at..end].matches('\n').count() + 1;
        // A type such as `fn(u8)`, or one that a macro names, has no name.
        (!name.is_empty()).then(|| Function { name, line: source.line(at), lines })
    };
    words(code, "fn").filter_map(function).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(name: &str, lines: usize) -> String {
        format!("fn {name}() {{\n{}}}\n", "    a(); // b\n".repeat(lines - 2))
    }

    fn told(text: String, files: &[(&str, &str)], functions: &[(&str, &str, &str)]) -> Vec<String> {
        let problems = judge(&[Source::new("a/src/x.rs", text)], files, functions);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_long_function_is_a_problem_unless_there_is_a_reason() {
        let text =
            || format!("fn type_of(x: fn(u8)) {{}}\n{}{}", long("fits", 70), long("grown", 71));
        let found = told(text(), &[], &[]);
        assert_eq!(found, ["a/src/x.rs:72: grown has 71 lines; a function has at most 70"]);
        assert!(told(text(), &[], &[("a/src/x.rs", "grown", "a list")]).is_empty());
    }

    #[test]
    fn a_long_file_is_a_problem_and_comments_are_free() {
        let lines = |n| (0..n).map(|n| format!("// {n}\n\nuse a{n};\n")).collect::<String>();
        assert!(told(lines(400), &[], &[]).is_empty());
        let found = told(lines(401), &[], &[]);
        assert_eq!(found, ["a/src/x.rs:1: 401 lines of code; a file has at most 400"]);
        assert!(told(lines(401), &[("a/src/x.rs", "one story")], &[]).is_empty());
    }

    #[test]
    fn an_exception_that_nothing_needs_is_a_problem() {
        let found = told(long("fits", 9), &[("a/src/x.rs", "")], &[("a/src/x.rs", "fits", "")]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[1].ends_with("a/src/x.rs: fits is no exception any more"), "{found:?}");
    }
}
