//! Bars and figures.

use super::super::measure::Kind;
use super::super::number::{bound, value, verdict};
use super::super::report::{BarReport, CellReport, Report, SuiteReport};
use super::super::table::figures;
use wal_tool::html::Text;

/// A row for each bar.
pub(super) fn bars(report: &Report) -> String {
    let rows: String = report.suites.iter().flat_map(|suite| &suite.bars).map(bar).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<h2>Bars</h2><div class=\"wide\"><table><thead><tr><th>bar</th><th class=\"n\">found</th>\
         <th class=\"n\">asked</th><th></th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

fn bar(bar: &BarReport) -> String {
    let sides: Vec<_> =
        [&bar.ours, &bar.baseline].into_iter().flatten().map(String::as_str).collect();
    let class = match bar.reached() {
        Some(true) => "good",
        Some(false) => "bad",
        None => "",
    };
    let values: Vec<_> = bar.values.iter().map(|&found| value(found, bar.unit)).collect();
    format!(
        "<tr><th>{}<small>{}</small></th><td class=\"n\" title=\"{}\"><b>{}</b></td>\
         <td class=\"n\">{}</td><td><span class=\"badge {class}\">{}</span></td></tr>",
        Text(&bar.text),
        Text(sides.join(" / ")),
        Text(values.join(", ")),
        bar.value.map(|found| value(found, bar.unit)).unwrap_or_default(),
        bound(bar),
        verdict(bar)
    )
}

/// A row for each cell.
pub(super) fn cells(suite: &SuiteReport) -> String {
    let rows: String = suite.cells.iter().map(cell).collect();
    let heads = ["records/s", "p50 µs", "p99 µs", "p99.9 µs", "longest µs", "fairness"];
    let heads: String = heads.iter().map(|head| format!("<th class=\"n\">{head}</th>")).collect();
    format!(
        "<details open><summary>All figures</summary><div class=\"wide\"><table><thead><tr>\
         <th>load</th><th>who</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )
}

fn cell(cell: &CellReport) -> String {
    let claim = cell.claim.as_ref().map(|claim| format!("<small>may lose {}</small>", Text(claim)));
    let rest = match &cell.skipped {
        Some(why) => format!("<td colspan=\"6\" class=\"nothing\">skipped: {}</td>", Text(why)),
        None => figures(cell).iter().map(|f| format!("<td class=\"n\">{f}</td>")).collect(),
    };
    let who = match cell.kind {
        Kind::Ours => format!("<b>{}</b>", Text(&cell.who)),
        Kind::Raw | Kind::Peer => Text(&cell.who).to_string(),
    };
    format!(
        "<tr><td>{}</td><td>{who}{}</td>{rest}</tr>",
        Text(&cell.load),
        claim.unwrap_or_default()
    )
}
