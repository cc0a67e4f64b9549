//! Whether the log in a directory is still its opener's, should the lock fail.
//!
//! A file without records, `OWNER-` and an epoch, says who owns the log. Whoever opens the log renames it to the next
//! epoch, before reading. A rename happens once: of two openers one finds that the old name is gone, and takes the epoch
//! behind. Most file systems need no space for it; where it does need some, the reserve has it. An owner whose file has
//! no longer its name has lost the log.
//!
//! The look at it is three calls of `stat`: is the owner's file there, is the lock there, is the segment there, each the
//! very file that it was. A file is told from others by its number. The system cannot give that number to another
//! file as long as the first one is open here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wal_core::format::Owner;
use wal_core::{Access, Error, ErrorKind, Fence, Io, Lsn, Result, Standing, WriteMode};

use super::directory::Directory;
use super::lock::LockGuard;
use super::names::{self, Name};
use crate::os::dir::failed;
use crate::os::{DirEntry, File, FileSystem, Links, whole};

const OP: &str = "look whether the log is still ours";
const OWN: &str = "own log";

pub(super) struct FileFence<F: FileSystem> {
    directory: Arc<Directory<F>>,
    lock: Option<Links>,
    claim: Mutex<Claim<F::File>>,
    process: u64,
}

/// The owner's file.
struct Claim<H> {
    path: PathBuf,
    id: Option<Links>,
    /// Open, so that no other file gets its number.
    _file: H,
}

impl<F: FileSystem> FileFence<F> {
    /// Becomes the owner of a directory whose lock this process holds.
    pub(super) fn take(
        directory: &Arc<Directory<F>>,
        lock: &LockGuard<F>,
    ) -> Result<(Owner, Self)> {
        let id =
            lock.links().map_err(|source| failed("lock log", &directory.lock_path(), source))?;
        let (owner, claim) = claim(directory, 0)?;
        let fence = FileFence {
            directory: directory.clone(),
            lock: id,
            claim: Mutex::new(claim),
            process: directory.file_system().ask_process(),
        };
        Ok((owner, fence))
    }

    fn claim(&self) -> MutexGuard<'_, Claim<F::File>> {
        self.claim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, segment: Option<Lsn>) -> Result<Standing> {
        let fs = self.directory.file_system();
        if fs.ask_process() != self.process {
            return Err(self.forked());
        }
        {
            let claim = self.claim();
            self.same(&claim.path, claim.id, "another opener has taken the log over")?;
        }
        self.same(&self.directory.lock_path(), self.lock, "the lock was removed or replaced")?;
        let Some(name) = segment else { return Ok(Standing::SOLE) };
        let path = self.directory.segment_path(name);
        // Which file an older one is, was asked when it was sealed. An earlier owner began it, if this one has begun
        // none yet.
        let Some(id) = self.directory.file_named(name) else { return self.names_of(&path) };
        let what = "the segment that is written was removed or replaced";
        let links = self.same(&path, Some(id), what).map_err(|e| e.with_segment(name))?;
        Ok(Standing::SOLE.linked_elsewhere(links > 1))
    }

    /// Whether the file has another name as well, whichever file it is. One that is gone has none.
    fn names_of(&self, path: &Path) -> Result<Standing> {
        match told(self.directory.file_system().links(path)) {
            Ok(found) => Ok(Standing::SOLE.linked_elsewhere(found.is_some_and(|f| f.count > 1))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Standing::SOLE),
            Err(source) => Err(failed(OP, path, source)),
        }
    }

    /// Whether the path leads to that very file; how many names it has.
    fn same(&self, path: &Path, id: Option<Links>, otherwise: &str) -> Result<u64> {
        let Some(id) = id else { return Ok(1) };
        match told(self.directory.file_system().links(path)) {
            Ok(None) => Ok(1),
            Ok(Some(found)) if is_same(found, id) => Ok(found.count),
            Ok(Some(_)) => Err(lost(format!("{}: {otherwise}", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(lost(format!("{} is gone: {otherwise}", path.display())))
            }
            Err(source) => Err(failed(OP, path, source)),
        }
    }

    fn forked(&self) -> Error {
        lost(format!(
            "the log in {} was opened by process {}, of which this one is a fork; open it after the fork, in one of the two",
            self.directory.path().display(),
            self.process
        ))
    }
}

impl<F: FileSystem> Fence for FileFence<F> {
    fn check(&self, segment: Option<Lsn>) -> Io<'_, Standing> {
        Io::ready(self.look(segment))
    }

    #[inline]
    fn check_process(&self) -> Result<()> {
        if self.directory.file_system().process() == self.process {
            Ok(())
        } else {
            Err(self.forked())
        }
    }

    fn raise(&self, epoch: u64) -> Io<'_, Owner> {
        Io::ready(claim(&self.directory, epoch).map(|(owner, claim)| {
            *self.claim() = claim;
            owner
        }))
    }
}

/// Which file it is, if the system tells.
pub(super) fn told(links: io::Result<Links>) -> io::Result<Option<Links>> {
    match links {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
        links => links.map(Some),
    }
}

fn is_same(one: Links, other: Links) -> bool {
    (one.device, one.inode) == (other.device, other.inode)
}

fn lost(detail: String) -> Error {
    Error::new(ErrorKind::LostOwnership, OP).with_detail(detail)
}

/// So many listings in a row may say what is not so. More of them are not another opener that is faster.
const STALE_LISTINGS: u32 = 8;

/// Becomes the owner, with an epoch above `epoch` and above that of every owner before.
fn claim<F: FileSystem>(directory: &Directory<F>, epoch: u64) -> Result<(Owner, Claim<F::File>)> {
    let fs = directory.file_system();
    let dir = directory.path();
    let (mut seen, mut stale) = (None, 0);
    loop {
        let last = owners(directory)?.into_iter().max();
        let Some(next) = last.unwrap_or(0).max(epoch).checked_add(1) else {
            return Err(Error::new(ErrorKind::Invalid, OWN).with_detail(format!(
                "{}: no larger epoch exists; remove the file",
                dir.join(names::owner(u64::MAX)).display()
            )));
        };
        let path = dir.join(names::owner(next));
        let taken = match last {
            Some(last) => {
                let old = dir.join(names::owner(last));
                let renamed = directory.with_room_to_own(|| fs.rename_new(&old, &path));
                renamed.and_then(|()| fs.open(&path, Access::Write))
            }
            None => directory.with_room_to_own(|| fs.create_new(&path)),
        };
        let file = match taken {
            Ok(file) => file,
            // Somebody else was faster, and has the epoch.
            Err(error)
                if stale < STALE_LISTINGS
                    && matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists
                    ) =>
            {
                stale = if last > seen { 0 } else { stale + 1 };
                seen = last;
                continue;
            }
            Err(source) => return Err(failed(OWN, &path, source)),
        };
        let id = told(file.links()).map_err(|source| failed(OWN, &path, source))?;
        if !is_only_owner(directory, next)? && stale < STALE_LISTINGS {
            stale += 1;
            continue;
        }
        let token = fs.random().map_err(|source| failed(OWN, &path, source))?;
        let owner = Owner { epoch: next, token };
        // Only for people: what holds is the name, also on a full disk.
        let text = format!("{owner} process {:010}\n", fs.ask_process());
        let _ = whole::write(&file, text.as_bytes(), 0, WriteMode::Cached)
            .and_then(|()| file.set_len(text.len() as u64));
        return Ok((owner, Claim { path, id, _file: file }));
    }
}

/// The epochs of the owners' files.
fn owners<F: FileSystem>(directory: &Directory<F>) -> Result<Vec<u64>> {
    let dir = directory.path();
    let entries =
        directory.file_system().read_dir(dir).map_err(|source| failed(OWN, dir, source))?;
    let epoch = |entry: &DirEntry| match Name::parse(entry.name.to_str()?) {
        Name::Owner(epoch) if !entry.is_dir => Some(epoch),
        _ => None,
    };
    Ok(entries.iter().filter_map(epoch).collect())
}

/// Makes the new owner's file the only one. An older owner whose file kept its name would take itself for the owner.
///
/// A listing beside a rename may show neither name, and a directory that was put together from two has two files. If
/// there is a later owner's file, this one is removed instead, and the answer is no.
fn is_only_owner<F: FileSystem>(directory: &Directory<F>, epoch: u64) -> Result<bool> {
    let owners = owners(directory)?;
    // Renamed already, by an opener that came later. The first look will tell.
    if !owners.contains(&epoch) {
        return Ok(true);
    }
    let is_last = owners.iter().all(|&other| other <= epoch);
    let superseded = |&&other: &&u64| if is_last { other < epoch } else { other == epoch };
    for &owner in owners.iter().filter(superseded) {
        let path = directory.path().join(names::owner(owner));
        match directory.file_system().remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(OWN, &path, error)),
        }
    }
    Ok(is_last)
}
