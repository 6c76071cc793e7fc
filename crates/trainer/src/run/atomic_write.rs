//! Files that are written whole or not at all.

use std::io;
use std::path::Path;

/// Writes to `path` with `.new` appended, then renames, so that no reader finds half a file, whenever the process is killed.
///
/// # Errors
/// The file can't be written or renamed.
pub fn write_atomic(path: &Path, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    std::fs::write(&new, contents)?;
    std::fs::rename(&new, path)
}
