#![cfg_attr(fuzzing, no_main)]
wal_fuzz::fuzz!(CLI);
