//! Convolutions through the public API: their invariants, and the values of PyTorch.
//!
//! On `f32` with the feature `flex` these are the fused versions; on the other types, and without the
//! feature, Burn's operations.

mod common;

use burn::tensor::{DType, Device, Tensor, TensorData};
use common::{floats, floats_of, golden, uniform};
use kernels::{Conv1dOptions, conv_transpose1d, conv1d};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Plain,
    Transposed,
}

/// A convolution, its operands, and the gradient of its output.
struct Case {
    kind: Kind,
    options: Conv1dOptions,
    x: Tensor<3>,
    weight: Tensor<3>,
    bias: Tensor<1>,
    gradient: Tensor<3>,
}

/// The output and the gradients of x, weight and bias.
type Results = [Vec<f32>; 4];

impl Case {
    fn new(
        kind: Kind,
        [batch, c_in, c_out, frames]: [usize; 4],
        taps: usize,
        options: Conv1dOptions,
    ) -> Self {
        let [left, right] = options.padding;
        let (weight, frames_out) = match kind {
            Kind::Plain => (
                [c_out, c_in, taps],
                (left + frames + right - taps) / options.stride + 1,
            ),
            Kind::Transposed => (
                [c_in, c_out, taps],
                (frames - 1) * options.stride + taps - left - right,
            ),
        };
        Self {
            kind,
            options,
            x: uniform([batch, c_in, frames], 1),
            weight: uniform(weight, 2),
            bias: uniform([c_out], 3),
            gradient: uniform([batch, c_out, frames_out], 4),
        }
    }

    fn run(&self) -> Results {
        let results = self.run_as(DType::F32);
        let without_graph = self.apply(self.x.clone(), self.weight.clone(), self.bias.clone());
        assert!(
            results[0] == floats(without_graph),
            "a graph changes nothing"
        );
        results
    }

    /// Burn's convolution, in double precision.
    fn run_stock(&self) -> Results {
        self.run_as(DType::F64)
    }

    fn run_as(&self, dtype: DType) -> Results {
        let x = self.x.clone().cast(dtype).autodiff().require_grad();
        let weight = self.weight.clone().cast(dtype).autodiff().require_grad();
        let bias = self.bias.clone().cast(dtype).autodiff().require_grad();
        let y = self.apply(x.clone(), weight.clone(), bias.clone());
        assert_eq!(y.dims(), self.gradient.dims());
        let values = floats(y.clone().inner());
        let gradient = self.gradient.clone().cast(dtype).autodiff();
        let gradients = (y * gradient).sum().backward();
        let of = |tensor: &Tensor<3>| {
            let gradient = tensor.grad(&gradients).expect("a gradient of each operand");
            assert_eq!(gradient.dims(), tensor.dims());
            floats(gradient)
        };
        let of_bias = bias.grad(&gradients).expect("a gradient of the bias");
        [values, of(&x), of(&weight), floats(of_bias)]
    }

    fn apply(&self, x: Tensor<3>, weight: Tensor<3>, bias: Tensor<1>) -> Tensor<3> {
        let function = match self.kind {
            Kind::Plain => conv1d,
            Kind::Transposed => conv_transpose1d,
        };
        function(x, weight, Some(bias), self.options)
    }
}

fn options(stride: usize, padding: [usize; 2]) -> Conv1dOptions {
    Conv1dOptions { stride, padding }
}

/// Equal up to 1e-5 of the largest value, gradients up to 1e-4 of theirs.
fn assert_close(got: &Results, expected: &Results) {
    common::assert_close(got, expected, &[1e-5, 1e-4, 1e-4, 1e-4], 0.1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_convolution_is_that_of_burn(
        batch in 1_usize..4,
        c_in in 1_usize..20,
        c_out in 1_usize..20,
        frames in 1_usize..=75,
        taps in 1_usize..6,
        stride in 1_usize..4,
        padding: [u8; 2],
    ) {
        let [left, right] = padding.map(|n| usize::from(n) % (taps + 1));
        let right = right.max(taps.saturating_sub(left + frames));
        let case = Case::new(Kind::Plain, [batch, c_in, c_out, frames], taps, options(stride, [left, right]));
        assert_close(&case.run(), &case.run_stock());
    }

    #[test]
    fn a_transposed_convolution_is_that_of_burn(
        batch in 1_usize..4,
        c_in in 1_usize..20,
        c_out in 1_usize..20,
        frames in 1_usize..=75,
        taps in 1_usize..6,
        stride in 1_usize..4,
        padding: [u8; 2],
    ) {
        let reach = (frames - 1) * stride + taps;
        let left = usize::from(padding[0]) % reach.min(taps);
        let right = usize::from(padding[1]) % (reach - left).min(taps);
        let case = Case::new(Kind::Transposed, [batch, c_in, c_out, frames], taps, options(stride, [left, right]));
        assert_close(&case.run(), &case.run_stock());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn windows_of_three_frames_give_the_same_two_at_a_time(
        batch in 1_usize..4,
        c_in in 16_usize..40,
        c_out in 16_usize..40,
        frames in 1_usize..=75,
        padding in proptest::array::uniform2(0_usize..3),
        transposed: bool,
    ) {
        let [left, right] = padding;
        let (kind, most) = match transposed {
            true => (Kind::Transposed, frames + 1),
            false => (Kind::Plain, 3),
        };
        let left = left.min(most);
        let right = match transposed {
            true => right.min(most - left),
            false => right.max(3_usize.saturating_sub(left + frames)),
        };
        let case = Case::new(kind, [batch, c_in, c_out, frames], 3, options(1, [left, right]));
        assert_close(&case.run(), &case.run_stock());
    }
}

#[test]
fn sizes_at_the_borders_of_tiles_and_tasks_are_no_special_case() {
    let mut cases = 0;
    for (sizes, taps, options) in [
        // Several tiles and groups of them; blocks of channels; work for several threads.
        ([3, 129, 130, 345], 3, options(1, [1, 1])),
        ([9, 70, 65, 44], 3, options(1, [1, 1])),
        // More channels than are made at once.
        ([2, 40, 300, 37], 3, options(1, [1, 1])),
        ([1, 300, 140, 9], 3, options(1, [1, 1])),
        ([1, 65, 64, 257], 4, options(2, [1, 2])),
        ([2, 300, 7, 64], 1, options(1, [0, 0])),
        // More taps than frames, than are summed at once, and than a stride reaches.
        ([2, 3, 5, 11], 31, options(1, [15, 15])),
        ([1, 2, 3, 150], 140, options(1, [0, 3])),
        ([2, 4, 3, 50], 2, options(5, [0, 1])),
    ] {
        for kind in [Kind::Plain, Kind::Transposed] {
            let case = Case::new(kind, sizes, taps, options);
            assert_close(&case.run(), &case.run_stock());
            cases += 1;
        }
    }
    assert_eq!(cases, 18);
}

#[test]
fn an_operand_may_be_a_view() {
    let swapped = |tensor: &Tensor<3>| {
        // The copy is contiguous in the swapped order; swapped back it is a view of it.
        let data = tensor.clone().swap_dims(1, 2).into_data();
        Tensor::<3>::from_data(data, &Device::flex()).swap_dims(1, 2)
    };
    let part = |tensor: &Tensor<3>| {
        let size = tensor.dims()[0];
        Tensor::cat(vec![tensor.clone().neg(), tensor.clone()], 0).narrow(0, size, size)
    };
    for kind in [Kind::Plain, Kind::Transposed] {
        for (taps, options) in [(3, options(1, [1, 1])), (4, options(2, [0, 1]))] {
            let case = Case::new(kind, [2, 7, 5, 34], taps, options);
            let expected = case.run();
            let operands = [&case.x, &case.weight, &case.gradient];
            for views in [operands.map(swapped), operands.map(part)] {
                let [x, weight, gradient] = views;
                let bias = Tensor::cat(vec![case.bias.clone().neg(), case.bias.clone()], 0);
                let case = Case {
                    x,
                    weight,
                    gradient,
                    bias: bias.narrow(0, 5, 5),
                    ..case
                };
                assert_close(&case.run(), &expected);
            }
        }
    }
}

#[test]
fn an_absent_bias_is_zero() {
    for kind in [Kind::Plain, Kind::Transposed] {
        let case = Case::new(kind, [2, 7, 5, 33], 4, options(2, [1, 1]));
        let function = match kind {
            Kind::Plain => conv1d,
            Kind::Transposed => conv_transpose1d,
        };
        let without = function(case.x.clone(), case.weight.clone(), None, case.options);
        let zeros = case.bias.zeros_like();
        let with = case.apply(case.x.clone(), case.weight.clone(), zeros);
        assert_eq!(floats(without), floats(with));
    }
}

#[test]
fn only_what_is_tracked_gets_a_gradient() {
    let mut checked = 0;
    for kind in [Kind::Plain, Kind::Transposed] {
        let case = Case::new(kind, [2, 7, 5, 33], 3, options(2, [1, 0]));
        let expected = case.run();
        for tracked in 1..8 {
            let tracked = [1, 2, 4].map(|bit| tracked & bit != 0);
            let x = case.x.clone().autodiff().set_require_grad(tracked[0]);
            let weight = case.weight.clone().autodiff();
            let weight = weight.set_require_grad(tracked[1]);
            let bias = case.bias.clone().autodiff().set_require_grad(tracked[2]);
            let y = case.apply(x.clone(), weight.clone(), bias.clone());
            let gradients = (y * case.gradient.clone().autodiff()).sum().backward();
            let got = [
                x.grad(&gradients).map(floats),
                weight.grad(&gradients).map(floats),
                bias.grad(&gradients).map(floats),
            ];
            for (i, got) in got.into_iter().enumerate() {
                assert_eq!(got, tracked[i].then(|| expected[i + 1].clone()), "{kind:?}");
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 2 * 7 * 3);
}

#[test]
fn values_and_gradients_are_those_of_pytorch() {
    let golden = golden(include_str!("golden/conv.json"));
    let sizes: Vec<usize> = floats_of(&golden["sizes"])
        .iter()
        .map(|&n| n as usize)
        .collect();
    let cases = golden["cases"].as_array().expect("cases");
    for golden in cases {
        let kind = match golden["kind"].as_str() {
            Some("plain") => Kind::Plain,
            _ => Kind::Transposed,
        };
        let number = |name: &str| golden[name].as_u64().expect("a number") as usize;
        let padding = floats_of(&golden["padding"]);
        let options = options(number("stride"), [padding[0] as usize, padding[1] as usize]);
        let sizes = [sizes[0], sizes[1], sizes[2], sizes[3]];
        let mut case = Case::new(kind, sizes, number("taps"), options);
        case.x = filled(&case.x, &golden["x"]);
        case.weight = filled(&case.weight, &golden["weight"]);
        case.bias = filled(&case.bias, &golden["bias"]);
        case.gradient = filled(&case.gradient, &golden["output_gradient"]);
        let expected = ["output", "x_gradient", "weight_gradient", "bias_gradient"]
            .map(|name| floats_of(&golden[name]));
        assert_close(&case.run(), &expected);
    }
    assert_eq!(cases.len(), 4);
}

fn filled<const D: usize>(like: &Tensor<D>, values: &serde_json::Value) -> Tensor<D> {
    let data = TensorData::new(floats_of(values), like.dims());
    Tensor::from_data(data, &Device::flex())
}

#[test]
fn the_transposed_convolution_is_the_adjoint() {
    // <conv(x), y> = <x, transposed(y)>
    let case = Case::new(Kind::Plain, [2, 7, 5, 34], 4, options(2, [1, 1]));
    let [x, y] = [case.x.clone(), case.gradient.clone()];
    let there = conv1d(x.clone(), case.weight.clone(), None, case.options);
    let back = conv_transpose1d(y.clone(), case.weight.clone(), None, case.options);
    let [there, back] = [floats((there * y).sum())[0], floats((x * back).sum())[0]];
    assert!(
        (there - back).abs() < 1e-3 * there.abs().max(1.0),
        "{there}, {back}"
    );
}

#[cfg(feature = "flex")]
#[test]
fn a_result_does_not_depend_on_the_number_of_threads() {
    let (strided, plain) = ((4, options(2, [1, 1])), (3, options(1, [1, 1])));
    for (kind, (taps, options)) in [
        (Kind::Plain, strided),
        (Kind::Transposed, strided),
        (Kind::Plain, plain),
        (Kind::Transposed, plain),
    ] {
        let case = Case::new(kind, [5, 70, 130, 91], taps, options);
        let results = [1, 2, 2, 5].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("a pool").install(|| case.run())
        });
        for other in &results[1..] {
            assert!(results[0] == *other, "{kind:?}, {taps} taps");
        }
    }
}

#[test]
#[should_panic(expected = "the weights are for 7 channels, got 6")]
fn channels_must_fit() {
    conv1d(
        uniform([2, 6, 9], 1),
        uniform([5, 7, 3], 2),
        None,
        Conv1dOptions::same(3),
    );
}

#[test]
#[should_panic(expected = "a window of 5 frames must fit, got 3 and padding [1, 0]")]
fn a_window_must_fit() {
    conv1d(
        uniform([2, 6, 3], 1),
        uniform([4, 6, 5], 2),
        None,
        options(1, [1, 0]),
    );
}
