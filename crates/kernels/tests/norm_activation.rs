//! Normalisations and GELU through the public API, against Burn's operations and values of PyTorch.
//!
//! On `f32` with the feature `flex` these are the fused versions; on the other types, and without the
//! feature, Burn's operations.

mod common;

use burn::nn::{GroupNormConfig, LayerNormConfig};
use burn::tensor::activation::silu;
use burn::tensor::{DType, Device, Tensor, TensorData, activation};
use common::{floats, floats_of, golden, normal};
use kernels::{gelu, group_norm, group_norm_silu, layer_norm};
use proptest::prelude::*;

const EPSILON: f64 = 1e-3;

/// An operation of x, gamma and beta.
type Operation<'a> = &'a (dyn Fn(Tensor<3>, Tensor<1>, Tensor<1>) -> Tensor<3> + Sync);

/// The operands, and the gradient of the output.
struct Case {
    x: Tensor<3>,
    parameters: [Tensor<1>; 2],
    gradient: Tensor<3>,
}

/// The output and the gradients of x, gamma and beta.
type Results = [Vec<f32>; 4];

impl Case {
    fn new(shape: [usize; 3], parameters: usize) -> Self {
        Self {
            x: normal(shape, 1) * 1.5 + 0.7,
            parameters: [normal([parameters], 2), normal([parameters], 3)],
            gradient: normal(shape, 4),
        }
    }

    fn run(&self, operation: Operation) -> Results {
        let x = self.x.clone().autodiff().require_grad();
        let [gamma, beta] = self
            .parameters
            .clone()
            .map(|parameter| parameter.autodiff().require_grad());
        let output = operation(x.clone(), gamma.clone(), beta.clone());
        let values = floats(output.clone().inner());
        let gradients = (output * self.gradient.clone().autodiff()).sum().backward();
        let of_parameter = |parameter: Tensor<1>| parameter.grad(&gradients).map(floats);
        let results = [
            values,
            floats(x.grad(&gradients).expect("a gradient of x")),
            of_parameter(gamma).unwrap_or_default(),
            of_parameter(beta).unwrap_or_default(),
        ];
        let [gamma, beta] = self.parameters.clone();
        let without_graph = floats(operation(self.x.clone(), gamma, beta));
        // Burn's operations may be computed in another way under a graph.
        let most = if cfg!(feature = "flex") { 0.0 } else { 1e-5 };
        assert_eq!(results[0].len(), without_graph.len());
        for (&with, &without) in results[0].iter().zip(&without_graph) {
            let off = (with - without).abs();
            assert!(
                off <= most * (1.0 + without.abs()),
                "a graph changes nothing"
            );
        }
        results
    }
}

/// By Burn's operations, with the mean subtracted first.
fn plain_group_norm(x: Tensor<3>, groups: usize, gamma: Tensor<1>, beta: Tensor<1>) -> Tensor<3> {
    let [batch, channels, frames] = x.dims();
    let x = x.reshape([batch, groups, channels / groups * frames]);
    let centred = x.clone() - x.mean_dim(2);
    let deviation = (centred.clone().square().mean_dim(2) + EPSILON).sqrt();
    let normalized = (centred / deviation).reshape([batch, channels, frames]);
    normalized * gamma.reshape([1, channels, 1]) + beta.reshape([1, channels, 1])
}

fn plain_layer_norm(x: Tensor<3>, gamma: Tensor<1>, beta: Tensor<1>) -> Tensor<3> {
    let centred = x.clone() - x.mean_dim(2);
    let deviation = (centred.clone().square().mean_dim(2) + EPSILON).sqrt();
    centred / deviation * gamma.unsqueeze() + beta.unsqueeze()
}

/// Equal up to 1e-5 of the largest value, gradients up to 1e-4 of theirs.
fn assert_close(got: &Results, expected: &Results) {
    assert_close_to(got, expected, [1e-5, 1e-4, 1e-4, 1e-4]);
}

fn assert_close_to(got: &Results, expected: &Results, tolerances: [f32; 4]) {
    // Values that cancel are differences of values of about 1.
    common::assert_close(got, expected, &tolerances, 0.1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn group_norm_is_that_of_burns_operations(
        batch in 1_usize..4,
        groups in 1_usize..5,
        channels_each in 1_usize..7,
        frames in 1_usize..90,
    ) {
        let channels = groups * channels_each;
        let case = Case::new([batch, channels, frames], channels);
        let got = case.run(&|x, gamma, beta| group_norm(x, groups, gamma, beta, EPSILON));
        let expected = case.run(&|x, gamma, beta| plain_group_norm(x, groups, gamma, beta));
        assert_close(&got, &expected);
        let got = case.run(&|x, gamma, beta| group_norm_silu(x, groups, gamma, beta, EPSILON));
        let expected = case.run(&|x, gamma, beta| silu(plain_group_norm(x, groups, gamma, beta)));
        assert_close(&got, &expected);
    }

    #[test]
    fn layer_norm_is_that_of_burns_operations(
        batch in 1_usize..4,
        tokens in 1_usize..40,
        features in 2_usize..150,
    ) {
        let case = Case::new([batch, tokens, features], features);
        let got = case.run(&|x, gamma, beta| layer_norm(x, gamma, beta, EPSILON));
        assert_close(&got, &case.run(&plain_layer_norm));
    }

    #[test]
    fn gelu_is_that_of_burn(batch in 1_usize..4, tokens in 1_usize..40, features in 1_usize..150) {
        let case = Case::new([batch, tokens, features], 1);
        assert_close(&case.run(&|x, _, _| gelu(x)), &case.run(&|x, _, _| activation::gelu(x)));
    }
}

/// More values than one thread takes, in sizes that no vector or block divides.
#[test]
fn large_tensors_are_no_special_case() {
    let case = Case::new([3, 12, 5003], 12);
    let got = case.run(&|x, gamma, beta| group_norm_silu(x, 4, gamma, beta, EPSILON));
    let expected = case.run(&|x, gamma, beta| silu(plain_group_norm(x, 4, gamma, beta)));
    assert_close(&got, &expected);
    let case = Case::new([3, 1201, 67], 67);
    let got = case.run(&|x, gamma, beta| layer_norm(x, gamma, beta, EPSILON));
    assert_close(&got, &case.run(&plain_layer_norm));
    let got = case.run(&|x, _, _| gelu(x));
    assert_close(&got, &case.run(&|x, _, _| activation::gelu(x)));
}

#[test]
fn burns_modules_give_the_same() {
    let device = Device::flex();
    let x = normal([2, 6, 35], 1);
    let module = GroupNormConfig::new(3, 6).init(&device);
    let [gamma, beta] = [&module.gamma, &module.beta].map(|x| x.as_ref().expect("affine").val());
    let got = floats(group_norm(x.clone(), 3, gamma, beta, module.epsilon));
    for (got, expected) in got.iter().zip(floats(module.forward(x.clone()))) {
        assert!((got - expected).abs() < 1e-5, "{got}, expected {expected}");
    }
    let module = LayerNormConfig::new(35).init(&device);
    let beta = module.beta.as_ref().expect("a beta").val();
    let got = floats(layer_norm(x.clone(), module.gamma.val(), beta, 1e-5));
    for (got, expected) in got.iter().zip(floats(module.forward(x))) {
        assert!((got - expected).abs() < 1e-5, "{got}, expected {expected}");
    }
}

#[test]
fn a_large_mean_costs_the_deviation_no_digits() {
    let mut case = Case::new([2, 6, 700], 6);
    // Whole numbers, so that f32 holds the sums.
    case.x = (case.x * 8.0).round();
    let moved = case.x.clone() + 4096.0;
    let operation: Operation = &|x, gamma, beta| group_norm(x, 2, gamma, beta, EPSILON);
    let expected = case.run(operation);
    case.x = moved;
    assert_close_to(&case.run(operation), &expected, [1e-4; 4]);
}

#[test]
fn views_give_the_same() {
    for operation in [
        (&|x, gamma, beta| group_norm_silu(x, 2, gamma, beta, EPSILON)) as Operation,
        &|x, _, _| gelu(x),
    ] {
        let mut case = Case::new([2, 6, 35], 6);
        let expected = case.run(operation);
        let laid_out = |tensor: &Tensor<3>| {
            let data = tensor.clone().swap_dims(1, 2).into_data();
            Tensor::<3>::from_data(data, &Device::flex()).swap_dims(1, 2)
        };
        [case.x, case.gradient] = [&case.x, &case.gradient].map(laid_out);
        assert_eq!(case.run(operation), expected);
        // Part of a longer tensor.
        [case.x, case.gradient] =
            [case.x, case.gradient].map(|x| Tensor::cat(vec![x.clone(), x], 0).narrow(0, 2, 2));
        assert_eq!(case.run(operation), expected);
    }
}

/// A gradient that two nodes share is not overwritten.
#[test]
fn a_shared_gradient_is_not_overwritten() {
    let case = Case::new([2, 5, 36], 36);
    let [gamma, beta] = case.parameters.clone();
    let x = case.x.clone().autodiff().require_grad();
    let y = layer_norm(x.clone(), gamma.autodiff(), beta.autodiff(), EPSILON);
    // The same gradient goes to y and to the other term.
    let other = normal([2, 5, 36], 9).autodiff().require_grad();
    let sum = (y + other.clone()) * case.gradient.clone().autodiff();
    let gradients = sum.sum().backward();
    let other = other.grad(&gradients).expect("a gradient");
    assert_eq!(floats(other), floats(case.gradient.clone()));
    let x = floats(x.grad(&gradients).expect("a gradient"));
    let expected = case.run(&|x, gamma, beta| layer_norm(x, gamma, beta, EPSILON));
    assert_eq!(x, expected[1]);
}

#[test]
fn other_types_of_floats_run_on_burns_operations() {
    let operations: [Operation; 3] = [
        &|x, gamma, beta| group_norm_silu(x, 2, gamma, beta, EPSILON),
        &|x, gamma, beta| layer_norm(x, gamma, beta, EPSILON),
        &|x, _, _| gelu(x),
    ];
    for operation in operations {
        for (dtype, tolerance) in [(DType::F64, 1e-5), (DType::F16, 2e-2)] {
            let mut case = Case::new([2, 6, 6], 6);
            let expected = case.run(operation);
            [case.x, case.gradient] = [case.x, case.gradient].map(|x| x.cast(dtype));
            case.parameters = case.parameters.map(|x| x.cast(dtype));
            assert_close_to(&case.run(operation), &expected, [tolerance; 4]);
        }
    }
}

#[cfg(feature = "flex")]
#[test]
fn neither_threads_nor_runs_change_a_bit() {
    let operations: [Operation; 3] = [
        &|x, gamma, beta| group_norm_silu(x, 6, gamma, beta, EPSILON),
        &|x, gamma, beta| layer_norm(x.swap_dims(1, 2), gamma, beta, EPSILON),
        &|x, _, _| gelu(x),
    ];
    for operation in operations {
        let [one, two, again] = [1, 2, 2].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("a pool of threads").install(|| {
                let case = Case::new([3, 54, 1501], 54);
                let x = case.x.autodiff().require_grad();
                let parameters = case.parameters.map(|x| x.autodiff().require_grad());
                let [gamma, beta] = parameters.clone();
                let output = operation(x.clone(), gamma, beta);
                let gradients = output.clone().backward();
                let mut results = vec![
                    floats(output.inner()),
                    floats(x.grad(&gradients).expect("a gradient")),
                ];
                let of_parameters = parameters.map(|x| x.grad(&gradients).map(floats));
                results.extend(of_parameters.into_iter().flatten());
                results
            })
        });
        assert!(one == two && two == again);
    }
}

#[test]
fn values_and_gradients_are_those_of_pytorch() {
    let golden = golden(include_str!("golden/norm_activation.json"));
    let input = |name: &str| floats_of(&golden[name]);
    let device = Device::flex();
    let shape = [2, 6, 5];
    let operations: [(&str, usize, Operation); 3] = [
        ("group_norm_silu", 6, &|x, gamma, beta| {
            group_norm_silu(x, 3, gamma, beta, EPSILON)
        }),
        ("layer_norm", 5, &|x, gamma, beta| {
            layer_norm(x, gamma, beta, EPSILON)
        }),
        ("gelu", 1, &|x, _, _| gelu(x)),
    ];
    for (name, parameters, operation) in operations {
        let tensor = |name| Tensor::from_data(TensorData::new(input(name), shape), &device);
        let case = Case {
            x: tensor("x"),
            parameters: ["gamma", "beta"].map(|name| {
                let values = input(name)[..parameters].to_vec();
                Tensor::from_data(TensorData::new(values, [parameters]), &device)
            }),
            gradient: tensor("output_gradient"),
        };
        let expected = [0, 1, 2, 3].map(|i| floats_of(&golden[name][i]));
        assert_close(&case.run(operation), &expected);
    }
}

#[test]
fn nothing_gives_nothing() {
    let device = Device::flex();
    let empty = Tensor::<3>::zeros([0, 6, 5], &device);
    let [gamma, beta] = [2, 3].map(|seed| normal([6], seed));
    let y = group_norm(empty.clone(), 3, gamma, beta, EPSILON);
    assert_eq!(y.dims(), [0, 6, 5]);
    assert_eq!(gelu(empty).dims(), [0, 6, 5]);
}

#[test]
#[should_panic(expected = "a number of groups that divides 6 channels, got 4")]
fn groups_that_do_not_divide_the_channels_are_refused() {
    let case = Case::new([2, 6, 5], 6);
    let [gamma, beta] = case.parameters;
    group_norm(case.x, 4, gamma, beta, EPSILON);
}

#[test]
#[should_panic(expected = "the shape of gamma")]
fn parameters_of_another_length_are_refused() {
    let case = Case::new([2, 6, 5], 6);
    let [gamma, beta] = case.parameters;
    layer_norm(case.x, gamma, beta, EPSILON);
}
