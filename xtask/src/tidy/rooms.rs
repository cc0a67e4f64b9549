//! Time, files and random numbers are used in few places: elsewhere they enter through `Clock`,
//! `FileSystem` and `LogId::random`, so that a simulated world can stand in for them.
//!
//! Clippy holds what it can (`clippy.toml`): the clocks and random numbers, everywhere. Sleeping, spinning and
//! files it cannot tell apart by place: tests use them, which would need an `expect` in dozens of them. So
//! these are held here, for code that ships, and the others again with the places that may.

use super::Problem;
use super::source::{Source, is_word, words};

/// What only some may use.
struct Rule {
    what: &'static str,
    /// Any of these in the code is a use of it.
    signs: &'static [&'static str],
    instead: &'static str,
    /// Where it may stand, by the beginning of the path, and why.
    rooms: &'static [(&'static str, &'static str)],
}

const RULES: &[Rule] = &[
    Rule {
        what: "a clock",
        signs: &["Instant::now", "SystemTime::now"],
        instead: "take the time from wal_core::Clock",
        rooms: &[
            ("crates/wal-core/src/clock", "the clock's own room"),
            ("xtask/src/stopwatch.rs", "times commands, and depends on no crate with a clock"),
        ],
    },
    Rule {
        what: "sleeping",
        signs: &["thread::sleep", "sleep_until", "park_timeout", "wait_timeout", "recv_timeout"],
        instead: "wait for what you wait for, or let the engine's driver do it",
        rooms: &[
            (
                "crates/wal-core/src/engine/pace/backoff.rs",
                "backs off from a contended lock, never in a model",
            ),
            (
                "crates/wal-core/src/engine/work/driver.rs",
                "the driver sleeps until something is due",
            ),
            ("crates/wal-core/src/io.rs", "blocks a thread on a future, with a time limit"),
            (
                "crates/wal-fs/src/uring",
                "the kernel's queue is full, and nothing tells when it is not",
            ),
            (
                "crates/wal-recovery/src/view/waiting.rs",
                "a reader of a log that is not open looks for new records now and then",
            ),
            ("fuzz/", "a guard looks at a thread that may hang"),
            ("tools/wal-soak/", "works on real time"),
            ("xtask/src/tools.rs", "looks at a command that may hang"),
            ("xtask/src/mutants/seam.rs", "waits for a line of a command that may hang"),
        ],
    },
    Rule {
        what: "spinning",
        signs: &["spin_loop", "yield_now"],
        instead: "sleep until you are woken; what is quicker awake belongs to the engine's pace",
        rooms: &[
            ("crates/wal-core/src/engine/pace/", "the engine's ways of waiting, off in a model"),
            (
                "crates/wal-testkit/src/conformance/storage/beside.rs",
                "waits until syncs have begun, on another thread",
            ),
        ],
    },
    Rule {
        what: "a random number",
        signs: &["getrandom", "rand", "RandomState"],
        instead: "take LogId::random, or wal_testkit::Rng with a seed",
        rooms: &[("crates/wal-core/src/format/identity.rs", "LogId::random")],
    },
    Rule {
        what: "the file system",
        signs: &["std::fs"],
        instead: "take wal_fs::FileSystem, or a LogStorage",
        rooms: &[
            ("bench/", "measures real files, of other logs"),
            ("crates/wal-fs/src/", "the real file system is this crate's business"),
            ("fuzz/", "keeps inputs, reads them again"),
            ("tools/", "measure real files, write reports"),
            ("xtask/", "works on the checkout"),
        ],
    },
];

/// What stands where it may not, and places that need no permission any more.
///
/// `for_tests` says which files are compiled for tests only.
pub(super) fn check(sources: &[Source], for_tests: impl Fn(&str) -> bool) -> Vec<Problem> {
    let shipped = sources.iter().filter(|source| ships(&source.path) && !for_tests(&source.path));
    let shipped: Vec<_> = shipped.map(|source| (source, source.shipped())).collect();
    RULES.iter().flat_map(|rule| judge(rule, &shipped)).collect()
}

/// Holds files, and what of them ships, against a rule.
fn judge(rule: &Rule, sources: &[(&Source, String)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut used = vec![false; rule.rooms.len()];
    for (source, shipped) in sources {
        let Some(first) = rule.signs.iter().flat_map(|sign| uses(shipped, sign)).min() else {
            continue;
        };
        match rule.rooms.iter().position(|(room, _)| source.path.starts_with(room)) {
            Some(room) => used[room] = true,
            None => {
                let told = format!("{} has no place here: {}", rule.what, rule.instead);
                problems.push(Problem::new(&source.path, source.line(first), told));
            }
        }
    }
    for ((room, _), _) in rule.rooms.iter().zip(used).filter(|(_, used)| !used) {
        let told = format!("{} is not used in {room} any more", rule.what);
        problems.push(Problem::new("xtask/src/tidy/rooms.rs", 1, told));
    }
    problems
}

/// Where a sign stands. A module of the standard library is found in every path to it, `std::{env, fs}` and
/// `std::os::unix::fs` among them.
fn uses(code: &str, sign: &str) -> Vec<usize> {
    match sign.strip_prefix("std::") {
        None => words(code, sign).collect(),
        Some(module) => words(code, "std").filter(|at| leads_to(&code[*at..], module)).collect(),
    }
}

/// Whether the path that begins here, or one of those in its braces, goes through a module.
fn leads_to(code: &str, module: &str) -> bool {
    let mut braces = 0_u32;
    let end = code.bytes().position(|byte| {
        match byte {
            b'{' => braces += 1,
            b'}' => braces = braces.saturating_sub(1),
            b':' => {}
            _ => return braces == 0 && !is_word(byte),
        }
        false
    });
    words(&code[..end.unwrap_or(code.len())], module).next().is_some()
}

/// Tests, benches and examples may use what they like.
fn ships(path: &str) -> bool {
    !["tests", "benches", "examples"]
        .iter()
        .any(|folder| path.split('/').any(|part| part == *folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLEEP: Rule = Rule {
        what: "sleeping",
        signs: &["thread::sleep"],
        instead: "wait",
        rooms: &[("a/src/nap", "a reason")],
    };

    fn told(rule: &Rule, path: &str, text: &str) -> Vec<String> {
        let source = Source::new(path, text);
        let shipped = source.shipped();
        judge(rule, &[(&source, shipped)]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_has_no_place_is_a_problem_and_elsewhere_it_is_none() {
        let text = "// thread::sleep\nfn f() { std::thread::sleep(D) }\n";
        assert!(told(&SLEEP, "a/src/nap/mod.rs", text).is_empty());
        let found = told(&SLEEP, "a/src/b.rs", text);
        assert_eq!(found[0], "a/src/b.rs:2: sleeping has no place here: wait");
    }

    #[test]
    fn a_room_that_nothing_uses_is_a_problem() {
        let text = "#[cfg(test)]\nmod tests { fn f() { thread::sleep(D) } }\n";
        let found = told(&SLEEP, "a/src/nap.rs", text);
        assert_eq!(found.len(), 1);
        assert!(found[0].ends_with("sleeping is not used in a/src/nap any more"), "{found:?}");
    }

    #[test]
    fn each_rule_finds_what_it_is_for() {
        for (text, what) in [
            ("use std::fs;", "the file system"),
            ("use std::{env, fs};", "the file system"),
            ("use std::{\n    env,\n    fs::File,\n};", "the file system"),
            ("use std::os::unix::fs::FileExt;", "the file system"),
            ("fn f() { std::fs::read(p) }", "the file system"),
            ("fn f() { let t = Instant::now(); }", "a clock"),
            ("fn f() { std::time::SystemTime::now(); }", "a clock"),
            ("use std::thread; fn f() { thread::sleep(D) }", "sleeping"),
            ("fn f() { std::thread::park_timeout(D) }", "sleeping"),
            ("fn f() { std::hint::spin_loop() }", "spinning"),
            ("use std::thread; fn f() { thread::yield_now() }", "spinning"),
            ("fn f() { getrandom::fill(&mut b) }", "a random number"),
            ("fn f() { rand::random() }", "a random number"),
        ] {
            let source = Source::new("crates/x/src/lib.rs", text);
            let found = check(&[source], |_| false);
            let here: Vec<_> = found.iter().filter(|p| p.path.starts_with("crates/")).collect();
            assert_eq!(here.len(), 1, "{text}: {found:?}");
            assert!(here[0].what.starts_with(what), "{text}: {found:?}");
        }
        for text in ["use std::{env, io}; use wal::fs;", "fn f(fs: &F) { std::io::stdin() }"] {
            let source = Source::new("crates/x/src/lib.rs", text);
            assert!(check(&[source], |_| false).iter().all(|p| !p.path.starts_with("crates/")));
        }
        let test = || Source::new("crates/x/tests/a.rs", "use std::fs;");
        assert!(check(&[test()], |_| false).iter().all(|p| !p.path.starts_with("crates/")));
    }
}
