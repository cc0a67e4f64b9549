//! What the files of a log are called.

use wal_core::Lsn;

/// The file that the one writer locks. It holds the writer's process id.
pub(super) const LOCK: &str = "LOCK";

/// What a name in the directory stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A segment, by its first LSN.
    Segment(Lsn),
    /// A file that is to become a segment, or was one.
    Spare,
    /// The file whose name says which owner of the log is the last.
    Owner(u64),
    /// A file that holds space for when there is none.
    Reserve,
    /// The lock file, bytes that were set aside, or what the file system itself keeps.
    Other,
    /// Nothing of ours.
    Foreign,
}

impl Name {
    pub(super) fn parse(name: &str) -> Name {
        if let Some(lsn) = name.strip_suffix(".wal").and_then(number) {
            return Name::Segment(Lsn::new(lsn));
        }
        let spare = name.strip_suffix(".tmp").and_then(|s| s.strip_prefix("spare-"));
        if let Some((owner, n)) = spare.and_then(|numbers| numbers.split_once('-'))
            && number(owner).and(number(n)).is_some()
        {
            return Name::Spare;
        }
        if let Some(epoch) = name.strip_prefix("OWNER-").and_then(number) {
            return Name::Owner(epoch);
        }
        if matches!(name.strip_prefix("RESERVE-"), Some("1" | "2" | "3")) {
            return Name::Reserve;
        }
        if name == LOCK || name == "lost+found" || is_set_aside(name) {
            return Name::Other;
        }
        Name::Foreign
    }
}

/// The twenty digits of a number, so that names sort as numbers do.
fn digits(mut number: u64) -> [u8; 20] {
    let mut digits = [b'0'; 20];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}

/// Every opening and every rotation makes names; this is several times as fast as formatting.
fn named(before: &str, number: u64, after: &str) -> String {
    let mut name = String::with_capacity(before.len() + 20 + after.len());
    name.push_str(before);
    name.extend(digits(number).map(char::from));
    name.push_str(after);
    name
}

/// The number of twenty digits.
fn number(digits: &str) -> Option<u64> {
    let plain = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

fn is_set_aside(name: &str) -> bool {
    let Some((label, n)) = name.strip_suffix(".cut").and_then(|s| s.rsplit_once('-')) else {
        return false;
    };
    is_label(label) && !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())
}

/// Whether files set aside may be labelled so: nothing that could lead out of the directory.
pub(super) fn is_label(label: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=128).contains(&label.len()) && label.bytes().all(plain) && !label.starts_with('.')
}

pub(super) fn segment(first_lsn: Lsn) -> String {
    named("", first_lsn.get(), ".wal")
}

/// The `n`th spare of the owner with this epoch: no two owners have files of one name.
pub(super) fn spare(owner: u64, n: u64) -> String {
    named(&named("spare-", owner, "-"), n, ".tmp")
}

pub(super) fn owner(epoch: u64) -> String {
    named("OWNER-", epoch, "")
}

/// The files of the reserve are counted from 0 here.
pub(super) fn reserve(n: usize) -> String {
    format!("RESERVE-{}", n + 1)
}

pub(super) fn set_aside(label: &str, n: u64) -> String {
    format!("{label}-{n}.cut")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_names() {
        for lsn in [0, 1, 42, u64::MAX] {
            assert_eq!(Name::parse(&segment(Lsn::new(lsn))), Name::Segment(Lsn::new(lsn)));
        }
        assert_eq!(Name::parse(&spare(3, 7)), Name::Spare);
        assert_eq!(Name::parse(&set_aside("00000000000000000001-tail", 3)), Name::Other);
        assert_eq!(Name::parse(&owner(7)), Name::Owner(7));
        for n in 0..3 {
            assert_eq!(Name::parse(&reserve(n)), Name::Reserve);
        }
        assert_eq!(Name::parse("LOCK"), Name::Other);
        assert_eq!(Name::parse("lost+found"), Name::Other);
    }

    #[test]
    fn takes_nothing_else_for_its_own() {
        let foreign = [
            "",
            ".wal",
            "1.wal",
            "0000000000000000001.wal",
            "000000000000000000001.wal",
            "+0000000000000000001.wal",
            "99999999999999999999.wal",
            "0000000000000000000a.wal",
            "00000000000000000001.WAL",
            "00000000000000000001.wal.bak",
            "٠٠٠٠٠٠٠٠٠٠.wal",
            "spare-1.tmp",
            "spare-00000000000000000001.tmp",
            "spare-00000000000000000001-1.tmp",
            "spare.tmp",
            "-1.cut",
            "tail-.cut",
            "tail.cut",
            "../x-1.cut",
            "lock",
            "OWNER-",
            "OWNER-7",
            "RESERVE-",
            "RESERVE-0",
            "RESERVE-4",
        ];
        for name in foreign {
            assert_eq!(Name::parse(name), Name::Foreign, "{name}");
        }
    }

    #[test]
    fn labels_stay_in_the_directory() {
        for bad in ["", ".", "..", "../x", "a/b", "a\\b", "a b", "ä", &"x".repeat(129)] {
            assert!(!is_label(bad), "{bad}");
        }
        assert!(is_label("00000000000000000001-tail.v2"));
    }
}
