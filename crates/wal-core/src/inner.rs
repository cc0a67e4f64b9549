//! What all handles of one open log share.

use std::sync::Arc;

use crate::engine::{Driver, Engine};

/// An engine, its driver, and the codec of its records. The log ends with the last handle.
pub(crate) struct Inner<C> {
    pub(crate) engine: Arc<Engine>,
    /// Shared with followers, which do not keep the log open.
    pub(crate) codec: Arc<C>,
    _driver: Driver,
}

impl<C> Inner<C> {
    pub(crate) fn new(engine: Arc<Engine>, driver: Driver, codec: C) -> Self {
        Inner { engine, codec: Arc::new(codec), _driver: driver }
    }
}
