//! The report as text: ratios first.

use std::fmt::Write;

use super::number::{bound, micros, rate, value, verdict};
use super::report::{BarReport, CellReport, Report, SuiteReport};

/// All of it; how many bars were reached in the last line.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    for suite in report.suites.iter().filter(|suite| !suite.bars.is_empty()) {
        put(&mut out, &suite.title);
        suite.bars.iter().for_each(|bar| put(&mut out, &of_bar(bar)));
        put(&mut out, "");
    }
    for suite in &report.suites {
        cells(&mut out, suite);
    }
    if let Some(warning) = report.machine.warning() {
        put(&mut out, &warning);
    }
    put(&mut out, &totals(report));
    out
}

fn put(out: &mut String, line: &str) {
    writeln!(out, "{}", line.trim_end_matches(' ')).expect("a string takes everything");
}

fn of_bar(bar: &BarReport) -> String {
    let found = bar.value.map_or_else(|| "-".to_owned(), |found| value(found, bar.unit));
    let sides = match (&bar.ours, &bar.baseline) {
        (Some(ours), Some(baseline)) => format!("   {ours} / {baseline}"),
        (Some(ours), None) => format!("   {ours}"),
        (None, _) => String::new(),
    };
    format!("  {:<58} {found:>10}  {:<10} {:<12}{sides}", bar.text, bound(bar), verdict(bar))
}

fn cells(out: &mut String, suite: &SuiteReport) {
    put(out, &suite.title);
    put(
        out,
        &format!(
            "  {:<22} {:<34} {:>12} {:>10} {:>10} {:>10} {:>12} {:>9}",
            "load", "who", "records/s", "p50 µs", "p99 µs", "p99.9 µs", "longest µs", "fairness"
        ),
    );
    suite.cells.iter().for_each(|cell| put(out, &of_cell(cell)));
    put(out, "");
}

fn of_cell(cell: &CellReport) -> String {
    let CellReport { who, load, .. } = cell;
    if let Some(why) = &cell.skipped {
        return format!("  {load:<22} {who:<34} skipped: {why}");
    }
    let [per_second, p50, p99, p999, longest, fairness] = figures(cell);
    let claim = cell.claim.as_ref().map(|claim| format!("   may lose {claim}")).unwrap_or_default();
    format!(
        "  {load:<22} {who:<34} {per_second:>12} {p50:>10} {p99:>10} {p999:>10} {longest:>12} {fairness:>9}{claim}"
    )
}

/// Rate, three latencies and the longest one, and the share of the slowest writer. Work that is done once
/// is one call.
pub(super) fn figures(cell: &CellReport) -> [String; 6] {
    let calls = cell.workload().is_some();
    let time = |of: Option<f64>| of.filter(|_| calls).map(micros).unwrap_or_default();
    let once = cell.seconds().filter(|_| !calls).map(|seconds| micros(seconds * 1e6));
    let several = cell.writers().is_some_and(|writers| writers.count() > 1);
    let fairness = cell.fairness().filter(|_| several).map(|share| format!("{share:.2}"));
    [
        cell.rate().filter(|rate| calls || *rate > 0.0).map(rate).unwrap_or_default(),
        once.unwrap_or_else(|| time(cell.latency(0.5))),
        time(cell.latency(0.99)),
        time(cell.latency(0.999)),
        time(cell.longest()),
        fairness.unwrap_or_default(),
    ]
}

/// How many bars were reached.
pub(super) fn totals(report: &Report) -> String {
    let bars = || report.suites.iter().flat_map(|suite| &suite.bars);
    let count = |outcome| bars().filter(|bar| bar.reached() == outcome).count();
    format!(
        "{} of {} bars reached, {} not reached, {} not measured; medians of {} rounds and {} duels of {} s",
        count(Some(true)),
        bars().count(),
        count(Some(false)),
        count(None),
        report.rounds,
        report.duels,
        report.seconds
    )
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    #[test]
    fn ratios_come_first_and_totals_last() {
        let text = text(&report());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "Threads");
        assert!(
            lines[1].contains("0.500  ≥ 0.900    not reached    wal file / raw written"),
            "{text}"
        );
        assert!(lines[2].contains("-  ≤ 1.250    not measured"), "{text}");
        let cell = lines.iter().find(|line| line.contains("threads:16:100")).unwrap();
        assert!(cell.contains("8,500") && cell.ends_with("1.00"), "{cell}");
        assert!(text.contains("raw direct 4096                    skipped: not here"), "{text}");
        assert!(text.contains("may lose at most 99 records"), "{text}");
        let last = "0 of 2 bars reached, 1 not reached, 1 not measured; \
                    medians of 3 rounds and 5 duels of 1 s";
        assert_eq!(*lines.last().unwrap(), last);
        assert!(lines[lines.len() - 2].starts_with("Not a quiet machine"), "{text}");
    }
}
