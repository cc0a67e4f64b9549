//! Recovery, verification and repair of a composable write-ahead log.
