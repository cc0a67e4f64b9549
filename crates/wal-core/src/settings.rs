//! The numbers of a log, each with its unit, default and range.

use std::time::Duration;

use crate::format::{FRAME_HEADER_LEN, SEGMENT_HEADER_LEN};
use crate::{Error, ErrorKind, Result};

/// Limits and sizes. Components (storage, strategy, codec) are given to the
/// [`Builder`](crate::Builder) instead.
///
/// ```
/// use wal_core::Settings;
/// let settings = Settings::default().segment_size(1 << 20);
/// assert!(settings.validate().is_ok());
/// assert!(Settings::default().segment_size(17).validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct Settings {
    /// A segment is full when the next frame would exceed this many bytes. If the storage pads its writes, the
    /// number is rounded down to a multiple of its blocks. Default 64 MiB, 4 KiB to 2 GiB.
    pub segment_size: u64,
    /// The largest record, in encoded bytes. `None`: whatever fits a batch. Up to `max_batch_bytes`.
    pub max_record_bytes: Option<u64>,
    /// The largest batch, in encoded bytes with 4 bytes added for each record.
    /// `None`: what fits in `segment_size` and `buffer_bytes`.
    pub max_batch_bytes: Option<u64>,
    /// How many bytes of frames may wait in memory for being written; appends beyond wait. Twice as
    /// much is used, as one buffer fills while the other is written. Default 8 MiB, 4 KiB to 1 GiB.
    pub buffer_bytes: u64,
    /// Records acknowledged from memory are handed to the storage after this time at the latest.
    /// Default 10 ms, 0 to 1 hour.
    pub buffer_delay: Duration,
    /// How many segments reading may keep open. Default 16, 1 to 4096.
    pub open_segments: usize,
    /// The log clock, by which ages are decided, goes on from one opening to the next with the time of day that has
    /// passed: if that is between zero and this. Otherwise the time of day was set meanwhile, and none counts as
    /// passed. Default 30 days, up to 100 years.
    pub clock_tolerance: Duration,
    /// Whether a task whose append has to wait, and that finds nobody at work, writes and syncs on its
    /// executor's thread instead of leaving that to the log's driver. Other waits (`sync`, `wait_durable`, a
    /// submitted append) leave it to the driver as ever.
    ///
    /// Spares two hand-overs between threads. On files and with direct I/O they are more than a quarter of the
    /// time of an append by a single task. But the executor's thread is blocked meanwhile, and with it all other
    /// tasks that it would run: for a write and a sync, and now and then for the change to a new segment. So it is
    /// for a runtime that does little else, or has threads to spare; and **not** for a storage whose futures need
    /// that executor to come to their end, nor for an executor that polls tasks from within `Waker::wake`: these
    /// would wait for themselves. Default false.
    pub commit_in_place: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            segment_size: 64 << 20,
            max_record_bytes: None,
            max_batch_bytes: None,
            buffer_bytes: 8 << 20,
            buffer_delay: Duration::from_millis(10),
            open_segments: 16,
            clock_tolerance: Duration::from_secs(30 * 24 * 3600),
            commit_in_place: false,
        }
    }
}

impl Settings {
    /// Sets [`segment_size`](Self::segment_size), in bytes.
    #[must_use]
    pub const fn segment_size(mut self, bytes: u64) -> Self {
        self.segment_size = bytes;
        self
    }

    /// Sets [`max_record_bytes`](Self::max_record_bytes).
    #[must_use]
    pub const fn max_record_bytes(mut self, bytes: u64) -> Self {
        self.max_record_bytes = Some(bytes);
        self
    }

    /// Sets [`max_batch_bytes`](Self::max_batch_bytes).
    #[must_use]
    pub const fn max_batch_bytes(mut self, bytes: u64) -> Self {
        self.max_batch_bytes = Some(bytes);
        self
    }

    /// Sets [`buffer_bytes`](Self::buffer_bytes).
    #[must_use]
    pub const fn buffer_bytes(mut self, bytes: u64) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// Sets [`buffer_delay`](Self::buffer_delay).
    #[must_use]
    pub const fn buffer_delay(mut self, delay: Duration) -> Self {
        self.buffer_delay = delay;
        self
    }

    /// Sets [`clock_tolerance`](Self::clock_tolerance).
    #[must_use]
    pub const fn clock_tolerance(mut self, time: Duration) -> Self {
        self.clock_tolerance = time;
        self
    }

    /// Sets [`open_segments`](Self::open_segments).
    #[must_use]
    pub const fn open_segments(mut self, count: usize) -> Self {
        self.open_segments = count;
        self
    }

    /// Sets [`commit_in_place`](Self::commit_in_place).
    #[must_use]
    pub const fn commit_in_place(mut self, wanted: bool) -> Self {
        self.commit_in_place = wanted;
        self
    }

    /// The largest frame body that can be written when frames begin at `data_offset`.
    pub(crate) fn body_limit(&self, data_offset: u32) -> u64 {
        // The frame's own header, and the blank behind the last frame.
        let header_and_blank = 2 * FRAME_HEADER_LEN as u64;
        let segment = self.segment_size.saturating_sub(u64::from(data_offset) + header_and_blank);
        let buffer = self.buffer_bytes - FRAME_HEADER_LEN as u64;
        self.max_batch_bytes.unwrap_or(u64::MAX).min(segment).min(buffer)
    }

    /// Checks every range; nothing is ever corrected silently.
    ///
    /// # Errors
    /// `Invalid`, naming the setting, its value and its range.
    pub fn validate(&self) -> Result<()> {
        let range = |name: &str, value: u64, min: u64, max: u64| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(Error::new(ErrorKind::Invalid, "check settings")
                .with_detail(format!("{name} is {value}, allowed are {min} to {max}")))
        };
        range("segment_size", self.segment_size, 4096, 2 << 30)?;
        range("buffer_bytes", self.buffer_bytes, 4096, 1 << 30)?;
        let hour = Duration::from_secs(3600);
        range("buffer_delay (µs)", micros(self.buffer_delay), 0, micros(hour))?;
        let century = hour * 24 * 36_525;
        range("clock_tolerance (µs)", micros(self.clock_tolerance), 0, micros(century))?;
        range("open_segments", self.open_segments as u64, 1, 4096)?;
        let fits = self.body_limit(SEGMENT_HEADER_LEN as u32);
        if let Some(batch) = self.max_batch_bytes {
            let unbounded = Settings { max_batch_bytes: None, ..self.clone() };
            range("max_batch_bytes", batch, 1, unbounded.body_limit(SEGMENT_HEADER_LEN as u32))?;
        }
        if let Some(record) = self.max_record_bytes {
            range("max_record_bytes", record, 1, fits)?;
        }
        Ok(())
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_out_of_range_and_says_so() {
        let bad = [
            (Settings::default().segment_size(4095), "segment_size"),
            (Settings::default().buffer_bytes(1), "buffer_bytes"),
            (Settings::default().open_segments(0), "open_segments"),
            (Settings::default().max_batch_bytes(9 << 20), "max_batch_bytes"),
            (Settings::default().segment_size(4096).max_record_bytes(4096), "max_record_bytes"),
        ];
        for (settings, name) in bad {
            let error = settings.validate().unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        Settings::default().validate().unwrap();
    }
}
