//! Claimed and observed loss, drawn: one panel for each unit, one row for each strategy.

use super::super::report::Report;
use super::super::risk::Risk;
use super::super::table::micros;
use wal_tool::html::Text;
use wal_tool::number::{grouped, millis};

const NAMES: f64 = 150.0;
const PANEL: f64 = 265.0;
const GAP: f64 = 25.0;
const TOP: f64 = 46.0;
const ROW: f64 = 34.0;
/// Between nothing and the first decade.
const ZERO: f64 = 26.0;
/// For claims without a bound, and for the figures at the ends of bars.
const BEYOND: f64 = 64.0;

/// One row of one panel.
#[derive(Clone, Copy)]
struct Pair {
    seen: u64,
    /// None: no bound.
    claim: Option<u64>,
}

/// A logarithmic scale with a place for zero.
struct Scale {
    first: u32,
    decades: u32,
}

/// A unit: its name, how its values are written, and the pair of a strategy.
struct Unit {
    name: &'static str,
    write: fn(u64) -> String,
    pair: fn(&Risk) -> Pair,
}

const UNITS: [Unit; 3] = [
    Unit {
        name: "records",
        write: grouped,
        pair: |risk| Pair {
            seen: risk.outcome.power_loss.records,
            claim: risk.outcome.claim.power_loss.records,
        },
    },
    Unit {
        name: "bytes",
        write: grouped,
        pair: |risk| Pair {
            seen: risk.outcome.power_loss.bytes,
            claim: risk.outcome.claim.power_loss.bytes,
        },
    },
    Unit {
        name: "milliseconds",
        write: millis,
        pair: |risk| Pair {
            seen: risk.outcome.power_loss.micros,
            claim: risk.outcome.claim.power_loss.window.map(micros),
        },
    },
];

/// The plot, and how to read it.
pub(super) fn section(report: &Report) -> String {
    let risks = &report.strategies;
    let width = NAMES + 3.0 * PANEL + 2.0 * GAP;
    let height = TOP + ROW * risks.len() as f64 + 8.0;
    let names: String = risks.iter().enumerate().map(name).collect();
    let panels: String =
        UNITS.iter().enumerate().map(|(at, unit)| panel(at, unit, risks)).collect();
    format!(
        "<section><h2>Claimed and observed loss when the power fails</h2>\
         <p class=\"note\"><span class=\"key bar\"></span> the worst loss seen \
         <span class=\"key tick\"></span> the claim <span class=\"key open\"></span> no bound claimed. \
         A bar that ends at its mark: the claim holds and is tight. A bar beyond it: broken. Short of it: \
         loose. Scales are logarithmic.</p><div class=\"wide\">\
         <svg viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"Claimed and observed loss of each strategy; the table above has the figures\">\
         {names}{panels}</svg></div></section>"
    )
}

fn middle(row: usize) -> f64 {
    TOP + ROW * (row as f64 + 0.5)
}

fn name((row, risk): (usize, &Risk)) -> String {
    let (x, y) = (NAMES - 12.0, middle(row) + 4.5);
    let name = Text(&risk.outcome.strategy);
    format!("<text class=\"name\" x=\"{x}\" y=\"{y}\" text-anchor=\"end\">{name}</text>")
}

fn panel(at: usize, unit: &Unit, risks: &[Risk]) -> String {
    let pairs: Vec<Pair> = risks.iter().map(unit.pair).collect();
    let scale = Scale::of(&pairs);
    let left = NAMES + (PANEL + GAP) * at as f64;
    let mut out = format!(
        "<g transform=\"translate({left} 0)\"><text class=\"unit\" x=\"0\" y=\"14\">{}</text>",
        unit.name
    );
    let bottom = middle(pairs.len()) - ROW / 2.0;
    for (x, label) in scale.marks(unit.write) {
        out += &format!(
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <text class=\"mark\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            TOP - 10.0
        );
    }
    for (row, pair) in pairs.iter().enumerate() {
        out += &draw(middle(row), pair, &scale, unit.write);
    }
    out + "</g>"
}

fn draw(y: f64, pair: &Pair, scale: &Scale, write: fn(u64) -> String) -> String {
    let end = scale.at(pair.seen);
    let class = match pair.claim {
        Some(claim) if pair.seen > claim => "broken",
        _ => "seen",
    };
    let top = y - 7.0;
    let mut out = String::new();
    if pair.seen > 0 {
        out += &format!(
            "<rect class=\"{class}\" x=\"0\" y=\"{top}\" width=\"{end:.1}\" height=\"14\"/>"
        );
    }
    let mut label = end + 8.0;
    match pair.claim {
        Some(claim) => {
            let x = scale.at(claim);
            label = label.max(x + 8.0);
            out += &format!(
                "<line class=\"claim\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\"/>",
                y - 11.0,
                y + 11.0
            );
        }
        None => {
            let edge = PANEL - 4.0;
            out += &format!(
                "<line class=\"open\" x1=\"{end:.1}\" x2=\"{edge}\" y1=\"{y}\" y2=\"{y}\"/>\
                 <path class=\"arrow\" d=\"M{} {} l7 5 l-7 5\"/>",
                edge - 6.0,
                y - 5.0
            );
        }
    }
    let raised = if pair.claim.is_none() { y - 4.0 } else { y + 4.5 };
    out + &format!(
        "<text class=\"value\" x=\"{label:.1}\" y=\"{raised}\">{}</text>",
        write(pair.seen)
    )
}

impl Scale {
    /// Wide enough for everything that is seen or claimed.
    fn of(pairs: &[Pair]) -> Self {
        let values = || pairs.iter().flat_map(|pair| [Some(pair.seen), pair.claim]).flatten();
        let first = values().filter(|value| *value > 0).min().map_or(0, u64::ilog10);
        let last = values()
            .max()
            .filter(|value| *value > 0)
            .map_or(0, |most| (most - 1).max(1).ilog10() + 1);
        // One decade alone would say little.
        Scale { first, decades: last.saturating_sub(first).max(2) }
    }

    fn at(&self, value: u64) -> f64 {
        if value == 0 {
            return 0.0;
        }
        let decades = (value as f64).log10() - f64::from(self.first);
        ZERO + decades / f64::from(self.decades) * (PANEL - ZERO - BEYOND)
    }

    /// Where lines are drawn, and what they are called.
    fn marks(&self, write: fn(u64) -> String) -> Vec<(f64, String)> {
        let powers =
            (self.first..=self.first + self.decades).map(|power| 10_u64.saturating_pow(power));
        std::iter::once(0).chain(powers).map(|value| (self.at(value), write(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::{explored, report};
    use super::*;

    #[test]
    fn scales_hold_what_is_on_them() {
        let pairs = [Pair { seen: 7, claim: Some(8) }, Pair { seen: 1500, claim: None }];
        let scale = Scale::of(&pairs);
        assert_eq!((scale.first, scale.decades), (0, 4));
        assert!(0.0 < scale.at(1) && scale.at(1) < scale.at(7) && scale.at(7) < scale.at(8));
        assert!(scale.at(1500) < PANEL - BEYOND);
        let marks: Vec<_> = scale.marks(grouped).into_iter().map(|(_, label)| label).collect();
        assert_eq!(marks, ["0", "1", "10", "100", "1,000", "10,000"]);
    }

    #[test]
    fn a_scale_of_nothing_is_one() {
        let scale = Scale::of(&[Pair { seen: 0, claim: Some(0) }]);
        assert_eq!((scale.at(0), scale.decades), (0.0, 2));
    }

    #[test]
    fn a_bar_ends_at_the_mark_of_a_tight_claim() {
        let plot = section(&report(vec![explored()], None));
        assert_eq!(plot.matches("class=\"claim\"").count(), 1, "one of three units is claimed");
        assert_eq!(plot.matches("class=\"open\"").count(), 2);
        let end = plot.split("class=\"claim\" x1=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(plot.contains(&format!("width=\"{end}\"")), "{plot}");
        assert!(!plot.contains("class=\"broken\""));
    }
}
