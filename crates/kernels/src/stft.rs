//! Magnitudes of the short-time Fourier transform.

#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod transform;

#[cfg(feature = "flex")]
use crate::cpu::backend::is_fused;
use burn::tensor::Tensor;
#[cfg(feature = "flex")]
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::fmt;
use std::sync::Arc;

/// The sizes, the window and the planned transforms of [`stft_magnitude`].
#[derive(Clone)]
pub struct StftPlan {
    n_fft: usize,
    hop_length: usize,
    window: Arc<[f32]>,
    #[cfg(feature = "flex")]
    forward: Arc<dyn RealToComplex<f32>>,
    #[cfg(feature = "flex")]
    inverse: Arc<dyn ComplexToReal<f32>>,
}

impl StftPlan {
    /// Plans transforms of `n_fft` samples, of any size, every `hop_length` samples, under `window`.
    ///
    /// # Panics
    /// If a size is 0, or the window has no samples or more than `n_fft`.
    pub fn new(n_fft: usize, hop_length: usize, window: &[f32]) -> Self {
        assert!(
            n_fft > 0 && hop_length > 0,
            "a transform and a hop of at least one sample, got {n_fft} and {hop_length}"
        );
        assert!(
            (1..=n_fft).contains(&window.len()),
            "a window of 1 to {n_fft} samples, got {}",
            window.len()
        );
        #[cfg(feature = "flex")]
        let mut planner = RealFftPlanner::new();
        Self {
            n_fft,
            hop_length,
            window: window.into(),
            #[cfg(feature = "flex")]
            forward: planner.plan_fft_forward(n_fft),
            #[cfg(feature = "flex")]
            inverse: planner.plan_fft_inverse(n_fft),
        }
    }

    /// Bins of a spectrum: `n_fft / 2 + 1`.
    pub fn bins(&self) -> usize {
        self.n_fft / 2 + 1
    }

    /// Frames of a signal of so many samples, without padding: 0 if it is shorter than the window.
    pub fn frames(&self, samples: usize) -> usize {
        match samples.checked_sub(self.window.len()) {
            None => 0,
            Some(rest) => 1 + rest / self.hop_length,
        }
    }
}

impl fmt::Debug for StftPlan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("StftPlan")
            .field("n_fft", &self.n_fft)
            .field("hop_length", &self.hop_length)
            .field("win_length", &self.window.len())
            .finish_non_exhaustive()
    }
}

/// Magnitudes of the short-time Fourier transform of each signal.
///
/// ```text
/// m[k, t] = | sum_n w[n] x[t hop + n] exp(-2 pi i k n / n_fft) |,   n = 0 .. win-1
///
/// x  signal,  w  window of win samples,  k  bin, 0 .. n_fft/2,  t  frame
/// ```
///
/// Allen & Rabiner 1977, section II, without phases. A magnitude doesn't depend on where the window lies in the
/// transform. The ends of a signal are not padded.
///
/// The gradient is 0 where a magnitude is 0. Signals have to be finite, and the squares of magnitudes too. The
/// backward pass keeps only the signal: it computes each spectrum again, and one inverse transform of it.
///
/// There is only a fused version, with the signals of a batch divided among the threads. A caller needs another
/// implementation where [`has_stft_magnitude`] returns false.
///
/// # Shapes
/// - signal: `[batch, samples]`
/// - output: `[batch, plan.bins(), plan.frames(samples)]`
///
/// # Panics
/// If a signal is shorter than the window, or [`has_stft_magnitude`] returns false.
///
/// # Example
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use kernels::{StftPlan, has_stft_magnitude, stft_magnitude};
///
/// // All energy of an alternating signal is in the last bin.
/// let signal = Tensor::<2>::from_data([[1.0, -1.0, 1.0, -1.0, 1.0, -1.0]], &Device::flex());
/// assert!(has_stft_magnitude(&signal));
/// let magnitude = stft_magnitude(signal, &StftPlan::new(4, 2, &[1.0; 4]));
/// assert_eq!(magnitude.dims(), [1, 3, 2]);
/// let values = magnitude.into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(values, [0.0, 0.0, 0.0, 0.0, 4.0, 4.0]);
/// # }
/// ```
pub fn stft_magnitude(signal: Tensor<2>, plan: &StftPlan) -> Tensor<3> {
    assert!(
        has_stft_magnitude(&signal),
        "there is no fused transform of {:?} on this backend: check `has_stft_magnitude` first",
        signal.dtype()
    );
    let [_, samples] = signal.dims();
    assert!(
        plan.frames(samples) > 0,
        "signals of at least the window's {} samples, got {samples}",
        plan.window.len()
    );
    #[cfg(feature = "flex")]
    {
        flex::magnitude(signal, plan)
    }
    #[cfg(not(feature = "flex"))]
    unreachable!("nothing is fused without the feature")
}

/// Whether [`stft_magnitude`] supports the signal: f32 on the CPU backend, with the feature `flex`.
pub fn has_stft_magnitude(signal: &Tensor<2>) -> bool {
    #[cfg(feature = "flex")]
    return is_fused(signal);
    #[cfg(not(feature = "flex"))]
    {
        let _ = signal;
        false
    }
}
