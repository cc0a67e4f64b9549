//! The tests of the kit, in one program; those of codecs have another one.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `model`, `storage_crash` | the model file system loses what it may lose, and nothing else |
//! | `crash_storage`, `crash_storage_engine` | the cache above any storage |
//! | `fault_storage` | failures, counters and the gate of any storage |
//! | `features` | what users compose, on real files |
//! | `explorer`, `mutants` | the explorer, and the mistakes that it must find |
//! | `conformance_storage`, `conformance_strategy` | what is shipped keeps its contract |
//! | `conformance_lies` | what does not is caught |
//! | `media` | what the storages under test live on |

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
