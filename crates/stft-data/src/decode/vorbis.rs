use crate::decode::unusable::Unusable;

/// Most codebook entries of one stream. libvorbis writes at most 19,413, for 5.1 (measured over its
/// qualities, 8 to 192 kHz, one to six channels). The decoder may need 2.6 KiB for each entry, although
/// entries may take few bytes in the file: a codebook of 15 bytes can have 131,072.
const MAX_ENTRIES: usize = 24 * 1024;

/// Most codebook entries of all streams of a chain. At 3 µs each, they take 1.6 s at worst.
const MAX_ENTRIES_OF_CHAIN: usize = 512 * 1024;

/// Longest codeword, in bits (Vorbis I specification, section 3.2.1).
const MAX_CODEWORD_BITS: u32 = 32;

/// Number of codebook entries in a file.
///
/// Protects the decoder, which unpacks all codebooks before the first packet: 10 kB of headers could
/// take 30 GB, and a codeword that is too long makes it panic.
#[derive(Default)]
pub(crate) struct Codebooks {
    entries: usize,
}

impl Codebooks {
    /// Adds the codebooks in the headers of one more stream.
    ///
    /// # Errors
    /// [`Unusable::UnknownCodec`] if there are more entries than any encoder writes, or a codeword is too long.
    pub(crate) fn add(&mut self, headers: &[u8]) -> Result<(), Unusable> {
        let Found { entries, too_long } = search(headers);
        if too_long {
            return Err(Unusable::UnknownCodec(format!(
                "a Vorbis codebook has codewords of more than {MAX_CODEWORD_BITS} bits"
            )));
        }
        self.entries += entries;
        if entries > MAX_ENTRIES || self.entries > MAX_ENTRIES_OF_CHAIN {
            return Err(Unusable::UnknownCodec(format!(
                "its Vorbis codebooks have {entries} entries, {} with earlier streams; at most \
                 {MAX_ENTRIES} and {MAX_ENTRIES_OF_CHAIN} are accepted",
                self.entries
            )));
        }
        Ok(())
    }
}

/// Totals over all codebooks of some headers.
#[derive(Debug, Default, PartialEq)]
struct Found {
    entries: usize,
    too_long: bool,
}

/// Finds every codebook in these headers. The number of its entries has 24 bits and follows 16 bits after
/// the synchronisation word, which may begin at any bit (Vorbis I specification, section 3.2.1). A word
/// that occurs by chance is counted too, once in 16 million bits.
fn search(headers: &[u8]) -> Found {
    const SYNC: u64 = 0x56_4342;
    let mut found = Found::default();
    for at in 0..headers.len() {
        let mut window = [0; 16];
        let present = (headers.len() - at).min(16);
        window[..present].copy_from_slice(&headers[at..at + present]);
        let window = u128::from_le_bytes(window);
        for bit in 0..8 {
            let word = (window >> bit) as u64;
            if word & 0xff_ffff == SYNC {
                let entries = (word >> 40) as u32;
                found.entries = found.entries.saturating_add(entries as usize);
                found.too_long |= is_too_long(headers, 8 * at + bit + 64, entries);
            }
        }
    }
    found
}

/// Whether a codebook that lists its codewords by length has one beyond the longest. From bit `at` on it
/// holds the flag of this form, the first length, and the number of codewords of this and each following
/// length.
fn is_too_long(headers: &[u8], at: usize, entries: u32) -> bool {
    let mut bits = Bits { headers, at };
    if bits.read(1) == 0 {
        return false;
    }
    let mut length = bits.read(5) + 1;
    let mut left = entries;
    while left > 0 && bits.at < 8 * headers.len() {
        // The remaining codewords have this length or a longer one.
        if length > MAX_CODEWORD_BITS {
            return true;
        }
        let count = bits.read(u32::BITS - left.leading_zeros());
        // The decoder itself refuses more than there are.
        left = left.saturating_sub(count);
        length += 1;
    }
    false
}

/// Reads numbers whose lowest bit comes first; zeros after the end.
struct Bits<'a> {
    headers: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn read(&mut self, count: u32) -> u32 {
        (0..count).fold(0, |number, bit| {
            let byte = self.headers.get(self.at / 8).copied().unwrap_or(0);
            let value = byte >> (self.at % 8) & 1;
            self.at += 1;
            number | u32::from(value) << bit
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use symphonia::core::codecs::audio::well_known::CODEC_ID_VORBIS;
    use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoderOptions};

    /// A Vorbis file's headers, up to a codebook that lists its codewords by length: `counts[0]` of
    /// `first_length`, `counts[i]` of each longer one, until there are `entries`.
    fn ordered_codebook(entries: u32, first_length: u32, counts: &[u32]) -> Vec<u8> {
        let mut bits = Vec::new();
        let mut push =
            |value: u32, count: u32| bits.extend((0..count).map(|bit| value >> bit & 1 == 1));
        for byte in *b"\x05vorbis\0" {
            push(u32::from(byte), 8);
        }
        push(0x56_4342, 24);
        push(1, 16);
        push(entries, 24);
        push(1, 1);
        push(first_length - 1, 5);
        let mut left = entries;
        for &count in counts.iter().chain([&entries]) {
            let count = count.min(left);
            push(count, u32::BITS - left.leading_zeros());
            left -= count;
        }
        // No look-up table, and zeros for what follows.
        bits.extend([false; 100]);
        let identification = &include_bytes!("../../tests/fixtures/stereo.ogg")[28..58];
        let setup = bits.chunks(8).map(|byte| {
            byte.iter()
                .rev()
                .fold(0, |byte, &bit| byte << 1 | u8::from(bit))
        });
        identification.iter().copied().chain(setup).collect()
    }

    proptest! {
        #[test]
        fn a_codebook_by_length_is_refused_if_a_codeword_is_too_long_and_otherwise_the_decoder_does_not_panic(
            entries in 1_u32..40, first_length in 1_u32..=32, counts in prop::collection::vec(0_u32..4, 0..40),
        ) {
            let headers = ordered_codebook(entries, first_length, &counts);
            // The last entries have the length after the last one in `counts`.
            let mut left = entries;
            let longest = counts
                .iter()
                .chain([&entries])
                .zip(first_length..)
                .filter(|(count, _)| {
                    let listed = **count > 0 && left > 0;
                    left = left.saturating_sub(**count);
                    listed
                })
                .map(|(_, length)| length)
                .last();
            let too_long = longest.is_some_and(|length| length > MAX_CODEWORD_BITS);
            prop_assert_eq!(Codebooks::default().add(&headers).is_err(), too_long);
            if !too_long {
                let mut parameters = AudioCodecParameters::new();
                parameters.for_codec(CODEC_ID_VORBIS).with_extra_data(headers.into());
                let made = symphonia::default::get_codecs()
                    .make_audio_decoder(&parameters, &AudioDecoderOptions::default());
                prop_assert!(made.is_err(), "a file of one codebook is no sound");
            }
        }
    }

    /// The first 64 bits of a codebook, after `shift` other bits.
    fn codebook(entries: u64, shift: u32) -> Vec<u8> {
        let word = u128::from(0x56_4342 | 4 << 24 | entries << 40);
        (word << shift).to_le_bytes()[..9].to_vec()
    }

    #[test]
    fn codebooks_are_counted_at_any_bit() {
        for shift in 0..8 {
            assert_eq!(search(&codebook(6_561, shift)).entries, 6_561);
            let two = [codebook(100, shift), codebook(20, 7 - shift)].concat();
            assert_eq!(search(&two).entries, 120);
        }
        for none in [&b""[..], b"BCV", &[0xff; 100]] {
            assert_eq!(search(none), Found::default());
        }
    }

    #[test]
    fn an_encoders_headers_are_accepted_and_those_that_fill_memory_refused() {
        let fixture = include_bytes!("../../tests/fixtures/stereo.ogg");
        assert_eq!(search(fixture).entries, 11_693);
        assert!(Codebooks::default().add(fixture).is_ok());
        assert!(Codebooks::default().add(&codebook(131_072, 3)).is_err());
        let mut chain = Codebooks::default();
        let accepted = (0..100).take_while(|_| chain.add(fixture).is_ok()).count();
        assert_eq!(accepted, 44);
    }
}
