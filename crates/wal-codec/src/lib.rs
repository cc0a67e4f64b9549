//! Codecs beyond raw bytes.
