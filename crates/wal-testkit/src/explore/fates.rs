//! Which fates of the pending changes are tried.

use crate::{Atom, AtomKind, Fate, Rng};

/// How thoroughly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Density {
    /// All subsets are tried of up to so many atoms. With 0 it is a first look, and no recovery is
    /// interrupted.
    pub(crate) exhaustive: u32,
    /// At most so many images of one crash point beyond that.
    pub(crate) samples: usize,
    /// How many images in which lost bytes are zeroed, garbage or stale instead of old.
    pub(crate) spoiled: usize,
    /// Whether fates are tried that only unusual devices and file systems bring.
    pub(crate) exotic: bool,
    /// Whether sectors are torn together with their neighbours, be that unusual or not.
    pub(crate) torn_sectors: bool,
}

/// The most atoms of which all subsets are tried.
pub(crate) const MOST_EXHAUSTIVE: u32 = 8;

/// Lists of fates for `pending`, in the order in which a crash asks. The first drops everything.
pub(crate) fn choices(pending: &[Atom], density: Density, rng: &mut Rng) -> Vec<Vec<Fate>> {
    let n = pending.len();
    if n == 0 {
        return vec![Vec::new()];
    }
    let of = |kept: &dyn Fn(usize) -> bool| -> Vec<Fate> {
        (0..n).map(|i| if kept(i) { Fate::Kept } else { Fate::Dropped }).collect()
    };
    let mut choices = Vec::new();
    if n as u32 <= density.exhaustive.min(MOST_EXHAUSTIVE) {
        choices.extend((0..1u32 << n).map(|bits| of(&|i| bits >> i & 1 == 1)));
    } else {
        choices.push(of(&|_| false));
        choices.push(of(&|_| true));
        // Each alone, all but one, every beginning: by number, as there may be thousands.
        let mut more: Vec<usize> = (0..3 * n - 1).collect();
        while more.len() > density.samples {
            more.swap_remove(rng.below(more.len() as u64) as usize);
        }
        choices.extend(more.into_iter().map(|which| match which / n {
            0 => of(&|i| i == which),
            1 => of(&|i| i != which - n),
            _ => of(&|i| i < which - 2 * n + 1),
        }));
        for _ in 0..density.samples / 2 {
            let of_16 = rng.below(17);
            choices.push((0..n).map(|_| kept_or_not(rng.below(16) < of_16)).collect());
        }
    }
    for _ in 0..density.spoiled {
        let of_16 = 4 + rng.below(12);
        let fates = pending.iter().map(|atom| match rng.below(16) < of_16 {
            true => Fate::Kept,
            false => spoiled(atom, density, rng),
        });
        choices.push(fates.collect());
    }
    choices
}

fn kept_or_not(kept: bool) -> Fate {
    if kept { Fate::Kept } else { Fate::Dropped }
}

/// What else than being lost can happen to a change.
fn spoiled(atom: &Atom, density: Density, rng: &mut Rng) -> Fate {
    let Density { exotic, torn_sectors, .. } = density;
    match (&atom.kind, rng.below(if exotic || torn_sectors { 5 } else { 4 })) {
        (AtomKind::Bytes { .. }, 0) => Fate::Zeroed,
        (AtomKind::Bytes { .. }, 1) => Fate::Garbage(atom.seq),
        (AtomKind::Bytes { .. }, 2) => Fate::Stale,
        (AtomKind::Bytes { .. }, 4) => Fate::TornSectors(atom.seq),
        (AtomKind::Entries { names }, 4) if exotic && names.len() > 1 => match rng.below(2) {
            0 => Fate::BothNames,
            _ => Fate::NeitherName,
        },
        _ => Fate::Dropped,
    }
}

/// One letter for each fate.
pub(crate) fn spell(fates: &[Fate]) -> String {
    let letter = |fate: &Fate| match fate {
        Fate::Kept => 'k',
        Fate::Dropped => 'd',
        Fate::Zeroed => 'z',
        Fate::Garbage(_) => 'g',
        Fate::Stale => 's',
        Fate::TornSectors(_) => 't',
        Fate::BothNames => 'b',
        Fate::NeitherName => 'n',
    };
    fates.iter().map(letter).collect()
}

/// The fate that a letter stands for, of an atom with this sequence number.
pub(crate) fn fate(letter: char, seq: u64) -> Option<Fate> {
    Some(match letter {
        'k' => Fate::Kept,
        'd' => Fate::Dropped,
        'z' => Fate::Zeroed,
        'g' => Fate::Garbage(seq),
        's' => Fate::Stale,
        't' => Fate::TornSectors(seq),
        'b' => Fate::BothNames,
        'n' => Fate::NeitherName,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PLAIN: Density =
        Density { exhaustive: 8, samples: 10, spoiled: 0, exotic: false, torn_sectors: false };

    fn atoms(n: u64) -> Vec<Atom> {
        let kind = AtomKind::Bytes { offset: 0, len: 1 };
        (0..n).map(|seq| Atom { seq, node: 1, kind: kind.clone() }).collect()
    }

    #[test]
    fn few_atoms_are_taken_in_all_combinations() {
        for n in 0..=6 {
            let all = choices(&atoms(n), PLAIN, &mut Rng::new(1));
            let distinct: BTreeSet<_> = all.iter().map(|fates| spell(fates)).collect();
            assert_eq!(distinct.len(), 1 << n);
        }
    }

    #[test]
    fn many_atoms_are_sampled_with_both_ends() {
        let some = choices(&atoms(40), PLAIN, &mut Rng::new(1));
        assert_eq!(some.len(), 2 + 10 + 5);
        assert_eq!(spell(&some[0]), "d".repeat(40));
        assert_eq!(spell(&some[1]), "k".repeat(40));
    }

    #[test]
    fn letters_stand_for_fates_both_ways() {
        for letter in "kdzgstbn".chars() {
            assert_eq!(spell(&[fate(letter, 7).unwrap()]), letter.to_string());
        }
        assert_eq!(fate('x', 7), None);
    }
}
