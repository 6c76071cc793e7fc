//! Values and gradients against PyTorch and auraloss; `reference/losses.py` and
//! `reference/losses_auraloss.py` make the files.

use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use losses::{
    AWeightedMagnitude, CompositeConfig, ContrastiveScores, ContrastiveTokens, EsrDcLoss, InfoNce,
    ItakuraSaito, LogMagnitudeLoss, LogMelConfig, LowMagnitudeLoss, MagnitudeLoss,
    MultiResolutionStftConfig, Negatives, Norm, ParameterLoss, ParameterPrediction,
    ParameterTarget, PreEmphasis, Resolution, SpectralConvergence, SpectrogramLoss, WaveformLoss,
    hidden_weights, mean_over_batch, valid_weights,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Spectrograms<C> {
    shape: [usize; 3],
    valid_frames: Vec<usize>,
    prediction: Vec<f32>,
    target: Vec<f32>,
    hidden: Vec<bool>,
    cases: Vec<C>,
}

#[derive(Deserialize)]
struct SpectrogramCase {
    selection: String,
    #[serde(alias = "norm")]
    loss: String,
    per_item: Vec<f32>,
    batch: f32,
    gradient: Vec<f32>,
}

#[test]
fn magnitude_losses_equal_torch() {
    let golden = serde_json::from_str(include_str!("golden/magnitude.json")).unwrap();
    let compared = compare_spectrograms(&golden, 1e-6, |name| match name {
        "l1" => Box::new(MagnitudeLoss { norm: Norm::L1 }),
        "l2" => Box::new(MagnitudeLoss { norm: Norm::L2 }),
        other => panic!("the golden file names an unknown norm: {other}"),
    });
    assert_eq!(compared, 4 * (3 + 1 + 60));
}

#[test]
fn spectral_losses_equal_torch() {
    let golden = serde_json::from_str(include_str!("golden/spectrogram.json")).unwrap();
    let convergence = SpectralConvergence { epsilon: 0.3 };
    let log = |norm| LogMagnitudeLoss {
        norm,
        epsilon: 1e-3,
    };
    let low_magnitude = LowMagnitudeLoss {
        epsilon: 1e-2,
        cap: 2.5,
    };
    let composite = CompositeConfig {
        spec_l1: 0.5,
        spec_l2: 0.25,
        spec_sc: 2.0,
        spec_log: 1.5,
        beta: 0.6,
        convergence,
        log_magnitude: log(Norm::L1),
        low_magnitude,
        ..CompositeConfig::default()
    };
    let compared = compare_spectrograms(&golden, 1e-5, |name| match name {
        "spec_sc" => Box::new(convergence),
        "spec_log_l1" => Box::new(log(Norm::L1)),
        "spec_log_l2" => Box::new(log(Norm::L2)),
        "lowmag" => Box::new(low_magnitude),
        "itakura_saito" => Box::new(ItakuraSaito { floor: 1e-4 }),
        "composite" => Box::new(composite.init(losses::Domain::Magnitude, None).unwrap()),
        other => panic!("the golden file names an unknown loss: {other}"),
    });
    assert_eq!(compared, 12 * (3 + 1 + 60));
}

#[derive(Deserialize)]
struct Frequencies {
    rate: f64,
    n_fft: usize,
    bands: usize,
    epsilon: f64,
    filters: Vec<f64>,
    #[serde(flatten)]
    spectrograms: Spectrograms<SpectrogramCase>,
}

#[test]
fn terms_that_know_frequencies_equal_librosa() {
    let golden: Frequencies = serde_json::from_str(include_str!("golden/frequency.json")).unwrap();
    let mel = LogMelConfig {
        bands: golden.bands,
        epsilon: golden.epsilon,
    };
    let compared = compare_spectrograms(&golden.spectrograms, 1e-5, |name| match name {
        "spec_a_weighted" => Box::new(AWeightedMagnitude::new(golden.rate, golden.n_fft).unwrap()),
        "spec_mel" => Box::new(mel.init(&golden.filters).unwrap()),
        other => panic!("the golden file names an unknown loss: {other}"),
    });
    assert_eq!(compared, 2 * (3 + 1 + 3 * 33 * 3));
}

#[derive(Deserialize)]
struct Inverses {
    samples: usize,
    cases: Vec<InverseCase>,
}

#[derive(Deserialize)]
struct InverseCase {
    size: [usize; 3],
    magnitudes: Vec<f32>,
    sound: Vec<f32>,
    gradient: Vec<f32>,
}

#[test]
fn the_inverse_stft_and_its_gradient_equal_torch() {
    let golden: Inverses = serde_json::from_str(include_str!("golden/inverse.json")).unwrap();
    let device = Device::flex().autodiff();
    let samples = golden.samples;
    let mut compared = 0;
    for case in &golden.cases {
        let [n_fft, hop_length, win_length] = case.size;
        let resolution = Resolution {
            n_fft,
            hop_length,
            win_length,
        };
        let stft = resolution.init(&device).unwrap();
        let (bins, frames) = (resolution.bins(), resolution.frames(samples));
        let phase_of = tensor(&noise(3, samples), [1, samples], &device);
        let phases = stft.phases(phase_of, &[samples]);
        let magnitude = tensor(&case.magnitudes, [1, bins, frames], &device).require_grad();
        let sound = stft.inverse(magnitude.clone(), &phases, &[frames], samples);
        let gradients = sound.clone().square().sum().backward();
        let gradient = magnitude.grad(&gradients).unwrap();
        let name = format!("{:?}", case.size);
        // Phases are computed in float32 here.
        compared += close(sound, &case.sound, 1e-5, &name);
        compared += close(gradient, &case.gradient, 1e-4, &name);
    }
    assert_eq!(compared, 3 * 200 + 33 * 13 + 31 * 14 + 23 * 23);
}

fn compare_spectrograms(
    golden: &Spectrograms<SpectrogramCase>,
    tolerance: f32,
    loss: impl Fn(&str) -> Box<dyn SpectrogramLoss>,
) -> usize {
    let device = Device::flex().autodiff();
    let mut compared = 0;
    for case in &golden.cases {
        let weights = match case.selection.as_str() {
            "valid" => valid_weights(golden.shape, &golden.valid_frames, &device),
            "hidden" => {
                let hidden = TensorData::new(golden.hidden.clone(), golden.shape);
                let hidden = Tensor::<3, Bool>::from_data(hidden, &device);
                hidden_weights(hidden, &golden.valid_frames)
            }
            other => panic!("the golden file names an unknown selection: {other}"),
        };
        let prediction = tensor(&golden.prediction, golden.shape, &device).require_grad();
        let target = tensor(&golden.target, golden.shape, &device);
        let loss = loss(&case.loss);
        let per_item = loss.per_item(prediction.clone(), target.clone(), weights.clone());
        let batch = loss.forward(prediction.clone(), target, weights);
        let gradient = prediction.grad(&batch.clone().backward()).unwrap();
        compared += close(per_item, &case.per_item, tolerance, &case.loss);
        compared += close(batch, &[case.batch], tolerance, &case.loss);
        compared += close(gradient, &case.gradient, tolerance, &case.loss);
    }
    compared
}

#[derive(Deserialize)]
struct Waveforms {
    shape: [usize; 2],
    valid_samples: Vec<usize>,
    stride: usize,
    cases: Vec<WaveformCase>,
    spectra: Vec<Spectra>,
}

#[derive(Deserialize)]
struct WaveformCase {
    loss: String,
    per_item: Vec<f32>,
    gradient: Vec<f32>,
    largest: f32,
}

#[derive(Deserialize)]
struct Spectra {
    size: [usize; 3],
    magnitudes: Vec<Vec<f32>>,
}

/// The sound of `noise` in `reference/losses.py`.
fn noise(seed: u64, n: usize) -> Vec<f32> {
    let sample = |i: u64| {
        let whole = (i * i * 10_473 + i * 7919 + seed * 311) % 65_521;
        let fade = 1.0 - i as f64 / (2 * n) as f64;
        ((whole as f64 / 65_521.0 - 0.5) * fade) as f32
    };
    (0..n as u64).map(sample).collect()
}

fn sounds(first_seed: u64, offset: f32, [batch, samples]: [usize; 2]) -> Vec<f32> {
    let items = (0..batch as u64).flat_map(|item| noise(first_seed + item, samples));
    items.map(|sample| sample + offset).collect()
}

fn waveforms() -> Waveforms {
    serde_json::from_str(include_str!("golden/waveform.json")).unwrap()
}

#[test]
fn waveform_losses_equal_torch() {
    let golden = waveforms();
    let device = Device::flex().autodiff();
    let mut compared = 0;
    for case in &golden.cases {
        let loss = waveform_loss(&case.loss, &device);
        let evaluate = |dtype: DType| {
            let sounds = |seed, offset| {
                let values = sounds(seed, offset, golden.shape);
                tensor(&values, golden.shape, &device).cast(dtype)
            };
            let prediction = sounds(1, 0.0625).detach().require_grad();
            let target = sounds(11, 0.0);
            let items = loss.per_item(prediction.clone(), target, &golden.valid_samples);
            let gradients = mean_over_batch(items.clone()).backward();
            let gradient = prediction.grad(&gradients).unwrap().cast(DType::F32);
            let gradient = gradient.into_data().try_to_vec::<f32>().unwrap();
            (items, gradient)
        };
        let (items, in_f32) = evaluate(DType::F32);
        compared += close(items, &case.per_item, 1e-5, &case.loss);
        // Relative to the largest slope. The phase of a nearly silent bin is hardly defined and its logarithm is
        // steep, so that its share of the gradient is rounding error in f32. PyTorch's own gradients in f32 are off
        // by 1e-4 and 9e-3 of the largest slope.
        let tolerances = match case.loss.as_str() {
            "multi_resolution" => [1e-3, 1e-6],
            "any_resolution" => [1.5e-2, 1e-6],
            _ => [1e-5, 1e-6],
        };
        let (_, in_f64) = evaluate(DType::F64);
        for (gradient, tolerance) in [in_f32, in_f64].into_iter().zip(tolerances) {
            let seen = gradient.iter().step_by(golden.stride);
            assert_eq!(seen.len(), case.gradient.len());
            for (got, expected) in seen.zip(&case.gradient) {
                assert!(
                    (got - expected).abs() <= tolerance * case.largest,
                    "{}: expected {expected}, got {got}, largest {}",
                    case.loss,
                    case.largest
                );
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 6 * (2 + 2 * 400));
}

fn waveform_loss(name: &str, device: &Device) -> Box<dyn WaveformLoss> {
    let ratio = |pre_emphasis| -> Box<dyn WaveformLoss> {
        Box::new(EsrDcLoss {
            pre_emphasis,
            epsilon: 1e-3,
        })
    };
    let resolution = |[n_fft, hop_length, win_length]: [usize; 3]| Resolution {
        n_fft,
        hop_length,
        win_length,
    };
    match name {
        "multi_resolution" => {
            let config = MultiResolutionStftConfig::default();
            Box::new(config.init(device).unwrap())
        }
        "any_resolution" => {
            let config = MultiResolutionStftConfig {
                resolutions: [[45, 7, 31], [100, 33, 100]].map(resolution).to_vec(),
                convergence: SpectralConvergence { epsilon: 0.5 },
                log_magnitude: LogMagnitudeLoss {
                    norm: Norm::L1,
                    epsilon: 1e-2,
                },
            };
            Box::new(config.init(device).unwrap())
        }
        "none" => ratio(PreEmphasis::None),
        "high_pass" => ratio(PreEmphasis::HighPass),
        "folded_differentiator" => ratio(PreEmphasis::FoldedDifferentiator),
        "a_weighting" => ratio(PreEmphasis::AWeighting {
            sample_rate_hz: 16_384.0,
        }),
        other => panic!("the golden file names an unknown loss: {other}"),
    }
}

#[test]
fn the_transform_equals_torch_for_any_size_and_each_item_alone() {
    let golden = waveforms();
    let device = Device::flex();
    let signal = tensor(&sounds(11, 0.0, golden.shape), golden.shape, &device);
    let signal = signal.narrow(1, 0, 107);
    let mut compared = 0;
    for spectra in &golden.spectra {
        let [n_fft, hop_length, win_length] = spectra.size;
        let resolution = Resolution {
            n_fft,
            hop_length,
            win_length,
        };
        let stft = resolution.init(&device).unwrap();
        let valid = [100, 63];
        let magnitudes = stft.magnitude(signal.clone(), &valid);
        for (item, expected) in spectra.magnitudes.iter().enumerate() {
            let frames = resolution.frames(valid[item]);
            let got = magnitudes.clone().narrow(0, item, 1).narrow(2, 0, frames);
            compared += close(got, expected, 1e-5, "magnitudes");
        }
    }
    let sizes = [[45, 7], [64, 16], [30, 11]];
    let frames = |n_fft, samples: usize, hop| 1 + (samples - n_fft % 2) / hop;
    let both = |n_fft, hop| frames(n_fft, 100, hop) + frames(n_fft, 63, hop);
    let values = |[n_fft, hop]: [usize; 2]| (n_fft / 2 + 1) * both(n_fft, hop);
    assert_eq!(compared, sizes.map(values).iter().sum::<usize>());
}

#[derive(Deserialize)]
struct Auraloss {
    samples: usize,
    multi_resolution: Vec<f32>,
    one_resolution: Vec<f32>,
    esr_dc: Vec<f32>,
    esr_high_pass: Vec<f32>,
    esr_folded_differentiator: Vec<f32>,
}

#[test]
fn waveform_losses_equal_auraloss_where_it_is_right() {
    let golden: Auraloss = serde_json::from_str(include_str!("golden/auraloss.json")).unwrap();
    let device = Device::flex();
    let shape = [2, golden.samples];
    let valid = [golden.samples; 2];
    let spectral = |resolutions: Vec<Resolution>| MultiResolutionStftConfig {
        resolutions,
        convergence: SpectralConvergence { epsilon: 1e-6 },
        log_magnitude: LogMagnitudeLoss {
            norm: Norm::L1,
            epsilon: 1e-7,
        },
    };
    let all = MultiResolutionStftConfig::default().resolutions;
    let losses: [(Box<dyn WaveformLoss>, &[f32]); 3] = [
        (
            Box::new(spectral(all.clone()).init(&device).unwrap()),
            &golden.multi_resolution,
        ),
        (
            Box::new(spectral(vec![all[2]]).init(&device).unwrap()),
            &golden.one_resolution,
        ),
        (
            Box::new(EsrDcLoss {
                pre_emphasis: PreEmphasis::None,
                epsilon: 1e-12,
            }),
            &golden.esr_dc,
        ),
    ];
    let mut compared = 0;
    for (loss, expected) in losses {
        let prediction = tensor(&sounds(1, 0.0, shape), shape, &device);
        let target = tensor(&sounds(11, 0.0, shape), shape, &device);
        let items = loss.per_item(prediction, target, &valid);
        compared += close(items, expected, 1e-5, loss.name());
    }
    // auraloss's filters run backwards and extend the sound, which doesn't change the energy of a sound that
    // ends in silence.
    let ended = |seed| {
        let sounds = tensor(&sounds(seed, 0.0, shape), shape, &device);
        let sounds = sounds.narrow(1, 0, golden.samples - 2);
        sounds.pad([(0, 0), (0, 2)], 0.0)
    };
    for (pre_emphasis, expected) in [
        (PreEmphasis::HighPass, &golden.esr_high_pass),
        (
            PreEmphasis::FoldedDifferentiator,
            &golden.esr_folded_differentiator,
        ),
    ] {
        let loss = EsrDcLoss {
            pre_emphasis,
            epsilon: 1e-12,
        };
        let items = loss.esr_per_item(ended(1), ended(11), &valid);
        compared += close(items, expected, 1e-5, &format!("{pre_emphasis:?}"));
    }
    assert_eq!(compared, 10);
}

#[test]
fn a_tone_below_auraloss_s_floor_has_a_loss_and_a_gradient() {
    let device = Device::flex().autodiff();
    let tone =
        |level: f32| -> Vec<f32> { (0..8000).map(|i| level * (i as f32 * 0.3).sin()).collect() };
    let config = MultiResolutionStftConfig::default();
    let config = MultiResolutionStftConfig {
        resolutions: vec![config.resolutions[2]],
        ..config
    };
    let prediction = tensor(&tone(1e-7), [1, 8000], &device).require_grad();
    let target = tensor(&tone(1e-8), [1, 8000], &device);
    let loss = config.init(&device).unwrap();
    let loss = loss.forward(prediction.clone(), target, &[8000]);
    let gradient = prediction.grad(&loss.backward()).unwrap();
    assert!(loss.into_scalar::<f32>() > 0.01);
    assert!(gradient.abs().sum().into_scalar::<f32>() > 1.0);
}

#[derive(Deserialize)]
struct Contrastive {
    shape: [usize; 3],
    values: usize,
    queries: Vec<f32>,
    keys: Vec<f32>,
    content: Vec<f32>,
    hidden: Vec<bool>,
    valid: Vec<bool>,
    scored: Vec<bool>,
    cases: Vec<ContrastiveCase>,
}

#[derive(Deserialize)]
struct ContrastiveCase {
    mode: String,
    per_item: Vec<f32>,
    accuracy: Vec<f32>,
    candidates: Vec<f32>,
    gradient: Vec<f32>,
}

#[test]
fn info_nce_equals_torch_s_cross_entropy() {
    let golden: Contrastive =
        serde_json::from_str(include_str!("golden/contrastive.json")).unwrap();
    let device = Device::flex().autodiff();
    let [batch, tokens, _] = golden.shape;
    let mask = |mask: &[bool]| {
        Tensor::<2, Bool>::from_data(TensorData::new(mask.to_vec(), [batch, tokens]), &device)
    };
    // Fused, and in chunks.
    let ways: [fn(&InfoNce, ContrastiveTokens) -> ContrastiveScores; 2] =
        [InfoNce::per_item, InfoNce::per_item_in_chunks];
    assert!(kernels::has_info_nce(&Tensor::zeros([1, 1], &device)));
    let mut compared = 0;
    for (case, scores) in golden
        .cases
        .iter()
        .flat_map(|case| ways.map(|way| (case, way)))
    {
        let negatives = match case.mode.as_str() {
            "batch" => Negatives::BATCH,
            "clip" => Negatives::CLIP,
            other => panic!("the golden file names an unknown mode: {other}"),
        };
        let loss = InfoNce {
            negatives,
            // A few queries at a time.
            chunk_bytes: 1000,
            ..InfoNce::default()
        };
        let queries = tensor(&golden.queries, golden.shape, &device).require_grad();
        let tokens = ContrastiveTokens {
            queries: queries.clone(),
            keys: tensor(&golden.keys, golden.shape, &device),
            content: tensor(&golden.content, [batch, tokens, golden.values], &device),
            hidden: mask(&golden.hidden),
            valid: mask(&golden.valid),
            scored: mask(&golden.scored),
            draw_keys: vec![],
        };
        let scores = scores(&loss, tokens);
        let gradients = mean_over_batch(scores.loss.clone()).backward();
        let gradient = queries.grad(&gradients).unwrap();
        compared += close(scores.loss, &case.per_item, 1e-5, &case.mode);
        compared += close(scores.accuracy, &case.accuracy, 1e-5, &case.mode);
        compared += close(scores.candidates, &case.candidates, 1e-5, &case.mode);
        compared += close(gradient, &case.gradient, 1e-5, &case.mode);
    }
    assert_eq!(compared, 2 * 2 * (3 * 3 + 60));
}

#[derive(Deserialize)]
struct Parameters {
    batch: usize,
    continuous: usize,
    class_counts: Vec<usize>,
    prediction: Vec<f32>,
    target: Vec<f32>,
    logits: Vec<Vec<f32>>,
    classes: Vec<i64>,
    cases: Vec<ParameterCase>,
}

#[derive(Deserialize)]
struct ParameterCase {
    label_smoothing: f64,
    per_item: Vec<f32>,
    cont_mse: Vec<f32>,
    cross_entropy: Vec<f32>,
    gradient: Vec<f32>,
    logit_gradients: Vec<Vec<f32>>,
    correct: Vec<f32>,
}

#[test]
fn parameter_losses_equal_torch() {
    let golden: Parameters = serde_json::from_str(include_str!("golden/parameter.json")).unwrap();
    let device = Device::flex().autodiff();
    let shape = [golden.batch, golden.continuous];
    let mut compared = 0;
    for case in &golden.cases {
        let prediction = tensor(&golden.prediction, shape, &device).require_grad();
        let logits: Vec<Tensor<2>> = golden
            .logits
            .iter()
            .zip(&golden.class_counts)
            .map(|(logits, &n)| tensor(logits, [golden.batch, n], &device).require_grad())
            .collect();
        let classes = [golden.batch, golden.class_counts.len()];
        let classes = TensorData::new(golden.classes.clone(), classes);
        let loss = ParameterLoss {
            label_smoothing: case.label_smoothing,
        };
        let scores = loss.per_item(
            ParameterPrediction {
                continuous: Some(prediction.clone()),
                logits: logits.clone(),
            },
            ParameterTarget {
                continuous: Some(tensor(&golden.target, shape, &device)),
                classes: Some(Tensor::<2, Int>::from_data(classes, &device)),
            },
        );
        let gradients = mean_over_batch(scores.loss.clone()).backward();
        compared += close(scores.loss, &case.per_item, 1e-5, "loss");
        compared += close(scores.cont_mse.unwrap(), &case.cont_mse, 1e-5, "mse");
        let cross_entropy = scores.cross_entropy.unwrap();
        compared += close(cross_entropy, &case.cross_entropy, 1e-5, "cross-entropy");
        compared += close(scores.correct.unwrap(), &case.correct, 0.0, "correct");
        let gradient = prediction.grad(&gradients).unwrap();
        compared += close(gradient, &case.gradient, 1e-5, "gradient");
        for (logits, expected) in logits.iter().zip(&case.logit_gradients) {
            let gradient = logits.grad(&gradients).unwrap();
            compared += close(gradient, expected, 1e-5, "logits' gradient");
        }
    }
    assert_eq!(compared, 2 * (3 * 3 + 6 + 12 + 3 * 2 + 3 * 5));
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

/// Compares relative to the largest value and returns the number of values.
fn close<const D: usize>(got: Tensor<D>, expected: &[f32], tolerance: f32, what: &str) -> usize {
    let got = got.into_data().try_to_vec::<f32>().unwrap();
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= tolerance * largest,
            "{what}, value {i}: expected {expected}, got {got}, largest {largest}"
        );
    }
    got.len()
}
