//! A workload: a list of steps, and the size of its segments.

use std::fmt;
use std::io;
use std::str::FromStr;

use super::Step;

/// What happens to a log, from its first opening on.
///
/// ```
/// use wal_testkit::Workload;
/// let workload: Workload = "segment 4096; append 1x20; wait 500us; kill; sync".parse()?;
/// assert_eq!(workload.steps.len(), 4);
/// assert_eq!(workload.to_string().parse::<Workload>()?, workload);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Workload {
    /// The segments' size in bytes. Small ones make every workload rotate.
    pub segment_size: u64,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Workload {
    /// Segments so large that no workload fills one. Steps inside [`Step::Slow`] need it: a sync in
    /// flight and a rotation exclude each other, and on one thread nobody could wait.
    pub const ROOMY: u64 = 8 << 20;

    /// Segments of the least size: some twenty records fill one.
    pub const TIGHT: u64 = 4096;

    /// A workload of these steps.
    #[must_use]
    pub fn new(segment_size: u64, steps: Vec<Step>) -> Self {
        Workload { segment_size, steps }
    }

    /// Whether a commit can be slow in it.
    pub(crate) fn is_roomy(&self) -> bool {
        self.segment_size >= Self::ROOMY
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {}", self.segment_size)?;
        self.steps.iter().try_for_each(|step| write!(f, "; {step}"))
    }
}

impl FromStr for Workload {
    type Err = io::Error;

    fn from_str(text: &str) -> Result<Self, io::Error> {
        let mut segment_size = Self::TIGHT;
        let mut steps = Vec::new();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            match part.strip_prefix("segment ") {
                Some(size) => {
                    segment_size = size.trim().parse().map_err(|_| {
                        io::Error::new(
                            io::ErrorKind::InvalidInput,
                            format!("segment size {size:?}"),
                        )
                    })?;
                }
                None => steps.push(part.parse()?),
            }
        }
        Ok(Workload { segment_size, steps })
    }
}
