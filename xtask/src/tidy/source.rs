//! A source file, and what of it is code: without comments, without what stands in quotes.
//!
//! This is a scanner, not a parser. What it blanks out keeps its place, so that offsets and lines stay those of
//! the file.

use std::ops::Range;

/// A Rust file.
#[derive(Debug)]
pub(super) struct Source {
    /// From the workspace's folder, with slashes.
    pub(super) path: String,
    pub(super) text: String,
    /// The text with comments and literals blanked out.
    pub(super) code: String,
}

impl Source {
    pub(super) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        Source { path: path.into(), code: code(&text), text }
    }

    /// The code without what is compiled for tests only.
    pub(super) fn shipped(&self) -> String {
        let mut shipped = self.code.clone().into_bytes();
        for item in test_items(&self.code) {
            blank(&mut shipped[item]);
        }
        String::from_utf8(shipped).expect("only whole characters are blanked out")
    }

    /// The line of an offset, counted from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }
}

fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

/// The text with comments and literals blanked out.
fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = at + skipped(&text[at..], at.checked_sub(1).map(|before| bytes[before]));
        if end == at {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        } else {
            blank(&mut out[at..end]);
            at = end;
        }
    }
    String::from_utf8(out).expect("only whole comments and literals are blanked out")
}

/// How many bytes of a comment or literal begin here; none if neither does.
fn skipped(rest: &str, before: Option<u8>) -> usize {
    let bytes = rest.as_bytes();
    match bytes[0] {
        b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
        b'/' if rest.starts_with("/*") => block_comment(rest),
        b'"' => quoted(rest),
        b'\'' => character(rest),
        b'r' | b'b' | b'c' if !before.is_some_and(is_word) => raw(rest),
        _ => 0,
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Of a string in quotes, with backslashes.
fn quoted(rest: &str) -> usize {
    let mut bytes = rest.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Of a character; a lifetime is none.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            let end = rest[3..].find('\'');
            end.map_or(rest.len(), |end| end + 4)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

/// Of a literal with a prefix: `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `b'…'`.
fn raw(rest: &str) -> usize {
    let letters = rest.len() - rest.trim_start_matches(['r', 'b', 'c']).len();
    let behind = &rest[letters..];
    let is_raw = rest[..letters].contains('r');
    let hashes = behind.len() - behind.trim_start_matches('#').len();
    if letters > 2 || !behind[hashes..].starts_with(['"', '\'']) {
        return 0;
    }
    if is_raw && behind[hashes..].starts_with('"') {
        let close = format!("\"{}", "#".repeat(hashes));
        let open = letters + hashes + 1;
        return rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len());
    }
    match behind.as_bytes()[0] {
        b'"' => letters + quoted(behind),
        b'\'' if rest.starts_with("b'") => letters + character(behind),
        _ => 0,
    }
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where a word stands in the code, whole.
pub(super) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let bytes = code.as_bytes();
        let before = at.checked_sub(1).map(|before| bytes[before]);
        let behind = bytes.get(at + word.len()).copied();
        !before.is_some_and(is_word) && !behind.is_some_and(is_word)
    })
}

/// Where the item ends whose body or semicolon comes next: behind its closing brace, or the semicolon.
pub(super) fn item_end(code: &str, from: usize) -> Option<usize> {
    let (mut braces, mut others) = (0_u32, 0_u32);
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => others += 1,
            b')' | b']' => others = others.saturating_sub(1),
            b'{' => braces += 1,
            b'}' if braces <= 1 => return Some(at + 1),
            b'}' => braces -= 1,
            b';' if braces == 0 && others == 0 => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Items behind `#[cfg(test)]` and its like, the attribute included.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for (at, _) in code.match_indices("#[cfg(") {
        let Some(end) = code[at..].find(']').map(|end| at + end + 1) else { continue };
        let inside = items.last().is_some_and(|last| last.contains(&at));
        let condition = &code[at..end];
        let for_tests =
            words(condition, "test").next().is_some() && !condition.contains("not(test");
        if for_tests && !inside {
            items.push(at..item_end(code, end).unwrap_or(code.len()));
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(text: &str) -> String {
        Source::new("x.rs", text).code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        assert_eq!(stripped("a // fn b\nc /* d /* e */ f */ g"), "a c g");
        assert_eq!(stripped(r#"let s = "fn \" }"; t"#), "let s = ; t");
        assert_eq!(stripped("r#\"a \" b\"# c br\"\\\" d b\"\\\"\" e"), "c d e");
        assert_eq!(stripped("'{' '\\'' '\\u{1F600}' b'{' 'é' x"), "x");
        assert_eq!(stripped("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
        assert_eq!(stripped("for bar in r { crab }"), "for bar in r { crab }");
    }

    #[test]
    fn what_is_for_tests_does_not_ship() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { if c { d } } }\nfn e() {}\n\
                    #[cfg(all(test, unix))]\nuse f;\n#[cfg(not(test))]\nfn g() {}\n";
        let shipped = Source::new("x.rs", text).shipped();
        for kept in ["fn a", "fn e", "fn g"] {
            assert!(shipped.contains(kept), "{shipped}");
        }
        for gone in ["fn b", "d }", "use f"] {
            assert!(!shipped.contains(gone), "{shipped}");
        }
    }
}
