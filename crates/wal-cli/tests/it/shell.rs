//! Help texts and completions.

use crate::common::run;

#[test]
fn every_help_text_has_examples_and_exit_codes() {
    let nowhere = std::path::Path::new("");
    for command in ["", "append", "dump", "verify", "repair", "stat", "truncate"] {
        for flag in ["-h", "--help"] {
            let done = run(nowhere, &format!("{command} {flag}"), b"").expect(0);
            for part in ["Examples:", "Exit codes:", "torn tail", "Usage: wal"] {
                assert!(done.text().contains(part), "{command} {flag}: no {part:?}");
            }
            assert!(done.stderr.is_empty());
        }
    }
    let help = run(nowhere, "append --help", b"").expect(0);
    for part in ["lines", "jsonl", "len32", "batch:RECORDS", "[default: group]"] {
        assert!(help.text().contains(part), "no {part:?}");
    }
    assert!(run(nowhere, "--version", b"").expect(0).text().starts_with("wal "));
}

#[test]
fn completions_for_every_shell() {
    let nowhere = std::path::Path::new("");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = run(nowhere, &format!("completions {shell}"), b"").expect(0);
        assert!(done.text().contains("append") && done.text().contains("durability"), "{shell}");
    }
    run(nowhere, "completions tcsh", b"").expect(2);
}
