//! What the log has to reach, and whether it did.

use wal_load::Sample;

use super::cell::Kind;
use super::report::{BarReport, Bound, CellReport, Unit, median};

/// A figure of the log, or its ratio to that of somebody else, with its bound.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    text: String,
    figure: Figure,
    bound: Bound,
    ours: Pick,
    baseline: Option<Pick>,
}

/// The cells that may stand for a side. The one with the highest rate does.
#[derive(Clone, Debug)]
pub(super) struct Pick {
    kind: Kind,
    load: String,
    /// How the name begins, and how it ends, if that matters.
    begins: &'static str,
    ends: &'static str,
}

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub(super) enum Figure {
    Rate,
    P99,
    Seconds,
    PeakMemory,
}

impl Pick {
    pub(super) fn new(kind: Kind, load: impl ToString) -> Self {
        Pick { kind, load: load.to_string(), begins: "", ends: "" }
    }

    pub(super) fn begins(mut self, name: &'static str) -> Self {
        self.begins = name;
        self
    }

    pub(super) fn ends(mut self, name: &'static str) -> Self {
        self.ends = name;
        self
    }

    fn best<'a>(&self, cells: &'a [CellReport]) -> Option<&'a CellReport> {
        let meant = cells.iter().filter(|cell| {
            cell.kind == self.kind
                && cell.load == self.load
                && cell.who.starts_with(self.begins)
                && cell.who.ends_with(self.ends)
        });
        let rated = meant.filter_map(|cell| cell.rate().map(|rate| (rate, cell)));
        rated.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, cell)| cell)
    }
}

impl Figure {
    fn of(self, sample: &Sample) -> Option<f64> {
        match self {
            Figure::Rate => Some(sample.rate()),
            Figure::P99 => Some(sample.latency.at(0.99).as_secs_f64()),
            Figure::Seconds => Some(sample.seconds),
            Figure::PeakMemory => sample.peak_memory.map(|bytes| bytes as f64),
        }
    }
}

impl Bar {
    /// A ratio to somebody else in the same rounds.
    pub(super) fn ratio(
        text: impl Into<String>,
        figure: Figure,
        bound: Bound,
        ours: Pick,
        baseline: Pick,
    ) -> Self {
        Bar { text: text.into(), figure, bound, ours, baseline: Some(baseline) }
    }

    /// A figure as it is.
    pub(super) fn absolute(
        text: impl Into<String>,
        figure: Figure,
        bound: Bound,
        ours: Pick,
    ) -> Self {
        Bar { text: text.into(), figure, bound, ours, baseline: None }
    }

    /// Ratios are taken round by round, between measurements that followed each other.
    pub(super) fn judge(&self, cells: &[CellReport]) -> BarReport {
        let ours = self.ours.best(cells);
        let baseline = self.baseline.as_ref().map(|pick| pick.best(cells));
        let figures = |cell: &CellReport| -> Vec<_> {
            cell.samples.iter().map(|sample| self.figure.of(sample)).collect()
        };
        let values = match (ours, baseline) {
            (Some(ours), None) => figures(ours).into_iter().flatten().collect(),
            (Some(ours), Some(Some(baseline))) => {
                let rounds = figures(ours).into_iter().zip(figures(baseline));
                rounds.filter_map(|(ours, baseline)| Some(ours? / baseline?)).collect()
            }
            (None, _) | (_, Some(None)) => Vec::new(),
        };
        let name = |cell: &CellReport| format!("{}, {}", cell.who, cell.load);
        BarReport {
            text: self.text.clone(),
            bound: self.bound,
            unit: self.unit(),
            ours: ours.map(name),
            baseline: baseline.flatten().map(name),
            value: median(values.iter().copied()),
            values,
        }
    }

    fn unit(&self) -> Unit {
        match (&self.baseline, self.figure) {
            (Some(_), _) | (None, Figure::P99 | Figure::Seconds) => Unit::Ratio,
            (None, Figure::Rate) => Unit::RecordsPerSecond,
            (None, Figure::PeakMemory) => Unit::Bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::cell;
    use super::*;

    fn cells() -> Vec<CellReport> {
        vec![
            cell(Kind::Raw, "raw written", "threads:1:100", &[100, 200, 400]),
            cell(Kind::Raw, "raw growing", "threads:1:100", &[90, 90, 90]),
            cell(Kind::Raw, "raw direct", "threads:1:100", &[]),
            cell(Kind::Ours, "wal file always", "threads:1:100", &[50, 190, 400]),
            cell(Kind::Ours, "wal file group", "threads:1:100", &[10, 10, 10]),
            cell(Kind::Ours, "wal file group", "threads:4:100", &[999, 999, 999]),
        ]
    }

    fn bar(ours: Pick, baseline: Pick) -> BarReport {
        Bar::ratio("t", Figure::Rate, Bound::AtLeast(0.9), ours, baseline).judge(&cells())
    }

    #[test]
    fn the_best_of_each_side_are_compared_round_by_round() {
        let one = |kind| Pick::new(kind, "threads:1:100");
        let found = bar(one(Kind::Ours), one(Kind::Raw));
        assert_eq!(found.values, [0.5, 0.95, 1.0]);
        assert_eq!((found.value, found.reached()), (Some(0.95), Some(true)));
        assert_eq!(found.ours.unwrap(), "wal file always, threads:1:100");
        assert_eq!(found.baseline.unwrap(), "raw written, threads:1:100");

        let found = bar(one(Kind::Ours).ends("group"), one(Kind::Raw).begins("raw growing"));
        assert_eq!(found.value, Some(10.0 / 90.0));
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        let one = |kind| Pick::new(kind, "threads:1:100");
        for found in [
            bar(one(Kind::Ours), one(Kind::Peer)),
            bar(Pick::new(Kind::Ours, "tasks:1:100"), one(Kind::Raw)),
            bar(one(Kind::Ours), one(Kind::Raw).begins("raw direct")),
        ] {
            assert_eq!((found.value, found.reached()), (None, None), "{found:?}");
        }
    }

    #[test]
    fn absolute_figures_have_a_unit() {
        let four = Pick::new(Kind::Ours, "threads:4:100");
        let rate = Bar::absolute("t", Figure::Rate, Bound::AtLeast(1e3), four.clone());
        let found = rate.judge(&cells());
        assert_eq!((found.unit, found.value), (Unit::RecordsPerSecond, Some(999.0)));
        assert_eq!(found.reached(), Some(false));
        let memory = Bar::absolute("t", Figure::PeakMemory, Bound::AtMost(1.0), four);
        let found = memory.judge(&cells());
        assert_eq!((found.unit, found.value), (Unit::Bytes, None), "nobody counted it");
    }
}
