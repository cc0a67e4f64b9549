//! CRC-32C of a few bytes, such as those behind the body of a frame.
//!
//! A general routine spends more on finding out how to begin and how to end than on so few bytes, and
//! there is a header for every small record. Here each byte has a table of what it adds to the checksum
//! from its place; the lookups do not wait for one another, and only four of them for the body.

const BYTES: usize = 24;

/// By the number of bytes that follow, and by the byte.
static TABLES: [[u32; 256]; BYTES] = tables();

const fn tables() -> [[u32; 256]; BYTES] {
    /// The polynomial of CRC-32C, lowest bit first.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut tables = [[0; 256]; BYTES];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (POLYNOMIAL * (crc & 1));
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut following = 1;
    while following < BYTES {
        let mut byte = 0;
        while byte < 256 {
            let crc = tables[following - 1][byte];
            tables[following][byte] = (crc >> 8) ^ tables[0][(crc & 0xff) as usize];
            byte += 1;
        }
        following += 1;
    }
    tables
}

/// The checksum of bytes whose checksum is `crc`, followed by these words, each little-endian.
#[inline]
pub(super) fn append_crc(crc: u32, words: [u64; BYTES / 8]) -> u32 {
    let [first, second, third] = words;
    let (second, third) = (lookup(second, 15), lookup(third, 7));
    !(lookup(first ^ u64::from(!crc), 23) ^ second ^ third)
}

/// The checksum of bytes whose checksum is `crc`, followed by this number, little-endian.
#[inline]
pub(super) fn append_crc_u32(crc: u32, number: u32) -> u32 {
    !lookup_u32(number ^ !crc, 3)
}

/// The checksum that bytes have, if these bytes behind them make it `crc`. A step of a CRC-32 loses nothing, so each
/// can be taken back.
pub(super) fn crc_in_front_of(crc: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().rev().fold(!crc, |crc, &byte| step_back(crc, byte))
}

/// The number, little-endian, that makes a checksum `to` behind bytes whose checksum is `from`. There is exactly one.
pub(super) fn number_between(from: u32, to: u32) -> u32 {
    !from ^ (0..4).fold(!to, |crc, _| step_back(crc, 0))
}

/// The state of a checksum before this byte.
fn step_back(crc: u32, byte: u8) -> u32 {
    // The highest byte of an entry tells which one it is.
    let table = &TABLES[0];
    let entry = (0..256).find(|&at| table[at] >> 24 == crc >> 24).expect("each byte is there once");
    (crc ^ table[entry]) << 8 | (entry as u32 ^ u32::from(byte))
}

/// What a word adds whose first byte is followed by so many.
#[inline]
fn lookup(word: u64, following: usize) -> u32 {
    lookup_u32(word as u32, following) ^ lookup_u32((word >> 32) as u32, following - 4)
}

#[inline]
fn lookup_u32(word: u32, following: usize) -> u32 {
    let bytes = word.to_le_bytes();
    let at = |byte: usize| TABLES[following - byte][usize::from(bytes[byte])];
    (at(0) ^ at(1)) ^ (at(2) ^ at(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_checksum_of_the_whole() {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state ^ state >> 29
        };
        let words = [[0; 3], [u64::MAX; 3], [1, 0, 0], [0, 0, 1 << 63]];
        let words =
            words.into_iter().chain(std::iter::repeat_with(|| [random(), random(), random()]));
        for (nth, words) in words.take(500).enumerate() {
            let body = vec![nth as u8; nth % 40];
            let crc = crc32c::crc32c(&body);
            let tail: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let number = words[0] as u32;
            let short = [&body[..], &number.to_le_bytes()].concat();
            assert_eq!(append_crc_u32(crc, number), crc32c::crc32c(&short), "{number:x}");
            assert_eq!(number_between(crc, crc32c::crc32c(&short)), number, "{number:x}");
            assert_eq!(crc_in_front_of(crc32c::crc32c(&short), &number.to_le_bytes()), crc);
            assert_eq!(
                append_crc(crc, words),
                crc32c::crc32c(&[body, tail].concat()),
                "{words:x?}"
            );
        }
    }
}
