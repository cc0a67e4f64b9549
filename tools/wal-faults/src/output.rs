//! The report as text, as a page, as JSON.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use super::report::Report;
use super::{html, table};

impl Report {
    /// The page: it needs no other file, no script and no network.
    #[must_use]
    pub fn to_html(&self) -> String {
        html::page(self)
    }

    /// Writes the page into a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn html(&self, file: impl AsRef<Path>) -> io::Result<()> {
        fs::write(file, self.to_html())
    }

    /// Writes everything into a file, as JSON.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn json(&self, file: impl AsRef<Path>) -> io::Result<()> {
        fs::write(file, serde_json::to_string_pretty(self)?)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&table::text(self))
    }
}
