//! Sounds as files.

/// A 16-bit WAV file of mono `samples`, clipped to -1..1.
pub(crate) fn wav_bytes(samples: &[f32], sample_rate_hz: u32) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: sample_rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).expect("a WAV header fits in memory");
    for sample in samples {
        let quantised = (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16;
        writer
            .write_sample(quantised)
            .expect("writing to memory does not fail");
    }
    writer.finalize().expect("writing to memory does not fail");
    bytes.into_inner()
}
