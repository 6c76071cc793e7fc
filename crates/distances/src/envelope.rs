//! Similarity of amplitude envelopes.

use crate::transform::whole_samples;

const WINDOW_MS: u32 = 50;
const HOP_MS: u32 = 25;

/// Cosine of the angle between two amplitude envelopes, from 0 to 1: similarity, not distance.
///
/// ```text
/// r[t] = sqrt(1/W Σ_{n<W} x[t·hop + n - W/2]²)          W 50 ms, hop 25 ms, x silent beyond its ends
/// RMS = Σ_t r_a[t] r_b[t] / sqrt(Σ_t r_a[t]² · Σ_t r_b[t]²)
/// ```
///
/// Envelopes as of `librosa.feature.rms(center=True, pad_mode="constant")`; Hayes et al. 2025,
/// section 4.2.2. It depends on when a sound is loud, not on its gain. The quotient is undefined for
/// silence: two silent sounds have 1, silence and a sound have 0.
///
/// Both sounds must have the same length, and at least one sample.
pub(crate) fn rms_cosine(a: &[f32], b: &[f32], sample_rate_hz: u32) -> f64 {
    let (a, b) = (envelope(a, sample_rate_hz), envelope(b, sample_rate_hz));
    assert_eq!(
        a.len(),
        b.len(),
        "envelopes must have one length: frames on the left and on the right"
    );
    let product = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| x * y).sum() };
    let (norm_a, norm_b) = (product(&a, &a).sqrt(), product(&b, &b).sqrt());
    match (norm_a > 0.0, norm_b > 0.0) {
        (true, true) => (product(&a, &b) / norm_a / norm_b).min(1.0),
        (false, false) => 1.0,
        _ => 0.0,
    }
}

/// Root mean square of each frame.
fn envelope(signal: &[f32], sample_rate_hz: u32) -> Vec<f64> {
    let window = whole_samples(sample_rate_hz, WINDOW_MS);
    let hop = whole_samples(sample_rate_hz, HOP_MS);
    let frames = 1 + (signal.len() - window % 2) / hop;
    (0..frames)
        .map(|t| {
            let start = (t * hop).saturating_sub(window / 2);
            let end = (t * hop + window - window / 2).min(signal.len());
            let energy: f64 = signal[start..end]
                .iter()
                .map(|&x| f64::from(x) * f64::from(x))
                .sum();
            (energy / window as f64).sqrt()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: u32 = 1_000;

    #[test]
    fn a_constant_has_a_constant_envelope_between_its_ends() {
        let envelope = envelope(&[0.5; 300], RATE_HZ);
        assert_eq!(envelope.len(), 13);
        // Frames 0 and 12 are half outside.
        assert_eq!(envelope[1..12], [0.5; 11]);
        assert!((envelope[0] - 0.5 * 0.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!(envelope[0], envelope[12]);
    }

    #[test]
    fn sounds_that_never_overlap_have_no_similarity() {
        let (mut early, mut late) = (vec![0.0; 400], vec![0.0; 400]);
        early[..100].fill(1.0);
        late[300..].fill(1.0);
        assert_eq!(rms_cosine(&early, &late, RATE_HZ), 0.0);
    }

    #[test]
    fn silence_is_similar_to_silence_alone() {
        let (silence, sound) = (vec![0.0; 70], vec![f32::from_bits(1); 70]);
        assert_eq!(rms_cosine(&silence, &silence, RATE_HZ), 1.0);
        assert_eq!(rms_cosine(&silence, &sound, RATE_HZ), 0.0);
        assert_eq!(rms_cosine(&sound, &silence, RATE_HZ), 0.0);
        assert!((rms_cosine(&sound, &sound, RATE_HZ) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn odd_windows_and_single_samples_have_envelopes() {
        // 50 ms of 1,100 Hz are 55 samples.
        for samples in 1..120 {
            let envelope = envelope(&vec![1.0; samples], 1_100);
            assert_eq!(envelope.len(), 1 + (samples - 1) / 27);
            assert!(envelope.iter().all(|&rms| rms > 0.0), "{samples} samples");
        }
    }
}
