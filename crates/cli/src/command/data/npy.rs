//! NumPy's array file, version 1.0, for float32 arrays of two axes.

/// Encodes a `.npy` file with a float32 array of two axes, row-major, little-endian.
///
/// Source: NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays" (Kern 2007).
pub fn npy(values: &[f32], [rows, columns]: [usize; 2]) -> Vec<u8> {
    assert_eq!(values.len(), rows * columns, "expected rows * columns");
    /// Magic string, version and the length of the text.
    const PREFIX: usize = 10;
    let mut text =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    // Spaces and a line feed extend the header to a multiple of 64 bytes, so that the values are aligned.
    let padded = (PREFIX + text.len() + 1).next_multiple_of(64);
    text.push_str(&" ".repeat(padded - PREFIX - text.len() - 1));
    text.push('\n');

    let mut bytes = Vec::with_capacity(padded + 4 * values.len());
    bytes.extend(b"\x93NUMPY\x01\x00");
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    for value in values {
        bytes.extend(value.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_aligned_and_the_values_are_row_major() {
        let bytes = npy(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]);
        assert_eq!(bytes.len(), 128 + 24);
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        let text = std::str::from_utf8(&bytes[10..128]).unwrap();
        assert_eq!(
            text.trim_end(),
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
        );
        assert!(text.ends_with(" \n"));
        assert_eq!(bytes[132..136], 2_f32.to_le_bytes());
    }

    #[test]
    fn every_header_is_a_multiple_of_64_bytes() {
        for columns in [1, 12, 123, 1_234, 12_345, 1_000_000] {
            let bytes = npy(&vec![0.0; columns], [1, columns]);
            assert_eq!((bytes.len() - 4 * columns) % 64, 0, "{columns} columns");
        }
    }
}
