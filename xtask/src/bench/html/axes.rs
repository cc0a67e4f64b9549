//! Logarithmic scales.

/// A scale from one power of ten to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    first: i32,
    decades: i32,
    /// How long it is drawn.
    length: f64,
}

impl Scale {
    /// Wide enough for all values; those that are not positive have no place on it.
    pub(super) fn of(values: impl Iterator<Item = f64>, length: f64) -> Self {
        let mut ends: Option<(f64, f64)> = None;
        for value in values.filter(|value| *value > 0.0) {
            let (least, most) = ends.unwrap_or((value, value));
            ends = Some((least.min(value), most.max(value)));
        }
        let (least, most) = ends.unwrap_or((1.0, 1.0));
        let first = least.log10().floor() as i32;
        let last = most.log10().ceil() as i32;
        Scale { first, decades: (last - first).max(1), length }
    }

    /// Where a value is drawn; what lies below the scale stands at its beginning.
    pub(super) fn at(&self, value: f64) -> f64 {
        if value <= 0.0 {
            return 0.0;
        }
        let share = (value.log10() - f64::from(self.first)) / f64::from(self.decades);
        share.clamp(0.0, 1.0) * self.length
    }

    /// The powers of ten, and where they are drawn.
    pub(super) fn marks(&self) -> impl Iterator<Item = (f64, f64)> + use<'_> {
        (self.first..=self.first + self.decades).map(|power| {
            let value = 10_f64.powi(power);
            (self.at(value), value)
        })
    }
}

/// A power of ten in few letters.
pub(super) fn short(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.0} G", v / 1e9),
        v if v >= 1e6 => format!("{:.0} M", v / 1e6),
        v if v >= 1e3 => format!("{:.0} k", v / 1e3),
        v if v >= 1.0 => format!("{v:.0}"),
        v => format!("{v}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_hold_what_is_on_them() {
        let scale = Scale::of([7.0, 1500.0, 0.0].into_iter(), 400.0);
        let marks: Vec<_> = scale.marks().collect();
        assert_eq!(marks, [(0.0, 1.0), (100.0, 10.0), (200.0, 100.0), (300.0, 1e3), (400.0, 1e4)]);
        assert!(scale.at(7.0) < scale.at(1500.0) && scale.at(0.0) == 0.0);
        assert_eq!(scale.at(1e9), 400.0);
    }

    #[test]
    fn a_scale_of_nothing_or_of_one_value_is_one() {
        assert_eq!(Scale::of(std::iter::empty(), 10.0).marks().count(), 2);
        assert_eq!(Scale::of([100.0].into_iter(), 10.0).at(100.0), 0.0);
    }

    #[test]
    fn powers_are_short() {
        assert_eq!([0.1, 10.0, 1e4, 1e6, 1e9].map(short), ["0.1", "10", "10 k", "1 M", "1 G"]);
    }
}
