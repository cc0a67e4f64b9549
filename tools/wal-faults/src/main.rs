//! `cargo xtask faults`: every claim held against crashes, and the kit against seeded mistakes.

mod cli;

/// The explorer builds and drops many small things: this allocator is quick at it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
