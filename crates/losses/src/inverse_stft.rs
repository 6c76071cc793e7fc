//! From magnitudes back to sound, with the phases of another sound.

use crate::framing::overlap_add;
use crate::reduction::at_least_f32;
use crate::root::root;
use crate::selection::before_end;
use crate::stft::{Stft, silenced};
use burn::tensor::{Tensor, TensorData};

/// Smallest sum of squared windows at which a sample is computed; below, it is 0.
const LEAST_WINDOW_ENERGY: f32 = 1e-8;

/// Phases of a batch of spectrograms, `[batch, bins, frames]` each.
#[derive(Clone, Debug)]
pub struct Phases {
    /// Cosines; 1 where a bin is silent.
    pub(crate) cos: Tensor<3>,
    /// Sines of the same basis as the transform's; 0 where a bin is silent.
    pub(crate) sin: Tensor<3>,
}

impl Stft {
    /// Phases of a batch of sounds, detached from the graph. The arguments are those of [`magnitude`](Self::magnitude).
    ///
    /// # Panics
    /// As [`magnitude`](Self::magnitude).
    pub fn phases(&self, waveform: Tensor<2>, valid_samples: &[usize]) -> Phases {
        let waveform = silenced(at_least_f32(waveform.detach()), valid_samples);
        let [_, samples] = waveform.dims();
        let count = self.resolution().frames(samples);
        let reflected = self.reflect(waveform, valid_samples, count);
        let [real, imaginary] = self.parts(reflected, count);
        let length = root(real.clone().square() + imaginary.clone().square());
        let silent = length.clone().equal_elem(0.0);
        let length = length.mask_fill(silent.clone(), 1.0);
        Phases {
            cos: (real / length.clone()).mask_fill(silent, 1.0),
            sin: imaginary / length,
        }
    }

    /// The sounds whose transforms are nearest to the given magnitudes with the given phases, in the least squares sense.
    ///
    /// ```text
    /// x[m] = sum_t w[m - t hop] y_t[m - t hop]  /  sum_t w[m - t hop]^2
    ///
    /// y_t  inverse transform of frame t,  w  window,  t  the valid frames
    /// ```
    ///
    /// Griffin and Lim, "Signal Estimation from Modified Short-Time Fourier Transform", 1984, equation 6. Equals
    /// `torch.istft(center=True)` where all frames are valid. It is differentiable in the magnitudes. Samples that no window of
    /// a valid frame reaches are 0.
    ///
    /// # Shapes
    /// - magnitude: `[batch, bins, frames]`
    /// - valid_frames: how many frames of each item count, from the left
    /// - output: `[batch, samples]`
    ///
    /// # Panics
    /// If the shapes of magnitudes and phases differ, or `valid_frames` doesn't have one entry for each item.
    pub fn inverse(
        &self,
        magnitude: Tensor<3>,
        phases: &Phases,
        valid_frames: &[usize],
        samples: usize,
    ) -> Tensor<2> {
        let magnitude = at_least_f32(magnitude);
        let [batch, bins, count] = magnitude.dims();
        assert_eq!(
            phases.cos.dims(),
            [batch, bins, count],
            "phases need the shape of the magnitudes"
        );
        let (device, dtype) = (magnitude.device().inner(), magnitude.dtype());
        let resolution = self.resolution();
        let (n_fft, hop, win) = (
            resolution.n_fft,
            resolution.hop_length,
            resolution.win_length,
        );
        let valid = before_end([batch, count], valid_frames, &device);
        let silent = valid.bool_not().reshape([batch, 1, count]);
        let magnitude = magnitude.mask_fill(silent.expand([batch, bins, count]), 0.0);
        // A real signal's spectrum is symmetric: all bins but the first, and the last of an even transform, stand for two.
        let share = |bin: usize| match bin {
            0 => 1.0,
            bin if 2 * bin == n_fft => 1.0,
            _ => 2.0,
        };
        let shares: Vec<f32> = (0..bins).map(|bin| share(bin) / n_fft as f32).collect();
        let shares = TensorData::new(shares, [1, bins, 1]);
        let magnitude = magnitude * Tensor::from_data(shares, (&device, dtype));
        let [cosines, sines] = self.bases_of(&device, dtype);
        let spectrum = |phase: &Tensor<3>| {
            let part = magnitude.clone() * phase.clone();
            part.swap_dims(1, 2).reshape([batch * count, bins])
        };
        let framed = spectrum(&phases.cos).matmul(cosines.transpose())
            + spectrum(&phases.sin).matmul(sines.transpose());
        let sum = overlap_add(framed.reshape([batch, count, win]), hop);

        let window: Vec<f32> = resolution.window().map(|w| (w * w) as f32).collect();
        let length = sum.dims()[1];
        let mut energy = vec![0.0_f32; batch * length];
        for (row, &valid) in energy.chunks_exact_mut(length).zip(valid_frames) {
            for frame in 0..valid.min(count) {
                for (sum, square) in row[frame * hop..].iter_mut().zip(&window) {
                    *sum += square;
                }
            }
        }
        let inverse = energy
            .into_iter()
            .map(|energy| match energy > LEAST_WINDOW_ENERGY {
                true => energy.recip(),
                false => 0.0,
            });
        let inverse = TensorData::new(inverse.collect::<Vec<f32>>(), [batch, length]);
        let sound = sum * Tensor::from_data(inverse, (&device, dtype));
        // Frames start before the first sample.
        let before = self.samples_before();
        let available = length.saturating_sub(before).min(samples);
        let sound = sound.narrow(1, before, available);
        match samples - available {
            0 => sound,
            missing => sound.pad([(0, 0), (0, missing)], 0.0),
        }
    }
}
