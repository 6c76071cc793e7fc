//! Properties of pooling and heads.

use burn::tensor::{Device, Distribution, Tensor, TensorData, Tolerance};
use heads::{FeatureMap, ParameterHeadsConfig, Pooling};

const CHANNELS: usize = 5;
const FRAMES: usize = 11;

fn map(values: Tensor<3>, valid_frames: &[usize]) -> FeatureMap {
    FeatureMap {
        values,
        valid_frames: valid_frames.to_vec(),
    }
}

fn noise(batch: usize) -> Tensor<3> {
    let shape = [batch, CHANNELS, FRAMES];
    Tensor::random(shape, Distribution::Default, &Device::flex())
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

#[test]
fn padding_may_hold_anything() {
    let valid = [FRAMES, 4, 1];
    let plain = noise(3);
    let padded: Vec<f32> = valid
        .iter()
        .flat_map(|&valid| (0..CHANNELS * FRAMES).map(move |at| at % FRAMES >= valid))
        .map(f32::from)
        .collect();
    let padded = Tensor::<3>::from_data(
        TensorData::new(padded, [3, CHANNELS, FRAMES]),
        &plain.device(),
    );
    for rubbish in [7.0, f32::NAN, f32::INFINITY] {
        let other = plain
            .clone()
            .mask_fill(padded.clone().greater_elem(0.5), rubbish);
        for segments in [1, 3, 4, 20] {
            let pooling = Pooling { segments };
            let pooled = pooling.forward(&[map(other.clone(), &valid)]);
            let expected = pooling.forward(&[map(plain.clone(), &valid)]);
            assert_eq!(values(pooled), values(expected), "{segments} segments");
        }
    }
}

#[test]
fn means_and_deviation_are_those_of_a_hand_computed_example() {
    // Two channels of five frames, of which four are valid; two segments: frames 0 and 1, and 2 to 4.
    let x = [[[1.0, 3.0, 5.0, 7.0, 99.0], [2.0, 2.0, 2.0, 2.0, -99.0]]];
    let x = Tensor::<3>::from_data(x, &Device::flex());
    let pooled = Pooling { segments: 2 }.forward(&[map(x, &[4])]);
    // Means of channel 0: 2 and 6, of channel 1: 2 and 2; deviations: sqrt 5, and that of a constant.
    let expected = [2.0, 6.0, 2.0, 2.0, 5.0_f32.sqrt(), 1e-5_f32.sqrt()];
    let expected = TensorData::new(expected.to_vec(), [1, 6]);
    pooled
        .into_data()
        .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
}

#[test]
fn maps_of_different_lengths_are_concatenated() {
    let device = Device::flex();
    let pooling = Pooling { segments: 2 };
    let long = map(noise(2), &[11, 8]);
    let short = map(Tensor::ones([2, 3, 4], &device) * 2.0, &[4, 3]);
    let both = pooling.forward(&[long.clone(), short.clone()]);
    assert_eq!(both.dims(), [2, pooling.features(&[CHANNELS, 3])]);
    let apart = Tensor::cat(vec![pooling.forward(&[long]), pooling.forward(&[short])], 1);
    assert_eq!(values(both), values(apart));
}

#[test]
fn an_item_has_one_result_whatever_it_is_batched_with() {
    let device = Device::flex();
    for hidden in [0, 6] {
        let config = ParameterHeadsConfig {
            hidden,
            dropout: 0.5,
        };
        let heads = config.init(9, 4, &[2, 3], &device);
        // New heads predict the same for all items.
        let heads = randomised(heads);
        let x = Tensor::<2>::random([3, 9], Distribution::Default, &device);
        let all = heads.forward(x.clone());
        let positions = all.continuous.unwrap();
        assert_eq!(positions.dims(), [3, 4]);
        let mut seen = Vec::new();
        for item in [2, 0, 1] {
            let alone = heads.forward(x.clone().narrow(0, item, 1));
            let expected = positions.clone().narrow(0, item, 1).into_data();
            let of_alone = alone.continuous.unwrap();
            of_alone
                .clone()
                .into_data()
                .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
            for (alone, all) in alone.logits.iter().zip(&all.logits) {
                let expected = all.clone().narrow(0, item, 1).into_data();
                let alone = alone.clone().into_data();
                alone.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
            }
            seen.extend(values(of_alone));
        }
        assert!(seen.iter().all(|position| (0.0..=1.0).contains(position)));
        assert!(seen[0] != seen[4], "items differ");
        let classes: Vec<_> = all.logits.iter().map(|logits| logits.dims()).collect();
        assert_eq!(classes, [[3, 2], [3, 3]]);
    }
}

#[test]
fn new_heads_predict_the_middle_and_equal_classes() {
    let device = Device::flex();
    let heads = ParameterHeadsConfig::default().init(7, 2, &[4], &device);
    let estimate = heads.forward(Tensor::random([3, 7], Distribution::Default, &device));
    assert_eq!(values(estimate.continuous.unwrap()), [0.5; 6]);
    assert_eq!(values(estimate.logits[0].clone()), [0.0; 12]);
}

#[test]
fn heads_inherit_the_outputs_that_are_named() {
    let device = Device::flex();
    let x = Tensor::<2>::random([5, 7], Distribution::Default, &device);
    for hidden in [0, 6] {
        let config = ParameterHeadsConfig {
            hidden,
            ..ParameterHeadsConfig::default()
        };
        // The source has two positions and four classes, the new heads three of each.
        let source = randomised(config.init(7, 2, &[4], &device));
        let new = || config.init(7, 3, &[3], &device);
        let outputs = [None, Some(1), Some(0), Some(5), None, Some(2)];
        let heads = new().inherit(&source, &outputs);
        let (given, got) = (source.forward(x.clone()), heads.forward(x.clone()));
        let [of_source, positions] = [&given, &got].map(|of| of.continuous.clone().unwrap());
        let column = |x: &Tensor<2>, place| values(x.clone().narrow(1, place, 1));
        assert_eq!(column(&positions, 0), [0.5; 5]);
        assert_eq!(column(&positions, 1), column(&of_source, 1));
        assert_eq!(column(&positions, 2), column(&of_source, 0));
        assert_eq!(column(&got.logits[0], 0), column(&given.logits[0], 3));
        assert_eq!(column(&got.logits[0], 1), [0.0; 5]);
        assert_eq!(column(&got.logits[0], 2), column(&given.logits[0], 0));

        // Nothing is copied from heads of another width, or with a hidden layer that the new ones don't have.
        let other = ParameterHeadsConfig {
            hidden: hidden + 3,
            ..config
        };
        let others = randomised(other.init(7, 2, &[4], &device));
        let unchanged = new().inherit(&others, &outputs).forward(x.clone());
        assert_eq!(values(unchanged.continuous.unwrap()), [0.5; 15]);
        let wider = randomised(config.init(8, 2, &[4], &device));
        let unchanged = new().inherit(&wider, &outputs).forward(x.clone());
        assert_eq!(values(unchanged.continuous.unwrap()), [0.5; 15]);
    }
}

#[test]
fn one_kind_of_parameter_is_enough() {
    let device = Device::flex();
    let config = ParameterHeadsConfig::default();
    let x = Tensor::<2>::ones([2, 7], &device);
    let only_classes = config.init(7, 0, &[3], &device).forward(x.clone());
    assert!(only_classes.continuous.is_none());
    assert_eq!(only_classes.logits[0].dims(), [2, 3]);
    let only_positions = config.init(7, 3, &[], &device).forward(x);
    assert_eq!(only_positions.continuous.unwrap().dims(), [2, 3]);
    assert!(only_positions.logits.is_empty());
}

/// The same heads with random weights.
fn randomised(heads: heads::ParameterHeads) -> heads::ParameterHeads {
    use burn::module::{Module, ModuleMapper, Param};
    struct Randomise;
    impl ModuleMapper for Randomise {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|x| x.random_like(Distribution::Uniform(-1.0, 1.0)))
        }
    }
    heads.map(&mut Randomise)
}
