//! Properties of the losses between sounds, and of their transform.

use burn::tensor::{DType, Device, Tensor, TensorData};
use losses::{
    Domain, EsrDcLoss, Loss, LossError, MultiResolutionStftConfig, PreEmphasis, Resolution,
    WaveformLoss, mean_over_batch,
};
use proptest::prelude::*;

fn resolutions() -> Vec<Resolution> {
    [(32, 7, 20), (45, 16, 45), (10, 3, 9)]
        .map(|(n_fft, hop_length, win_length)| Resolution {
            n_fft,
            hop_length,
            win_length,
        })
        .to_vec()
}

fn all() -> Vec<Box<dyn WaveformLoss>> {
    let small = MultiResolutionStftConfig {
        resolutions: resolutions(),
        ..MultiResolutionStftConfig::default()
    };
    let ratio = |pre_emphasis| -> Box<dyn WaveformLoss> {
        Box::new(EsrDcLoss {
            pre_emphasis,
            ..EsrDcLoss::default()
        })
    };
    vec![
        Box::new(small.init(&Device::flex()).unwrap()),
        ratio(PreEmphasis::None),
        ratio(PreEmphasis::HighPass),
        ratio(PreEmphasis::FoldedDifferentiator),
        ratio(PreEmphasis::AWeighting {
            sample_rate_hz: 8000.0,
        }),
    ]
}

#[derive(Clone, Debug)]
struct Sounds {
    shape: [usize; 2],
    prediction: Vec<f64>,
    target: Vec<f64>,
    valid: Vec<usize>,
}

impl Sounds {
    fn evaluate(&self, loss: &dyn WaveformLoss, dtype: DType) -> (Vec<f64>, Vec<f64>) {
        let device = Device::flex().autodiff();
        let [prediction, target] = [&self.prediction, &self.target].map(|values| {
            let values = TensorData::new(values.clone(), self.shape);
            Tensor::<2>::from_data(values, (&device, dtype))
        });
        let prediction = prediction.require_grad();
        let items = loss.per_item(prediction.clone(), target, &self.valid);
        let gradients = mean_over_batch(items.clone()).backward();
        let gradient = prediction.grad(&gradients).unwrap();
        let numbers = |data: TensorData| data.iter::<f64>().collect();
        (numbers(items.into_data()), numbers(gradient.into_data()))
    }

    /// One item without its padding.
    fn alone(&self, item: usize) -> Sounds {
        let valid = self.valid[item];
        let start = item * self.shape[1];
        Sounds {
            shape: [1, valid],
            prediction: self.prediction[start..start + valid].to_vec(),
            target: self.target[start..start + valid].to_vec(),
            valid: vec![valid],
        }
    }
}

/// Between 1 and 90 valid samples each, followed by arbitrary ones.
fn sounds() -> impl Strategy<Value = Sounds> {
    (2_usize..4, 60_usize..90).prop_flat_map(|(batch, samples)| {
        let values = || {
            prop::collection::vec(
                (-1000_i32..1000).prop_map(|x| x as f64 / 1024.0),
                batch * samples,
            )
        };
        let valid = prop::collection::vec(1..=samples, batch);
        (values(), values(), valid).prop_map(move |(prediction, target, valid)| Sounds {
            shape: [batch, samples],
            prediction,
            target,
            valid,
        })
    })
}

/// What padding may hold.
fn anything() -> impl Strategy<Value = f64> {
    prop_oneof![
        -9.0_f64..9.0,
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn an_item_costs_what_it_costs_alone_without_its_padding(sounds in sounds()) {
        // In f64: a bin that contains only rounding errors has a slope of arbitrary direction.
        for loss in all() {
            let (items, gradient) = sounds.evaluate(loss.as_ref(), DType::F64);
            for (item, got) in items.iter().enumerate() {
                let (alone, slope) = sounds.alone(item).evaluate(loss.as_ref(), DType::F64);
                let close = (got - alone[0]).abs() <= 1e-9 * alone[0].max(1.0);
                prop_assert!(close, "{}: {got} {alone:?}", loss.name());
                let start = item * sounds.shape[1];
                let largest = slope.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
                for (n, slope) in slope.iter().enumerate() {
                    let got = gradient[start + n] * items.len() as f64;
                    // The gradient of a mean is divided by the number of items in f32.
                    let close = (got - slope).abs() <= 1e-6 * largest;
                    prop_assert!(close, "{}: {got} {slope} of {largest}", loss.name());
                }
                let padding = &gradient[start + sounds.valid[item]..start + sounds.shape[1]];
                prop_assert!(padding.iter().all(|&slope| slope == 0.0), "{}", loss.name());
            }
        }
    }

    #[test]
    fn padding_may_hold_anything(mut sounds in sounds(), fillings in [anything(), anything()], empty: bool) {
        if empty {
            sounds.valid[0] = 0;
        }
        let mut altered = sounds.clone();
        for (item, &valid) in sounds.valid.iter().enumerate() {
            let samples = sounds.shape[1];
            let padding = item * samples + valid..(item + 1) * samples;
            altered.prediction[padding.clone()].fill(fillings[0]);
            altered.target[padding].fill(fillings[1]);
        }
        for loss in all() {
            for dtype in [DType::BF16, DType::F32, DType::F64] {
                let (items, gradient) = sounds.evaluate(loss.as_ref(), dtype);
                let (got, got_gradient) = altered.evaluate(loss.as_ref(), dtype);
                prop_assert_eq!(&got, &items, "{}", loss.name());
                prop_assert_eq!(&got_gradient, &gradient, "{}", loss.name());
            }
        }
    }

    #[test]
    fn exact_reconstruction_has_no_loss_and_no_gradient(sounds in sounds()) {
        let exact = Sounds { prediction: sounds.target.clone(), ..sounds };
        for loss in all() {
            for dtype in [DType::BF16, DType::F32, DType::F64] {
                let (items, gradient) = exact.evaluate(loss.as_ref(), dtype);
                let case = format!("{} {dtype:?}", loss.name());
                prop_assert!(items.iter().all(|&loss| loss == 0.0), "{case}");
                prop_assert!(gradient.iter().all(|&slope| slope == 0.0), "{case}");
            }
        }
    }

    #[test]
    fn an_error_ratio_does_not_depend_on_the_level(
        sounds in sounds(), scale in 0.25_f64..4.0
    ) {
        let mut louder = sounds.clone();
        for x in louder.prediction.iter_mut().chain(&mut louder.target) {
            *x *= scale;
        }
        let loss = EsrDcLoss { epsilon: 1e-12, ..EsrDcLoss::default() };
        let (once, _) = sounds.evaluate(&loss, DType::F64);
        let (got, _) = louder.evaluate(&loss, DType::F64);
        // With the target far above epsilon, which decides the ratio at silence.
        for (got, once) in got.iter().zip(&once).filter(|(_, once)| **once < 1e6) {
            prop_assert!((got - once).abs() <= 1e-5 * once.max(1.0), "{got} {once}");
        }
    }
}

proptest! {
    // Two evaluations for each difference.
    #![proptest_config(ProptestConfig::with_cases(2))]

    #[test]
    fn the_gradient_is_the_finite_difference(sounds in sounds()) {
        let step = 1e-7;
        for loss in all() {
            let (_, gradient) = sounds.evaluate(loss.as_ref(), DType::F64);
            let largest = gradient.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            for i in (0..gradient.len()).step_by(17) {
                let at = |offset: f64| {
                    let mut moved = sounds.clone();
                    moved.prediction[i] += offset;
                    let (items, _) = moved.evaluate(loss.as_ref(), DType::F64);
                    items.iter().sum::<f64>() / items.len() as f64
                };
                let difference = (at(step) - at(-step)) / (2.0 * step);
                let slope = gradient[i];
                prop_assert!(
                    (slope - difference).abs() <= 1e-4 * largest,
                    "{}: {slope}, {difference} of {largest}", loss.name()
                );
            }
        }
    }
}

#[test]
fn silence_short_sounds_and_padding_are_finite() {
    let mut seen = 0;
    for (level, other) in [
        (0.0, 0.0),
        (0.0, 0.5),
        (0.5, 0.0),
        (1e-30, 0.0),
        (1e-20, 1e-21),
    ] {
        for valid in [[0, 0], [1, 0], [2, 1], [60, 7]] {
            let sounds = Sounds {
                shape: [2, 60],
                prediction: vec![level; 120],
                target: vec![other; 120],
                valid: valid.to_vec(),
            };
            for loss in all() {
                let (items, gradient) = sounds.evaluate(loss.as_ref(), DType::F32);
                let case = format!("{}: {level} for {other}, {valid:?}", loss.name());
                assert!(
                    items.iter().all(|loss| loss.is_finite()),
                    "{case}: {items:?}"
                );
                assert!(gradient.iter().all(|slope| slope.is_finite()), "{case}");
                for (item, &valid) in valid.iter().enumerate() {
                    if valid == 0 {
                        assert_eq!(items[item], 0.0, "{case}");
                        let gradient = &gradient[item * 60..(item + 1) * 60];
                        assert!(gradient.iter().all(|&slope| slope == 0.0), "{case}");
                    }
                }
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 5 * 4 * 5);
}

#[test]
fn half_precision_is_computed_in_f32() {
    // Multiples of 1/128 below 1, which are exact in bf16.
    let values = |step: usize| {
        (0..120)
            .map(|i| (i * step % 255) as f64 / 128.0 - 1.0)
            .collect()
    };
    let sounds = Sounds {
        shape: [2, 60],
        prediction: values(37),
        target: values(91),
        valid: vec![60, 41],
    };
    for loss in all() {
        let (half, _) = sounds.evaluate(loss.as_ref(), DType::BF16);
        let (single, _) = sounds.evaluate(loss.as_ref(), DType::F32);
        assert_eq!(half, single, "{}", loss.name());
    }
}

#[test]
fn a_prediction_of_silence_costs_about_one() {
    let target: Vec<f64> = (0..600).map(|i| (i as f64 * 0.9).sin()).collect();
    let sounds = Sounds {
        shape: [1, 600],
        prediction: vec![0.0; 600],
        target,
        valid: vec![600],
    };
    for loss in all().into_iter().filter(|loss| loss.name() == "esr_dc") {
        let (items, _) = sounds.evaluate(loss.as_ref(), DType::F32);
        assert!((items[0] - 1.0).abs() < 1e-3, "{items:?}");
    }
}

#[test]
fn an_offset_costs_even_if_the_filter_removes_it() {
    let target: Vec<f64> = (0..600).map(|i| (i as f64 * 0.9).sin()).collect();
    let sounds = Sounds {
        shape: [1, 600],
        prediction: target.iter().map(|x| x + 0.1).collect(),
        target,
        valid: vec![600],
    };
    // The offset has an energy of 0.01, the target of 0.5: without a filter, each term is 0.02.
    let plain = EsrDcLoss {
        pre_emphasis: PreEmphasis::None,
        ..EsrDcLoss::default()
    };
    let (items, _) = sounds.evaluate(&plain, DType::F64);
    assert!((items[0] - 2.0 * 0.02).abs() < 1e-3, "{items:?}");
    let (filtered, _) = sounds.evaluate(&EsrDcLoss::default(), DType::F64);
    assert!(filtered[0] > 0.02 && filtered[0] < 0.022, "{filtered:?}");
}

#[test]
fn a_tone_stands_in_its_bin_and_a_shift_by_a_hop_moves_one_frame() {
    let device = Device::flex();
    let resolution = Resolution {
        n_fft: 60,
        hop_length: 12,
        win_length: 48,
    };
    let stft = resolution.init(&device).unwrap();
    let tone = |offset: usize| {
        let sample =
            |i: usize| (2.0 * std::f32::consts::PI * 7.0 * (i + offset) as f32 / 60.0).cos();
        let samples: Vec<f32> = (0..240).map(|i| sample(i) * (i + offset) as f32).collect();
        Tensor::<2>::from_data(TensorData::new(samples, [1, 240]), &device)
    };
    let here = stft.magnitude(tone(0), &[240]);
    assert_eq!(here.dims(), [1, 31, 21]);
    let loudest = here.clone().narrow(2, 10, 1).argmax(1).into_scalar::<i64>();
    assert_eq!(loudest, 7);
    let there = stft.magnitude(tone(12), &[240]);
    // Frames whose window lies inside both.
    let [here, there] = [here.narrow(2, 4, 10), there.narrow(2, 3, 10)]
        .map(|frames| frames.into_data().try_to_vec::<f32>().unwrap());
    assert_eq!(here.len(), 310);
    for (here, there) in here.iter().zip(&there) {
        assert!((here - there).abs() < 0.02, "{here} {there}");
    }
}

#[test]
fn waveform_losses_are_defined_on_waveforms_alone_and_check_their_numbers() {
    for loss in all() {
        assert!(loss.check_domain(Domain::Waveform).is_ok());
        assert_eq!(
            loss.check_domain(Domain::Log1p).unwrap_err().to_string(),
            format!(
                "{} is defined on waveforms, not on log1p magnitudes: \
                 a spectrogram without phases has no waveform, so give it the sound instead",
                loss.name()
            )
        );
    }
    let slow = EsrDcLoss {
        pre_emphasis: PreEmphasis::AWeighting {
            sample_rate_hz: 800.0,
        },
        ..EsrDcLoss::default()
    };
    assert!(slow.validate().is_err());
    let nothing = MultiResolutionStftConfig {
        resolutions: vec![],
        ..MultiResolutionStftConfig::default()
    };
    let refusal = nothing.init(&Device::flex()).unwrap_err();
    assert_eq!(refusal, LossError::NoResolutions);
}
