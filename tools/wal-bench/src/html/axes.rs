//! Logarithmic scales.

/// A scale between two powers of ten, whole ones unless it is tight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    first: f64,
    decades: f64,
    /// How long it is drawn.
    length: f64,
}

impl Scale {
    /// Wide enough for all values; those that are not positive have no place on it.
    pub(super) fn of(values: impl Iterator<Item = f64>, length: f64) -> Self {
        let tight = Scale::tight(values, length);
        let first = tight.first.floor();
        let last = (tight.first + tight.decades).ceil();
        Scale { first, decades: (last - first).max(1.0), length }
    }

    /// From the least value to the largest.
    pub(super) fn tight(values: impl Iterator<Item = f64>, length: f64) -> Self {
        let powers = values.filter(|value| *value > 0.0).map(f64::log10);
        let ends = powers.fold(None, |ends: Option<(f64, f64)>, power| {
            let (least, most) = ends.unwrap_or((power, power));
            Some((least.min(power), most.max(power)))
        });
        let (least, most) = ends.unwrap_or_default();
        Scale { first: least, decades: most - least, length }
    }

    /// Where a value is drawn; what lies below the scale stands at its beginning.
    pub(super) fn at(&self, value: f64) -> f64 {
        if value <= 0.0 || self.decades == 0.0 {
            return 0.0;
        }
        let share = (value.log10() - self.first) / self.decades;
        share.clamp(0.0, 1.0) * self.length
    }

    /// The powers of ten, and where they are drawn.
    pub(super) fn marks(&self) -> impl Iterator<Item = (f64, f64)> + use<'_> {
        (self.first as i32..=(self.first + self.decades) as i32).map(|power| {
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
        assert_eq!(Scale::tight([100.0].into_iter(), 10.0).at(100.0), 0.0);
    }

    #[test]
    fn a_tight_scale_ends_where_its_values_do() {
        let scale = Scale::tight([4.0, 64.0, 16.0].into_iter(), 100.0);
        assert_eq!([4.0, 16.0, 64.0].map(|value| scale.at(value).round()), [0.0, 50.0, 100.0]);
    }

    #[test]
    fn powers_are_short() {
        assert_eq!([0.1, 10.0, 1e4, 1e6, 1e9].map(short), ["0.1", "10", "10 k", "1 M", "1 G"]);
    }
}
