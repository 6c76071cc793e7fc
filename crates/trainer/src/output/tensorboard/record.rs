//! The framing of an event file: length, payload, and a masked CRC-32C of each.

use std::io::{self, Write};

/// Writes one record.
///
/// ```text
/// u64 length | u32 masked_crc(length) | payload | u32 masked_crc(payload)      little-endian
/// masked_crc(x) = rotate_right(crc32c(x), 15) + 0xa282ead8
/// ```
pub(super) fn write(out: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    let length = (payload.len() as u64).to_le_bytes();
    out.write_all(&length)?;
    out.write_all(&masked_crc(&length).to_le_bytes())?;
    out.write_all(payload)?;
    out.write_all(&masked_crc(payload).to_le_bytes())
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

/// Splits a file into its payloads; `None` where it is cut off or a CRC is wrong.
#[cfg(test)]
pub(super) fn read_all(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
        let (head, tail) = bytes.split_at_checked(count)?;
        *bytes = tail;
        Some(head)
    }
    let mut payloads = Vec::new();
    while !bytes.is_empty() {
        let length = take(&mut bytes, 8)?;
        if take(&mut bytes, 4)? != masked_crc(length).to_le_bytes() {
            return None;
        }
        let count = u64::from_le_bytes(length.try_into().ok()?);
        let payload = take(&mut bytes, usize::try_from(count).ok()?)?;
        if take(&mut bytes, 4)? != masked_crc(payload).to_le_bytes() {
            return None;
        }
        payloads.push(payload.to_vec());
    }
    Some(payloads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn crc_is_castagnolis_masked_as_the_format_asks() {
        // The check value of CRC-32C for "123456789" is 0xe3069283 (RFC 3720, appendix B.4
        // lists others of the same polynomial).
        let masked = 0xe306_9283_u32.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(masked_crc(b"123456789"), masked);
    }

    proptest! {
        #[test]
        fn framing_is_read_back(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..6)) {
            let mut file = Vec::new();
            for payload in &payloads {
                write(&mut file, payload).unwrap();
            }
            prop_assert_eq!(read_all(&file), Some(payloads));
        }

        #[test]
        fn a_flipped_bit_is_noticed(payload in prop::collection::vec(any::<u8>(), 1..80), place in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut file = Vec::new();
            write(&mut file, &payload).unwrap();
            let at = place.index(file.len());
            file[at] ^= 1 << bit;
            prop_assert_eq!(read_all(&file), None);
        }
    }
}
