//! The strategy's claim, proven: every crash that the test kit can think of, on the real engine, storage
//! and recovery over a file system in memory. `docs/proving.md` tells how to read a failure.

use downstream::DutyCycle;

use crate::faults::plain_files;

// Small bounds: the kit drives the log to the limit and crashes at every append on the way.
wal_testkit::strategy_conformance!(duty_cycle, DutyCycle { percent: 10, limit: 9 });
// On the storage that we wrote, too.
wal_testkit::strategy_conformance!(restless, DutyCycle { percent: 100, limit: 3 }, on: [plain_files()]);

/// What the kit says of a strategy that is wrong.
mod wrong {
    use downstream::DutyCycle;
    use wal_testkit::conformance::strategy::{Proof, no_crash_takes_more_than_the_claim};

    use crate::faults::plain_files;
    use crate::forgetful::Forgetful;

    #[test]
    fn is_caught_with_the_steps_that_lead_there() {
        let forgetful = Forgetful(DutyCycle { percent: 10, limit: 9 });
        let proof = Proof::on(forgetful, [plain_files()]);
        let message = no_crash_takes_more_than_the_claim(&proof).unwrap_err().to_string();
        assert!(message.contains("the strategy forgetful breaks its contract"), "{message}");
        assert!(message.contains("the claim is: at most 9 records"), "{message}");
        assert!(message.contains("a slow sync begins"), "{message}");
    }
}
