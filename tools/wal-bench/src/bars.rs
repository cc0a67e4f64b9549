//! What the log has to reach, and whether it did.

use std::collections::BTreeMap;

use wal_load::Sample;

use super::measure::Kind;
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
    /// How the name begins, and how it ends or does not, if that matters.
    begins: &'static str,
    ends: &'static str,
    not: Option<&'static str>,
    /// Its whole name.
    name: Option<String>,
}

/// Two cells that are held against each other, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub(super) ours: usize,
    pub(super) baseline: usize,
}

/// What pairs did, ours first, one measurement right after the other.
pub(super) type Duels = BTreeMap<Pair, Vec<[Sample; 2]>>;

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
        Pick { kind, load: load.to_string(), begins: "", ends: "", not: None, name: None }
    }

    pub(super) fn begins(mut self, name: &'static str) -> Self {
        self.begins = name;
        self
    }

    pub(super) fn ends(mut self, name: &'static str) -> Self {
        self.ends = name;
        self
    }

    pub(super) fn does_not_end(mut self, name: &'static str) -> Self {
        self.not = Some(name);
        self
    }

    pub(super) fn named(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    /// Its number.
    fn best(&self, cells: &[CellReport]) -> Option<usize> {
        let meant = cells.iter().enumerate().filter(|(_, cell)| {
            cell.kind == self.kind
                && cell.load == self.load
                && cell.who.starts_with(self.begins)
                && cell.who.ends_with(self.ends)
                && self.name.as_ref().is_none_or(|name| cell.who == *name)
                && self.not.is_none_or(|not| !cell.who.ends_with(not))
        });
        let rated = meant.filter_map(|(number, cell)| cell.rate().map(|rate| (rate, number)));
        rated.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, number)| number)
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

    fn ratio(self, [ours, baseline]: &[Sample; 2]) -> Option<f64> {
        Some(self.of(ours)? / self.of(baseline)?)
    }
}

impl Bar {
    /// A ratio to somebody else, measured right after each other.
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

    pub(super) fn is_ratio(&self) -> bool {
        self.baseline.is_some()
    }

    /// The numbers of the two cells whose ratio it is, if it is one and both were measured.
    pub(super) fn pair(&self, cells: &[CellReport]) -> Option<Pair> {
        Some(Pair { ours: self.ours.best(cells)?, baseline: self.baseline.as_ref()?.best(cells)? })
    }

    /// A ratio is taken duel by duel.
    pub(super) fn judge(&self, cells: &[CellReport], duels: &Duels) -> BarReport {
        let ours = self.ours.best(cells);
        let baseline = self.baseline.as_ref().map(|pick| pick.best(cells));
        let values: Vec<_> = match (ours, baseline) {
            (Some(ours), None) => {
                cells[ours].samples.iter().filter_map(|sample| self.figure.of(sample)).collect()
            }
            (Some(ours), Some(Some(baseline))) => {
                let duels = duels.get(&Pair { ours, baseline }).into_iter().flatten();
                duels.filter_map(|duel| self.figure.ratio(duel)).collect()
            }
            (None, _) | (_, Some(None)) => Vec::new(),
        };
        let name = |number: usize| format!("{}, {}", cells[number].who, cells[number].load);
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
    use std::time::Duration;

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
        let (cells, sample) = (cells(), |n| Sample::once(n, Duration::from_secs(1)));
        let bar = Bar::ratio("t", Figure::Rate, Bound::AtLeast(0.9), ours, baseline);
        let fought = |pair| (pair, [(100, 200), (190, 200), (400, 400)]);
        let fought = bar.pair(&cells).map(fought).into_iter();
        let duels = fought.map(|(pair, rates)| (pair, rates.map(|(a, b)| [sample(a), sample(b)])));
        bar.judge(&cells, &duels.map(|(pair, duels)| (pair, duels.into())).collect())
    }

    #[test]
    fn the_best_of_each_side_are_compared_duel_by_duel() {
        let one = |kind| Pick::new(kind, "threads:1:100");
        let found = bar(one(Kind::Ours), one(Kind::Raw));
        assert_eq!(found.values, [0.5, 0.95, 1.0]);
        assert_eq!((found.value, found.reached()), (Some(0.95), Some(true)));
        assert_eq!(found.ours.unwrap(), "wal file always, threads:1:100");
        assert_eq!(found.baseline.unwrap(), "raw written, threads:1:100");

        let found = bar(one(Kind::Ours).ends("group"), one(Kind::Raw).begins("raw growing"));
        assert_eq!(found.ours.unwrap(), "wal file group, threads:1:100");
        assert_eq!(found.baseline.unwrap(), "raw growing, threads:1:100");

        let found = bar(one(Kind::Ours).does_not_end("always"), one(Kind::Raw));
        assert_eq!(found.ours.unwrap(), "wal file group, threads:1:100");
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
        let found = rate.judge(&cells(), &Duels::new());
        assert_eq!((found.unit, found.value), (Unit::RecordsPerSecond, Some(999.0)));
        assert_eq!(found.reached(), Some(false));
        let memory = Bar::absolute("t", Figure::PeakMemory, Bound::AtMost(1.0), four);
        assert_eq!(rate.pair(&cells()), None, "nobody to be held against");
        let found = memory.judge(&cells(), &Duels::new());
        assert_eq!((found.unit, found.value), (Unit::Bytes, None), "nobody counted it");
    }
}
