//! The commands in the README.

use std::env;
use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../../README.md");

#[test]
fn the_commands_in_the_readme_work() {
    let (_, script) = README.split_once("```sh\n").expect("a script");
    let (script, _) = script.split_once("```").expect("its end");
    let dir = tempfile::tempdir().unwrap();
    let built = Path::new(env!("CARGO_BIN_EXE_wal")).parent().unwrap();
    let present = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([built.into()].into_iter().chain(env::split_paths(&present)));
    let mut shell = Command::new("sh");
    let done = shell.args(["-euc", script]).current_dir(&dir).env("PATH", path.unwrap()).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.contains("\"lsn\":1000"), "{text}");
}
