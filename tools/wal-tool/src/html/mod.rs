//! Pages that need nothing else: no script, no font, no other file.
//!
//! `style.css` is for light and dark screens.

use std::fmt;

/// A whole page.
pub fn page(title: &str, body: &str) -> String {
    let style = include_str!("style.css");
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{}</title>\n<style>\n{style}</style></head>\n\
         <body><main>{body}</main></body></html>\n",
        Text(title)
    )
}

/// A number, large, and what it is.
pub fn figure(number: impl fmt::Display, what: &str, class: &str) -> String {
    format!("<div class=\"figure {class}\"><b>{number}</b><span>{what}</span></div>")
}

/// The class of what is bad.
pub fn bad_if(bad: bool) -> &'static str {
    if bad { "bad" } else { "" }
}

/// Text that is no markup, wherever it stands.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "what it wraps and nothing else")]
pub struct Text<T>(pub T);

impl<T: fmt::Display> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string().chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_markup() {
        let told = Text("<a href='x'>\"&\"</a>").to_string();
        assert_eq!(told, "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;&lt;/a&gt;");
    }
}
