//! Reads JSON lists of sounds and reports each fault with its line and its key.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};

use crate::error::DataError;
use crate::files::row_fault::RowFault;

/// Reads a list. Only regular files are opened: reading a pipe might block.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let read = || match std::fs::metadata(path)?.is_file() {
        true => std::fs::read(path),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        )),
    };
    read().map_err(|source| DataError::List {
        path: path.to_owned(),
        source,
    })
}

/// Lines of a JSONL file that are not blank, with their numbers from 1.
pub(crate) fn lines(content: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    content
        .split(|&byte| byte == b'\n')
        .zip(1..)
        .filter(|(text, _)| !text.trim_ascii().is_empty())
        .map(|(text, line)| (line, text))
}

/// Parses a file that holds one value.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<T, DataError> {
    parse_row(1, text).map_err(|fault| faulty(path, vec![fault]))
}

/// A fault with its line.
pub(crate) type FaultAt = (usize, RowFault);

/// Parses the value in `text`, which begins at line `first_line` of a file.
pub(crate) fn parse_row<T: DeserializeOwned>(first_line: usize, text: &[u8]) -> Result<T, FaultAt> {
    // Editors on Windows put a byte order mark before the first line, which is no JSON.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut json = serde_json::Deserializer::from_slice(text);
    serde_path_to_error::deserialize(&mut json)
        .map_err(|error| (error.path().to_string(), error.into_inner()))
        .and_then(|value| match json.end() {
            Ok(()) => Ok(value),
            Err(source) => Err((".".to_owned(), source)),
        })
        .map_err(|(key, cause)| {
            let line = first_line + cause.line().saturating_sub(1);
            (line, RowFault::Json { key, cause })
        })
}

/// Error with all faults of a file at once, so that a list can be repaired in one go.
///
/// # Panics
/// If there is no fault.
pub(crate) fn faulty(path: &Path, mut faults: Vec<FaultAt>) -> DataError {
    assert!(!faults.is_empty(), "expected a fault, got none");
    let path = path.to_owned();
    match faults.len() {
        1 => {
            let (line, fault) = faults.remove(0);
            DataError::Row { path, line, fault }
        }
        _ => DataError::Rows { path, faults },
    }
}

/// Folder at which a list's relative paths begin.
pub(crate) fn folder_of(list: &Path) -> PathBuf {
    match list.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A JSON object in its own order, in which no key is there twice. A map would silently keep the last of
/// two values.
#[derive(Debug)]
pub(crate) struct UniqueKeys<K, V>(pub(crate) Vec<(K, V)>);

impl<'de, K, V> Deserialize<'de> for UniqueKeys<K, V>
where
    K: Deserialize<'de> + Clone + Eq + Hash + fmt::Display,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Object<K, V>(PhantomData<(K, V)>);
        impl<'de, K, V> Visitor<'de> for Object<K, V>
        where
            K: Deserialize<'de> + Clone + Eq + Hash + fmt::Display,
            V: Deserialize<'de>,
        {
            type Value = UniqueKeys<K, V>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut seen = HashSet::new();
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<K>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom(format!("the key `{key}` is there twice")));
                    }
                    entries.push((key, map.next_value()?));
                }
                Ok(UniqueKeys(entries))
            }
        }
        json.deserialize_map(Object(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        let fault = parse_row::<UniqueKeys<String, f32>>(7, text.as_bytes()).unwrap_err();
        faulty(Path::new("list"), vec![fault]).to_string()
    }

    #[test]
    fn a_fault_is_reported_with_its_line_and_its_key() {
        assert_eq!(
            fault("{\"a\": 1, \"b\": \"x\"}"),
            "list, line 7: `b`: invalid type: string \"x\", expected f32"
        );
        assert_eq!(
            fault("{\"a\": 1,\n\"b\": 2,\n\"a\": 3}"),
            "list, line 9: the key `a` is there twice"
        );
        assert_eq!(
            fault(r#"{"\u001b[2J\n": "x"}"#),
            r#"list, line 7: `\u{1b}[2J\n`: invalid type: string "x", expected f32"#
        );
        assert_eq!(
            fault(r#"{"\u001b[2J": 1, "\u001b[2J": 3}"#),
            r"list, line 7: the key `\u{1b}[2J` is there twice"
        );
        assert_eq!(
            fault("{\"a\": 1"),
            "list, line 7: EOF while parsing an object"
        );
        assert_eq!(fault("{} {}"), "list, line 7: trailing characters");
        assert_eq!(
            fault("[]"),
            "list, line 7: invalid type: sequence, expected an object"
        );
    }

    #[test]
    fn blank_lines_are_counted_and_skipped() {
        let found: Vec<_> = lines(b"a\n\n \r\nb\r\n").collect();
        assert_eq!(found, [(1, &b"a"[..]), (4, b"b\r")]);
    }
}
