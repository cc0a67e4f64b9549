//! Hostile bytes: four targets, each a function of bytes that holds properties against them.
//!
//! | target | input | must hold |
//! | --- | --- | --- |
//! | [`frames`] | bytes | what decodes encodes back; lengths lie inside the input; whole frames in front of garbage are read |
//! | [`scan`] | frames, edits | readers end, agree with each other, and believe nothing without its checksum |
//! | [`recovery`] | a log, edits of its directory | every mode ends; what it accepts is stable, genuine, and goes on |
//! | [`cli`] | command lines, records, sizes, times | what is read prints back; nothing depends on how the input is cut up |
//!
//! - `plan`: what the bytes of an input stand for, and how seeds are written
//! - `edit`, `forge`: what is done to files, with and without correct checksums
//! - `world`: a directory in the model file system, a clock, a codec
//! - `seeds`: the inputs that every run starts from
//! - [`stable`]: runs without libFuzzer, on any toolchain
//!
//! `cargo xtask fuzz` runs all of them. Also without libFuzzer: `cargo run --bin recovery -- FILE` runs the
//! inputs it is given, and without a file the corpus and mutations of it.

pub mod cli;
mod edit;
mod forge;
pub mod frames;
mod plan;
pub mod recovery;
pub mod scan;
mod seeds;
pub mod stable;
mod world;

pub use seeds::Seed;

#[cfg(fuzzing)]
pub use libfuzzer_sys;

/// What is fuzzed.
pub struct Target {
    /// As in `cargo fuzz run NAME`.
    pub name: &'static str,
    /// Panics if a property does not hold.
    pub run: fn(&[u8]),
    /// The inputs to start from.
    pub seeds: fn() -> Vec<Seed>,
}

/// Decoding of headers, frames and footers.
pub const FRAMES: Target = Target { name: "frames", run: frames::run, seeds: seeds::frames };
/// Reading one segment.
pub const SCAN: Target = Target { name: "scan", run: scan::run, seeds: seeds::scan };
/// Recovery of arbitrary directories.
pub const RECOVERY: Target =
    Target { name: "recovery", run: recovery::run, seeds: seeds::recovery };
/// The input of the command.
pub const CLI: Target = Target { name: "cli", run: cli::run, seeds: seeds::cli };

/// All of them.
pub const TARGETS: [&Target; 4] = [&FRAMES, &SCAN, &RECOVERY, &CLI];

/// The program of a target: under cargo-fuzz one for libFuzzer, otherwise one that replays.
#[cfg(fuzzing)]
#[macro_export]
macro_rules! fuzz {
    ($target:ident) => {
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| ($crate::$target.run)(data));
    };
}

/// The program of a target: under cargo-fuzz one for libFuzzer, otherwise one that replays.
#[cfg(not(fuzzing))]
#[macro_export]
macro_rules! fuzz {
    ($target:ident) => {
        fn main() -> std::process::ExitCode {
            $crate::stable::main(&$crate::$target)
        }
    };
}
