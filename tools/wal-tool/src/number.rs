//! Numbers for people.

/// With a comma between groups of three digits.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds as milliseconds, with as many decimals as they need.
pub fn millis(micros: u64) -> String {
    let text = format!("{}.{:03}", grouped(micros / 1000), micros % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_three() {
        let written = [0, 999, 1000, 1_034_221].map(grouped);
        assert_eq!(written, ["0", "999", "1,000", "1,034,221"]);
    }

    #[test]
    fn milliseconds_without_idle_zeros() {
        let written = [0, 1, 1999, 3000, 1_250_500].map(millis);
        assert_eq!(written, ["0", "0.001", "1.999", "3", "1,250.5"]);
    }
}
