//! LogStorage on real files.
