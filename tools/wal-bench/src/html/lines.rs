//! Curves: rates against the number of writers, latencies against the share of calls.

use std::collections::BTreeMap;

use wal_load::{QUANTILES, Workload, Writers};

use super::super::measure::Kind;
use super::super::report::{CellReport, SuiteReport};
use super::axes::{Scale, short};
use wal_tool::html::Text;

const LEFT: f64 = 62.0;
const WIDTH: f64 = 560.0;
/// For the names at the ends of curves.
const NAMES: f64 = 300.0;
const TOP: f64 = 26.0;
const HEIGHT: f64 = 260.0;
const BOTTOM: f64 = 34.0;
/// Between two names.
const LINE: f64 = 16.0;

/// A curve and what it is called.
struct Curve<'a> {
    kind: Kind,
    name: &'a str,
    /// From left to right; both are places on a scale.
    points: Vec<(f64, f64)>,
}

/// A set of curves with its axes.
struct Plot<'a> {
    title: String,
    x_marks: Vec<(f64, String)>,
    y: Scale,
    curves: Vec<Curve<'a>>,
}

/// Records per second against threads or tasks; empty if nothing varies.
pub(super) fn rates(suite: &SuiteReport) -> String {
    let threads = |writers| matches!(writers, Writers::Threads(_));
    let of = |kind: &str, is: &dyn Fn(Writers) -> bool| rates_of(suite, kind, is);
    of("threads", &threads) + &of("tasks", &|writers| !threads(writers))
}

fn rates_of(suite: &SuiteReport, writers: &str, is: &dyn Fn(Writers) -> bool) -> String {
    let mut by_name: BTreeMap<(Kind, &str), Vec<(f64, f64)>> = BTreeMap::new();
    for cell in &suite.cells {
        if let (Some(Workload { writers, batch: None, record: 100 }), Some(rate)) =
            (cell.workload(), cell.rate())
            && is(writers)
        {
            let curve = by_name.entry((cell.kind, &cell.who)).or_default();
            curve.push((writers.count() as f64, rate));
        }
    }
    by_name.retain(|_, points| points.len() > 1);
    let points = || by_name.values().flatten();
    let x = Scale::tight(points().map(|point| point.0), WIDTH);
    let y = Scale::of(points().map(|point| point.1), HEIGHT);
    let mut counts: Vec<_> = points().map(|point| point.0).collect();
    counts.sort_by(f64::total_cmp);
    counts.dedup();
    let curves = by_name.iter().map(|(&(kind, name), points)| Curve {
        kind,
        name,
        points: points.iter().map(|&(count, rate)| (x.at(count), y.at(rate))).collect(),
    });
    draw(&Plot {
        title: format!("records/s against {writers}, 100 B"),
        x_marks: counts.iter().map(|&count| (x.at(count), format!("{count}"))).collect(),
        y,
        curves: curves.collect(),
    })
}

/// Latencies at each quantile, one plot for each load that several share.
pub(super) fn latencies(suite: &SuiteReport) -> String {
    let mut loads: Vec<(&str, Vec<&CellReport>)> = Vec::new();
    let timed = |cell: &&CellReport| cell.workload().is_some() && !cell.samples.is_empty();
    for cell in suite.cells.iter().filter(timed) {
        match loads.iter_mut().find(|(load, _)| *load == cell.load) {
            Some((_, cells)) => cells.push(cell),
            None => loads.push((&cell.load, vec![cell])),
        }
    }
    let plots: String = loads
        .iter()
        // More curves than these nobody can follow.
        .filter(|(_, cells)| (2..=12).contains(&cells.len()))
        .map(|(load, cells)| latencies_of(load, cells))
        .collect();
    if plots.is_empty() {
        return plots;
    }
    format!("<details><summary>Latencies</summary>{plots}</details>")
}

fn latencies_of(load: &str, cells: &[&CellReport]) -> String {
    // Equal steps: the rare calls are the interesting ones.
    let step = WIDTH / (QUANTILES.len() - 1) as f64;
    let at = |cell: &CellReport| QUANTILES.map(|q| cell.latency(q).unwrap_or_default());
    let y = Scale::of(cells.iter().flat_map(|cell| at(cell)), HEIGHT);
    let curves = cells.iter().map(|cell| Curve {
        kind: cell.kind,
        name: &cell.who,
        points: at(cell)
            .iter()
            .enumerate()
            .map(|(number, &micros)| (number as f64 * step, y.at(micros)))
            .collect(),
    });
    let marks = QUANTILES.iter().enumerate().map(|(number, quantile)| {
        let name =
            if *quantile == 1.0 { "max".to_owned() } else { format!("p{}", 100.0 * quantile) };
        (number as f64 * step, name)
    });
    draw(&Plot {
        title: format!("µs of a call, {load}"),
        x_marks: marks.collect(),
        y,
        curves: curves.collect(),
    })
}

fn draw(plot: &Plot<'_>) -> String {
    if plot.curves.is_empty() {
        return String::new();
    }
    let base = TOP + HEIGHT;
    let names = plot.curves.len() as f64 * LINE;
    let (width, height) = (LEFT + WIDTH + NAMES, (base + BOTTOM).max(TOP + names));
    let title = Text(&plot.title);
    let mut out = format!(
        "<div class=\"wide\"><svg viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"{title}; the table below has the figures\">\
         <text class=\"unit\" x=\"0\" y=\"14\">{title}</text>"
    );
    for (y, value) in plot.y.marks() {
        let y = base - y;
        out += &format!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"mark\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT + WIDTH,
            LEFT - 8.0,
            y + 4.0,
            short(value)
        );
    }
    for (x, name) in &plot.x_marks {
        out += &format!(
            "<text class=\"mark\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            LEFT + x,
            base + 18.0,
            Text(name)
        );
    }
    let places = apart(&plot.curves.iter().map(Curve::end).collect::<Vec<_>>());
    for (number, (curve, place)) in plot.curves.iter().zip(places).enumerate() {
        out += &curve.draw(number, base, place);
    }
    out + "</svg></div>"
}

impl Curve<'_> {
    /// How high it ends.
    fn end(&self) -> f64 {
        self.points.last().map_or(0.0, |point| point.1)
    }

    /// With its name at a place of its own, from the base upwards.
    fn draw(&self, number: usize, base: f64, place: f64) -> String {
        let at = |&(x, y): &(f64, f64)| format!("{:.1},{:.1}", LEFT + x, base - y);
        let points: Vec<_> = self.points.iter().map(at).collect();
        let class = match self.kind {
            Kind::Raw => "raw",
            Kind::Peer => "peer",
            Kind::Ours => "ours",
        };
        let color = format!("c{}", number % 8);
        let end = self.points.last().map_or(0.0, |point| point.0) + LEFT;
        let (name_at, level) = (LEFT + WIDTH + 26.0, base - place);
        format!(
            "<polyline class=\"curve {class} {color}\" points=\"{}\"/>\
             <polyline class=\"lead {color}\" points=\"{:.1},{:.1} {:.1},{level:.1}\"/>\
             <text class=\"{class} {color}\" x=\"{name_at}\" y=\"{:.1}\">{}</text>",
            points.join(" "),
            end,
            base - self.end(),
            name_at - 4.0,
            level + 4.5,
            Text(self.name)
        )
    }
}

/// Places for names as near as can be to where their curves end, without one on the other.
fn apart(ends: &[f64]) -> Vec<f64> {
    let mut order: Vec<_> = (0..ends.len()).collect();
    order.sort_by(|&a, &b| ends[a].total_cmp(&ends[b]));
    let mut places = vec![0.0; ends.len()];
    let mut next = f64::MIN;
    for &number in &order {
        places[number] = ends[number].max(next);
        next = places[number] + LINE;
    }
    // What was pushed above the plot comes down again, and pushes what is below.
    let mut next = HEIGHT;
    for &number in order.iter().rev() {
        places[number] = places[number].min(next);
        next = places[number] - LINE;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::report;
    use super::*;

    #[test]
    fn rates_of_one_contender_at_several_counts_are_a_curve() {
        let plot = rates(&report().suites[0]);
        assert_eq!(plot.matches("<svg").count(), 1, "threads, and no tasks");
        assert_eq!(plot.matches("class=\"curve").count(), 1, "{plot}");
        assert!(plot.contains(">wal file group</text>"), "{plot}");
        assert!(plot.contains(">4</text>") && plot.contains(">16</text>"), "{plot}");
    }

    #[test]
    fn latencies_of_one_load_are_one_plot() {
        let plot = latencies(&report().suites[0]);
        assert_eq!(plot.matches("<svg").count(), 1, "only threads:1:100 has two contenders");
        assert!(plot.contains(">max</text>") && plot.contains("raw &lt;written&gt;"));
    }

    #[test]
    fn names_do_not_lie_on_each_other() {
        let places = apart(&[100.0, 100.0, 98.0, 255.0, 259.0]);
        let mut sorted = places.clone();
        sorted.sort_by(f64::total_cmp);
        assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] >= LINE - 1e-9), "{places:?}");
        assert!(sorted[4] <= HEIGHT, "{places:?}");
        assert!(places[2] < places[0] && places[3] < places[4], "the order is kept");
    }
}
