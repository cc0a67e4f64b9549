//! The report as text.

use std::fmt::Write;
use std::time::Duration;

use wal_core::Loss;
use wal_testkit::Worst;

use super::kinds::kind_told;
use super::owners::Owned;
use super::replay;
use super::report::Report;
use super::risk::{Risk, Verdict};
use super::trial::Trial;
use wal_tool::number::{grouped, millis};

/// All of it, and the totals in the last line.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    for failure in report.violations() {
        put(
            &mut out,
            &format!("{failure}\n{}\n", replay::again(report.command.as_deref(), &failure.case)),
        );
    }
    risks(&mut out, &report.strategies);
    kinds(&mut out, report);
    owners(&mut out, report);
    mutants(&mut out, report);
    totals(&mut out, report);
    out
}

fn put(out: &mut String, line: &str) {
    writeln!(out, "{}", line.trim_end_matches(' ')).expect("a string takes everything");
}

/// One line for each strategy.
fn risks(out: &mut String, risks: &[Risk]) {
    put(
        out,
        &format!("{:<16}  {:^32}   {:^32}", "worst loss/claim", "process crash", "power loss"),
    );
    let unit = ["records", "bytes", "ms"];
    put(out, &row("strategy", [unit, unit], "claim", "states"));
    for risk in risks {
        let (claim, seen) = (&risk.outcome.claim, &risk.outcome);
        let sides = [
            cells(&claim.process_crash, &seen.process_crash),
            cells(&claim.power_loss, &seen.power_loss),
        ];
        let sides = [&sides[0], &sides[1]].map(|side| side.each_ref().map(String::as_str));
        let verdict = match risk.verdict() {
            Verdict::Broken(_) => "BROKEN",
            Verdict::Tight => "tight",
            Verdict::Loose(_) => "LOOSE",
        };
        put(out, &row(&seen.strategy, sides, verdict, &grouped(seen.states)));
    }
    put(
        out,
        "∞: no bound. ms: of the logical clock, between the first and the last record that one",
    );
    put(out, "sync would have covered. tight: some crash took as much as is claimed.\n");
}

fn row(name: &str, [process, power]: [[&str; 3]; 2], claim: &str, states: &str) -> String {
    let side = |[a, b, c]: [&str; 3]| format!("{a:>10}{b:>12}{c:>10}");
    format!("{name:<16}  {}   {}   {claim:<6} {states:>11}", side(process), side(power))
}

/// Seen and claimed, in each unit.
pub(super) fn cells(claim: &Loss, seen: &Worst) -> [String; 3] {
    let cell = |seen: String, claim: Option<String>| match claim {
        Some(claim) => format!("{seen}/{claim}"),
        None => format!("{seen}/∞"),
    };
    [
        cell(grouped(seen.records), claim.records.map(grouped)),
        cell(grouped(seen.bytes), claim.bytes.map(grouped)),
        cell(millis(seen.micros), claim.window.map(|window| millis(micros(window)))),
    ]
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// How many states contained each kind of fault.
fn kinds(out: &mut String, report: &Report) {
    put(out, "states with, at or before the crash");
    for (kind, states) in &report.kinds {
        let (name, means) = kind_told(*kind);
        put(out, &format!("  {name:<24} {:>11}   {means}", grouped(*states)));
    }
    if report.exotic {
        let outside: u64 = report.subjects.iter().map(|subject| subject.outside_claim).sum();
        let outside = grouped(outside);
        put(out, &format!("  beyond every claim, and not held: {outside} more"));
    }
    let damages: u64 = report.subjects.iter().map(|subject| subject.damages).sum();
    put(
        out,
        &format!("  besides, not counted as states: {} pieces of damage at rest", grouped(damages)),
    );
    let full: u64 = report.subjects.iter().map(|subject| subject.full_disks).sum();
    put(out, &format!("  and {} moments from which on the disk was full", grouped(full)));
    put(out, "");
}

/// Several owners of one log.
fn owners(out: &mut String, report: &Report) {
    if report.owners.is_empty() {
        return;
    }
    let row = |name: &str, [orders, left_off, states, ends]: [&str; 4], which: &str, acts: &str| {
        format!("{name:<16} {orders:>7} {left_off:>9} {states:>9} {ends:>7}  {which:<9}  {acts}")
    };
    let heads = ["orders", "left off", "states", "ends"];
    put(out, &row("owners", heads, "which", "under a lock that is granted to everybody"));
    for owned in &report.owners {
        let Owned { scenario, acts, orders, left_off, states, ends, failure, .. } = owned;
        let cells = [*orders, *left_off, *states, *ends].map(grouped);
        let cells = cells.each_ref().map(String::as_str);
        put(out, &row(scenario, cells, owned.how(), acts));
        failure.iter().for_each(|wrong| put(out, &format!("  BROKEN: {wrong}")));
    }
    put(out, "left off: what comes is known from another order. ends: different outcomes\n");
}

fn mutants(out: &mut String, report: &Report) {
    let Some(mutants) = &report.mutants else { return };
    put(out, &format!("{:<34} {:<10} {:>8}", "mutant", "caught by", "states"));
    for Trial { name, caught_by, states, .. } in mutants {
        let by = caught_by.as_deref().unwrap_or("SURVIVED");
        put(out, &format!("{name:<34} {by:<10} {:>8}", grouped(*states)));
    }
    put(out, "");
}

fn totals(out: &mut String, report: &Report) {
    if let (Some(timing), Some(rate)) = (&report.timing, report.rate()) {
        let line = format!(
            "{:.1} s for the claims on {} threads: {} states/s; {:.1} s for the mutants",
            timing.seconds,
            timing.threads,
            grouped(rate),
            timing.mutants
        );
        put(out, &line);
    }
    let mut last = format!("{} states, {} violations", grouped(report.states), report.violations);
    if let Some((caught, all)) = report.caught() {
        write!(last, ", {caught}/{all} mutants caught").expect("a string takes everything");
    }
    put(out, &last);
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::{explored, failed, owned, report, trial};
    use super::*;

    #[test]
    fn a_line_says_what_is_claimed_and_what_was_lost() {
        let text = text(&report(vec![explored()], None));
        let line = text.lines().find(|line| line.starts_with("batch:8 ")).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words[..5], ["batch:8", "0/0", "0/0", "0/0", "7/7"]);
        assert!(words[5].ends_with("/∞") && words[6].ends_with("/∞"), "{line}");
        assert_eq!(words[7], "tight");
        assert!(text.lines().any(|line| line.trim_start().starts_with("power loss ")), "{text}");
    }

    #[test]
    fn owners_have_a_line_each_and_what_was_wrong_below() {
        assert!(!text(&report(vec![explored()], None)).contains("under a lock"));
        let text = text(
            &report(vec![explored()], None)
                .with_owners(vec![owned(None), owned(Some("a record is gone"))]),
        );
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with("take over")).collect();
        assert_eq!(rows.len(), 2);
        let words: Vec<_> = rows[0].split_whitespace().collect();
        assert_eq!(words[2..7], ["1,237", "8", "30", "7", "all"]);
        assert!(rows[0].ends_with("open, append | open"), "{text}");
        assert_eq!(text.matches("  BROKEN: a record is gone\n").count(), 1, "{text}");
    }

    #[test]
    fn the_last_line_counts() {
        let last = |subjects, mutants| {
            let text = text(&report(subjects, mutants));
            text.lines().last().unwrap().to_owned()
        };
        let states = grouped(explored().states);
        assert_eq!(last(vec![explored()], None), format!("{states} states, 0 violations"));
        let trials = vec![trial("a", Some("O3")), trial("b", None)];
        let line = last(vec![explored()], Some(trials));
        assert_eq!(line, format!("{states} states, 0 violations, 1/2 mutants caught"));
    }

    #[test]
    fn a_failure_comes_first_with_its_story_and_its_command() {
        let broken = failed();
        let case = broken.failure.as_ref().unwrap().case.to_string();
        let text = text(&report(vec![broken], None));
        assert!(text.starts_with("O3: "), "{text}");
        assert!(text.contains("\n  crash   "), "{text}");
        assert!(text.contains(&format!("\ncargo xtask faults --replay '{case}'\n")), "{text}");
        assert!(text.contains("BROKEN"), "{text}");
    }
}
