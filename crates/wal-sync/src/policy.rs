//! `Policy`: a strategy chosen by text, as in configuration files and on command lines.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use wal_core::{Claim, Decision, Error, Result, SyncStrategy, TailView};

use crate::units::{EXPECTED, Quantity};
use crate::{Adaptive, Always, Batch, GroupCommit, Interval, Os, limits};

/// One of this crate's strategies, chosen at run time and written as text.
///
/// | text | strategy |
/// | --- | --- |
/// | `always` | [`Always`] |
/// | `group[:WAIT][,RECORDS][,BYTES]` | [`GroupCommit`]; the default waits for nobody |
/// | `batch[:RECORDS][,BYTES][,DELAY]` | [`Batch`]; plain `batch` is `batch:1000,1MiB,10ms` |
/// | `interval:PERIOD` | [`Interval`] |
/// | `os` | [`Os`] |
/// | `adaptive[:WAIT]` | [`Adaptive`] |
///
/// The unit of a parameter tells what it is, so each may be left out and the order is free: records
/// have none (a second number without a unit is one of bytes), bytes have `B`, `k` or `KiB`, `M` or `MiB`, `G` or `GiB` (powers of 1024), times have
/// `ns`, `us`, `ms`, `s`, `min` or `h`. A bound of a batch that is left out does not exist:
/// `batch:32` never syncs by age.
///
/// `Display` prints the canonical spelling; parsing it gives the same policy. Serde uses it, too.
/// A policy is itself a strategy, so it can be given to a log as it is; what it does and claims is
/// what the chosen strategy does and claims.
///
/// ```
/// use std::time::Duration;
/// use wal_core::SyncStrategy;
/// use wal_sync::Policy;
///
/// let policy: Policy = "batch:32,64k,10ms".parse()?;
/// assert_eq!(policy.to_string(), "batch:32,64KiB,10ms");
/// assert_eq!(policy.claim().power_loss.records, Some(31));
///
/// assert_eq!("batch:32,65536".parse::<Policy>()?, "batch:32,64KiB".parse()?);
///
/// let error = "batch:32,10ms,5ms".parse::<Policy>().unwrap_err();
/// assert!(error.to_string().contains("two parameters are a time"), "{error}");
/// # Ok::<(), wal_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "String", into = "String")
)]
#[non_exhaustive]
pub enum Policy {
    /// `always`
    Always(Always),
    /// `group`
    Group(GroupCommit),
    /// `batch`
    Batch(Batch),
    /// `interval`
    Interval(Interval),
    /// `os`
    Os(Os),
    /// `adaptive`
    Adaptive(Adaptive),
}

impl Policy {
    /// The spellings, for help texts.
    pub const SYNTAX: &str = "always | group[:WAIT][,RECORDS][,BYTES] | \
         batch[:RECORDS][,BYTES][,DELAY] | interval:PERIOD | os | adaptive[:WAIT]";

    /// The chosen strategy alone, behind a pointer.
    #[must_use]
    pub fn into_strategy(self) -> Box<dyn SyncStrategy> {
        match self {
            Policy::Always(strategy) => Box::new(strategy),
            Policy::Group(strategy) => Box::new(strategy),
            Policy::Batch(strategy) => Box::new(strategy),
            Policy::Interval(strategy) => Box::new(strategy),
            Policy::Os(strategy) => Box::new(strategy),
            Policy::Adaptive(strategy) => Box::new(strategy),
        }
    }

    fn strategy(&self) -> &dyn SyncStrategy {
        match self {
            Policy::Always(strategy) => strategy,
            Policy::Group(strategy) => strategy,
            Policy::Batch(strategy) => strategy,
            Policy::Interval(strategy) => strategy,
            Policy::Os(strategy) => strategy,
            Policy::Adaptive(strategy) => strategy,
        }
    }
}

impl Default for Policy {
    /// `group`: nothing is lost, and writers share syncs.
    fn default() -> Self {
        Policy::Group(GroupCommit::new())
    }
}

#[deny(clippy::missing_trait_methods)]
impl SyncStrategy for Policy {
    fn name(&self) -> String {
        self.strategy().name()
    }

    fn claim(&self) -> Claim {
        self.strategy().claim()
    }

    fn decide(&self, tail: &TailView) -> Decision {
        self.strategy().decide(tail)
    }

    fn fixed_decision(&self) -> Option<Decision> {
        self.strategy().fixed_decision()
    }
}

/// The parameters after the colon, each at most once.
#[derive(Default)]
struct Parameters {
    records: Option<u64>,
    bytes: Option<u64>,
    time: Option<Duration>,
}

impl Parameters {
    fn parse(text: &str, of: &str) -> Result<Self> {
        let mut found = Parameters::default();
        for part in text.split(',') {
            let quantity = Quantity::parse(part)
                .ok_or_else(|| limits::invalid(format!("{part:?} in {of:?} is not {EXPECTED}")))?;
            let twice = match quantity {
                // By position: the second number without a unit is one of bytes.
                Quantity::Records(n) if found.records.is_some() && found.bytes.is_none() => {
                    found.bytes.replace(n).is_some()
                }
                Quantity::Records(n) => found.records.replace(n).is_some(),
                Quantity::Bytes(n) => found.bytes.replace(n).is_some(),
                Quantity::Time(time) => found.time.replace(time).is_some(),
            };
            if twice {
                let kind = quantity.kind();
                return Err(limits::invalid(format!(
                    "two parameters are a {kind} in {of:?}; expected {}",
                    Policy::SYNTAX
                )));
            }
        }
        Ok(found)
    }

    /// Refuses parameters that the strategy has no use for.
    fn allow(self, records: bool, bytes: bool, of: &str) -> Result<Self> {
        let unused = match self {
            Parameters { records: Some(n), .. } if !records => Quantity::Records(n),
            Parameters { bytes: Some(n), .. } if !bytes => Quantity::Bytes(n),
            _ => return Ok(self),
        };
        let kind = unused.kind();
        Err(limits::invalid(format!(
            "{unused} in {of:?} is a {kind}, which this strategy does not take; expected {}",
            Policy::SYNTAX
        )))
    }
}

impl FromStr for Policy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let syntax = |problem: &str| {
            limits::invalid(format!("{problem} in {text:?}; expected {}", Policy::SYNTAX))
        };
        let (name, parameters) = match text.split_once(':') {
            Some((name, parameters)) => (name, Some(Parameters::parse(parameters, text)?)),
            None => (text, None),
        };
        match (name, parameters) {
            ("always", None) => Ok(Policy::Always(Always)),
            ("os", None) => Ok(Policy::Os(Os)),
            ("always" | "os", Some(_)) => Err(syntax("a parameter where none is taken")),
            ("batch", None) => Ok(Policy::Batch(Batch::default())),
            ("batch", Some(p)) => Batch::from_bounds(p.records, p.bytes, p.time).map(Policy::Batch),
            ("group", parameters) => {
                let p = parameters.unwrap_or_default();
                let mut group = GroupCommit::new().with_max_wait(p.time.unwrap_or_default())?;
                if let Some(records) = p.records {
                    group = group.with_max_records(records)?;
                }
                if let Some(bytes) = p.bytes {
                    group = group.with_max_bytes(bytes)?;
                }
                Ok(Policy::Group(group))
            }
            ("interval", parameters) => {
                let p = parameters.unwrap_or_default().allow(false, false, text)?;
                let period = p.time.ok_or_else(|| syntax("no period, such as 100ms,"))?;
                Interval::new(period).map(Policy::Interval)
            }
            ("adaptive", parameters) => {
                let p = parameters.unwrap_or_default().allow(false, false, text)?;
                let adaptive = match p.time {
                    Some(wait) => Adaptive::new().with_max_wait(wait)?,
                    None => Adaptive::new(),
                };
                Ok(Policy::Adaptive(adaptive))
            }
            _ => Err(syntax("unknown strategy")),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |time: Duration| Some(Quantity::Time(time));
        let (name, parameters) = match self {
            Policy::Always(_) => ("always", [None; 3]),
            Policy::Os(_) => ("os", [None; 3]),
            Policy::Group(group) => {
                let wait = Some(group.max_wait()).filter(|wait| !wait.is_zero()).and_then(time);
                let records = group.max_records().map(Quantity::Records);
                ("group", [wait, records, group.max_bytes().map(Quantity::Bytes)])
            }
            Policy::Batch(batch) => {
                let records = batch.records().map(Quantity::Records);
                let bytes = batch.bytes().map(Quantity::Bytes);
                ("batch", [records, bytes, batch.delay().and_then(time)])
            }
            Policy::Interval(interval) => ("interval", [time(interval.period()), None, None]),
            Policy::Adaptive(adaptive) if *adaptive == Adaptive::new() => ("adaptive", [None; 3]),
            Policy::Adaptive(adaptive) => ("adaptive", [time(adaptive.max_wait()), None, None]),
        };
        f.write_str(name)?;
        for (place, parameter) in parameters.into_iter().flatten().enumerate() {
            write!(f, "{}{parameter}", if place == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Policy {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Policy> for String {
    fn from(policy: Policy) -> String {
        policy.to_string()
    }
}

impl From<Always> for Policy {
    fn from(strategy: Always) -> Self {
        Policy::Always(strategy)
    }
}

impl From<GroupCommit> for Policy {
    fn from(strategy: GroupCommit) -> Self {
        Policy::Group(strategy)
    }
}

impl From<Batch> for Policy {
    fn from(strategy: Batch) -> Self {
        Policy::Batch(strategy)
    }
}

impl From<Interval> for Policy {
    fn from(strategy: Interval) -> Self {
        Policy::Interval(strategy)
    }
}

impl From<Os> for Policy {
    fn from(strategy: Os) -> Self {
        Policy::Os(strategy)
    }
}

impl From<Adaptive> for Policy {
    fn from(strategy: Adaptive) -> Self {
        Policy::Adaptive(strategy)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wal_core::ErrorKind;

    use super::*;

    #[test]
    fn reads_every_spelling_and_prints_the_canonical_one() {
        for (text, canonical, name) in [
            ("always", "always", "always"),
            ("os", "os", "os"),
            ("group", "group", "group"),
            ("group:0s", "group", "group"),
            ("group:2ms,64", "group:2ms,64", "group(wait 2ms, 64 records)"),
            ("group:64k,2ms", "group:2ms,64KiB", "group(wait 2ms, 65536 bytes)"),
            ("batch", "batch:1000,1MiB,10ms", "batch(1000 records, 1048576 bytes, 10ms)"),
            ("batch:32", "batch:32", "batch(32 records)"),
            ("batch:32,10ms", "batch:32,10ms", "batch(32 records, 10ms)"),
            ("batch:10ms,32", "batch:32,10ms", "batch(32 records, 10ms)"),
            ("batch:1M", "batch:1MiB", "batch(1048576 bytes)"),
            ("batch:1000,1024k,10000us", "batch:1000,1MiB,10ms", ""),
            ("interval:1000ms", "interval:1s", "interval(1s)"),
            ("interval:1min", "interval:60s", "interval(60s)"),
            ("adaptive", "adaptive", "adaptive(wait up to 5ms)"),
            ("adaptive:500us", "adaptive:500us", "adaptive(wait up to 500µs)"),
        ] {
            let policy: Policy = text.parse().unwrap();
            assert_eq!(policy.to_string(), canonical);
            assert_eq!(canonical.parse::<Policy>().unwrap(), policy);
            assert!(policy.name() == name || name.is_empty(), "{}", policy.name());
            assert_eq!(policy.into_strategy().name(), policy.name());
            assert_eq!(policy.into_strategy().claim(), policy.claim());
        }
    }

    #[test]
    fn errors_say_what_was_expected() {
        for (text, expected) in [
            ("", "unknown strategy in \"\"; expected always | group"),
            ("sometimes", "unknown strategy in \"sometimes\"; expected always"),
            ("Always", "unknown strategy"),
            ("always:1", "a parameter where none is taken in \"always:1\""),
            ("batch:", "\"\" in \"batch:\" is not a number of records such as 32"),
            ("batch:1,2,3", "two parameters are a number of records in \"batch:1,2,3\""),
            ("batch:0", "records is 0, allowed are 1 to"),
            ("batch:1m", "\"1m\" in \"batch:1m\" is not a number"),
            ("batch:5,0s", "delay is 0ns, allowed are 1µs to 3600s"),
            ("group:2h", "max_wait is 7200s, allowed are 0ns to 3600s"),
            ("interval", "no period, such as 100ms, in \"interval\""),
            ("interval:5", "5 in \"interval:5\" is a number of records, which this strategy"),
            ("adaptive:1MiB", "1MiB in \"adaptive:1MiB\" is a number of bytes"),
        ] {
            let error = text.parse::<Policy>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.detail().contains(expected), "{text:?}: {error}");
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn serde_uses_the_spelling() {
        let policy: Policy = serde_json::from_str("\"batch:32,10ms\"").unwrap();
        assert_eq!(serde_json::to_string(&policy).unwrap(), "\"batch:32,10ms\"");
        let error = serde_json::from_str::<Policy>("\"batch:0\"").unwrap_err();
        assert!(error.to_string().contains("records is 0"), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(
            records in prop::option::of(1u64..), bytes in prop::option::of(1u64..),
            delay in prop::option::of((1000u64..=3_600_000_000_000).prop_map(Duration::from_nanos)),
        ) {
            let wait = delay.unwrap_or_default();
            let adaptive = Adaptive::new().with_max_wait(wait).unwrap();
            let mut group = GroupCommit::new().with_max_wait(wait).unwrap();
            if let Some(records) = records {
                group = group.with_max_records(records).unwrap();
            }
            if let Some(bytes) = bytes {
                group = group.with_max_bytes(bytes).unwrap();
            }
            let mut policies = vec![Policy::from(adaptive), Policy::from(group)];
            policies.extend(Batch::from_bounds(records, bytes, delay).map(Policy::from));
            policies.extend(Interval::new(wait).map(Policy::from));
            for policy in policies {
                prop_assert_eq!(policy.to_string().parse::<Policy>().unwrap(), policy);
            }
        }

        #[test]
        fn never_panics(text in "[a-z]{0,8}:?\\PC{0,12}") {
            let _ = text.parse::<Policy>();
        }
    }
}
