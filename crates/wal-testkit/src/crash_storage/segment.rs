//! One segment, as the log above the cache sees it.

use std::io;

use bytes::Bytes;
use wal_core::{Access, Error, Io, LogStorage, Lsn, Result, Segment, WriteMode};
use wal_fs::File;

use super::CrashStorage;
use super::state::{of_model, power_is_off};
use crate::ModelFile;

/// An open segment. It dies with the process that opened it.
pub(super) struct CrashSegment<S> {
    storage: CrashStorage<S>,
    name: Lsn,
    file: ModelFile,
    /// Tells it from later segments of its name.
    incarnation: u64,
    access: Access,
}

impl<S: LogStorage> CrashSegment<S> {
    pub(super) fn new(
        storage: CrashStorage<S>,
        name: Lsn,
        file: ModelFile,
        incarnation: u64,
        access: Access,
    ) -> Self {
        CrashSegment { storage, name, file, incarnation, access }
    }

    fn fail(&self, op: &'static str) -> impl FnOnce(io::Error) -> Error {
        of_model(op, self.name)
    }

    /// Writes into the cache even if the power goes off meanwhile: then the crash decides.
    fn write(&self, offset: u64, data: &Bytes, mode: WriteMode) -> Result<()> {
        let mut state = self.storage.state("write")?;
        if offset.checked_add(data.len() as u64).is_none() {
            return Err(self.fail("write")(io::ErrorKind::FileTooLarge.into()));
        }
        let passed = state.pass();
        state.note_write(self.name, offset, data)?;
        let through = passed && mode == WriteMode::Through;
        let mut done = 0;
        while done < data.len() {
            let (rest, at) = (&data[done..], offset + done as u64);
            let written = match through {
                true => self.file.write_through_at(rest, at),
                false => self.file.write_at(rest, at),
            };
            done += written.map_err(self.fail("write"))?;
        }
        match passed {
            true if through => state.write_back(self.name, self.incarnation),
            true => Ok(()),
            false => Err(power_is_off("write")),
        }
    }

    fn make_durable(&self) -> Result<()> {
        let mut state = self.storage.state("sync")?;
        if self.access == Access::Read {
            return Err(self.fail("sync")(io::ErrorKind::PermissionDenied.into()));
        }
        if !state.pass() {
            return Err(power_is_off("sync"));
        }
        self.file.sync_data().map_err(self.fail("sync"))?;
        state.write_back(self.name, self.incarnation)
    }

    fn read(&self, offset: u64, len: usize) -> Result<Bytes> {
        let _state = self.storage.state("read")?;
        let left = self.file.len().map_err(self.fail("read"))?.saturating_sub(offset);
        let mut buf = vec![0; left.min(len as u64) as usize];
        let n = self.file.read_at(&mut buf, offset).map_err(self.fail("read"))?;
        buf.truncate(n);
        Ok(buf.into())
    }

    fn cut(&self, len: u64) -> Result<()> {
        let mut state = self.storage.state("truncate")?;
        let passed = state.pass();
        if len < self.file.len().map_err(self.fail("truncate"))? {
            self.file.set_len(len).map_err(self.fail("truncate"))?;
        }
        if passed { Ok(()) } else { Err(power_is_off("truncate")) }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: LogStorage> Segment for CrashSegment<S> {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        Io::ready(self.write(offset, &data, mode))
    }

    fn sync(&self) -> Io<'_, ()> {
        Io::ready(self.make_durable())
    }

    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        Io::ready(self.read(offset, len))
    }

    /// The cache reads into memory of its own.
    fn read_reusing(&self, offset: u64, len: usize, _spent: Bytes) -> Io<'_, Bytes> {
        self.read_at(offset, len)
    }

    fn len(&self) -> Io<'_, u64> {
        let alive = self.storage.state("read length");
        Io::ready(alive.and_then(|_state| self.file.len().map_err(self.fail("read length"))))
    }

    fn truncate(&self, len: u64) -> Io<'_, ()> {
        Io::ready(self.cut(len))
    }

    /// Reads are to come through here.
    fn backing(&self) -> Option<&dyn std::any::Any> {
        None
    }
}
