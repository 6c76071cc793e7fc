//! Spectra of slices, some frames at a time.

use super::StftPlan;
use crate::cpu::blocks::{tiles, zeros};
use rayon::prelude::*;
use realfft::num_complex::Complex;

/// Frames that are transformed before they are written. Magnitudes lie bin after bin: writing one frame at a
/// time would touch another cache line with every value.
const FRAMES: usize = 16;

/// `[batch, bins, frames]` of `[batch, samples]`.
pub(super) fn forward(plan: &StftPlan, signals: &[f32], samples: usize) -> Vec<f32> {
    let (bins, frames) = (plan.bins(), plan.frames(samples));
    let mut magnitudes = zeros(signals.len() / samples * bins * frames);
    magnitudes
        .par_chunks_exact_mut(bins * frames)
        .zip(signals.par_chunks_exact(samples))
        .for_each_init(
            || (Transforms::new(plan), vec![0.0; FRAMES * bins]),
            |(transforms, tile), (magnitudes, signal)| {
                for range in tiles(0..frames, FRAMES) {
                    let spectra = range.clone().zip(tile.chunks_exact_mut(bins));
                    for (frame, tile) in spectra {
                        let spectrum = transforms.spectrum(signal, frame);
                        for (value, x) in tile.iter_mut().zip(spectrum) {
                            *value = x.norm_sqr().sqrt();
                        }
                    }
                    for (bin, row) in magnitudes.chunks_exact_mut(frames).enumerate() {
                        let column = tile[bin..].iter().step_by(bins);
                        for (value, magnitude) in row[range.clone()].iter_mut().zip(column) {
                            *value = *magnitude;
                        }
                    }
                }
            },
        );
    magnitudes
}

/// The gradient of the signals, `[batch, samples]`, from that of the magnitudes.
///
/// ```text
/// dx[t hop + n] += w[n] sum_k g[k, t] Re( X[k, t] / |X[k, t]| exp(2 pi i k n / n_fft) )
/// ```
pub(super) fn backward(
    plan: &StftPlan,
    signals: &[f32],
    samples: usize,
    gradient: &[f32],
) -> Vec<f32> {
    let (bins, frames) = (plan.bins(), plan.frames(samples));
    let mut slopes = zeros(signals.len());
    slopes
        .par_chunks_exact_mut(samples)
        .zip(signals.par_chunks_exact(samples))
        .zip(gradient.par_chunks_exact(bins * frames))
        .for_each_init(
            || (Transforms::new(plan), vec![0.0; FRAMES * bins]),
            |(transforms, tile), ((slopes, signal), gradient)| {
                for range in tiles(0..frames, FRAMES) {
                    for (bin, row) in gradient.chunks_exact(frames).enumerate() {
                        let column = tile[bin..].iter_mut().step_by(bins);
                        for (value, slope) in column.zip(&row[range.clone()]) {
                            *value = *slope;
                        }
                    }
                    for (frame, tile) in range.zip(tile.chunks_exact(bins)) {
                        transforms.spectrum(signal, frame);
                        transforms.add_slopes(tile, slopes, frame);
                    }
                }
            },
        );
    slopes
}

/// The two transforms with their working memory.
struct Transforms<'a> {
    plan: &'a StftPlan,
    samples: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl<'a> Transforms<'a> {
    fn new(plan: &'a StftPlan) -> Self {
        let scratch = plan
            .forward
            .get_scratch_len()
            .max(plan.inverse.get_scratch_len());
        Self {
            plan,
            samples: plan.forward.make_input_vec(),
            spectrum: plan.forward.make_output_vec(),
            scratch: vec![Complex::default(); scratch],
        }
    }

    /// The spectrum of a frame, valid until the next call.
    fn spectrum(&mut self, signal: &[f32], frame: usize) -> &[Complex<f32>] {
        let window = &self.plan.window;
        let under = &signal[frame * self.plan.hop_length..][..window.len()];
        let (filled, rest) = self.samples.split_at_mut(window.len());
        for ((sample, &x), &w) in filled.iter_mut().zip(under).zip(&**window) {
            *sample = x * w;
        }
        rest.fill(0.0);
        self.plan
            .forward
            .process_with_scratch(&mut self.samples, &mut self.spectrum, &mut self.scratch)
            .expect("the lengths are the plan's");
        &self.spectrum
    }

    /// Adds the slopes of the samples under the frame of the last [`spectrum`](Self::spectrum).
    fn add_slopes(&mut self, gradient: &[f32], slopes: &mut [f32], frame: usize) {
        for (x, &slope) in self.spectrum.iter_mut().zip(gradient) {
            let magnitude = x.norm_sqr().sqrt();
            let factor = if magnitude > 0.0 {
                0.5 * slope / magnitude
            } else {
                0.0
            };
            *x *= factor;
        }
        // The inverse counts each bin twice, for its mirror image too. These have none, and are real.
        let n_fft = self.plan.n_fft;
        let nyquist = (n_fft.is_multiple_of(2)).then_some(n_fft / 2);
        for bin in [0].into_iter().chain(nyquist) {
            self.spectrum[bin] = Complex::new(2.0 * self.spectrum[bin].re, 0.0);
        }
        self.plan
            .inverse
            .process_with_scratch(&mut self.spectrum, &mut self.samples, &mut self.scratch)
            .expect("the lengths are the plan's, and the bins without a mirror image real");
        let window = &self.plan.window;
        let under = &mut slopes[frame * self.plan.hop_length..][..window.len()];
        for ((slope, &back), &w) in under.iter_mut().zip(&self.samples).zip(&**window) {
            *slope += back * w;
        }
    }
}
