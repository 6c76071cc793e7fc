//! Mel-frequency cepstral coefficients.

use std::f64::consts::PI;

use crate::transform::Grid;

/// Mel-frequency cepstral coefficients: the first rows of the orthonormal DCT-II of the levels in
/// mel filters, as in `librosa.feature.mfcc(dct_type=2, norm="ortho")`.
///
/// ```text
/// C[t, i] = s_i Σ_m L[m, t] cos(π i (2m + 1) / 2M),     s_0 = sqrt(1/M),  s_i = sqrt(2/M)
/// ```
///
/// Davis and Mermelstein 1980, "Comparison of parametric representations for monosyllabic word
/// recognition in continuously spoken sentences", equation 1 (unscaled and without `C_0` there).
///
/// # Shapes
/// - levels: `[n_mels, frames]`
/// - output: `[frames, n_mfcc]`, row-major
pub(crate) fn mfcc(levels: &Grid, n_mfcc: usize) -> Vec<f64> {
    let frames = levels.frames;
    let n_mels = levels.values.len() / frames;
    let basis = dct_rows(n_mfcc, n_mels);
    let mut coefficients = vec![0.0; frames * n_mfcc];
    for (m, row) in levels.rows().enumerate() {
        for (level, frame) in row.iter().zip(coefficients.chunks_exact_mut(n_mfcc)) {
            for (i, coefficient) in frame.iter_mut().enumerate() {
                *coefficient += level * basis[i * n_mels + m];
            }
        }
    }
    coefficients
}

/// The first `n_mfcc` rows of the orthonormal DCT-II matrix, `[n_mfcc, n_mels]`.
fn dct_rows(n_mfcc: usize, n_mels: usize) -> Vec<f64> {
    let entry = |i: usize, m: usize| {
        let scale = if i == 0 { 1.0 } else { 2.0 } / n_mels as f64;
        scale.sqrt() * (PI * (i * (2 * m + 1)) as f64 / (2 * n_mels) as f64).cos()
    };
    (0..n_mfcc)
        .flat_map(|i| (0..n_mels).map(move |m| entry(i, m)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_are_orthonormal() {
        let (n_mfcc, n_mels) = (20, 128);
        let rows = dct_rows(n_mfcc, n_mels);
        for (i, a) in rows.chunks_exact(n_mels).enumerate() {
            for (j, b) in rows.chunks_exact(n_mels).enumerate() {
                let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                let expected = f64::from(u8::from(i == j));
                assert!((product - expected).abs() < 1e-12, "rows {i} and {j}");
            }
        }
    }

    #[test]
    fn with_every_coefficient_the_energy_is_kept() {
        let (n_mels, frames) = (7, 3);
        let levels = Grid {
            values: (0..n_mels * frames)
                .map(|n| (n * n % 11) as f64 - 4.0)
                .collect(),
            frames,
        };
        let coefficients = mfcc(&levels, n_mels);
        for t in 0..frames {
            let before: f64 = levels.rows().map(|row| row[t] * row[t]).sum();
            let after: f64 = coefficients[t * n_mels..][..n_mels]
                .iter()
                .map(|c| c * c)
                .sum();
            assert!((before - after).abs() < 1e-10, "frame {t}");
        }
    }

    #[test]
    fn equal_levels_have_one_coefficient() {
        let levels = Grid {
            values: vec![-3.0; 16 * 2],
            frames: 2,
        };
        for frame in mfcc(&levels, 5).chunks_exact(5) {
            assert!((frame[0] + 12.0).abs() < 1e-12, "{}", frame[0]);
            assert!(frame[1..].iter().all(|c| c.abs() < 1e-12));
        }
    }
}
