//! `inversynth compare`: how far one sound is from another, by every distance that applies.

use std::path::PathBuf;

use burn::tensor::{Tensor, TensorData};
use clap::Args;
use distances::{DistanceError, Panel};
use losses::{
    EsrDcLoss, ItakuraSaito, LogMagnitudeLoss, Loss, LowMagnitudeLoss, MagnitudeLoss,
    MultiResolutionStftConfig, Norm, PreEmphasis, SpectralConvergence, SpectrogramLoss,
    WaveformLoss, valid_weights,
};
use serde_json::{Map, Value, json};
use stft_data::{Audio, DataConfig, Stft, StftConfig, decode_file, resample};

use crate::backend::cpu;
use crate::command::experiment::ExperimentArguments;
use crate::print;

/// Mean square that is added to the target's, so that silence can be compared: 120 dB below full scale.
const ENERGY_OF_SILENCE: f64 = 1e-12;

#[derive(Args)]
pub struct CompareArguments {
    /// The target
    target: PathBuf,
    /// The estimate
    estimate: PathBuf,
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &CompareArguments) -> anyhow::Result<()> {
    let (config, _) = arguments.experiment.load_data()?;
    let target = decode_file(&arguments.target, &config.decode)?;
    let recorded = decode_file(&arguments.estimate, &config.decode)?;
    // The target's rate, which may be the higher one: what an estimate lacks above its own is a fault of it.
    let estimate = resample(&recorded, target.sample_rate_hz)?;
    let Comparison {
        distances,
        left_out,
    } = compare(&target, &estimate, &config)?;
    if arguments.json {
        let names = left_out.iter().flat_map(|left_out| left_out.names);
        let values: Map<String, Value> = distances
            .iter()
            .map(|distance| (distance.name.to_owned(), distance.value.into()))
            // An explicit null, so that programs see which distances are undefined.
            .chain(names.map(|name| (name.to_string(), Value::Null)))
            .collect();
        let left_out: Vec<Value> = left_out
            .iter()
            .map(|LeftOut { names, reason }| json!({ "distances": names, "reason": reason }))
            .collect();
        return print(format_args!(
            "{:#}",
            json!({
                "target": sound_json(&arguments.target, &target),
                "estimate": sound_json(&arguments.estimate, &recorded),
                "sample_rate_hz": target.sample_rate_hz,
                "shorter_is_padded": differ_in_length(&target, &estimate, &recorded),
                "stft": config.stft,
                "distances": values,
                "left_out": left_out,
            })
        ));
    }
    let sound = |audio: &Audio| format!("{:.3} s at {} Hz", audio.seconds(), audio.sample_rate_hz);
    let mut lines = vec![
        format!(
            "target    {}: {}",
            arguments.target.display(),
            sound(&target)
        ),
        format!(
            "estimate  {}: {}",
            arguments.estimate.display(),
            sound(&recorded)
        ),
    ];
    if recorded.sample_rate_hz != target.sample_rate_hz {
        lines.push(format!(
            "          resampled to {} Hz",
            target.sample_rate_hz
        ));
    }
    if differ_in_length(&target, &estimate, &recorded) {
        lines.push(
            "          the shorter is padded with silence; wmfcc warps time instead".to_owned(),
        );
    }
    lines.extend(distances.iter().map(
        |Distance {
             name,
             value,
             meaning,
         }| { format!("{name:<26} {:>12}  {meaning}", rounded(*value)) },
    ));
    lines.extend(
        left_out
            .iter()
            .map(|LeftOut { names, reason }| format!("left out: {}: {reason}", names.join(", "))),
    );
    print(lines.join("\n"))
}

/// Whether one sound is longer than the other by more than a sample of the coarser of their rates, which resampling
/// may add or leave out.
fn differ_in_length(target: &Audio, estimate: &Audio, recorded: &Audio) -> bool {
    let coarser = target.sample_rate_hz.min(recorded.sample_rate_hz).max(1);
    let sample = target.sample_rate_hz.div_ceil(coarser) as usize;
    let resampled = target.sample_rate_hz != recorded.sample_rate_hz;
    let allowed = if resampled { sample } else { 0 };
    estimate.samples.len().abs_diff(target.samples.len()) > allowed
}

/// A number with its meaning.
struct Distance {
    name: &'static str,
    value: f64,
    meaning: &'static str,
}

/// Distances that are not defined for a pair of sounds.
struct LeftOut {
    names: &'static [&'static str],
    reason: String,
}

/// What was found, and what there was no way to find.
struct Comparison {
    distances: Vec<Distance>,
    left_out: Vec<LeftOut>,
}

fn compare(target: &Audio, estimate: &Audio, config: &DataConfig) -> anyhow::Result<Comparison> {
    let mut found = Comparison {
        distances: spectral(target, estimate, config.stft)?,
        left_out: Vec::new(),
    };
    waveform(target, estimate, &mut found)?;
    if is_silent(target) && !is_silent(estimate) {
        found
            .distances
            .retain(|distance| !RELATIVE.contains(&distance.name));
        found
            .left_out
            .retain(|left_out| left_out.names != ["esr_a_weighted"]);
        found.left_out.push(LeftOut {
            names: &RELATIVE,
            reason:
                "they are relative to the target, which is silent once its channels are averaged"
                    .to_owned(),
        });
    }
    perceptual(target, estimate, &mut found)?;
    Ok(found)
}

/// Distances that divide by the target.
const RELATIVE: [&str; 8] = [
    "spec_sc",
    "itakura_saito",
    "multi_resolution_stft",
    "esr",
    "esr_high_pass",
    "esr_folded_differentiator",
    "esr_a_weighted",
    "dc",
];

fn is_silent(sound: &Audio) -> bool {
    let energy: f64 = sound.samples.iter().map(|&x| f64::from(x).powi(2)).sum();
    energy <= ENERGY_OF_SILENCE * sound.samples.len() as f64
}

/// Distances on mel filters.
const ON_MELS: [&str; 3] = ["mss", "wmfcc", "logmel_l1"];

/// The others of the panel.
const WITHOUT_MELS: [&str; 2] = ["sot", "rms_cosine"];

/// Perceptual distances, on short windows.
fn perceptual(target: &Audio, estimate: &Audio, found: &mut Comparison) -> anyhow::Result<()> {
    match Panel::new(target.sample_rate_hz) {
        Err(error) => found.leave_out_by_rate(&ON_MELS, error)?,
        Ok(panel) => {
            found.push(
                "mss",
                panel.mss(target, estimate)?,
                "dB, multi-scale log-mel distance, relative levels",
            );
            found.push(
                "wmfcc",
                panel.wmfcc(target, estimate)?,
                "dB of cepstrum, MFCCs after time warping",
            );
            found.push(
                "logmel_l1",
                panel.logmel_l1(target, estimate)?,
                "dB, log-mel distance, absolute levels",
            );
        }
    }
    let transport = match distances::sot(target, estimate) {
        Err(error) => return found.leave_out_by_rate(&WITHOUT_MELS, error),
        Ok(transport) => transport,
    };
    found.push(
        "sot",
        transport,
        "share of half the sample rate that spectra must move",
    );
    found.push(
        "rms_cosine",
        distances::rms_cosine(target, estimate)?,
        "similarity of envelopes: 1 is best, 0 is worst",
    );
    Ok(())
}

impl Comparison {
    fn push(&mut self, name: &'static str, value: f64, meaning: &'static str) {
        self.distances.push(Distance {
            name,
            value,
            meaning,
        });
    }

    /// Leaves distances out because of the target's rate; any other error is the caller's.
    fn leave_out_by_rate(
        &mut self,
        names: &'static [&'static str],
        error: DistanceError,
    ) -> anyhow::Result<()> {
        let DistanceError::UnsupportedRate {
            got_hz,
            min_hz,
            max_hz,
            ..
        } = error
        else {
            return Err(error.into());
        };
        let reason = format!(
            "they need a sample rate from {min_hz} to {max_hz} Hz, and the target has {got_hz} Hz"
        );
        self.left_out.push(LeftOut { names, reason });
        Ok(())
    }
}

/// Distances between magnitudes, under the experiment's STFT.
fn spectral(target: &Audio, estimate: &Audio, stft: StftConfig) -> anyhow::Result<Vec<Distance>> {
    let device = cpu();
    let stft = Stft::new(&stft)?;
    let samples = target.samples.len().max(estimate.samples.len());
    let [target, estimate] = [target, estimate].map(|sound| {
        let magnitude = stft.magnitude(&padded(sound, samples));
        let shape = [1, magnitude.bins, magnitude.frames];
        Tensor::<3>::from_data(TensorData::new(magnitude.values, shape), &device)
    });
    let shape = target.dims();
    let weights = valid_weights(shape, &[shape[2]], &device);
    // 80 dB below the loudest bin, so that digital silence doesn't outweigh everything else.
    let loudest = f64::from(target.clone().max().into_scalar::<f32>());
    let itakura_saito = ItakuraSaito {
        floor: (1e-8 * loudest * loudest).max(1e-12),
    };
    let losses: [(&dyn SpectrogramLoss, &str); 6] = [
        (
            &MagnitudeLoss { norm: Norm::L1 },
            "mean difference of magnitudes",
        ),
        (&MagnitudeLoss { norm: Norm::L2 }, "mean of its square"),
        (
            &SpectralConvergence::default(),
            "norm of the difference over that of the target; silence has 1",
        ),
        (
            &LogMagnitudeLoss::default(),
            "mean difference of logarithms; 0.115 is 1 dB",
        ),
        (
            &LowMagnitudeLoss::default(),
            "mean square of the difference, the target's quiet bins first",
        ),
        (
            &itakura_saito,
            "divergence of power spectra, floored 80 dB below the target's loudest bin",
        ),
    ];
    Ok(losses
        .into_iter()
        .map(|(loss, meaning)| {
            let value = loss.per_item(estimate.clone(), target.clone(), weights.clone());
            Distance {
                name: loss.name(),
                value: scalar(value),
                meaning,
            }
        })
        .collect())
}

/// Distances between the sounds themselves.
fn waveform(target: &Audio, estimate: &Audio, found: &mut Comparison) -> anyhow::Result<()> {
    let device = cpu();
    let samples = target.samples.len().max(estimate.samples.len());
    let sample_rate_hz = f64::from(target.sample_rate_hz);
    let [target, estimate] = [target, estimate].map(|sound| {
        Tensor::<2>::from_data(
            TensorData::new(padded(sound, samples), [1, samples]),
            &device,
        )
    });
    let multi_resolution = MultiResolutionStftConfig::default().init(&device)?;
    found.distances.push(Distance {
        name: "multi_resolution_stft",
        value: scalar(multi_resolution.per_item(estimate.clone(), target.clone(), &[samples])),
        meaning: "convergence and log magnitude, mean of three resolutions",
    });
    let filters = [
        (
            "esr",
            PreEmphasis::None,
            "energy of the error over that of the target; silence has 1",
        ),
        (
            "esr_high_pass",
            PreEmphasis::HighPass,
            "the same without the lows",
        ),
        (
            "esr_folded_differentiator",
            PreEmphasis::FoldedDifferentiator,
            "the same without lows and highest highs",
        ),
        (
            "esr_a_weighted",
            PreEmphasis::AWeighting { sample_rate_hz },
            "the same, A-weighted",
        ),
    ];
    for (name, pre_emphasis, meaning) in filters {
        let loss = EsrDcLoss {
            pre_emphasis,
            epsilon: ENERGY_OF_SILENCE,
        };
        if loss.validate().is_err() {
            found.left_out.push(LeftOut {
                names: &["esr_a_weighted"],
                reason: format!(
                    "the curve is tied to 1 kHz, which sounds of {sample_rate_hz} Hz don't have"
                ),
            });
            continue;
        }
        let value = loss.esr_per_item(estimate.clone(), target.clone(), &[samples]);
        found.distances.push(Distance {
            name,
            value: scalar(value),
            meaning,
        });
    }
    let unfiltered = EsrDcLoss {
        pre_emphasis: PreEmphasis::None,
        epsilon: ENERGY_OF_SILENCE,
    };
    let dc = unfiltered.dc_per_item(estimate, target, &[samples]);
    found.distances.push(Distance {
        name: "dc",
        value: scalar(dc),
        meaning: "energy of the offset over that of the target",
    });
    Ok(())
}

fn padded(sound: &Audio, samples: usize) -> Vec<f32> {
    let mut padded = sound.samples.clone();
    padded.resize(samples, 0.0);
    padded
}

fn scalar(value: Tensor<1>) -> f64 {
    f64::from(value.into_scalar::<f32>())
}

/// Six digits, whatever the size.
fn rounded(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if (1e-4..1e6).contains(&size) => {
            let whole_digits = size.log10().floor().max(0.0) as usize + 1;
            format!("{value:.*}", 6_usize.saturating_sub(whole_digits))
        }
        _ => format!("{value:.5e}"),
    }
}

fn sound_json(path: &std::path::Path, sound: &Audio) -> Value {
    json!({
        "path": path.display().to_string(),
        "seconds": sound.seconds(),
        "sample_rate_hz": sound.sample_rate_hz,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_six_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.000_012_3, "1.23000e-5"),
            (0.123_456_7, "0.12346"),
            (12.345_678, "12.3457"),
            (123_456.7, "123457"),
            (-4.5, "-4.50000"),
            (1.5e9, "1.50000e9"),
        ] {
            assert_eq!(rounded(value), text);
        }
    }
}
