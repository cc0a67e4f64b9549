//! The future that storages return: ready without a heap allocation, or truly asynchronous.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::{Clock, Result, SystemClock};

/// The outcome of a storage operation.
///
/// A storage whose calls block (ordinary files) does the work in the call and returns
/// [`Io::ready`]; nothing is allocated, so a log that commits every record on its own allocates
/// nothing per record either. A storage that is asynchronous by nature (io_uring, the network)
/// returns [`Io::future`].
///
/// This is what keeps [`LogStorage`](crate::LogStorage) object-safe at no cost: `async-trait`
/// would box a future for every write and every sync.
#[must_use = "an operation may not have happened until its outcome was awaited"]
pub struct Io<'a, T>(State<'a, T>);

enum State<'a, T> {
    Ready(Option<Result<T>>),
    Future(Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>),
}

impl<'a, T> Io<'a, T> {
    /// The operation is over.
    pub const fn ready(outcome: Result<T>) -> Self {
        Io(State::Ready(Some(outcome)))
    }

    /// The operation goes on; `future` tells its outcome.
    pub fn future(future: impl Future<Output = Result<T>> + Send + 'a) -> Self {
        Io(State::Future(Box::pin(future)))
    }

    /// Makes something else of what the operation gives.
    pub fn map<U>(self, f: impl FnOnce(T) -> U + Send + 'a) -> Io<'a, U>
    where
        T: Send + 'a,
    {
        match self.0 {
            State::Ready(outcome) => Io(State::Ready(outcome.map(|outcome| outcome.map(f)))),
            State::Future(future) => Io::future(async move { future.await.map(f) }),
        }
    }

    /// Blocks the calling thread until the operation is over.
    ///
    /// # Panics
    /// If the outcome was already taken by polling.
    pub fn wait(self) -> Result<T> {
        match self.0 {
            State::Ready(outcome) => outcome.expect("the outcome was already taken"),
            State::Future(future) => block_on(future),
        }
    }
}

impl<T> fmt::Debug for Io<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Ready(_) => "Io(ready)",
            State::Future(_) => "Io(pending)",
        })
    }
}

impl<T> Unpin for Io<'_, T> {}

impl<T> Future for Io<'_, T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(outcome) => {
                Poll::Ready(outcome.take().expect("polled after the outcome was taken"))
            }
            State::Future(future) => future.as_mut().poll(cx),
        }
    }
}

/// Runs a future to its end on the calling thread, which sleeps while the future waits.
///
/// Needs no runtime; a future that needs one (a tokio timer, say) must be run inside it.
#[doc(hidden)]
pub fn block_on<F: Future>(future: F) -> F::Output {
    block_on_with(future, || {
        thread::park();
        true
    })
    .expect("it parks until the future is ready")
}

/// The same, for so long at most; `None` if the future was not ready by then. It is dropped.
pub(crate) fn block_on_within<F: Future>(future: F, timeout: Duration) -> Option<F::Output> {
    let clock = SystemClock::new();
    block_on_with(future, || {
        let left = timeout.saturating_sub(clock.monotonic());
        if !left.is_zero() {
            thread::park_timeout(left);
        }
        !left.is_zero()
    })
}

/// Polls again after each `park`, until that says that the time is over.
fn block_on_with<F: Future>(future: F, park: impl Fn() -> bool) -> Option<F::Output> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    thread_local! {
        static WAKER: Waker = Waker::from(Arc::new(Unpark(thread::current())));
        static DEPTH: Cell<usize> = const { Cell::new(0) };
    }
    /// A call within the poll of another one shares its thread, and may have taken a wake-up that was not
    /// its own. So it wakes the thread once more, also if it ends by a panic.
    struct Depth;
    impl Drop for Depth {
        fn drop(&mut self) {
            let outer = DEPTH.get() - 1;
            DEPTH.set(outer);
            if outer > 0 {
                thread::current().unpark();
            }
        }
    }
    DEPTH.set(DEPTH.get() + 1);
    let _depth = Depth;
    let mut future = pin!(future);
    WAKER.with(|waker| {
        let mut cx = Context::from_waker(waker);
        loop {
            match future.as_mut().poll(&mut cx) {
                Poll::Ready(output) => return Some(output),
                Poll::Pending if park() => {}
                Poll::Pending => return None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What wakes the outer one comes while the inner one sleeps.
    #[test]
    fn a_call_within_another_one_takes_no_wake_up_away() {
        let (tell_outer, outer) = tokio::sync::oneshot::channel();
        let (tell_inner, inner) = tokio::sync::oneshot::channel();
        let worker = thread::spawn(move || {
            thread::sleep(std::time::Duration::from_millis(20));
            tell_outer.send(1).unwrap();
            thread::sleep(std::time::Duration::from_millis(20));
            tell_inner.send(2).unwrap();
        });
        let mut inner = Some(inner);
        let (mut outer, mut found) = (pin!(outer), 0);
        let sum = block_on(std::future::poll_fn(|cx| {
            let polled = outer.as_mut().poll(cx);
            if let Some(inner) = inner.take() {
                assert!(polled.is_pending());
                found = block_on(inner).unwrap();
                return Poll::Pending;
            }
            polled.map(|outer| outer.unwrap() + found)
        }));
        assert_eq!(sum, 3);
        worker.join().unwrap();
    }

    #[test]
    fn waits_for_a_future_completed_by_another_thread() {
        let (tx, rx) = tokio::sync::oneshot::channel();
        let worker = thread::spawn(move || tx.send(7).unwrap());
        assert_eq!(Io::future(async { Ok(rx.await.unwrap()) }).wait().unwrap(), 7);
        worker.join().unwrap();
    }
}
