//! Threads that write.

use std::sync::Barrier;
use std::thread;

use anyhow::anyhow;

use crate::meter::Measurement;
use crate::{Sample, Timing, Workload};

/// Gives each writer a thread, and calls it until the time is up.
///
/// A call returns when all of its records are acknowledged. All threads begin at once.
///
/// # Errors
/// The first error of a writer.
///
/// # Panics
/// If a writer does.
///
/// ```
/// use std::time::Duration;
/// use wal_load::{Timing, Workload, threads};
/// let writers = vec![|| Ok(std::thread::sleep(Duration::from_millis(1))); 2];
/// let timing = Timing::of(Duration::from_millis(20));
/// let sample = threads(&Workload::threads(2, 100), &timing, writers)?;
/// assert!(sample.records <= 40 && sample.latency.at(0.5) >= Duration::from_millis(1));
/// # anyhow::Ok(())
/// ```
pub fn threads<W>(load: &Workload, timing: &Timing, writers: Vec<W>) -> anyhow::Result<Sample>
where
    W: FnMut() -> anyhow::Result<()> + Send,
{
    let measurement = Measurement::new(load, timing)?;
    let together = Barrier::new(writers.len());
    let work = |mut write: W| {
        together.wait();
        let mut meter = measurement.meter();
        loop {
            write()?;
            if !meter.call_ended() {
                return Ok(meter.finish());
            }
        }
    };
    let outcomes: anyhow::Result<Vec<u64>> = thread::scope(|scope| {
        let started: Vec<_> =
            writers.into_iter().map(|write| scope.spawn(move || work(write))).collect();
        let ended = started.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(anyhow!("a writing thread panicked")))
        });
        ended.collect()
    });
    measurement.sample(&outcomes?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_error_of_one_writer_is_the_outcome() {
        let timing = Timing::of(Duration::from_millis(5));
        let writers: Vec<_> =
            (0..3).map(|n| move || if n == 1 { Err(anyhow!("full")) } else { Ok(()) }).collect();
        let error = threads(&Workload::threads(3, 1), &timing, writers).unwrap_err();
        assert_eq!(error.to_string(), "full");
    }

    #[test]
    fn every_writer_is_called() {
        let timing = Timing::of(Duration::from_millis(20));
        let sample = threads(&Workload::threads(4, 1), &timing, vec![|| Ok(()); 4]).unwrap();
        assert!(sample.records >= sample.fewest + sample.most);
        assert_eq!(sample.seconds, 0.02);
    }
}
