//! The least that acknowledges tasks durably: a buffer, a committer, wakers.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;

use anyhow::Context;
use wal_load::{AsyncWriter, Sample, Timing, Workload, tasks};

use super::Disk;
use super::copy::frame;

#[derive(Default)]
struct Sketch {
    next: Mutex<Next>,
    filled: Condvar,
    /// Appends up to this one are durable.
    durable: AtomicU64,
}

#[derive(Default)]
struct Next {
    bytes: Vec<u8>,
    wakers: Vec<Waker>,
    appended: u64,
    closed: bool,
}

impl Sketch {
    fn lock(&self) -> MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn append(&self, record: &[u8]) {
        let mut number = None;
        poll_fn(|cx| match number {
            Some(number) if self.durable.load(Ordering::Acquire) >= number => Poll::Ready(()),
            Some(_) => Poll::Pending,
            None => {
                let mut next = self.lock();
                frame(&mut next.bytes, record);
                next.appended += 1;
                next.wakers.push(cx.waker().clone());
                number = Some(next.appended);
                // Only an empty buffer leaves the committer asleep.
                if next.wakers.len() == 1 {
                    drop(next);
                    self.filled.notify_one();
                }
                Poll::Pending
            }
        })
        .await;
    }

    fn commit(&self, mut disk: impl Disk) -> anyhow::Result<()> {
        let (mut bytes, mut wakers) = (Vec::new(), Vec::new());
        loop {
            let mut next = self.lock();
            while next.bytes.is_empty() && !next.closed {
                next = self.filled.wait(next).unwrap_or_else(PoisonError::into_inner);
            }
            if next.bytes.is_empty() {
                return Ok(());
            }
            std::mem::swap(&mut bytes, &mut next.bytes);
            std::mem::swap(&mut wakers, &mut next.wakers);
            let upto = next.appended;
            drop(next);
            disk.append(&bytes).context("the sketch cannot write")?;
            bytes.clear();
            self.durable.store(upto, Ordering::Release);
            wakers.drain(..).for_each(Waker::wake);
        }
    }
}

struct Task {
    sketch: Arc<Sketch>,
    record: Arc<[u8]>,
}

impl AsyncWriter for Task {
    async fn write(&mut self) -> anyhow::Result<()> {
        self.sketch.append(&self.record).await;
        Ok(())
    }
}

pub(super) fn measure(
    disk: impl Disk + 'static,
    load: &Workload,
    timing: &Timing,
) -> anyhow::Result<Sample> {
    let sketch = Arc::new(Sketch::default());
    let committer = thread::spawn({
        let sketch = sketch.clone();
        move || sketch.commit(disk)
    });
    let record: Arc<[u8]> = vec![b'r'; load.bytes_per_call()].into();
    let task = |_| Task { sketch: sketch.clone(), record: record.clone() };
    let sample = tasks(load, timing, (0..load.writers.count()).map(task).collect());
    sketch.lock().closed = true;
    sketch.filled.notify_one();
    committer.join().ok().context("the committer panicked")??;
    sample
}
