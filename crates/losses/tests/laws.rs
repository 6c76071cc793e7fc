//! Properties of all losses between spectrograms, and of single ones.

use burn::tensor::{DType, Device, Tensor, TensorData};
use losses::{
    AWeightedMagnitude, CompositeConfig, Domain, EsrDcLoss, InfoNce, ItakuraSaito,
    LogMagnitudeLoss, LogMelConfig, Loss, LowMagnitudeLoss, MagnitudeLoss,
    MultiResolutionStftConfig, Norm, ParameterLoss, PreEmphasis, SpectralConvergence,
    SpectrogramLoss, mean_over_batch, valid_weights,
};
use proptest::prelude::*;

/// A loss that is made for a number of bins.
struct OfBins(fn(usize) -> Box<dyn SpectrogramLoss>);

impl Loss for OfBins {
    fn name(&self) -> &'static str {
        self.0(1).name()
    }

    fn domains(&self) -> &[Domain] {
        &[Domain::Magnitude]
    }
}

impl SpectrogramLoss for OfBins {
    fn per_item(&self, prediction: Tensor<3>, target: Tensor<3>, weights: Tensor<3>) -> Tensor<1> {
        let [_, bins, _] = target.dims();
        self.0(bins).per_item(prediction, target, weights)
    }
}

/// A-weighted from 0 Hz to a few kHz.
fn a_weighted(bins: usize) -> Box<dyn SpectrogramLoss> {
    Box::new(AWeightedMagnitude::new(8000.0, 2 * bins - 1).unwrap())
}

/// Bands of two neighbours each, with odd weights, so that bands hardly ever are equal.
fn log_mel(bins: usize) -> Box<dyn SpectrogramLoss> {
    let weight = |band: usize, bin: usize| match bin.wrapping_sub(band) {
        0 => 1.0,
        1 => 0.372_819,
        _ => 0.0,
    };
    let rows = (0..bins).flat_map(|band| (0..bins).map(move |bin| weight(band, bin)));
    let config = LogMelConfig {
        bands: bins,
        epsilon: 0.1,
    };
    Box::new(config.init(&rows.collect::<Vec<_>>()).unwrap())
}

/// Every loss between spectrograms, with its default settings and with others.
fn all() -> Vec<Box<dyn SpectrogramLoss>> {
    let composite = CompositeConfig {
        spec_l2: 0.5,
        ..CompositeConfig::default()
    };
    let losses: Vec<Box<dyn SpectrogramLoss>> = vec![
        Box::new(MagnitudeLoss { norm: Norm::L1 }),
        Box::new(MagnitudeLoss { norm: Norm::L2 }),
        Box::new(SpectralConvergence::default()),
        Box::new(LogMagnitudeLoss::default()),
        Box::new(LogMagnitudeLoss {
            norm: Norm::L2,
            epsilon: 0.1,
        }),
        Box::new(LowMagnitudeLoss::default()),
        Box::new(LowMagnitudeLoss {
            epsilon: 0.3,
            cap: 1.5,
        }),
        Box::new(ItakuraSaito::default()),
        Box::new(ItakuraSaito { floor: 0.01 }),
        Box::new(composite.init(Domain::Magnitude, None).unwrap()),
        Box::new(OfBins(a_weighted)),
        Box::new(OfBins(log_mel)),
    ];
    assert_eq!(losses.len(), 12);
    losses
}

fn all_in_every_dtype() -> impl Iterator<Item = (Box<dyn SpectrogramLoss>, DType)> {
    let dtypes = [DType::BF16, DType::F32, DType::F64];
    dtypes
        .into_iter()
        .flat_map(|dtype| all().into_iter().map(move |loss| (loss, dtype)))
}

/// A batch as plain numbers, so that tests can cut, permute and alter it.
#[derive(Clone, Debug)]
struct Batch {
    shape: [usize; 3],
    prediction: Vec<f64>,
    target: Vec<f64>,
    weights: Vec<f64>,
}

impl Batch {
    fn items(&self, items: &[usize]) -> Batch {
        let [_, bins, frames] = self.shape;
        let pick = |values: &[f64]| {
            let of = |item: &usize| &values[item * bins * frames..(item + 1) * bins * frames];
            items.iter().flat_map(of).copied().collect()
        };
        Batch {
            shape: [items.len(), bins, frames],
            prediction: pick(&self.prediction),
            target: pick(&self.target),
            weights: pick(&self.weights),
        }
    }

    /// The batch with padding frames that hold `fillings` in prediction and target.
    fn padded(&self, by: usize, fillings: [f64; 2]) -> Batch {
        let [batch, bins, frames] = self.shape;
        let pad = |values: &[f64], filling: f64| {
            let row = |row: &[f64]| {
                let padding = std::iter::repeat_n(filling, by);
                row.iter().copied().chain(padding).collect::<Vec<f64>>()
            };
            values.chunks(frames).flat_map(row).collect()
        };
        Batch {
            shape: [batch, bins, frames + by],
            prediction: pad(&self.prediction, fillings[0]),
            target: pad(&self.target, fillings[1]),
            weights: pad(&self.weights, 0.0),
        }
    }

    fn scaled(&self, prediction: f64, target: f64) -> Batch {
        let mut scaled = self.clone();
        scaled.prediction.iter_mut().for_each(|x| *x *= prediction);
        scaled.target.iter_mut().for_each(|x| *x *= target);
        scaled
    }

    fn per_item(&self, loss: &dyn SpectrogramLoss) -> Vec<f64> {
        self.evaluate(loss, DType::F32).0
    }

    /// Loss of each item and gradient of the batch's loss.
    fn evaluate(&self, loss: &dyn SpectrogramLoss, dtype: DType) -> (Vec<f64>, Vec<f64>) {
        let device = Device::flex().autodiff();
        let [prediction, target, weights] =
            [&self.prediction, &self.target, &self.weights].map(|values| {
                let values = TensorData::new(values.clone(), self.shape);
                Tensor::<3>::from_data(values, (&device, dtype))
            });
        let prediction = prediction.require_grad();
        let items = loss.per_item(prediction.clone(), target, weights);
        assert_eq!(items.dims(), [self.shape[0]]);
        assert_eq!(items.dtype(), computed_in(dtype));
        let gradients = mean_over_batch(items.clone()).backward();
        let gradient = prediction.grad(&gradients).unwrap();
        let numbers = |data: TensorData| data.iter::<f64>().collect();
        (numbers(items.into_data()), numbers(gradient.into_data()))
    }
}

/// The type that losses are computed in and returned as, for inputs of a type.
fn computed_in(dtype: DType) -> DType {
    match dtype {
        DType::BF16 => DType::F32,
        other => other,
    }
}

/// Relative rounding errors of sums in another order: of a loss and of a gradient, which has the type of the
/// prediction.
fn rounding(dtype: DType) -> [f64; 2] {
    match dtype {
        DType::BF16 => [2e-5, 2.0_f64.powi(-7)],
        DType::F32 => [2e-5, 1e-5],
        DType::F64 => [1e-12, 1e-12],
        other => panic!("the laws are not checked in {other:?}"),
    }
}

/// Magnitudes up to 3, a fifth of them silent, a half of them selected.
fn batches() -> impl Strategy<Value = Batch> {
    (2_usize..5, 1_usize..4, 1_usize..6).prop_flat_map(|(batch, bins, frames)| {
        let n = batch * bins * frames;
        let level = prop_oneof![1 => Just(0.0), 4 => (1_u32..3000).prop_map(|x| x as f64 / 1024.0)];
        let values = prop::collection::vec(level, n);
        let weights = prop::collection::vec(prop::sample::select(vec![0.0, 1.0]), n);
        (values.clone(), values, weights).prop_map(move |(prediction, target, weights)| Batch {
            shape: [batch, bins, frames],
            prediction,
            target,
            weights,
        })
    })
}

/// As [`batches`], with everything selected and nothing below 0.1.
fn audible_batches() -> impl Strategy<Value = Batch> {
    batches().prop_map(|mut batch| {
        batch.weights.fill(1.0);
        for x in batch.prediction.iter_mut().chain(&mut batch.target) {
            *x = x.max(0.1);
        }
        batch
    })
}

/// What bins that don't count may hold.
fn anything() -> impl Strategy<Value = f64> {
    prop_oneof![
        -9.0_f64..9.0,
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
    ]
}

fn all_close(got: &[f64], expected: &[f64]) -> bool {
    all_within(rounding(DType::F32)[0], got, expected)
}

fn all_within(tolerance: f64, got: &[f64], expected: &[f64]) -> bool {
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= tolerance * b.abs().max(1.0);
    got.len() == expected.len() && got.iter().zip(expected).all(close)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn exact_reconstruction_has_no_loss_and_no_gradient(batch in batches()) {
        let exact = Batch { prediction: batch.target.clone(), ..batch };
        for (loss, dtype) in all_in_every_dtype() {
            let (items, gradient) = exact.evaluate(loss.as_ref(), dtype);
            prop_assert!(items.iter().all(|&loss| loss == 0.0), "{} {dtype:?}", loss.name());
            prop_assert!(gradient.iter().all(|&slope| slope == 0.0), "{} {dtype:?}", loss.name());
        }
    }

    #[test]
    fn a_batch_is_the_mean_of_its_items_for_any_split(batch in batches(), cut in 0.0_f64..1.0) {
        let n = batch.shape[0];
        let cut = 1 + (cut * (n - 1) as f64) as usize;
        let (left, right): (Vec<usize>, Vec<usize>) = (0..n).partition(|&item| item < cut);
        for (loss, dtype) in all_in_every_dtype() {
            let per_item = |batch: &Batch| batch.evaluate(loss.as_ref(), dtype).0;
            let whole = per_item(&batch);
            let mut items = per_item(&batch.items(&left));
            if !right.is_empty() {
                items.extend(per_item(&batch.items(&right)));
            }
            let close = all_within(rounding(dtype)[0], &whole, &items);
            prop_assert!(close, "{} {dtype:?}: {whole:?} {items:?}", loss.name());
        }
    }

    #[test]
    fn permuting_the_batch_permutes_the_items(batch in batches()) {
        let order: Vec<usize> = (0..batch.shape[0]).rev().collect();
        for loss in all() {
            let mut expected = batch.per_item(loss.as_ref());
            expected.reverse();
            let got = batch.items(&order).per_item(loss.as_ref());
            prop_assert!(all_close(&got, &expected), "{}", loss.name());
        }
    }

    #[test]
    fn what_is_not_selected_may_hold_anything(batch in batches(), fillings in [anything(), anything()]) {
        let mut altered = batch.clone();
        for (i, weight) in batch.weights.iter().enumerate() {
            if *weight == 0.0 {
                altered.prediction[i] = fillings[0];
                altered.target[i] = fillings[1];
            }
        }
        for (loss, dtype) in all_in_every_dtype() {
            let (items, gradient) = batch.evaluate(loss.as_ref(), dtype);
            let (other_items, other_gradient) = altered.evaluate(loss.as_ref(), dtype);
            prop_assert_eq!(items, other_items, "{} {:?}", loss.name(), dtype);
            prop_assert_eq!(&gradient, &other_gradient, "{} {:?}", loss.name(), dtype);
            for (slope, weight) in gradient.iter().zip(&batch.weights) {
                prop_assert!(*weight == 1.0 || *slope == 0.0, "{}", loss.name());
            }
        }
    }

    #[test]
    fn padding_may_hold_anything(
        batch in batches(), by in 1_usize..4, fillings in [anything(), anything()]
    ) {
        let padded = batch.padded(by, fillings);
        let frames = batch.shape[2];
        for (loss, dtype) in all_in_every_dtype() {
            let [tolerance, of_slopes] = rounding(dtype);
            let (alone, slopes) = batch.evaluate(loss.as_ref(), dtype);
            let (got, padded_slopes) = padded.evaluate(loss.as_ref(), dtype);
            let close = all_within(tolerance, &got, &alone);
            prop_assert!(close, "{} {dtype:?}: {got:?} {alone:?}", loss.name());
            let largest = slopes.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            for (row, padded) in slopes.chunks(frames).zip(padded_slopes.chunks(frames + by)) {
                let (valid, padding) = padded.split_at(frames);
                prop_assert!(padding.iter().all(|&slope| slope == 0.0), "{}", loss.name());
                for (got, slope) in valid.iter().zip(row) {
                    let close = (got - slope).abs() <= of_slopes * largest;
                    prop_assert!(close, "{} {dtype:?}: {got} {slope} of {largest}", loss.name());
                }
            }
        }
    }

    #[test]
    fn losses_are_not_negative(batch in batches()) {
        for loss in all() {
            // Itakura-Saito subtracts 1 from a number near 1.
            let items = batch.per_item(loss.as_ref());
            prop_assert!(items.iter().all(|&loss| loss >= -1e-6), "{}", loss.name());
        }
    }

    #[test]
    fn the_gradient_is_the_finite_difference(batch in batches()) {
        // In f64, clear of the kinks: of L1 at equality, of floor, cap and sign at 0.
        let step = 1e-6;
        let mut batch = batch;
        for (x, y) in batch.prediction.iter_mut().zip(&batch.target) {
            *x = x.max(0.11);
            if (*x - y).abs() < 1e-3 {
                *x = y + 0.5;
            }
        }
        for loss in all() {
            let (_, gradient) = batch.evaluate(loss.as_ref(), DType::F64);
            let largest = gradient.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            for (i, slope) in gradient.into_iter().enumerate() {
                let at = |offset: f64| {
                    let mut moved = batch.clone();
                    moved.prediction[i] += offset;
                    let (items, _) = moved.evaluate(loss.as_ref(), DType::F64);
                    items.iter().sum::<f64>() / items.len() as f64
                };
                let difference = (at(step) - at(-step)) / (2.0 * step);
                prop_assert!(
                    (slope - difference).abs() <= 1e-5 * largest.max(1e-2),
                    "{}: {slope}, {difference}", loss.name()
                );
            }
        }
    }

    #[test]
    fn l1_scales_with_the_level_and_l2_with_its_square(batch in batches(), scale in 0.1_f64..5.0) {
        for (norm, factor) in [(Norm::L1, scale), (Norm::L2, scale * scale)] {
            let loss = MagnitudeLoss { norm };
            let once = batch.per_item(&loss);
            let expected: Vec<f64> = once.iter().map(|loss| factor * loss).collect();
            let got = batch.scaled(scale, scale).per_item(&loss);
            prop_assert!(all_close(&got, &expected), "{norm:?}: {got:?} of {expected:?}");
        }
    }

    #[test]
    fn convergence_and_itakura_saito_are_scale_invariant(
        batch in audible_batches(), scale in 0.5_f64..50.0
    ) {
        let losses: [&dyn SpectrogramLoss; 2] =
            [&SpectralConvergence { epsilon: 1e-6 }, &ItakuraSaito::default()];
        for loss in losses {
            let once = batch.per_item(loss);
            let got = batch.scaled(scale, scale).per_item(loss);
            for (got, once) in got.iter().zip(&once) {
                prop_assert!((got - once).abs() <= 1e-4 * once.max(1.0), "{got} {once}");
            }
        }
    }

    #[test]
    fn logarithms_do_not_depend_on_the_level_far_above_epsilon(
        batch in audible_batches(), scale in 0.5_f64..50.0
    ) {
        for norm in [Norm::L1, Norm::L2] {
            let loss = LogMagnitudeLoss { norm, epsilon: 1e-9 };
            let once = batch.per_item(&loss);
            let got = batch.scaled(scale, scale).per_item(&loss);
            prop_assert!(all_close(&got, &once), "{norm:?}: {got:?} {once:?}");
        }
    }

    #[test]
    fn a_prediction_that_is_too_loud_by_a_factor_costs_its_logarithm(
        batch in audible_batches(), scale in 0.2_f64..5.0
    ) {
        let loud = Batch { prediction: batch.target.clone(), ..batch }.scaled(scale, 1.0);
        for (norm, cost) in [(Norm::L1, scale.ln().abs()), (Norm::L2, scale.ln().powi(2))] {
            let items = loud.per_item(&LogMagnitudeLoss { norm, epsilon: 1e-7 });
            prop_assert!(items.iter().all(|&loss| (loss - cost).abs() < 1e-4), "{items:?} {cost}");
        }
    }

    #[test]
    fn low_magnitude_weights_have_mean_one_and_come_from_the_target_alone(batch in batches()) {
        let without_cap = LowMagnitudeLoss { epsilon: 0.1, cap: 1e9 };
        let mut off = batch.clone();
        for (x, y) in off.prediction.iter_mut().zip(&batch.target) {
            *x = y + 0.5;
        }
        let counted: Vec<bool> = batch
            .weights
            .chunks(batch.weights.len() / batch.shape[0])
            .map(|weights| weights.contains(&1.0))
            .collect();
        // A constant error costs its square, whatever the target.
        for (loss, &counted) in off.per_item(&without_cap).iter().zip(&counted) {
            let expected = if counted { 0.25 } else { 0.0 };
            prop_assert!((loss - expected).abs() < 1e-5);
        }
        // Twice the error costs four times as much: the weights don't change.
        let mut twice = batch.clone();
        for (x, y) in twice.prediction.iter_mut().zip(&batch.target) {
            *x += *x - y;
        }
        let (once, twice) = (batch.per_item(&without_cap), twice.per_item(&without_cap));
        let expected: Vec<f64> = once.iter().map(|loss| 4.0 * loss).collect();
        prop_assert!(all_close(&twice, &expected), "{twice:?} {expected:?}");
    }
}

#[test]
fn a_quiet_bin_weighs_more_than_a_loud_one_up_to_the_cap() {
    let weight = |cap: f64, at: usize| {
        let mut batch = Batch {
            shape: [1, 1, 8],
            prediction: vec![0.0, 0.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0],
            target: vec![0.0, 0.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0],
            weights: vec![1.0; 8],
        };
        batch.prediction[at] += 1.0;
        8.0 * batch.per_item(&LowMagnitudeLoss { epsilon: 0.5, cap })[0]
    };
    // 1 / (x + eps) is 2, 1 and six times 0.4, 0.675 on average.
    for (at, expected) in [(0, 2.0 / 0.675), (1, 1.0 / 0.675), (2, 0.4 / 0.675)] {
        assert!((weight(10.0, at) - expected).abs() < 1e-5);
        assert!((weight(2.0, at) - expected.min(2.0)).abs() < 1e-5);
    }
}

#[test]
fn everything_is_finite_at_silence_and_for_a_single_bin() {
    let levels = [0.0, 1e-30, 1e-12, 1e-4, 1.0, 3e4, -0.7];
    let mut seen = 0;
    for shape in [[1, 1, 1], [2, 3, 4]] {
        for prediction in levels {
            for target in &levels[..6] {
                let n = shape.iter().product();
                let batch = Batch {
                    shape,
                    prediction: vec![prediction; n],
                    target: vec![*target; n],
                    weights: vec![1.0; n],
                };
                // The smallest accepted settings.
                let smallest: [Box<dyn SpectrogramLoss>; 3] = [
                    Box::new(SpectralConvergence { epsilon: 1e-18 }),
                    Box::new(LogMagnitudeLoss {
                        norm: Norm::L2,
                        epsilon: 1e-18,
                    }),
                    Box::new(ItakuraSaito { floor: 1e-12 }),
                ];
                for loss in all().into_iter().chain(smallest) {
                    loss.validate().expect("settings in range");
                    let (items, gradient) = batch.evaluate(loss.as_ref(), DType::F32);
                    let case = format!("{}: {prediction} for {target}", loss.name());
                    assert!(
                        items.iter().all(|loss| loss.is_finite()),
                        "{case}: {items:?}"
                    );
                    let finite = gradient.iter().all(|slope| slope.is_finite());
                    assert!(finite, "{case}: {gradient:?}");
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, 2 * 7 * 6 * 15);
}

#[test]
fn an_item_that_is_all_padding_is_zero_and_harmless() {
    let shape = [3, 2, 4];
    let weights = valid_weights(shape, &[4, 0, 1], &Device::flex());
    let batch = Batch {
        shape,
        prediction: (1..25).map(|i| i as f64).collect(),
        target: vec![0.5; 24],
        weights: weights.into_data().iter::<f64>().collect(),
    };
    for loss in all() {
        let (items, gradient) = batch.evaluate(loss.as_ref(), DType::F32);
        assert_eq!(items[1], 0.0, "{}", loss.name());
        assert!(items[0] > 0.0 && items[2] > 0.0, "{}", loss.name());
        assert!(gradient.iter().all(|slope| slope.is_finite()));
        assert_eq!(gradient[8..16], [0.0; 8], "{}", loss.name());
        // Of the second bin: A-weighting leaves out the first, which is 0 Hz.
        assert!(gradient[4] > 0.0, "{}", loss.name());
    }
}

#[test]
fn half_precision_is_computed_in_f32() {
    // Multiples of 1/128 from 0.125 to below 2, which are exact in bf16, while hardly any of their sums is.
    let shape = [2, 13, 47];
    let n: usize = shape.iter().product();
    let values = |step: usize| {
        let value = |i: usize| (16 + i * i * step % 239) as f64 / 128.0;
        (0..n).map(value).collect()
    };
    let batch = Batch {
        shape,
        prediction: values(37),
        target: values(91),
        weights: (0..n).map(|i| (i % 2) as f64).collect(),
    };
    for loss in all() {
        let (got, gradient) = batch.evaluate(loss.as_ref(), DType::BF16);
        let (wanted, slopes) = batch.evaluate(loss.as_ref(), DType::F32);
        assert_eq!(got, wanted, "{}", loss.name());
        let rounded = Tensor::<1>::from_data(got.as_slice(), (&Device::flex(), DType::BF16));
        for (rounded, got) in rounded.into_data().iter::<f64>().zip(&got) {
            assert_ne!(rounded, *got, "{}: bf16 would do as well", loss.name());
        }
        // A composite sums the gradients of its terms in bf16.
        let largest = slopes.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
        assert!(largest > 0.0, "{}", loss.name());
        for (got, slope) in gradient.iter().zip(&slopes) {
            let close = (got - slope).abs() <= largest / 128.0;
            assert!(close, "{}: {got} {slope} of {largest}", loss.name());
        }
    }
}

#[test]
fn defaults_are_those_of_the_documentation() {
    assert_eq!(ItakuraSaito::default().floor, 1e-8);
    assert_eq!(SpectralConvergence::default().epsilon, 1e-3);
    let log = LogMagnitudeLoss::default();
    assert_eq!((log.norm, log.epsilon), (Norm::L1, 1e-5));
    let low = LowMagnitudeLoss::default();
    assert_eq!((low.epsilon, low.cap), (1e-2, 10.0));
    let ratio = EsrDcLoss::default();
    assert_eq!(
        (ratio.pre_emphasis, ratio.epsilon),
        (PreEmphasis::HighPass, 1e-6)
    );
    // Parallel WaveGAN, table 1.
    let sizes = [(1024, 120, 600), (2048, 240, 1200), (512, 50, 240)];
    let multi = MultiResolutionStftConfig::default();
    let got = multi.resolutions.iter();
    let got: Vec<_> = got.map(|r| (r.n_fft, r.hop_length, r.win_length)).collect();
    assert_eq!(got, sizes);
    let composite = CompositeConfig::default();
    let weights = [composite.spec_l1, composite.spec_sc, composite.spec_log];
    assert_eq!((weights, composite.spec_l2), ([1.0; 3], 0.0));
    assert_eq!(composite.beta, 0.7);
    let contrastive = InfoNce::default();
    assert_eq!(
        (contrastive.temperature, contrastive.same_content),
        (0.07, 0.01)
    );
    assert_eq!(ParameterLoss::default().label_smoothing, 0.0);
}

#[test]
fn the_weights_of_quiet_bins_send_no_gradient_to_the_target() {
    let device = Device::flex().autodiff();
    let ones = Tensor::<3>::ones([2, 3, 4], &device);
    let prediction = (ones.clone() * 0.5).require_grad();
    let target = (ones.clone() * 0.3).require_grad();
    let items = LowMagnitudeLoss::default().per_item(prediction.clone(), target.clone(), ones);
    let gradients = mean_over_batch(items).backward();
    assert!(prediction.grad(&gradients).is_some());
    assert!(target.grad(&gradients).is_none());
}

#[test]
fn a_prediction_of_another_shape_is_refused_by_all() {
    let device = Device::flex();
    let mut refused = 0;
    for loss in all() {
        let (ones, other) = (
            Tensor::<3>::ones([2, 3, 4], &device),
            Tensor::<3>::ones([2, 3, 1], &device),
        );
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            loss.per_item(ones.clone(), other, ones)
        }));
        let message = *outcome.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("the prediction needs the shape of its target"));
        refused += 1;
    }
    assert_eq!(refused, 12);
}

#[test]
fn only_distances_are_defined_on_normalised_spectrograms_and_none_on_waveforms() {
    for loss in all() {
        let distance = matches!(loss.name(), "spec_l1" | "spec_l2");
        assert_eq!(loss.check_domain(Domain::Normalised).is_ok(), distance);
        let on_log1p = distance || loss.name() == "lowmag";
        assert_eq!(loss.check_domain(Domain::Log1p).is_ok(), on_log1p);
        assert!(loss.check_domain(Domain::Magnitude).is_ok());
        assert!(loss.check_domain(Domain::Waveform).is_err());
        assert!(loss.validate().is_ok());
    }
}

#[test]
fn a_composite_reports_its_terms_by_name_and_weighs_them() {
    let config = CompositeConfig {
        spec_l2: 0.5,
        ..CompositeConfig::default()
    };
    let composite = config.init(Domain::Magnitude, None).unwrap();
    let device = Device::flex();
    let value = |x: f32| Tensor::<3>::full([2, 3, 4], x, &device);
    let scores = composite.scores(value(0.5), value(2.0), value(1.0));
    let numbers = |items: Tensor<1>| items.into_data().try_to_vec::<f32>().unwrap()[0];
    let terms: Vec<(&str, f32)> = scores
        .terms
        .into_iter()
        .map(|(name, items)| (name, numbers(items)))
        .collect();
    let names: Vec<&str> = terms.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["spec_l1", "spec_l2", "spec_sc", "spec_log", "lowmag"]
    );
    let spectral = terms[0].1 + 0.5 * terms[1].1 + terms[2].1 + terms[3].1;
    let total = 0.7 * spectral + 0.3 * terms[4].1;
    assert!((numbers(scores.total) - total).abs() < 1e-5 * total);

    let alone = CompositeConfig {
        spec_sc: 0.0,
        spec_log: 0.0,
        beta: 1.0,
        ..CompositeConfig::default()
    };
    let alone = alone.init(Domain::Normalised, None).unwrap();
    let scores = alone.scores(value(-0.5), value(2.0), value(1.0));
    assert_eq!(scores.terms.len(), 1);
    assert_eq!(numbers(scores.total), 2.5);
}
