//! What each strategy reaches, and what it may lose: a bar for each, from the safest on.

use super::super::number::rate;
use super::super::report::{CellReport, SuiteReport};
use super::axes::{Scale, short};
use crate::html::Text;

const NAMES: f64 = 230.0;
const WIDTH: f64 = 420.0;
const CLAIMS: f64 = 330.0;
const TOP: f64 = 46.0;
const ROW: f64 = 26.0;

/// Empty unless some cell of the suite may lose something.
pub(super) fn plot(suite: &SuiteReport) -> String {
    let mut loads: Vec<&str> = Vec::new();
    for cell in suite.cells.iter().filter(|cell| cell.claim.is_some()) {
        if cell.workload().is_some() && !loads.contains(&cell.load.as_str()) {
            loads.push(&cell.load);
        }
    }
    // Where everything is at risk alike, there is no choice to be shown.
    let varied = |load: &&&str| {
        let mut claims: Vec<_> = of(suite, load).map(|cell| &cell.claim).collect();
        claims.dedup();
        claims.len() > 2
    };
    loads
        .iter()
        .filter(varied)
        .map(|load| draw(load, &of(suite, load).collect::<Vec<_>>()))
        .collect()
}

fn of<'a>(suite: &'a SuiteReport, load: &str) -> impl Iterator<Item = &'a CellReport> {
    suite.cells.iter().filter(move |cell| cell.load == load && !cell.samples.is_empty())
}

fn draw(load: &str, cells: &[&CellReport]) -> String {
    let scale = Scale::of(cells.iter().filter_map(|cell| cell.rate()), WIDTH);
    let bottom = TOP + ROW * cells.len() as f64;
    let width = NAMES + WIDTH + CLAIMS;
    let mut out = format!(
        "<div class=\"wide\"><svg viewBox=\"0 0 {width} {}\" role=\"img\" \
         aria-label=\"Rate of each strategy and what it may lose; the table below has the figures\">\
         <text class=\"unit\" x=\"0\" y=\"14\">records/s, {}</text>\
         <text class=\"unit\" x=\"{}\" y=\"14\">a power loss may take</text>",
        bottom + 8.0,
        Text(load),
        NAMES + WIDTH + 70.0
    );
    for (x, value) in scale.marks() {
        let x = NAMES + x;
        out += &format!(
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <text class=\"mark\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            TOP - 10.0,
            short(value)
        );
    }
    for (row, cell) in cells.iter().enumerate() {
        out += &bar(TOP + ROW * (row as f64 + 0.5), cell, &scale);
    }
    out + "</svg></div>"
}

fn bar(y: f64, cell: &CellReport, scale: &Scale) -> String {
    let per_second = cell.rate().unwrap_or_default();
    let end = scale.at(per_second);
    let claim = cell.claim.as_deref().unwrap_or("nothing");
    let (class, text) = if cell.claim.is_none() { ("safe", "good") } else { ("seen", "") };
    format!(
        "<text class=\"name\" x=\"{}\" y=\"{base}\" text-anchor=\"end\">{}</text>\
         <rect class=\"{class}\" x=\"{NAMES}\" y=\"{}\" width=\"{end:.1}\" height=\"14\"/>\
         <text class=\"value\" x=\"{:.1}\" y=\"{base}\">{}</text>\
         <text class=\"claimed {text}\" x=\"{}\" y=\"{base}\">{}</text>",
        NAMES - 12.0,
        Text(&cell.who),
        y - 7.0,
        NAMES + end + 8.0,
        rate(per_second),
        NAMES + WIDTH + 70.0,
        Text(claim),
        base = y + 4.5,
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::cell::Kind;
    use super::super::super::report::tests::{cell, report};
    use super::*;

    #[test]
    fn strategies_with_different_claims_are_compared() {
        let mut suite = report().suites.remove(0);
        assert_eq!(plot(&suite), "", "only one cell of each load claims anything");
        let claims = [None, Some("at most 9 records"), Some("unbounded")];
        suite.cells = Vec::new();
        for (claim, who) in claims.into_iter().zip(["always", "batch:10", "os"]) {
            let mut cell = cell(Kind::Ours, who, "threads:1:100", &[100, 200]);
            cell.claim = claim.map(Into::into);
            suite.cells.push(cell);
        }
        let plot = plot(&suite);
        assert_eq!(plot.matches("class=\"seen\"").count(), 2, "{plot}");
        assert_eq!(plot.matches("class=\"safe\"").count(), 1, "{plot}");
        assert!(plot.contains(">nothing</text>") && plot.contains(">at most 9 records</text>"));
    }
}
