//! Tasks that write.

use std::future::Future;

use crate::meter::Measurement;
use crate::{Sample, Timing, Workload};

/// What an asynchronous task does again and again.
pub trait AsyncWriter: Send + 'static {
    /// One call; resolves when all of its records are acknowledged.
    fn write(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// Gives each writer a task on a runtime with a thread for each processor, and calls it until the time
/// is up.
///
/// # Errors
/// The first error of a writer.
pub fn tasks<W: AsyncWriter>(
    load: &Workload,
    timing: &Timing,
    writers: Vec<W>,
) -> anyhow::Result<Sample> {
    let measurement = Measurement::new(load, timing)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    let records = runtime.block_on(async {
        let mut started = Vec::with_capacity(writers.len());
        for mut writer in writers {
            let measurement = measurement.clone();
            started.push(tokio::spawn(async move {
                let mut meter = measurement.meter();
                loop {
                    writer.write().await?;
                    if !meter.call_ended() {
                        return anyhow::Ok(meter.finish());
                    }
                }
            }));
        }
        let mut records = Vec::with_capacity(started.len());
        for task in started {
            records.push(task.await??);
        }
        anyhow::Ok(records)
    })?;
    measurement.sample(&records)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Yields(bool);

    impl AsyncWriter for Yields {
        async fn write(&mut self) -> anyhow::Result<()> {
            tokio::task::yield_now().await;
            anyhow::ensure!(self.0, "full");
            Ok(())
        }
    }

    #[test]
    fn every_task_is_polled_and_none_is_forgotten() {
        let timing = Timing::of(Duration::from_millis(50));
        let writers = (0..100).map(|_| Yields(true)).collect();
        let sample = tasks(&Workload::tasks(100, 1), &timing, writers).unwrap();
        assert!(sample.fewest > 0, "{sample:?}");
        assert!(sample.records >= 100 * sample.fewest);
    }

    #[test]
    fn an_error_is_the_outcome() {
        let timing = Timing::of(Duration::from_millis(5));
        let error = tasks(&Workload::tasks(1, 1), &timing, vec![Yields(false)]).unwrap_err();
        assert_eq!(error.to_string(), "full");
    }
}
