//! The test kit that proves durability claims.
