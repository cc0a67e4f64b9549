//! The scenarios that are run with every exploration.

use super::{Act, Grain, Scenario};

use Act::{Append, Close, Fill, Open, Truncate};

impl Scenario {
    /// All scenarios. The first one has the fewest orders.
    #[must_use]
    pub fn all() -> Vec<Scenario> {
        let three = |name| {
            let [first, other] = [vec![Open, Append, Append], vec![Open, Append, Close]];
            Scenario::new(name, 1, vec![first, other.clone(), other])
        };
        vec![
            Scenario::new("take over", 2, vec![vec![Open, Append], vec![Open]]),
            Scenario::new(
                "two of four",
                2,
                vec![vec![Open, Append, Append, Append], vec![Open, Append, Append, Close]],
            ),
            Scenario::new("truncation", 3, vec![vec![Open, Append, Truncate], vec![Open, Append]]),
            Scenario::new("rotation", 0, vec![vec![Open, Fill, Fill], vec![Open, Append]]),
            three("three of three").by_calls_of_the_storage(),
            three("three, by files").uncountable(),
        ]
    }

    /// What each owner does, in words: `open, append | open`. If they stop at calls of the storage alone, it says so.
    #[must_use]
    pub fn told(&self) -> String {
        let acts =
            |acts: &Vec<Act>| acts.iter().map(|act| act.told()).collect::<Vec<_>>().join(", ");
        let told = self.owners.iter().map(acts).collect::<Vec<_>>().join(" | ");
        match self.grain {
            Grain::Files => told,
            Grain::Storage => told + ", by calls of the storage",
        }
    }
}

impl Act {
    fn told(self) -> &'static str {
        match self {
            Open => "open",
            Append => "append",
            Fill => "fill",
            Truncate => "truncate",
            Close => "close",
        }
    }
}
