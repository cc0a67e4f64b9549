//! A bar for each contender with the same load, and what it may lose if that is what they differ in.

use super::super::measure::Kind;
use super::super::number::rate;
use super::super::report::{CellReport, SuiteReport};
use super::axes::{Scale, short};
use wal_tool::html::Text;

const NAMES: f64 = 230.0;
const WIDTH: f64 = 420.0;
const CLAIMS: f64 = 330.0;
const TOP: f64 = 46.0;
const ROW: f64 = 26.0;

/// More bars than these are a table.
const MOST: usize = 16;

/// Strategies with what they risk; and, where no curves are drawn, everything that can be compared.
pub(super) fn plot(suite: &SuiteReport, has_curves: bool) -> String {
    let mut loads: Vec<(&str, Vec<&CellReport>)> = Vec::new();
    for cell in suite.cells.iter().filter(|cell| cell.rate().is_some_and(|rate| rate > 0.0)) {
        match loads.iter_mut().find(|(load, _)| *load == cell.load) {
            Some((_, cells)) => cells.push(cell),
            None => loads.push((&cell.load, vec![cell])),
        }
    }
    let plots = loads.iter().filter_map(|(load, cells)| {
        let mut ours: Vec<_> = cells.iter().filter(|c| c.kind == Kind::Ours).copied().collect();
        let comparable = (2..=MOST).contains(&cells.len()) && !has_curves;
        if risks_differ(&ours) && ours.len() <= MOST {
            // The safest first, as they are measured: a raw loop has no claim to be compared.
            ours.sort_by_key(|cell| cell.claim.is_some());
            Some(draw(load, &ours, true))
        } else {
            comparable.then(|| draw(load, cells, false))
        }
    });
    plots.collect()
}

/// Where everything is at risk alike, there is no choice to be shown.
fn risks_differ(cells: &[&CellReport]) -> bool {
    let mut claims: Vec<_> = cells.iter().map(|cell| &cell.claim).collect();
    claims.sort();
    claims.dedup();
    claims.len() > 2
}

fn draw(load: &str, cells: &[&CellReport], with_claims: bool) -> String {
    let rates = || cells.iter().filter_map(|cell| cell.rate());
    let scale = Scale::of(rates(), WIDTH);
    let most = rates().fold(1.0, f64::max);
    // Strategies differ by powers of ten; of contenders with the same promise the length is the rate.
    let end = |rate: f64| if with_claims { scale.at(rate) } else { rate / most * WIDTH };
    let bottom = TOP + ROW * cells.len() as f64;
    let width = NAMES + WIDTH + CLAIMS;
    let mut out = format!(
        "<div class=\"wide\"><svg viewBox=\"0 0 {width} {}\" role=\"img\" \
         aria-label=\"Rates, {load}; the table below has the figures\">\
         <text class=\"unit\" x=\"0\" y=\"14\">records/s, {load}</text>",
        bottom + 8.0,
        load = Text(load)
    );
    if with_claims {
        let x = NAMES + WIDTH + 70.0;
        out += &format!("<text class=\"unit\" x=\"{x}\" y=\"14\">a power loss may take</text>");
    }
    for (x, value) in scale.marks().filter(|_| with_claims) {
        let x = NAMES + x;
        out += &format!(
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <text class=\"mark\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            TOP - 10.0,
            short(value)
        );
    }
    for (row, cell) in cells.iter().enumerate() {
        let y = TOP + ROW * (row as f64 + 0.5);
        out += &bar(y, cell, end(cell.rate().unwrap_or_default()));
        if with_claims {
            let (x, claim) = (NAMES + WIDTH + 70.0, cell.claim.as_deref().unwrap_or("nothing"));
            out += &format!("<text x=\"{x}\" y=\"{}\">{}</text>", y + 4.5, Text(claim));
        }
    }
    out + "</svg></div>"
}

fn bar(y: f64, cell: &CellReport, end: f64) -> String {
    let class = match (cell.kind, &cell.claim) {
        (Kind::Raw | Kind::Peer, _) => "other",
        (Kind::Ours, None) => "safe",
        (Kind::Ours, Some(_)) => "seen",
    };
    format!(
        "<text class=\"name\" x=\"{}\" y=\"{base}\" text-anchor=\"end\">{}</text>\
         <rect class=\"{class}\" x=\"{NAMES}\" y=\"{}\" width=\"{end:.1}\" height=\"14\"/>\
         <text class=\"value\" x=\"{:.1}\" y=\"{base}\">{}</text>",
        NAMES - 12.0,
        Text(&cell.who),
        y - 7.0,
        NAMES + end + 8.0,
        rate(cell.rate().unwrap_or_default()),
        base = y + 4.5,
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::measure::Kind;
    use super::super::super::report::tests::{cell, report};
    use super::*;

    #[test]
    fn strategies_with_different_claims_are_compared() {
        let mut suite = report().suites.remove(0);
        assert_eq!(plot(&suite, true), "", "only one cell of each load claims anything");
        let claims = [Some("unbounded"), None, Some("at most 9 records")];
        suite.cells = vec![cell(Kind::Raw, "raw copy", "threads:1:100", &[1])];
        for (claim, who) in claims.into_iter().zip(["os", "always", "batch:10"]) {
            let mut cell = cell(Kind::Ours, who, "threads:1:100", &[100, 200]);
            cell.claim = claim.map(Into::into);
            suite.cells.push(cell);
        }
        let plot = plot(&suite, true);
        assert_eq!(plot.matches("class=\"seen\"").count(), 2, "{plot}");
        assert_eq!(plot.matches("class=\"safe\"").count(), 1, "{plot}");
        assert!(plot.contains(">nothing</text>") && plot.contains(">at most 9 records</text>"));
        assert!(!plot.contains("raw copy"), "it claims nothing, and promises nothing");
        assert!(plot.find(">always<") < plot.find(">os<"), "the safest first");
    }

    #[test]
    fn without_curves_all_contenders_of_a_load_are_compared() {
        let plot = plot(&report().suites[0], false);
        assert_eq!(plot.matches("<svg").count(), 1, "{plot}");
        assert!(plot.contains("class=\"other\"") && plot.contains("class=\"seen\""), "{plot}");
        assert!(!plot.contains("a power loss may take"));
        // 600 of 1,000.
        assert!(plot.contains("width=\"420.0\"") && plot.contains("width=\"252.0\""), "{plot}");
    }
}
