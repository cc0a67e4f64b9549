//! What the storage saw in the present execution, for whoever must understand a failure.

use std::fmt;
use std::sync::{Mutex, Once, PoisonError};

use wal_core::Lsn;

use super::thread::{self, ThreadId};

/// One thing that happened at the storage.
#[derive(Clone, Copy)]
pub enum Step {
    Create { first: Lsn, follows: Lsn, log_start: Lsn },
    Write { first: Lsn, upto: Lsn },
    Footer { first: Lsn },
    SyncBegins { first: Lsn, upto: Lsn },
    SyncEnds { first: Lsn, upto: Lsn },
    SyncFails { first: Lsn },
    Remove { first: Lsn },
    Acknowledged { lsn: Lsn, durable_lsn: Lsn },
    Truncated { log_start: Lsn },
    Crash,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Create { first, follows, log_start } => {
                write!(f, "segment {first} created: follows {follows}, log starts at {log_start}")
            }
            Step::Write { first, upto } => write!(f, "segment {first} written up to record {upto}"),
            Step::Footer { first } => write!(f, "segment {first} gets its footer"),
            Step::SyncBegins { first, upto } => {
                write!(f, "segment {first}: a sync begins, will cover record {upto}")
            }
            Step::SyncEnds { first, upto } => write!(f, "segment {first}: durable up to {upto}"),
            Step::SyncFails { first } => write!(f, "segment {first}: the sync fails"),
            Step::Remove { first } => write!(f, "segment {first} removed"),
            Step::Acknowledged { lsn, durable_lsn } => {
                write!(f, "record {lsn} acknowledged; the log calls {durable_lsn} durable")
            }
            Step::Truncated { log_start } => {
                write!(f, "truncation acknowledged: the log starts at {log_start}")
            }
            Step::Crash => f.write_str("CRASH: the storage is frozen"),
        }
    }
}

/// Of the execution that runs. Checkers run one at a time on one thread, whatever it models.
static STEPS: Mutex<Vec<(ThreadId, Step)>> = Mutex::new(Vec::new());

fn steps() -> std::sync::MutexGuard<'static, Vec<(ThreadId, Step)>> {
    STEPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A new execution begins.
pub fn clear() {
    steps().clear();
}

pub fn note(step: Step) {
    let who = thread::current().id();
    steps().push((who, step));
}

type Running = Box<dyn Fn() -> (String, u64) + Send + Sync>;

/// At the first panic of the model that runs from now on says in which execution it was, and what the
/// storage saw in it. `running` is the model's name and how many executions it has begun.
///
/// A hook, and not something that is dropped: a model that hangs is given up by a panic that no thread
/// can unwind from.
pub fn explain_failure(running: impl Fn() -> (String, u64) + Send + Sync + 'static) {
    static RUNNING: Mutex<Option<Running>> = Mutex::new(None);
    static HOOK: Once = Once::new();
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(running));
    HOOK.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            default(panic);
            // What a panic leads to is of no interest.
            let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some((model, executions)) = running.map(|running| running()) {
                eprintln!("model {model} failed in execution {executions}");
                eprintln!("what the storage saw until then:");
                for &(who, step) in steps().iter() {
                    eprintln!("  {:<12} {step}", name(who));
                }
            }
        }));
    });
}

#[cfg(wal_loom)]
fn name(thread: ThreadId) -> String {
    format!("{thread:?}")
}

#[cfg(wal_shuttle)]
fn name(thread: ThreadId) -> String {
    format!("ThreadId({})", usize::from(thread))
}
