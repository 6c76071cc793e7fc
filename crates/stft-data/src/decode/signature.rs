use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Whether the first bytes of a file are those of a sound file.
pub(crate) fn begins_like_sound(path: &Path) -> io::Result<bool> {
    let mut start = Vec::with_capacity(12);
    File::open(path)?.take(12).read_to_end(&mut start)?;
    Ok(starts_like_sound(&start))
}

fn starts_like_sound(start: &[u8]) -> bool {
    let form = start.get(8..12);
    match start {
        [b'R', b'I', b'F', b'F', ..] => form == Some(b"WAVE"),
        [b'F', b'O', b'R', b'M', ..] => matches!(form, Some(b"AIFF" | b"AIFC")),
        [b'f', b'L', b'a', b'C', ..] | [b'O', b'g', b'g', b'S', ..] | [b'I', b'D', b'3', ..] => {
            true
        }
        // Sync word of an MPEG frame of layer III; a UTF-16 byte order mark has other bits for the layer.
        [0xff, second, ..] => second & 0xe6 == 0xe2,
        _ => false,
    }
}
