//! Sounds as files.

/// A 16-bit WAV file of mono `pcm`, such as [`synth::pcm16`] makes of samples.
pub fn wav_file(pcm: &[i16], sample_rate_hz: u32) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: sample_rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).expect("a WAV header fits in memory");
    for &sample in pcm {
        writer
            .write_sample(sample)
            .expect("writing to memory does not fail");
    }
    writer.finalize().expect("writing to memory does not fail");
    bytes.into_inner()
}
