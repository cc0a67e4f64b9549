//! The tests of the kit, in one program.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `model`, `storage_crash` | the model file system loses what it may lose, and nothing else |
//! | `crash_storage`, `crash_storage_engine` | the cache above any storage |
//! | `fault_storage` | failures, counters and the gate of any storage |
//! | `features` | what users compose, on real files |
//! | `explorer`, `mutants` | the explorer, and the mistakes that it must find |
//! | `conformance_storage`, `conformance_strategy`, `conformance_codec` | what is shipped keeps its contract |
//! | `conformance_lies`, `conformance_codec_lies` | who does not is caught |
//! | `media` | what the storages under test live on |

use wal_testkit::conformance::AllocationWatch;

/// For the check that decoding allocates little.
#[global_allocator]
static ALLOCATOR: AllocationWatch = AllocationWatch;

mod conformance_codec;
mod conformance_codec_lies;
mod conformance_lies;
mod conformance_storage;
mod conformance_strategy;
mod crash_storage;
mod crash_storage_engine;
mod explorer;
mod fault_storage;
mod features;
mod media;
mod model;
mod mutants;
mod owners;
mod storage_crash;
