//! Sync strategies, each with its durability claim.
