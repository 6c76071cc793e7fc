use std::fmt;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use crate::error::DataError;
use crate::transform::spectrogram::{ComplexSpectrogram, Spectrogram, StftConfig};
use crate::transform::window::periodic_hann;

/// Number of frames that are transformed before they are written. The spectrogram is row-major
/// `[bins, frames]`, so writing one frame at a time would touch a new cache line with every value.
const FRAMES_PER_TILE: usize = 16;

/// Smallest sum of squared windows at which the inverse gives a sample; below, the sample is 0.
const MIN_WINDOW_ENERGY: f32 = 1e-8;

/// The short-time Fourier transform of `torch.stft(center=True, pad_mode="reflect",
/// window=hann_window(win_length, periodic=True), onesided=True)`, planned once.
///
/// ```text
/// X[k, t] = Σ_n  w[n] · x[t·hop + n - n_fft/2] · exp(-2πi k n / n_fft),   n = 0 .. n_fft-1
/// ```
///
/// `x` is extended beyond both ends by reflection about its first and its last sample. A signal that
/// is too short for one reflection (an error in torch) is reflected repeatedly, as by
/// `numpy.pad(mode="reflect")`; a single sample repeats. An empty signal panics.
///
/// ```
/// use stft_data::{Stft, StftConfig};
///
/// let stft = Stft::new(&StftConfig { n_fft: 600, hop_length: 150, win_length: Some(400) })?;
/// let sound: Vec<f32> = (0..5_000).map(|n| (n as f32 * 0.05).sin()).collect();
/// let again = stft.inverse(&stft.forward(&sound), sound.len());
/// assert!(sound.iter().zip(&again).all(|(x, y)| (x - y).abs() < 1e-4));
/// # Ok::<(), stft_data::DataError>(())
/// ```
#[derive(Clone)]
pub struct Stft {
    config: StftConfig,
    /// The window, centred in a frame of `n_fft` samples.
    window: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
}

impl fmt::Debug for Stft {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Stft")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Stft {
    /// Plans the transforms.
    ///
    /// # Errors
    /// [`DataError::Config`] of [`StftConfig::validate`].
    pub fn new(config: &StftConfig) -> Result<Stft, DataError> {
        config.validate()?;
        let win_length = config.window_length();
        let left = (config.n_fft - win_length) / 2;
        let mut window = vec![0.0; config.n_fft];
        window[left..left + win_length].copy_from_slice(&periodic_hann(win_length));
        let mut planner = RealFftPlanner::new();
        Ok(Stft {
            config: *config,
            window,
            forward: planner.plan_fft_forward(config.n_fft),
            inverse: planner.plan_fft_inverse(config.n_fft),
        })
    }

    /// Sizes of the transform.
    pub fn config(&self) -> &StftConfig {
        &self.config
    }

    /// Computes the magnitudes `|X[k, t]|`.
    ///
    /// # Shapes
    /// - signal `[samples]`, not empty
    /// - result `[config.bins(), config.frames(samples)]`
    pub fn magnitude(&self, signal: &[f32]) -> Spectrogram {
        self.magnitude_of_first(self.config.frames(signal.len()), signal)
    }

    /// Computes the magnitudes of the first `computed` frames and leaves zeros in the others. Frames
    /// of padding are never used, so they need not be transformed.
    pub(crate) fn magnitude_of_first(&self, computed: usize, signal: &[f32]) -> Spectrogram {
        let (bins, frames) = (self.config.bins(), self.config.frames(signal.len()));
        let values = self.transform(signal, computed, |x| (x.re * x.re + x.im * x.im).sqrt());
        Spectrogram {
            values,
            bins,
            frames,
        }
    }

    /// Computes the complex transform `X[k, t]`.
    ///
    /// # Shapes
    /// - signal `[samples]`, not empty
    /// - result `[config.bins(), config.frames(samples)]`
    pub fn forward(&self, signal: &[f32]) -> ComplexSpectrogram {
        let (bins, frames) = (self.config.bins(), self.config.frames(signal.len()));
        ComplexSpectrogram {
            values: self.transform(signal, frames, |x| x),
            bins,
            frames,
        }
    }

    /// Computes the signal of `samples` samples whose transform is nearest to `spectrogram` in the
    /// least squares sense (Griffin and Lim 1984, equation 6):
    ///
    /// ```text
    /// x[m] = Σ_t w[m - t·hop] · y_t[m - t·hop]  /  Σ_t w[m - t·hop]²,     y_t = inverse FFT of frame t
    /// ```
    ///
    /// `inverse(forward(x), x.len())` is `x`. Samples that no window reaches are 0.
    ///
    /// # Shapes
    /// - spectrogram `[config.bins(), frames]`
    /// - result `[samples]`
    pub fn inverse(&self, spectrogram: &ComplexSpectrogram, samples: usize) -> Vec<f32> {
        let StftConfig {
            n_fft, hop_length, ..
        } = self.config;
        let ComplexSpectrogram {
            values,
            bins,
            frames,
        } = spectrogram;
        assert_eq!(
            *bins,
            self.config.bins(),
            "bins of the spectrogram: expected {}, got {bins}",
            self.config.bins()
        );
        assert_eq!(
            values.len(),
            bins * frames,
            "values of the spectrogram: expected {bins} x {frames}, got {}",
            values.len()
        );
        let mut sum = vec![0.0_f32; samples];
        let mut energy = vec![0.0_f32; samples];
        let mut spectrum = self.inverse.make_input_vec();
        let mut frame = self.inverse.make_output_vec();
        let mut scratch = self.inverse.make_scratch_vec();
        for t in 0..*frames {
            for (k, value) in spectrum.iter_mut().enumerate() {
                *value = values[k * frames + t];
            }
            // The spectrum of a real signal is real at both ends; that of a prediction need not be.
            spectrum[0].im = 0.0;
            if n_fft % 2 == 0 {
                spectrum[n_fft / 2].im = 0.0;
            }
            self.inverse
                .process_with_scratch(&mut spectrum, &mut frame, &mut scratch)
                .expect("buffers are made by the plan");
            let start = (t * hop_length) as isize - (n_fft / 2) as isize;
            for (n, (&value, &w)) in frame.iter().zip(&self.window).enumerate() {
                let at = start + n as isize;
                if (0..samples as isize).contains(&at) {
                    sum[at as usize] += w * value / n_fft as f32;
                    energy[at as usize] += w * w;
                }
            }
        }
        sum.iter()
            .zip(&energy)
            .map(|(&value, &weight)| {
                if weight > MIN_WINDOW_ENERGY {
                    value / weight
                } else {
                    0.0
                }
            })
            .collect()
    }

    /// Combines magnitudes with the phases of another transform, to turn predicted magnitudes into
    /// sound. Where the other transform is zero, the phase is 0.
    ///
    /// # Shapes
    /// - phase_of, magnitude and result `[bins, frames]`
    pub fn with_magnitude(
        &self,
        phase_of: &ComplexSpectrogram,
        magnitude: &Spectrogram,
    ) -> ComplexSpectrogram {
        let (bins, frames) = (magnitude.bins, magnitude.frames);
        assert_eq!(
            (phase_of.bins, phase_of.frames),
            (bins, frames),
            "the phases must have the shape of the magnitudes: expected {bins} x {frames}, got {} x {}",
            phase_of.bins,
            phase_of.frames
        );
        let with_phase = |(phase, &magnitude): (&Complex<f32>, &f32)| {
            let length = phase.norm();
            if length > 0.0 {
                phase * (magnitude / length)
            } else {
                Complex::new(magnitude, 0.0)
            }
        };
        let values = phase_of
            .values
            .iter()
            .zip(&magnitude.values)
            .map(with_phase)
            .collect();
        ComplexSpectrogram {
            values,
            bins,
            frames,
        }
    }

    fn transform<T: Copy + Default>(
        &self,
        signal: &[f32],
        computed: usize,
        map: impl Fn(Complex<f32>) -> T,
    ) -> Vec<T> {
        let (bins, frames) = (self.config.bins(), self.config.frames(signal.len()));
        let mut values = vec![T::default(); bins * frames];
        let mut frame = self.forward.make_input_vec();
        let mut spectrum = self.forward.make_output_vec();
        let mut scratch = self.forward.make_scratch_vec();
        let mut tile = vec![T::default(); FRAMES_PER_TILE * bins];
        for first in (0..computed).step_by(FRAMES_PER_TILE) {
            let count = FRAMES_PER_TILE.min(computed - first);
            for (offset, mapped) in tile.chunks_exact_mut(bins).take(count).enumerate() {
                self.windowed_frame(signal, first + offset, &mut frame);
                self.forward
                    .process_with_scratch(&mut frame, &mut spectrum, &mut scratch)
                    .expect("buffers are made by the plan");
                // These values are contiguous, so the loop can be vectorised.
                for (value, &x) in mapped.iter_mut().zip(&spectrum) {
                    *value = map(x);
                }
            }
            for (k, row) in values.chunks_exact_mut(frames).enumerate() {
                for (offset, value) in row[first..first + count].iter_mut().enumerate() {
                    *value = tile[offset * bins + k];
                }
            }
        }
        values
    }

    fn windowed_frame(&self, signal: &[f32], t: usize, frame: &mut [f32]) {
        let start = (t * self.config.hop_length) as isize - (self.config.n_fft / 2) as isize;
        let end = start + frame.len() as isize;
        if start >= 0 && end <= signal.len() as isize {
            let inside = &signal[start as usize..end as usize];
            for ((out, &x), &w) in frame.iter_mut().zip(inside).zip(&self.window) {
                *out = x * w;
            }
        } else {
            for ((out, at), &w) in frame.iter_mut().zip(start..).zip(&self.window) {
                *out = signal[reflected(at, signal.len())] * w;
            }
        }
    }
}

/// Index in `0..length` of a position outside, after as many reflections as it takes.
fn reflected(at: isize, length: usize) -> usize {
    if length == 1 {
        return 0;
    }
    let period = 2 * (length - 1);
    let index = at.rem_euclid(period as isize) as usize;
    if index < length {
        index
    } else {
        period - index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// (n_fft, hop_length, win_length): even, odd, prime and composite; whole and short windows.
    const SIZES: [(usize, usize, Option<usize>); 6] = [
        (64, 16, None),
        (60, 15, None),
        (45, 9, None),
        (31, 7, Some(29)),
        (64, 10, Some(40)),
        (2, 1, None),
    ];

    fn stft(n_fft: usize, hop_length: usize, win_length: Option<usize>) -> Stft {
        Stft::new(&StftConfig {
            n_fft,
            hop_length,
            win_length,
        })
        .unwrap()
    }

    fn noise(samples: usize, seed: u64) -> Vec<f32> {
        use rand::Rng;
        let mut rng = params::keyed_rng([seed, 0, 0, 0]);
        (0..samples)
            .map(|_| rng.next_u32() as f32 / 2_f32.powi(31) - 1.0)
            .collect()
    }

    /// Noise with `margin` zeros on each side, so that reflection adds nothing.
    fn framed_noise(samples: usize, margin: usize) -> Vec<f32> {
        let mut signal = vec![0.0; margin];
        signal.extend(noise(samples, 1));
        signal.resize(samples + 2 * margin, 0.0);
        signal
    }

    #[test]
    fn the_energy_of_all_frames_is_that_of_the_signal_times_that_of_the_windows() {
        // Four Hann windows overlap, whose squares sum to 4 · 3/8 everywhere; the transform itself
        // multiplies by n_fft (Parseval). Inner bins stand for their mirror images too.
        for n_fft in [64, 60] {
            let signal = framed_noise(500, n_fft);
            let spectrum = stft(n_fft, n_fft / 4, None).forward(&signal);
            let energy: f64 = spectrum
                .values
                .iter()
                .enumerate()
                .map(|(at, x)| {
                    let bin = at / spectrum.frames;
                    let sides = if bin == 0 || bin == n_fft / 2 {
                        1.0
                    } else {
                        2.0
                    };
                    sides * f64::from(x.norm_sqr())
                })
                .sum();
            let expected =
                signal.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() * 1.5 * n_fft as f64;
            assert!(
                (energy / expected - 1.0).abs() < 1e-5,
                "n_fft {n_fft}: {energy} for {expected}"
            );
        }
    }

    #[test]
    fn a_shift_by_one_hop_moves_every_frame_by_one() {
        for (n_fft, hop, win) in SIZES {
            let transform = stft(n_fft, hop, win);
            let signal = framed_noise(300, n_fft + hop);
            let mut later = vec![0.0; hop];
            later.extend_from_slice(&signal[..signal.len() - hop]);
            let (before, after) = (transform.forward(&signal), transform.forward(&later));
            let frames = before.frames;
            for (row_before, row_after) in before
                .values
                .chunks_exact(frames)
                .zip(after.values.chunks_exact(frames))
            {
                assert_eq!(row_before[..frames - 1], row_after[1..], "n_fft {n_fft}");
            }
        }
    }

    #[test]
    fn the_transform_of_a_sum_is_the_sum_of_the_transforms() {
        for (n_fft, hop, win) in SIZES {
            let transform = stft(n_fft, hop, win);
            let (a, b) = (noise(201, 2), noise(201, 3));
            let mixed: Vec<f32> = a.iter().zip(&b).map(|(a, b)| 0.3 * a - 2.0 * b).collect();
            let (a, b) = (transform.forward(&a), transform.forward(&b));
            for ((mixed, a), b) in transform
                .forward(&mixed)
                .values
                .iter()
                .zip(&a.values)
                .zip(&b.values)
            {
                assert!((mixed - (a * 0.3 - b * 2.0)).norm() < 1e-4, "n_fft {n_fft}");
            }
        }
    }

    #[test]
    fn a_bin_holds_the_sine_of_its_frequency() {
        let (n_fft, bin, amplitude) = (64, 9, 0.8_f32);
        let turn = std::f64::consts::TAU * bin as f64 / n_fft as f64;
        let sine: Vec<f32> = (0..400)
            .map(|n| amplitude * (turn * n as f64).sin() as f32)
            .collect();
        let spectrogram = stft(n_fft, 16, None).magnitude(&sine);
        // The window sums to n_fft / 2 and half a real sine lies at negative frequency.
        let expected = amplitude * n_fft as f32 / 4.0;
        for t in 2..spectrogram.frames - 2 {
            let value = spectrogram.values[bin * spectrogram.frames + t];
            assert!((value - expected).abs() < 1e-4, "frame {t}: {value}");
        }
    }

    /// Any sizes that are possible, half of them with a window shorter than the transform.
    fn sizes() -> impl Strategy<Value = (usize, usize, Option<usize>)> {
        (2_usize..200)
            .prop_flat_map(|n_fft| (Just(n_fft), prop::option::of(1..=n_fft)))
            .prop_flat_map(|(n_fft, win)| (Just(n_fft), 1..=win.unwrap_or(n_fft), Just(win)))
    }

    proptest! {
        #[test]
        fn a_frames_energy_is_n_fft_times_that_of_the_windowed_signal(
            (n_fft, hop, win) in sizes(), samples in 1_usize..500, seed: u64,
        ) {
            // Parseval, with the window computed here as sin² instead of by the cosine.
            let length = win.unwrap_or(n_fft);
            let left = (n_fft - length) / 2;
            let window = |n: isize| {
                let n = n - left as isize;
                match (0..length as isize).contains(&n) {
                    true => (std::f64::consts::PI * n as f64 / length as f64).sin().powi(2),
                    false => 0.0,
                }
            };
            let mut signal = vec![0.0; n_fft];
            signal.extend(noise(samples, seed));
            signal.resize(samples + 2 * n_fft, 0.0);
            let spectrum = stft(n_fft, hop, win).forward(&signal);
            let scale = signal.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() * n_fft as f64;
            for t in 0..spectrum.frames {
                let energy: f64 = (0..spectrum.bins)
                    .map(|k| {
                        // Inner bins stand for their mirror images too.
                        let sides = if k == 0 || 2 * k == n_fft { 1.0 } else { 2.0 };
                        sides * f64::from(spectrum.values[k * spectrum.frames + t].norm_sqr())
                    })
                    .sum();
                let start = (t * hop) as isize - (n_fft / 2) as isize;
                let expected: f64 = (0..n_fft as isize)
                    .filter(|n| (0..signal.len() as isize).contains(&(start + n)))
                    .map(|n| (f64::from(signal[(start + n) as usize]) * window(n)).powi(2))
                    .sum::<f64>()
                    * n_fft as f64;
                prop_assert!(
                    (energy - expected).abs() < 1e-5 * scale.max(1e-3),
                    "frame {t}: {energy} for {expected}"
                );
            }
        }

        #[test]
        fn a_shift_by_one_hop_moves_every_frame_by_one_at_any_size(
            (n_fft, hop, win) in sizes(), samples in 1_usize..400, seed: u64,
        ) {
            let transform = stft(n_fft, hop, win);
            let mut signal = vec![0.0; n_fft];
            signal.extend(noise(samples, seed));
            signal.resize(samples + 2 * n_fft + hop, 0.0);
            let mut later = vec![0.0; hop];
            later.extend_from_slice(&signal[..signal.len() - hop]);
            let (before, after) = (transform.forward(&signal), transform.forward(&later));
            let frames = before.frames;
            for (before, after) in before
                .values
                .chunks_exact(frames)
                .zip(after.values.chunks_exact(frames))
            {
                prop_assert_eq!(&before[..frames - 1], &after[1..]);
            }
        }

        #[test]
        fn the_inverse_gives_the_signal_back(size in 0..SIZES.len(), samples in 1_usize..400, seed: u64) {
            let (n_fft, hop, win) = SIZES[size];
            let transform = stft(n_fft, hop, win);
            let signal = noise(samples, seed);
            let back = transform.inverse(&transform.forward(&signal), samples);
            let reach = 1 + (transform.config.frames(samples) - 1) * hop;
            for (n, (x, y)) in signal.iter().zip(&back).enumerate().take(reach) {
                prop_assert!((x - y).abs() < 1e-4, "sample {n} of {samples}: {x} became {y}");
            }
        }
    }

    #[test]
    fn the_inverse_reaches_the_last_sample_when_windows_overlap_by_half() {
        for (n_fft, hop, win) in [(64, 16, None), (60, 15, None), (45, 9, None)] {
            let transform = stft(n_fft, hop, win);
            for samples in 1..200 {
                let signal = noise(samples, 5);
                let back = transform.inverse(&transform.forward(&signal), samples);
                for (n, (x, y)) in signal.iter().zip(&back).enumerate() {
                    assert!(
                        (x - y).abs() < 1e-3,
                        "n_fft {n_fft}, sample {n} of {samples}: {x} became {y}"
                    );
                }
            }
        }
    }

    #[test]
    fn magnitudes_with_their_own_phases_are_the_transform() {
        let transform = stft(45, 9, None);
        let spectrum = transform.forward(&noise(123, 4));
        let mut magnitude = transform.magnitude(&noise(123, 4));
        let again = transform.with_magnitude(&spectrum, &magnitude);
        for (a, b) in spectrum.values.iter().zip(&again.values) {
            assert!((a - b).norm() < 1e-5);
        }
        magnitude.values.iter_mut().for_each(|value| *value = 2.0);
        let silence = transform.forward(&[0.0; 123]);
        assert!(
            transform
                .with_magnitude(&silence, &magnitude)
                .values
                .iter()
                .all(|x| *x == Complex::new(2.0, 0.0))
        );
    }

    #[test]
    fn the_first_frames_alone_are_the_same_and_the_others_zero() {
        let transform = stft(60, 15, None);
        let signal = noise(777, 6);
        let whole = transform.magnitude(&signal);
        for computed in [0, 1, 15, 16, 17, 40, whole.frames] {
            let first = transform.magnitude_of_first(computed, &signal);
            for (at, (a, b)) in whole.values.iter().zip(&first.values).enumerate() {
                assert_eq!(
                    if at % whole.frames < computed {
                        *a
                    } else {
                        0.0
                    },
                    *b
                );
            }
        }
    }

    #[test]
    fn every_length_has_the_documented_number_of_frames() {
        for (n_fft, hop, win) in SIZES {
            let transform = stft(n_fft, hop, win);
            for samples in 1..150 {
                let spectrogram = transform.magnitude(&noise(samples, 7));
                assert_eq!(spectrogram.bins, n_fft / 2 + 1);
                let pad = n_fft / 2;
                assert_eq!(spectrogram.frames, (samples + 2 * pad - n_fft) / hop + 1);
                assert_eq!(
                    spectrogram.values.len(),
                    spectrogram.bins * spectrogram.frames
                );
            }
        }
    }

    #[test]
    fn a_position_far_outside_is_reflected_repeatedly() {
        let indices: Vec<usize> = (-7..10).map(|at| reflected(at, 4)).collect();
        assert_eq!(indices, [1, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3]);
        assert!((-5..5).all(|at| reflected(at, 1) == 0));
    }

    #[test]
    #[should_panic(expected = "expected at least one sample, got 0")]
    fn a_signal_without_samples_has_no_transform() {
        stft(64, 16, None).magnitude(&[]);
    }

    #[test]
    fn impossible_sizes_are_refused_by_name() {
        for (n_fft, hop_length, win_length, field) in [
            (1, 1, None, "stft.n_fft"),
            (1 << 20, 256, None, "stft.n_fft"),
            (64, 0, None, "stft.hop_length"),
            (64, 65, None, "stft.hop_length"),
            (64, 41, Some(40), "stft.hop_length"),
            (64, 16, Some(0), "stft.win_length"),
            (64, 16, Some(65), "stft.win_length"),
        ] {
            let error = Stft::new(&StftConfig {
                n_fft,
                hop_length,
                win_length,
            })
            .unwrap_err();
            assert!(
                matches!(error, DataError::Config { field: named, .. } if named == field),
                "{error}"
            );
        }
    }
}
