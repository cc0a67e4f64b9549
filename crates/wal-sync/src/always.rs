//! `Always` stands in `wal-core`, which shows itself with it; its claim is checked here.

pub use wal_core::Always;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simulated_log::{Checks, any_load, check};

    proptest! {
        #[test]
        fn loses_nothing_and_leaves_nobody_waiting(load in any_load()) {
            check(&Always, &load, Checks::all_durable())?;
        }
    }
}
