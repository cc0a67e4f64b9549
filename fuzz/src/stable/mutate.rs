//! Inputs made of other inputs.

use wal_testkit::Rng;

/// No input gets longer than this: what is long is slow, and seldom shows more.
const LENGTH_MAX: usize = 4096;

/// A mutation of one of the inputs: one to eight changes.
pub(super) fn next(corpus: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut input = pick(corpus, rng).clone();
    for _ in 0..=rng.below(8) {
        change(&mut input, corpus, rng);
    }
    input.truncate(LENGTH_MAX);
    input
}

fn pick<'a>(corpus: &'a [Vec<u8>], rng: &mut Rng) -> &'a Vec<u8> {
    &corpus[rng.below(corpus.len() as u64) as usize]
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut Rng) {
    let at = rng.below(input.len() as u64 + 1) as usize;
    let len = (rng.below(16) as usize + 1).min(input.len() - at);
    // Numbers at the edges are where the bounds are.
    const EDGES: [u8; 8] = [0, 1, 7, 0x7f, 0x80, 0xfe, 0xff, b'\n'];
    let byte = rng.next() as u8;
    match rng.below(8) {
        0 if len > 0 => input[at] ^= 1 << (byte % 8),
        1 if len > 0 => input[at] = byte,
        2 if len > 0 => input[at] = EDGES[usize::from(byte) % EDGES.len()],
        3 if len > 0 => input[at] = input[at].wrapping_add(byte % 9).wrapping_sub(4),
        4 => drop(input.splice(at..at + len, [])),
        5 => input.insert(at, byte),
        6 => {
            let piece = input[at..at + len].to_vec();
            let to = rng.below(input.len() as u64 + 1) as usize;
            drop(input.splice(to..to, piece));
        }
        7 => {
            let other = pick(corpus, rng);
            let from = rng.below(other.len() as u64 + 1) as usize;
            input.splice(at.., other[from..].iter().copied());
        }
        _ => input.push(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_inputs_and_they_differ() {
        let corpus = [b"one of them".to_vec(), vec![0; 5000], Vec::new()];
        let inputs = |seed| {
            let mut rng = Rng::new(seed);
            (0..500).map(|_| next(&corpus, &mut rng)).collect::<Vec<_>>()
        };
        let mut first = inputs(1);
        assert!(first == inputs(1) && first != inputs(2));
        assert!(first.iter().all(|input| input.len() <= LENGTH_MAX));
        first.sort();
        first.dedup();
        assert!(first.len() > 400, "{} of 500 differ", first.len());
    }
}
