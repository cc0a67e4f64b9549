//! The report as one page.
//!
//! - `tables`: bars and figures
//! - `lines`: rates against writers, and latencies against the share of calls
//! - `rows`: contenders with the same load, and what each may lose
//! - `axes`: the scales of both

mod axes;
mod lines;
mod rows;
mod tables;

use super::report::{Report, SuiteReport};
use super::table::totals;
use wal_tool::html::{Text, bad_if, figure, page as whole};

/// The page.
pub(super) fn page(report: &Report) -> String {
    let suites: String = report.suites.iter().map(suite).collect();
    whole(
        "A log beside the raw device",
        &format!("{}{suites}{}", headline(report), colophon(report)),
    )
}

fn headline(report: &Report) -> String {
    let bars = || report.suites.iter().flat_map(|suite| &suite.bars);
    let count = |outcome| bars().filter(|bar| bar.reached() == outcome).count();
    let (reached, missed, unmeasured) = (count(Some(true)), count(Some(false)), count(None));
    let (class, verdict) = match (missed, unmeasured) {
        (0, 0) if reached > 0 => ("good", "Every bar is reached.".to_owned()),
        (0, _) => ("", format!("{reached} bars are reached, {unmeasured} were not measured.")),
        (missed, _) => ("bad", format!("{missed} of {} bars are not reached.", bars().count())),
    };
    let figures = [
        figure(format!("{reached} / {}", bars().count()), "bars reached", bad_if(missed > 0)),
        figure(report.suites.iter().map(|s| s.cells.len()).sum::<usize>(), "things measured", ""),
        figure(report.rounds, "rounds, in turns", ""),
        figure(report.duels, "duels of the best", ""),
        figure(format!("{} s", report.seconds), "each time", ""),
    ];
    let warning = report.machine.warning();
    let warning = warning.map(|w| format!("<div class=\"verdict bad\">{}</div>", Text(w)));
    format!(
        "<header><h1>A log beside the raw device</h1>\
         <p class=\"lead\">Every round measures everything of a suite once. Then the best of the two sides of \
         a bar are measured again, right after each other; the median of those ratios counts. Absolute \
         figures are those of one machine on one day.</p>\
         {}<div class=\"verdict {class}\"><strong>{verdict}</strong></div>\
         <div class=\"figures\">{}</div>{}</header>",
        warning.unwrap_or_default(),
        figures.concat(),
        tables::bars(report)
    )
}

fn suite(suite: &SuiteReport) -> String {
    let curves = lines::rates(suite);
    let rows = rows::plot(suite, !curves.is_empty());
    let body = [rows, curves, lines::latencies(suite), tables::cells(suite)];
    format!("<section><h2>{}</h2>{}</section>", Text(&suite.title), body.concat())
}

fn colophon(report: &Report) -> String {
    let machine = &report.machine;
    let disk = machine.file_system.as_ref().map(|kind| format!(" · {}", Text(kind)));
    format!(
        "<footer>cargo xtask bench · {} · {} processors{} · {}</footer>",
        Text(&machine.system),
        machine.processors,
        disk.unwrap_or_default(),
        Text(totals(report))
    )
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    #[test]
    fn a_page_needs_nothing_else_and_escapes_names() {
        let page = page(&report());
        for outside in ["http://", "https://", "<script", "<link", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("raw &lt;written&gt;") && !page.contains("raw <written>"));
        assert!(page.contains("1 of 2 bars are not reached."));
        assert!(page.contains("Not a quiet machine"));
    }
}
