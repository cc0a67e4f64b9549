//! Numbers in as few bytes as they need (LEB128): 7 bits a byte, low ones first.

/// The most bytes that a number takes.
pub(super) const MAX_BYTES: usize = 10;

pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The number at the beginning of `bytes` and how many bytes it takes. `None` if it is cut short, too
/// large, or longer than it need be: each number has one encoding.
pub(super) fn get(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (at, &byte) in bytes.iter().take(MAX_BYTES).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * at as u32;
        if bits << shift >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            let shortest = byte != 0 || at == 0;
            return shortest.then_some((value, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_encoding_for_each_number() {
        assert_eq!(get(&[0x00]), Some((0, 1)));
        assert_eq!(get(&[0x7f]), Some((127, 1)));
        assert_eq!(get(&[0x80, 0x01]), Some((128, 2)));
        // Longer than need be, cut short, too large.
        assert_eq!(get(&[0x80, 0x00]), None);
        assert_eq!(get(&[0x80]), None);
        assert_eq!(get(&[]), None);
        let mut largest = [0xff; MAX_BYTES];
        largest[MAX_BYTES - 1] = 0x01;
        assert_eq!(get(&largest), Some((u64::MAX, MAX_BYTES)));
        largest[MAX_BYTES - 1] = 0x02;
        assert_eq!(get(&largest), None);
    }

    proptest! {
        #[test]
        fn comes_back(value: u64, shift in 0u32..64, tail: Vec<u8>) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            let len = bytes.len();
            bytes.extend(tail);
            prop_assert_eq!(get(&bytes), Some((value, len)));
        }

        #[test]
        fn what_is_read_is_what_would_be_written(bytes: Vec<u8>) {
            if let Some((value, len)) = get(&bytes) {
                let mut again = Vec::new();
                put(&mut again, value);
                prop_assert_eq!(&again[..], &bytes[..len]);
            }
        }
    }
}
