//! Settings of the distances between whole reconstructions and their targets.

use distances::MelFilterbank;
use losses::{
    BinFrequencies, Composite, CompositeConfig, Domain, LossError, WaveformCompositeConfig,
};
use stft_data::DataConfig;

/// Settings of the distances between whole reconstructions and their targets.
#[derive(Clone, Copy)]
pub(crate) struct SpectralSettings<'a> {
    /// Weight of the composite; 0 leaves it out.
    pub composite_weight: f32,
    /// Distances between magnitudes.
    pub composite: &'a CompositeConfig,
    /// Distances between sounds.
    pub waveform: &'a WaveformCompositeConfig,
}

impl SpectralSettings<'_> {
    /// Whether a distance of sounds has a weight.
    pub fn compares_sounds(&self) -> bool {
        let weights = self.waveform;
        weights.multi_resolution_stft + weights.esr + weights.dc > 0.0
    }

    /// The composite of magnitudes, for the spectrograms of `data`.
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn composite_on(&self, data: &DataConfig) -> Result<Composite, LossError> {
        let (rate, n_fft) = (data.clip.sample_rate_hz, data.stft.n_fft);
        let mel_filters = |bands| match bands {
            0 => Vec::new(),
            bands => MelFilterbank::new(rate, n_fft, bands).to_dense(),
        };
        let frequencies = BinFrequencies {
            sample_rate_hz: f64::from(rate),
            n_fft,
            mel_filters: &mel_filters,
        };
        self.composite.init(Domain::Magnitude, Some(frequencies))
    }
}
