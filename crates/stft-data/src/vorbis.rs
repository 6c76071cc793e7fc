use crate::error::Unusable;

/// Most codebook entries of one stream. libvorbis writes at most 19,413, for 5.1 (measured over its
/// qualities, 8 to 192 kHz, one to six channels). The decoder may need 2.6 KiB for each, however few
/// bytes they take in the file: a codebook of 15 bytes can have 131,072.
const MAX_ENTRIES: usize = 24 * 1024;

/// Most codebook entries of all streams of a chain: at 3 µs each, they cost 1.6 s at worst.
const MAX_ENTRIES_OF_CHAIN: usize = 512 * 1024;

/// How many codebook entries a file has asked for.
///
/// Guards a decoder that unpacks all codebooks before the first packet: without it, 10 kB of headers
/// take 30 GB.
#[derive(Default)]
pub(crate) struct Codebooks {
    entries: usize,
}

impl Codebooks {
    /// Counts those of one more stream.
    ///
    /// # Errors
    /// [`Unusable::UnknownCodec`] if they are more than any encoder writes.
    pub(crate) fn add(&mut self, headers: &[u8]) -> Result<(), Unusable> {
        let entries = entries(headers);
        self.entries += entries;
        if entries > MAX_ENTRIES || self.entries > MAX_ENTRIES_OF_CHAIN {
            return Err(Unusable::UnknownCodec(format!(
                "its Vorbis codebooks have {entries} entries, {} with the streams before; at most {MAX_ENTRIES} \
                 and {MAX_ENTRIES_OF_CHAIN} are unpacked",
                self.entries
            )));
        }
        Ok(())
    }
}

/// Entries of every codebook in these headers: the number of 24 bits that stands 16 bits behind the
/// synchronisation word, at whatever bit that begins (Vorbis I specification, section 3.2.1). A word
/// that is there by chance counts as well, once in 16 million bits.
fn entries(headers: &[u8]) -> usize {
    const SYNC: u64 = 0x56_4342;
    let mut sum = 0_usize;
    for at in 0..headers.len() {
        let mut window = [0; 16];
        let present = (headers.len() - at).min(16);
        window[..present].copy_from_slice(&headers[at..at + present]);
        let window = u128::from_le_bytes(window);
        for bit in 0..8 {
            let word = (window >> bit) as u64;
            if word & 0xff_ffff == SYNC {
                sum = sum.saturating_add((word >> 40) as usize);
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A codebook's first 64 bits, after `shift` bits of something else.
    fn codebook(entries: u64, shift: u32) -> Vec<u8> {
        let word = u128::from(0x56_4342 | 4 << 24 | entries << 40);
        (word << shift).to_le_bytes()[..9].to_vec()
    }

    #[test]
    fn codebooks_are_counted_at_any_bit() {
        for shift in 0..8 {
            assert_eq!(entries(&codebook(6_561, shift)), 6_561);
            let two = [codebook(100, shift), codebook(20, 7 - shift)].concat();
            assert_eq!(entries(&two), 120);
        }
        assert_eq!(entries(b""), 0);
        assert_eq!(entries(b"BCV"), 0);
        assert_eq!(entries(&[0xff; 100]), 0);
    }

    #[test]
    fn what_an_encoder_writes_passes_and_what_fills_memory_does_not() {
        let fixture = include_bytes!("../tests/fixtures/stereo.ogg");
        assert_eq!(entries(fixture), 11_693);
        assert!(Codebooks::default().add(fixture).is_ok());
        assert!(Codebooks::default().add(&codebook(131_072, 3)).is_err());
        let mut chain = Codebooks::default();
        let accepted = (0..100).take_while(|_| chain.add(fixture).is_ok()).count();
        assert_eq!(accepted, 44);
    }
}
