//! What all help texts share.

const EXIT_CODES: &str = "\
Exit codes:
  0  all is well
  1  an error (message on standard error)
  2  wrong usage
  3  the log ends in a torn tail, as a crash leaves it
  4  the log is corrupt: bytes that had been durable are damaged
  5  what is there is sound, but segments at an end of the log may be missing";

/// The end of every help text.
pub(crate) fn after_help(examples: &str) -> String {
    format!("{examples}\n\n{EXIT_CODES}")
}
