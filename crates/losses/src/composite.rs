//! A weighted sum of spectral losses.

use crate::a_weighted::AWeightedMagnitude;
use crate::convergence::SpectralConvergence;
use crate::domain::Domain;
use crate::error::{LossError, in_range, weight_in_range};
use crate::itakura_saito::ItakuraSaito;
use crate::log_magnitude::LogMagnitudeLoss;
use crate::log_mel::LogMelConfig;
use crate::loss::{Loss, SpectrogramLoss};
use crate::low_magnitude::LowMagnitudeLoss;
use crate::magnitude::{MagnitudeLoss, Norm};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Weights and settings of a [`Composite`].
///
/// A term of weight 0 is neither computed nor reported.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompositeConfig {
    /// Weight of the absolute error.
    pub spec_l1: f64,
    /// Weight of the squared error.
    pub spec_l2: f64,
    /// Weight of the spectral convergence.
    pub spec_sc: f64,
    /// Weight of the distance of log magnitudes.
    pub spec_log: f64,
    /// Weight of the Itakura-Saito divergence.
    pub itakura_saito: f64,
    /// Weight of the A-weighted absolute error.
    pub spec_a_weighted: f64,
    /// Weight of the distance of log mel spectrograms.
    pub spec_mel: f64,
    /// Share of these in the total, 0 to 1; the rest is the low-magnitude loss.
    pub beta: f64,
    /// Settings of the spectral convergence.
    pub convergence: SpectralConvergence,
    /// Settings of the distance of log magnitudes.
    pub log_magnitude: LogMagnitudeLoss,
    /// Settings of the Itakura-Saito divergence.
    pub divergence: ItakuraSaito,
    /// Settings of the distance of log mel spectrograms.
    pub mel: LogMelConfig,
    /// Settings of the low-magnitude loss.
    pub low_magnitude: LowMagnitudeLoss,
}

/// The frequencies of a spectrogram's bins.
#[derive(Clone, Copy)]
pub struct BinFrequencies<'a> {
    /// Sample rate of the sounds.
    pub sample_rate_hz: f64,
    /// Length of the transform.
    pub n_fft: usize,
    /// Row-major mel filters, `[bands, bins]`, for a number of bands.
    pub mel_filters: &'a dyn Fn(usize) -> Vec<f64>,
}

impl Default for CompositeConfig {
    fn default() -> Self {
        Self {
            spec_l1: 1.0,
            spec_l2: 0.0,
            spec_sc: 1.0,
            spec_log: 1.0,
            itakura_saito: 0.0,
            spec_a_weighted: 0.0,
            spec_mel: 0.0,
            beta: 0.7,
            convergence: SpectralConvergence::default(),
            log_magnitude: LogMagnitudeLoss::default(),
            divergence: ItakuraSaito::default(),
            mel: LogMelConfig::default(),
            low_magnitude: LowMagnitudeLoss::default(),
        }
    }
}

impl CompositeConfig {
    /// Creates the composite for spectrograms of `domain`. `spec_a_weighted` and `spec_mel` need the `frequencies` of the bins.
    ///
    /// # Errors
    /// [`LossError::WrongDomain`] if a term with a weight isn't defined on `domain`, [`LossError::NoFrequencies`] if it needs
    /// the frequencies of the bins, [`LossError::OutOfRange`] if a number is out of range, [`LossError::NothingToLearn`] if
    /// no term has a weight.
    pub fn init(
        &self,
        domain: Domain,
        frequencies: Option<BinFrequencies>,
    ) -> Result<Composite, LossError> {
        let shares = (0.0..=1.0).contains(&self.beta);
        in_range("beta", self.beta, shares, "from 0 to 1")?;
        let l1 = MagnitudeLoss { norm: Norm::L1 };
        let l2 = MagnitudeLoss { norm: Norm::L2 };
        let known = |term| frequencies.ok_or(LossError::NoFrequencies { term });
        type Make<'a> = &'a dyn Fn() -> Result<Box<dyn SpectrogramLoss>, LossError>;
        let terms: [(&'static str, f64, Make); 7] = [
            ("spec_l1", self.spec_l1, &|| Ok(Box::new(l1))),
            ("spec_l2", self.spec_l2, &|| Ok(Box::new(l2))),
            ("spec_sc", self.spec_sc, &|| Ok(Box::new(self.convergence))),
            ("spec_log", self.spec_log, &|| {
                Ok(Box::new(self.log_magnitude))
            }),
            ("itakura_saito", self.itakura_saito, &|| {
                Ok(Box::new(self.divergence))
            }),
            ("spec_a_weighted", self.spec_a_weighted, &|| {
                let of = known("spec_a_weighted")?;
                let loss = AWeightedMagnitude::new(of.sample_rate_hz, of.n_fft)?;
                Ok(Box::new(loss))
            }),
            ("spec_mel", self.spec_mel, &|| {
                let filters = (known("spec_mel")?.mel_filters)(self.mel.bands);
                let loss = self.mel.init(&filters);
                Ok(Box::new(loss.map_err(|error| error.within("mel"))?))
            }),
        ];
        let mut spectral = Vec::new();
        for (name, weight, make) in terms {
            weight_in_range(name, weight)?;
            if weight * self.beta > 0.0 {
                let loss = make()?;
                debug_assert_eq!(loss.name(), name);
                loss.check_domain(domain)?;
                spectral.push((weight, loss));
            }
        }
        let low_magnitude = (self.beta < 1.0).then_some(self.low_magnitude);
        if let Some(loss) = &low_magnitude {
            loss.check_domain(domain)?;
        }
        self.validate_tables()?;
        if spectral.is_empty() && low_magnitude.is_none() {
            return Err(LossError::NothingToLearn {
                expected: "`spec_l1`, `spec_l2`, `spec_sc`, `spec_log`, `itakura_saito`, `spec_a_weighted` and `spec_mel`",
            });
        }
        Ok(Composite {
            domain,
            spectral,
            beta: self.beta,
            low_magnitude,
        })
    }

    /// Checks the settings of the terms with a weight.
    fn validate_tables(&self) -> Result<(), LossError> {
        let tables: [(f64, &str, &dyn Loss); 4] = [
            (self.spec_sc * self.beta, "convergence", &self.convergence),
            (
                self.spec_log * self.beta,
                "log_magnitude",
                &self.log_magnitude,
            ),
            (
                self.itakura_saito * self.beta,
                "divergence",
                &self.divergence,
            ),
            (1.0 - self.beta, "low_magnitude", &self.low_magnitude),
        ];
        for (share, table, loss) in tables {
            if share > 0.0 {
                loss.validate().map_err(|error| error.within(table))?;
            }
        }
        Ok(())
    }
}

/// A weighted sum of spectral losses, mixed with the low-magnitude loss.
///
/// ```text
/// l_b = beta L_b + (1 - beta) lowmag_b
/// L_b = a_1 spec_l1_b + a_2 spec_l2_b + a_3 spec_sc_b + a_4 spec_log_b
///     + a_5 itakura_saito_b + a_6 spec_a_weighted_b + a_7 spec_mel_b
///
/// a_i  the configured weights,  b  item
/// ```
///
/// Spectral convergence plus the L1 of log magnitudes is the sum of Yamamoto, Song and Kim, "Parallel
/// WaveGAN", ICASSP 2020, section 2.2; each term cites its own source.
///
/// Domain: the one given to [`CompositeConfig::init`].
///
/// Differs from the paper: it compares spectrograms of one resolution and transforms no sound
/// ([`MultiResolutionStft`](crate::MultiResolutionStft) does that); L1, L2, the weights and the
/// low-magnitude loss with its share are this project's additions.
pub struct Composite {
    domain: Domain,
    spectral: Vec<(f64, Box<dyn SpectrogramLoss>)>,
    beta: f64,
    low_magnitude: Option<LowMagnitudeLoss>,
}

/// Total and terms of each item. All are `[batch]`.
#[derive(Clone, Debug)]
pub struct CompositeScores {
    /// The loss.
    pub total: Tensor<1>,
    /// The unweighted terms by name, without those of weight 0. Detached from the graph, for reports.
    pub terms: Vec<(&'static str, Tensor<1>)>,
}

impl Composite {
    /// Computes the total and the terms of each item.
    ///
    /// # Shapes
    /// - prediction, target: `[batch, bins, frames]`, in the composite's domain
    /// - weights: `[batch, bins, frames]`, 1 where a bin counts, 0 elsewhere
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn scores(
        &self,
        prediction: Tensor<3>,
        target: Tensor<3>,
        weights: Tensor<3>,
    ) -> CompositeScores {
        let mut terms = Vec::new();
        let mut score = |loss: &dyn SpectrogramLoss| {
            let items = loss.per_item(prediction.clone(), target.clone(), weights.clone());
            terms.push((loss.name(), items.clone().detach()));
            items
        };
        let mut spectral: Option<Tensor<1>> = None;
        for (weight, loss) in &self.spectral {
            let items = score(loss.as_ref()) * *weight;
            spectral = Some(match spectral {
                Some(sum) => sum + items,
                None => items,
            });
        }
        let low_magnitude = self.low_magnitude.as_ref().map(|loss| score(loss));
        let total = match (spectral, low_magnitude) {
            (Some(spectral), Some(low)) => spectral * self.beta + low * (1.0 - self.beta),
            (Some(spectral), None) => spectral * self.beta,
            (None, Some(low)) => low * (1.0 - self.beta),
            (None, None) => unreachable!("a composite without terms is refused"),
        };
        CompositeScores { total, terms }
    }
}

impl Loss for Composite {
    fn name(&self) -> &'static str {
        "composite"
    }

    fn domains(&self) -> &[Domain] {
        std::slice::from_ref(&self.domain)
    }
}

impl SpectrogramLoss for Composite {
    fn per_item(&self, prediction: Tensor<3>, target: Tensor<3>, weights: Tensor<3>) -> Tensor<1> {
        self.scores(prediction, target, weights).total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(change: impl Fn(&mut CompositeConfig)) -> CompositeConfig {
        let mut config = CompositeConfig {
            spec_l1: 0.0,
            spec_sc: 0.0,
            spec_log: 0.0,
            beta: 1.0,
            ..CompositeConfig::default()
        };
        change(&mut config);
        config
    }

    fn refusal(config: CompositeConfig, domain: Domain) -> String {
        let refused = config.init(domain, None).err();
        refused
            .expect("this composite has to be refused")
            .to_string()
    }

    #[test]
    fn a_term_on_a_wrong_domain_says_what_conversion_is_missing() {
        let log = only(|config| config.spec_log = 1.0);
        assert_eq!(
            refusal(log, Domain::Log1p),
            "spec_log is defined on magnitudes, not on log1p magnitudes: take exp(x) - 1 first"
        );
        let convergence = only(|config| config.spec_sc = 1.0);
        assert_eq!(
            refusal(convergence, Domain::Normalised),
            "spec_sc is defined on magnitudes, not on normalised spectrograms: \
             undo the normalisation and take exp(x) - 1 first"
        );
        let low = only(|config| config.beta = 0.0);
        assert_eq!(
            refusal(low, Domain::Waveform),
            "lowmag is defined on magnitudes or log1p magnitudes, not on waveforms: \
             take the magnitudes of the STFT first"
        );
        assert!(low.init(Domain::Log1p, None).is_ok());
        assert!(
            only(|config| config.spec_l2 = 1.0)
                .init(Domain::Normalised, None)
                .is_ok()
        );
        let divergence = only(|config| config.itakura_saito = 1.0);
        assert_eq!(
            refusal(divergence, Domain::Log1p),
            "itakura_saito is defined on magnitudes, not on log1p magnitudes: take exp(x) - 1 first"
        );
        let mel = only(|config| config.spec_mel = 1.0);
        assert_eq!(
            refusal(mel, Domain::Magnitude),
            "spec_mel needs the frequencies of the bins: give `init` the sample rate and the transform"
        );
        assert!(
            CompositeConfig::default()
                .init(Domain::Magnitude, None)
                .is_ok()
        );
    }

    #[test]
    fn a_composite_of_nothing_or_of_nonsense_is_refused() {
        assert_eq!(
            refusal(only(|_| ()), Domain::Magnitude),
            "every term of the composite has weight 0: \
             give at least one of `spec_l1`, `spec_l2`, `spec_sc`, `spec_log`, `itakura_saito`, \
             `spec_a_weighted` and `spec_mel` a weight"
        );
        let refused = [
            only(|config| config.spec_l2 = -1.0),
            only(|config| config.spec_l2 = f64::NAN),
            only(|config| config.beta = 1.1),
            only(|config| {
                config.beta = 0.5;
                config.low_magnitude.cap = 0.9;
            }),
            only(|config| {
                config.spec_log = 0.5;
                config.log_magnitude.epsilon = 0.0;
            }),
        ];
        for config in refused {
            let refusal = refusal(config, Domain::Magnitude);
            assert!(refusal.contains("has to be"), "{refusal}");
        }
    }

    #[test]
    fn a_number_of_a_term_is_named_with_its_table() {
        let field = |change: fn(&mut CompositeConfig)| {
            let mut config = CompositeConfig::default();
            change(&mut config);
            match config.init(Domain::Magnitude, None).err() {
                Some(LossError::OutOfRange { field, .. }) => field,
                other => panic!("the number has to be refused, got {other:?}"),
            }
        };
        assert_eq!(
            field(|config| config.convergence.epsilon = 0.0),
            "convergence.epsilon"
        );
        assert_eq!(
            field(|config| config.log_magnitude.epsilon = -1.0),
            "log_magnitude.epsilon"
        );
        assert_eq!(
            field(|config| config.low_magnitude.epsilon = f64::NAN),
            "low_magnitude.epsilon"
        );
        assert_eq!(
            field(|config| config.low_magnitude.cap = 0.5),
            "low_magnitude.cap"
        );
        assert_eq!(field(|config| config.spec_sc = -1.0), "spec_sc");
        // A term without a weight isn't computed, so its numbers don't matter.
        let unused = only(|config| {
            config.spec_l1 = 1.0;
            config.low_magnitude.cap = 0.5;
        });
        assert!(unused.init(Domain::Magnitude, None).is_ok());
    }

    #[test]
    fn a_misspelt_weight_is_refused() {
        let read = |text| toml::from_str::<CompositeConfig>(text);
        assert_eq!(read("beta = 0.5").unwrap().beta, 0.5);
        for text in ["spec_l3 = 1.0", "low_magnitude = { eps = 1e-3 }"] {
            assert!(
                read(text)
                    .unwrap_err()
                    .to_string()
                    .contains("unknown field")
            );
        }
    }
}
