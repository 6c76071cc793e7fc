use std::fmt::{self, Write};
use std::path::Path;

/// Displays a path on one line, without characters that control a terminal.
///
/// Control characters, characters that change the direction of text, and bytes that are not UTF-8 are
/// escaped as in Rust's literals. Different paths are displayed differently, except for names that
/// contain such an escape literally.
///
/// ```
/// let path = std::path::Path::new("kicks/\u{1b}[2Jdeep\n.wav");
/// assert_eq!(stft_data::printable(path).to_string(), r"kicks/\u{1b}[2Jdeep\n.wav");
/// ```
pub fn printable(path: &Path) -> impl fmt::Display {
    Printable(path.as_os_str().as_encoded_bytes())
}

/// Displays other text from files, such as a key of a list, in the same way.
pub(crate) fn printable_text(text: &str) -> impl fmt::Display {
    Printable(text.as_bytes())
}

struct Printable<'a>(&'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c.is_control() || changes_direction(c) {
                    true => write!(out, "{}", c.escape_default())?,
                    false => out.write_char(c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(out, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Marks, embeddings, overrides and isolates of Unicode's bidirectional algorithm.
fn changes_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_controls_are_escaped_and_other_text_is_not() {
        for (path, expected) in [
            ("größe/太鼓 1.wav", "größe/太鼓 1.wav"),
            ("a\r\nrejected b", r"a\r\nrejected b"),
            ("\u{7f}\u{9b}31m", r"\u{7f}\u{9b}31m"),
            ("a\u{202e}vaw.exe", r"a\u{202e}vaw.exe"),
        ] {
            assert_eq!(printable(Path::new(path)).to_string(), expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_utf8_are_displayed_differently() {
        use std::os::unix::ffi::OsStrExt;
        let name =
            |bytes: &[u8]| printable(Path::new(std::ffi::OsStr::from_bytes(bytes))).to_string();
        assert_eq!(name(b"a\xff.wav"), r"a\xff.wav");
        assert_ne!(name(b"a\xff.wav"), name(b"a\xfe.wav"));
    }
}
