//! What Linux has beyond plain renames: one that replaces nothing, and the exchange of two names.

use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// `renameat2` with `flags`; `None` if this file system or kernel cannot, and nothing happened.
///
/// A file system that does not know a flag answers `EINVAL`, a kernel that does not know the call `ENOSYS`.
fn rename(from: &Path, to: &Path, flags: RenameFlags) -> Option<io::Result<()>> {
    match renameat_with(CWD, from, CWD, to, flags) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => None,
        renamed => Some(renamed.map_err(io::Error::from)),
    }
}

/// Renames unless the new name is taken; `None` if the system cannot in one step.
pub(super) fn rename_new(from: &Path, to: &Path) -> Option<io::Result<()>> {
    rename(from, to, RenameFlags::NOREPLACE)
}

/// Exchanges two names; `Unsupported` if the system cannot.
pub(super) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    let unsupported = || Err(io::ErrorKind::Unsupported.into());
    rename(one, other, RenameFlags::EXCHANGE).unwrap_or_else(unsupported)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_there_is_not_replaced_and_names_are_exchanged() {
        let dir = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
        fs::write(&one, "1").unwrap();
        fs::write(&two, "2").unwrap();
        let read = || [&one, &two].map(|path| fs::read_to_string(path).unwrap_or_default());
        if let Some(renamed) = rename_new(&one, &two) {
            assert_eq!(renamed.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(read(), ["1", "2"]);
        match exchange(&one, &two) {
            Ok(()) => assert_eq!(read(), ["2", "1"]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::Unsupported),
        }
        fs::write(&one, "1").unwrap();
        fs::remove_file(&two).unwrap();
        assert!(exchange(&one, &two).is_err());
        if let Some(renamed) = rename_new(&one, &two) {
            renamed.unwrap();
            assert_eq!(read(), ["", "1"]);
        }
    }
}
