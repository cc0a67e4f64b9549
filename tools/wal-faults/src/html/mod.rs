//! The report as one page.
//!
//! - `tables`: strategies, fault kinds, mutants, failures
//! - `plot`: claimed and observed loss, drawn

mod plot;
mod tables;

use super::report::Report;
use wal_tool::html::{self, Text, bad_if, figure};
use wal_tool::number::grouped;

/// The page.
pub(super) fn page(report: &Report) -> String {
    let body = [
        headline(report),
        tables::failures(report),
        tables::risks(report),
        plot::section(report),
        tables::kinds(report),
        tables::owners(report),
        tables::mutants(report),
        colophon(report),
    ]
    .concat();
    html::page("Durability claims under crashes", &body)
}

/// What it came to, for those who read no further.
fn headline(report: &Report) -> String {
    let problems = report.problems();
    let (class, verdict) = if problems.is_empty() {
        ("good", "Every claim was kept, and every claim was reached.".to_owned())
    } else {
        ("bad", format!("{} found.", counted(problems.len(), "problem")))
    };
    let mut figures = vec![
        figure(grouped(report.states), "crash states examined", ""),
        figure(report.violations, "broken promises", bad_if(report.violations > 0)),
    ];
    let loose = report.strategies.iter().filter(|risk| !risk.is_tight()).count();
    let tight = format!("{} / {}", report.strategies.len() - loose, report.strategies.len());
    figures.push(figure(tight, "claims that a crash reached", bad_if(loose > 0)));
    if let Some((caught, all)) = report.caught() {
        let caught_of = format!("{caught} / {all}");
        figures.push(figure(caught_of, "seeded mistakes caught", bad_if(caught < all)));
    }
    if let Some(rate) = report.rate() {
        figures.push(figure(grouped(rate), "states per second", ""));
    }
    let problems: String = problems.iter().map(|p| format!("<li>{}</li>", Text(p))).collect();
    let problems = if problems.is_empty() { problems } else { format!("<ul>{problems}</ul>") };
    format!(
        "<header><h1>Durability claims under crashes</h1>\
         <p class=\"lead\">Each strategy says how much may be lost when the process dies or the power \
         fails. Workloads ran on a model disk, and were crashed at every change of it; each image that a \
         crash may leave was recovered by the real code, and what came back was checked.</p>\
         <div class=\"verdict {class}\"><strong>{verdict}</strong>{problems}</div>\
         <div class=\"figures\">{}</div></header>",
        figures.concat()
    )
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// How to make the same page.
fn colophon(report: &Report) -> String {
    let mut words = vec![format!("seed {}", report.seed)];
    if report.exotic {
        let outside: u64 = report.subjects.iter().map(|subject| subject.outside_claim).sum();
        words.push(format!("faults beyond every claim: {} states did not hold", grouped(outside)));
    }
    if let Some(timing) = &report.timing {
        let mutants = match report.mutants {
            Some(_) => format!(", {:.1} s for the mistakes", timing.mutants),
            None => String::new(),
        };
        let threads = counted(timing.threads, "thread");
        words.push(format!("{:.1} s for the claims{mutants}, {threads}", timing.seconds));
    }
    let recoveries: u64 = report.subjects.iter().map(|subject| subject.recoveries).sum();
    let workloads: u64 = report.subjects.iter().map(|subject| subject.workloads).sum();
    let points: u64 = report.subjects.iter().map(|subject| subject.crash_points).sum();
    words.push(format!(
        "{} workloads, {} crash points, {} recoveries",
        grouped(workloads),
        grouped(points),
        grouped(recoveries)
    ));
    let command = report.command.as_deref().unwrap_or("wal-faults");
    format!("<footer>{} · {}</footer>", Text(command), words.join(" · "))
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::{explored, failed, owned, report, trial};
    use super::*;

    #[test]
    fn names_from_outside_are_escaped() {
        let mut outcome = explored();
        outcome.strategy = "<script>".into();
        let page = page(&report(vec![outcome], Some(vec![trial("x", Some("<O3>"))])));
        assert!(!page.contains("<script>") && !page.contains("<O3>"));
        assert!(page.contains("&lt;script&gt;") && page.contains("a &lt; b &amp; &quot;c&quot;"));
    }

    #[test]
    fn a_page_needs_nothing_else() {
        let page = page(&report(vec![explored()], None));
        for outside in ["http://", "https://", "<script", "<link", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("Every claim was kept") && page.contains("prefers-color-scheme"));
    }

    #[test]
    fn owners_are_a_table() {
        let owners = vec![owned(None), owned(Some("<a> record is gone"))];
        let page = page(&report(vec![explored()], None).with_owners(owners));
        assert!(page.contains("Several owners of one log") && page.contains("1,237"));
        assert!(page.contains("&lt;a&gt; record is gone") && page.contains("1 problem found."));
    }

    #[test]
    fn what_went_wrong_stands_at_the_top_with_its_trace() {
        let broken = failed();
        let case = broken.failure.as_ref().unwrap().case.to_string();
        let page = page(&report(vec![broken], Some(vec![trial("alive", None)])));
        assert!(page.contains("2 problems found."));
        let trace = page.find(&Text(case).to_string()).expect("the trace is there");
        assert!(trace < page.find("<h2>What each strategy risks").unwrap());
        assert!(page.contains("survived"));
    }
}
