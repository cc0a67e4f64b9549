//! The tables in a document that people write the rest of.

use std::fmt::Write;

use anyhow::{Context, ensure};

use super::measure::Kind;
use super::number::{bound, value, verdict};
use super::report::{BarReport, CellReport, Report, SuiteReport};
use super::table::{figures, totals};

const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

/// The document with all that stands between its markers replaced.
pub(super) fn fill(document: &str, report: &Report) -> anyhow::Result<String> {
    let (before, rest) = document.split_once(BEGIN).with_context(|| format!("no {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("no {END} behind {BEGIN}"))?;
    ensure!(!after.contains(BEGIN), "{BEGIN} stands there twice");
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", tables(report)))
}

fn tables(report: &Report) -> String {
    let mut out = String::new();
    let machine = &report.machine;
    let disk = machine.file_system.as_ref().map(|kind| format!(", {kind}")).unwrap_or_default();
    let processors = machine.processors;
    put(
        &mut out,
        &format!("{}, {processors} processors{disk}. {}.\n", machine.system, totals(report)),
    );
    if let Some(warning) = machine.warning() {
        put(&mut out, &format!("**{warning}**\n"));
    }
    put(&mut out, "### Bars\n");
    put(&mut out, "| bar | found | asked | | |\n| --- | ---: | ---: | --- | --- |");
    let bars = report.suites.iter().flat_map(|suite| &suite.bars);
    bars.for_each(|bar| put(&mut out, &of_bar(bar)));
    for suite in &report.suites {
        of_suite(&mut out, suite);
    }
    out.trim_end().to_owned()
}

fn put(out: &mut String, line: &str) {
    writeln!(out, "{line}").expect("a string takes everything");
}

fn of_bar(bar: &BarReport) -> String {
    let found = bar.value.map(|found| value(found, bar.unit)).unwrap_or_default();
    let sides: Vec<_> =
        [&bar.ours, &bar.baseline].into_iter().flatten().map(String::as_str).collect();
    let (text, bound, verdict) = (escaped(&bar.text), bound(bar), verdict(bar));
    format!("| {text} | {found} | {bound} | {verdict} | {} |", escaped(&sides.join(" / ")))
}

fn of_suite(out: &mut String, suite: &SuiteReport) {
    put(out, &format!("\n### {}\n", suite.title));
    put(
        out,
        "| load | who | records/s | p50 µs | p99 µs | p99.9 µs | longest µs | fairness | may lose |",
    );
    put(out, "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |");
    let measured = suite.cells.iter().filter(|cell| cell.skipped.is_none());
    measured.for_each(|cell| put(out, &of_cell(cell)));
    for cell in suite.cells.iter().filter(|cell| cell.skipped.is_some()) {
        let why = cell.skipped.as_deref().unwrap_or_default();
        put(
            out,
            &format!("\nNot measured: {}, {}: {}", escaped(&cell.who), cell.load, escaped(why)),
        );
    }
}

fn of_cell(cell: &CellReport) -> String {
    let who = match cell.kind {
        Kind::Ours => format!("**{}**", escaped(&cell.who)),
        Kind::Raw | Kind::Peer => escaped(&cell.who),
    };
    let claim = cell.claim.as_deref().unwrap_or("");
    format!("| {} | {who} | {} | {} |", cell.load, figures(cell).join(" | "), escaped(claim))
}

/// Markup in names is none.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let document = format!("# Title\n{BEGIN}\nold\n{END}\nprose\n");
        let filled = fill(&document, &report()).unwrap();
        assert!(filled.starts_with("# Title\n") && filled.ends_with("\nprose\n"), "{filled}");
        assert!(!filled.contains("old") && filled.contains("**Not a quiet machine"), "{filled}");
        assert!(filled.contains("| one &lt; two | 0.500 | ≥ 0.900 | not reached |"), "{filled}");
        assert!(filled.contains("| threads:16:100 | **wal file group** | 8,500 |"), "{filled}");
        assert!(filled.contains("Not measured: raw direct 4096, threads:1:100: not here"));
        assert_eq!(fill(&filled, &report()).unwrap(), filled, "a second time changes nothing");
    }

    #[test]
    fn documents_without_a_place_are_refused() {
        for document in ["", BEGIN, END, &format!("{END}{BEGIN}")] {
            let error = fill(document, &report()).unwrap_err().to_string();
            assert!(error.starts_with("no <!-- measured"), "{error}");
        }
        let twice = format!("{BEGIN}{END}{BEGIN}{END}");
        assert!(fill(&twice, &report()).unwrap_err().to_string().contains("twice"));
    }
}
