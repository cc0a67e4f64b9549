//! No input may take long, or much memory.

use std::fs;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

#[cfg(not(fuzzing))]
use cap::Cap;
use wal_core::{Clock, SystemClock};

use super::project;

/// How long one input may take. They take milliseconds.
pub const INPUT_TIME_MAX: Duration = Duration::from_secs(5);
/// How much heap may be in use at once, in bytes, by whatever input.
pub const MEMORY_MAX: usize = 64 << 20;

/// Counts what is allocated. libFuzzer brings its own bound.
#[cfg(not(fuzzing))]
#[global_allocator]
static HEAP: Cap<std::alloc::System> = Cap::new(std::alloc::System, usize::MAX);

/// The most that was ever in use.
pub(super) fn peak_bytes() -> usize {
    #[cfg(not(fuzzing))]
    return HEAP.max_allocated();
    #[cfg(fuzzing)]
    0
}

fn bytes_in_use() -> usize {
    #[cfg(not(fuzzing))]
    return HEAP.allocated();
    #[cfg(fuzzing)]
    0
}

/// A thread that ends the process when an input does not end by itself.
pub(super) struct Guard {
    running: Arc<Mutex<Option<Running>>>,
    clock: Arc<SystemClock>,
}

struct Running {
    input: Vec<u8>,
    since: Duration,
}

impl Guard {
    const PAUSE: Duration = Duration::from_millis(20);

    pub(super) fn new(target: &'static str) -> Guard {
        let guard = Guard { running: Arc::default(), clock: Arc::new(SystemClock::new()) };
        let (running, clock) = (Arc::downgrade(&guard.running), guard.clock.clone());
        thread::spawn(move || {
            while let Some(running) = running.upgrade() {
                if let Some(Running { input, since }) = &*lock(&running) {
                    let took = clock.monotonic() - *since;
                    let bytes = bytes_in_use();
                    if took > INPUT_TIME_MAX || bytes > MEMORY_MAX {
                        let kept = keep(target, input);
                        eprintln!("{target}: an input runs {took:?} with {bytes} bytes; {kept}");
                        process::exit(1);
                    }
                }
                drop(running);
                thread::sleep(Self::PAUSE);
            }
        });
        guard
    }

    pub(super) fn begin(&self, input: &[u8]) {
        let since = self.clock.monotonic();
        *lock(&self.running) = Some(Running { input: input.to_vec(), since });
    }

    pub(super) fn end(&self) {
        *lock(&self.running) = None;
    }
}

fn lock(running: &Mutex<Option<Running>>) -> std::sync::MutexGuard<'_, Option<Running>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts a failing input where cargo-fuzz puts its own; says where.
pub(super) fn keep(target: &str, input: &[u8]) -> String {
    let dir = project().join("artifacts").join(target);
    let path = dir.join(format!("crash-{:08x}", crc32c::crc32c(input)));
    match fs::create_dir_all(&dir).and_then(|()| fs::write(&path, input)) {
        Ok(()) => format!("the input is in {}", path.display()),
        Err(error) => format!("the input cannot be kept ({error}): {input:02x?}"),
    }
}
