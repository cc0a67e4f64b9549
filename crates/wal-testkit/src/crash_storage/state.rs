//! What is cached above a storage, what went astray, and when the power goes off.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use wal_core::{Access, Error, ErrorKind, Lsn, Publish, Result, Segment, StorageLock, WriteMode};
use wal_fs::{File, FileSystem};

use super::Reuse;
use crate::{CrashPolicy, ModelFile, ModelFs, Rot};

/// Everything but the storage below.
#[derive(Default)]
pub(super) struct State {
    /// The cache, and the disk as far as it was cached.
    pub(super) model: ModelFs,
    cached: BTreeMap<Lsn, Cached>,
    incarnations: u64,
    pub(super) process: u64,
    pub(super) lock: Option<StorageLock>,
    pub(super) changes: u64,
    pub(super) power_off_at: Option<u64>,
    /// What was under way when the power went off.
    pub(super) in_flight: Option<InFlight>,
    /// How many writes there were.
    pub(super) writes: u64,
    pub(super) strays: Vec<Stray>,
    pub(super) lost: Vec<Lost>,
    /// How many bytes the cached segments may hold together.
    pub(super) capacity: Option<u64>,
    pub(super) reuse: Reuse,
    /// The bytes of the segment that was removed last.
    pub(super) removed: Vec<u8>,
}

/// One segment in the cache.
struct Cached {
    below: Arc<dyn Segment>,
    incarnation: u64,
}

/// A change of the names that may or may not have happened.
pub(super) enum InFlight {
    Create { name: Lsn, data: Bytes, how: Publish },
    Remove { names: Vec<Lsn> },
    Nothing,
}

/// A write that the device will acknowledge and not make where it should.
pub(super) struct Stray {
    /// Its number, counted from 1.
    pub(super) write: u64,
    pub(super) to: Option<u64>,
}

/// A write that the device acknowledged and did not make.
pub(super) struct Lost {
    pub(super) name: Lsn,
    pub(super) offset: u64,
    pub(super) old: Vec<u8>,
    /// Where its bytes went.
    pub(super) elsewhere: Option<(u64, Bytes)>,
}

pub(super) fn power_is_off(op: &'static str) -> Error {
    Error::new(ErrorKind::Io, op).with_detail("injected: the power is off")
}

pub(super) fn path(name: Lsn) -> PathBuf {
    PathBuf::from(format!("/{:020}", name.get()))
}

pub(super) fn of_model(op: &'static str, name: Lsn) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::io(op, source).with_segment(name)
}

impl State {
    pub(super) fn alive(&self, op: &'static str, process: u64) -> Result<()> {
        if self.process != process {
            return Err(Error::new(ErrorKind::Io, op)
                .with_detail("injected: the process that held this handle has died"));
        }
        match self.power_off_at {
            // The change that finds the power going off is told by `pass`.
            Some(at) if self.changes > at => Err(power_is_off(op)),
            _ => Ok(()),
        }
    }

    /// Counts a change. False if the power goes off while it is under way.
    pub(super) fn pass(&mut self) -> bool {
        self.changes += 1;
        self.power_off_at.is_none_or(|at| self.changes <= at)
    }

    /// A process begins, with the power on; the one before has lost its lock.
    pub(super) fn begin_process(&mut self) -> u64 {
        (self.lock, self.power_off_at, self.in_flight) = (None, None, None);
        self.process += 1;
        self.process
    }

    /// After a power loss everything there is lies in the storage below.
    pub(super) fn forget_cache(&mut self) {
        self.model = ModelFs::new();
        self.model.set_capacity(self.capacity);
        self.cached.clear();
        self.lost.clear();
    }

    pub(super) fn is_cached(&self, name: Lsn) -> bool {
        self.cached.contains_key(&name)
    }

    pub(super) fn cached(&self) -> impl Iterator<Item = (Lsn, &Arc<dyn Segment>)> {
        self.cached.iter().map(|(name, cached)| (*name, &cached.below))
    }

    /// `Full` if there is no room for a segment of so many bytes.
    pub(super) fn check_room(&self, name: Lsn, len: u64) -> Result<()> {
        match self.capacity {
            Some(capacity) if self.model.used_bytes() + len > capacity => {
                Err(of_model("create segment", name)(std::io::ErrorKind::StorageFull.into()))
            }
            _ => Ok(()),
        }
    }

    /// Puts a segment into the cache, durable as it is; one of the same name goes.
    pub(super) fn put(
        &mut self,
        name: Lsn,
        below: Arc<dyn Segment>,
        bytes: Vec<u8>,
    ) -> Result<(ModelFile, u64)> {
        let fail = || of_model("cache segment", name);
        if self.cached.remove(&name).is_some() {
            self.model.remove_file(&path(name)).map_err(fail())?;
        }
        self.lost.retain(|lost| lost.name != name);
        let file = self.model.create_new(&path(name)).map_err(fail())?;
        let cached = write_whole(&file, &bytes).and_then(|()| self.model.sync_dir(Path::new("/")));
        if let Err(source) = cached {
            let _ = self.model.remove_file(&path(name));
            return Err(fail()(source));
        }
        self.incarnations += 1;
        let incarnation = self.incarnations;
        self.cached.insert(name, Cached { below, incarnation });
        Ok((file, incarnation))
    }

    pub(super) fn open(&self, name: Lsn, access: Access) -> Result<(ModelFile, u64)> {
        let file = self.model.open(&path(name), access).map_err(of_model("open segment", name))?;
        Ok((file, self.cached[&name].incarnation))
    }

    pub(super) fn remove(&mut self, name: Lsn) -> Result<()> {
        let fail = || of_model("remove segment", name);
        self.removed = self.model.contents(&path(name)).map_err(fail())?;
        self.model.remove_file(&path(name)).map_err(fail())?;
        self.model.sync_dir(Path::new("/")).map_err(fail())?;
        self.cached.remove(&name);
        self.lost.retain(|lost| lost.name != name);
        Ok(())
    }

    /// Damages a segment that is in the cache, there and in the storage below.
    pub(super) fn rot(&self, name: Lsn, rot: Rot) -> Result<()> {
        self.model.rot(&path(name), rot).map_err(of_model("rot", name))?;
        self.write_back(name, self.cached[&name].incarnation)
    }

    /// Brings what is durable of a segment into the storage below, unless another has its name by now.
    pub(super) fn write_back(&self, name: Lsn, incarnation: u64) -> Result<()> {
        match self.cached.get(&name).filter(|cached| cached.incarnation == incarnation) {
            Some(cached) => settle(&*cached.below, &self.durable(name)?),
            None => Ok(()),
        }
    }

    /// The bytes of a segment that is in the cache.
    pub(super) fn contents(&self, op: &'static str, name: Lsn) -> Result<Vec<u8>> {
        self.model.contents(&path(name)).map_err(of_model(op, name))
    }

    fn durable(&self, name: Lsn) -> Result<Vec<u8>> {
        let image = self.model.crash(CrashPolicy::DropUnsynced);
        image.contents(&path(name)).map_err(of_model("sync", name))
    }

    /// Takes note of a write that the device will not make as it was told to.
    pub(super) fn note_write(&mut self, name: Lsn, offset: u64, data: &Bytes) -> Result<()> {
        self.writes += 1;
        let end = offset + data.len() as u64;
        // What is written again is there again.
        self.lost.retain(|lost| {
            lost.name != name || lost.offset < offset || lost.offset + lost.old.len() as u64 > end
        });
        let writes = self.writes;
        let Some(at) = self.strays.iter().position(|stray| stray.write == writes) else {
            return Ok(());
        };
        let stray = self.strays.swap_remove(at);
        let bytes = self.model.contents(&path(name)).map_err(of_model("write", name))?;
        let old = bytes.get(offset as usize..).unwrap_or_default();
        let mut old = old[..old.len().min(data.len())].to_vec();
        old.resize(data.len(), 0);
        let elsewhere = stray.to.map(|to| (to, data.clone()));
        self.lost.push(Lost { name, offset, old, elsewhere });
        Ok(())
    }
}

/// Writes through, so that a sync which the caller lets fail is one of the log's.
fn write_whole(file: &ModelFile, bytes: &[u8]) -> std::io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        done += file.write_through_at(&bytes[done..], done as u64)?;
    }
    Ok(())
}

/// All bytes of a segment.
pub(super) fn read_whole(segment: &dyn Segment) -> Result<Vec<u8>> {
    let len = segment.len().wait()?;
    Ok(segment.read_at(0, len as usize).wait()?.to_vec())
}

/// Makes a segment hold these bytes, durably, with as little writing as it takes.
pub(super) fn settle(segment: &dyn Segment, bytes: &[u8]) -> Result<()> {
    let present = read_whole(segment)?;
    let same = present.iter().zip(bytes).take_while(|(a, b)| a == b).count();
    if same < bytes.len() {
        let data = Bytes::copy_from_slice(&bytes[same..]);
        segment.write_at(same as u64, data, WriteMode::Cached).wait()?;
    }
    // The storage below may fill ahead; what the log has cut must not be there again.
    if segment.len().wait()? > bytes.len() as u64 {
        segment.truncate(bytes.len() as u64).wait()?;
    }
    segment.sync().wait()
}
