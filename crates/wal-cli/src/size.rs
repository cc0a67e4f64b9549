//! Sizes in bytes as people write them: `4096`, `64k`, `1MiB`.

/// Reads a size. Units are powers of 1024.
///
/// `kB` and `MB` are refused, because they mean 1000 to some and 1024 to others.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let shift = match unit {
        "" | "B" => Some(0),
        "k" | "K" | "KiB" => Some(10),
        "M" | "MiB" => Some(20),
        "G" | "GiB" => Some(30),
        _ => None,
    };
    let number = digits.parse::<u64>().ok();
    number.zip(shift).and_then(|(number, shift)| number.checked_mul(1 << shift)).ok_or_else(|| {
        "expected a size such as 65536, 64k or 1MiB (k, M, G: powers of 1024)".into()
    })
}

/// Prints a size for people.
pub(crate) fn show(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units_and_refuses_the_rest() {
        for (text, bytes) in
            [("0", 0), ("4096", 4096), ("7B", 7), ("64k", 65536), ("64KiB", 65536), ("1M", 1 << 20)]
        {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for bad in
            ["", "k", "1kB", "1MB", "-1", "1.5M", "1 M", "99999999999999999999", "99999999999G"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn prints_short() {
        assert_eq!(show(1023), "1023 B");
        assert_eq!(show(1536), "1.5 KiB");
        assert_eq!(show(64 << 20), "64.0 MiB");
    }
}
