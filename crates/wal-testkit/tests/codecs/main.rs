//! The checks of a codec, in a program of their own: a counting allocator belongs to the whole program.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `shipped` | what is shipped keeps its contract |
//! | `lies` | what does not is caught |

use wal_testkit::conformance::AllocationWatch;

/// For the check that decoding allocates little.
#[global_allocator]
static ALLOCATOR: AllocationWatch = AllocationWatch;

mod lies;
mod shipped;
