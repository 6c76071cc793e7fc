//! Every operation, with every set of instructions of the machine, against Burn's operations.

use crate::cpu::backend::unfused;
use crate::cpu::simd::{arch, for_each_arch};
use crate::{AdamWStep, Contrast, Conv1dOptions};
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

/// An operation on flat operands. It reshapes them itself.
type Operation<'a> = &'a (dyn Fn(Vec<Tensor<1>>) -> Tensor<1> + Sync);

/// Plain or transposed.
type Convolution = fn(Tensor<3>, Tensor<3>, Option<Tensor<1>>, Conv1dOptions) -> Tensor<3>;

/// Values between -1 and 1.
fn values(count: usize, seed: usize) -> Tensor<1> {
    let value = |i: usize| ((i + 7919 * seed) * 2_654_435_761 % 100_003) as f32 / 50_001.5 - 1.0;
    let values: Vec<f32> = (0..count).map(value).collect();
    Tensor::from_data(TensorData::new(values, [count]), &Device::flex())
}

fn numbers(tensor: Tensor<1>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn operands(counts: &[usize]) -> Vec<Tensor<1>> {
    let operand = |(seed, &count)| values(count, seed);
    counts.iter().enumerate().map(operand).collect()
}

/// The output, and the gradients of all operands.
fn run(operation: Operation, operands: &[Tensor<1>], dtype: DType) -> Vec<Vec<f64>> {
    let tracked = |operand: &Tensor<1>| operand.clone().cast(dtype).autodiff().require_grad();
    let operands: Vec<_> = operands.iter().map(tracked).collect();
    let output = operation(operands.clone());
    let slopes = values(output.dims()[0], operands.len())
        .cast(dtype)
        .autodiff();
    let gradients = (output.clone() * slopes).sum().backward();
    let of_operands = operands.iter().map(|operand| operand.grad(&gradients));
    let mut results = vec![numbers(output.inner())];
    results.extend(of_operands.map(|gradient| numbers(gradient.expect("a gradient"))));
    results
}

/// In double precision only Burn's operations are used.
fn assert_values_like_burn(operation: Operation, counts: &[usize]) {
    let operands = operands(counts);
    let expected = run(operation, &operands, DType::F64);
    let run_in_f32 = || run(operation, &operands, DType::F32);
    assert_close(run_in_f32, &expected);
    assert_close(|| unfused(run_in_f32), &expected);
    // With few values the roundings may all agree.
    if counts.iter().sum::<usize>() > 200 {
        let are_the_same = run_in_f32() == unfused(run_in_f32);
        assert!(!are_the_same, "the fused version isn't taken");
    }
}

/// For finite values, and for NaN and infinity in the middle of each operand.
fn assert_like_burn(operation: Operation, counts: &[usize]) {
    assert_values_like_burn(operation, counts);
    let operands = operands(counts);
    for which in 0..operands.len() {
        for spoilt in [f32::NAN, f32::INFINITY] {
            let mut operands = operands.clone();
            let middle = counts[which] / 2;
            let one = Tensor::<1>::from_data([spoilt], &Device::flex());
            let place = middle..middle + 1;
            operands[which] = operands[which].clone().slice_assign([place], one);
            assert_not_passed_over(operation, &operands);
        }
    }
}

/// A result that isn't finite in double precision isn't finite here. There may be more such results: a window that
/// reaches beyond the ends of a signal multiplies zeros, which Burn leaves out.
fn assert_not_passed_over(operation: Operation, operands: &[Tensor<1>]) {
    let expected = run(operation, operands, DType::F64);
    assert!(expected[0].iter().any(|x| !x.is_finite()));
    for_each_arch(|arch| {
        let got = run(operation, operands, DType::F32);
        for (which, (got, expected)) in got.iter().zip(&expected).enumerate() {
            for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
                assert!(
                    expected.is_finite() || !got.is_finite(),
                    "{arch:?}, result {which}, value {i}: {got}, expected {expected}"
                );
            }
        }
    });
}

/// Equal up to 1e-5 of the largest value, with each set of instructions.
fn assert_close(run: impl Fn() -> Vec<Vec<f64>> + Sync, expected: &[Vec<f64>]) {
    for_each_arch(|arch| {
        let got = run();
        assert_eq!(got.len(), expected.len());
        for (which, (got, expected)) in got.iter().zip(expected).enumerate() {
            assert_eq!(got.len(), expected.len(), "result {which}");
            let largest = expected.iter().fold(0.1_f64, |max, x| max.max(x.abs()));
            for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
                assert!(
                    (got - expected).abs() <= 1e-5 * largest,
                    "{arch:?}, result {which}, value {i}: {got}, expected {expected}, the largest being {largest}"
                );
            }
        }
    });
}

#[test]
fn each_set_of_instructions_has_its_turn_and_no_other_thread_is_affected() {
    let turns = std::sync::atomic::AtomicUsize::new(0);
    for_each_arch(|chosen| {
        turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let seen = rayon::join(arch, arch);
        for seen in [seen.0, seen.1] {
            assert_eq!(format!("{seen:?}"), format!("{chosen:?}"));
        }
    });
    // An x86-64 of this decade has vectors besides single values.
    assert!(turns.into_inner() > usize::from(cfg!(target_arch = "x86_64")));
    let outside = arch();
    assert_eq!(format!("{outside:?}"), format!("{:?}", pulp::Arch::new()));
}

#[test]
fn attention_is_that_of_burns_operations() {
    let (queries, keys) = (77, 150);
    let hidden: Vec<bool> = (0..2 * keys).map(|i| i % 7 == 3 || i > 280).collect();
    let hidden = TensorData::new(hidden, [2, keys]);
    let hidden = Tensor::<2, Bool>::from_data(hidden, &Device::flex());
    let counts = [queries, keys, keys].map(|tokens| 2 * 3 * tokens * 13);
    let attend = |operands: Vec<Tensor<1>>, hidden| {
        let [query, key, value] = operands.try_into().expect("three");
        let of_heads = |x: Tensor<1>| x.reshape([2, 3, -1, 13]);
        let [query, key, value] = [query, key, value].map(of_heads);
        crate::attention(query * 5.0, key, value, hidden).reshape([-1])
    };
    assert_like_burn(&|operands| attend(operands, None), &counts);
    // A hidden NaN has no effect.
    assert_values_like_burn(&|operands| attend(operands, Some(hidden.clone())), &counts);
    assert_like_burn(
        &|mut operands| {
            let tokens = operands.remove(0).reshape([2, 50, 3 * 3 * 7]);
            crate::self_attention(tokens, 3, None).reshape([-1])
        },
        &[2 * 50 * 3 * 3 * 7],
    );
}

#[test]
fn convolutions_are_those_of_burn() {
    // Only windows of three frames at stride 1 are computed two at a time. Row lengths are no multiples of a vector's.
    for (c_in, c_out, frames, taps, stride) in
        [(19, 23, 45, 3, 1), (5, 7, 38, 4, 2), (3, 33, 67, 5, 1)]
    {
        let options = Conv1dOptions {
            stride,
            padding: [2, 1],
        };
        let counts = [2 * c_in * frames, c_out * c_in * taps, c_out];
        let both: [(Convolution, _); 2] = [
            (crate::conv1d, [c_out, c_in, taps]),
            (crate::conv_transpose1d, [c_in, c_out, taps]),
        ];
        for (convolve, shape) in both {
            assert_like_burn(
                &|operands| {
                    let [x, weight, bias] = operands.try_into().expect("three");
                    let x = x.reshape([2, c_in, frames]);
                    convolve(x, weight.reshape(shape), Some(bias), options).reshape([-1])
                },
                &counts,
            );
        }
    }
}

#[test]
fn linear_maps_are_those_of_burn() {
    for (tokens, d_in, d_out) in [(7, 331, 35), (300, 29, 130)] {
        assert_like_burn(
            &|operands| {
                let [x, weight, bias] = operands.try_into().expect("three");
                let x = x.reshape([tokens, d_in]);
                let weight = weight.reshape([d_in, d_out]);
                crate::linear(x, weight, Some(bias)).reshape([-1])
            },
            &[tokens * d_in, d_in * d_out, d_out],
        );
    }
}

#[test]
fn a_sum_over_no_channels_is_the_bias() {
    let device = Device::flex();
    let bias = values(5, 1);
    let y = crate::linear(
        Tensor::<2>::zeros([3, 0], &device),
        Tensor::zeros([0, 5], &device),
        Some(bias.clone()),
    );
    let expected = numbers(bias.clone());
    assert_eq!(numbers(y.reshape([-1])), expected.repeat(3));
    for taps in [2, 3] {
        let options = Conv1dOptions {
            stride: 1,
            padding: [0; 2],
        };
        let x = Tensor::<3>::zeros([2, 0, taps], &device);
        let weight = Tensor::zeros([5, 0, taps], &device);
        let y = crate::conv1d(x, weight, Some(bias.clone()), options);
        assert_eq!(numbers(y.reshape([-1])), expected.repeat(2));
    }
}

#[test]
fn normalisations_and_gelu_are_those_of_burns_operations() {
    for frames in [1, 15, 53, 2001] {
        assert_like_burn(
            &|operands| {
                let [x, gamma, beta] = operands.try_into().expect("three");
                let x = x.reshape([2, 6, frames]);
                crate::group_norm_silu(x, 3, gamma, beta, 1e-2).reshape([-1])
            },
            &[2 * 6 * frames, 6, 6],
        );
        assert_like_burn(
            &|operands| {
                let [x, gamma, beta] = operands.try_into().expect("three");
                let x = x.reshape([2, 5, frames]);
                crate::layer_norm(x, gamma, beta, 1e-2).reshape([-1])
            },
            &[2 * 5 * frames, frames, frames],
        );
        assert_like_burn(
            &|mut operands| crate::gelu(operands.remove(0) * 4.0),
            &[7 * frames],
        );
    }
}

#[test]
fn rows_of_length_1_are_those_of_burns_operations() {
    for (rows, features) in [(1, 1), (7, 3), (40, 53), (5, 5001)] {
        assert_like_burn(
            &|mut operands| {
                let x = operands.remove(0).reshape([rows, features]);
                crate::unit_rows(x, 1e-6).reshape([-1])
            },
            &[rows * features],
        );
    }
}

#[test]
fn rows_without_a_direction_are_zero_and_have_no_gradient() {
    let mut rows = vec![0.0; 300 * 3];
    rows[..6].copy_from_slice(&[3.0, 4.0, 0.0, 0.0, 1e-5, 0.0]);
    rows[6..9].copy_from_slice(&[1e-8, 0.0, -1e-8]);
    let rows = Tensor::<1>::from_data(TensorData::new(rows, [900]), &Device::flex());
    let operation: Operation =
        &|mut operands| crate::unit_rows(operands.remove(0).reshape([300, 3]), 1e-6).reshape([-1]);
    let check = || {
        let got = run(operation, std::slice::from_ref(&rows), DType::F32);
        let [unit, gradient] = &got[..] else {
            panic!("output and gradient")
        };
        let expected = [0.6, 0.8, 0.0, 0.0, 1.0, 0.0];
        for (got, expected) in unit[..6].iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6, "{got}, expected {expected}");
        }
        assert!(gradient[..6].iter().any(|&x| x != 0.0));
        assert!(unit[6..].iter().chain(&gradient[6..]).all(|&x| x == 0.0));
    };
    for_each_arch(|_| check());
    unfused(check);
}

#[test]
fn steps_norms_and_scaling_are_those_of_burns_operations() {
    let step = AdamWStep {
        time: 3,
        learning_rate: 0.01,
        weight_decay: 0.1,
        beta_1: 0.9,
        beta_2: 0.99,
        epsilon: 1e-8,
    };
    for count in [1, 31, 5003] {
        let run = |dtype| {
            let [parameter, gradient, mean, square] =
                [1, 2, 3, 4].map(|seed| values(count, seed).cast(dtype));
            let factor = values(1, 5).cast(dtype);
            let norm = crate::squared_norm(gradient.clone());
            let scaled = crate::scale(gradient.clone(), factor);
            let moments = [mean, square.abs()];
            let (moved, [mean, square]) = crate::adamw(step, parameter, gradient, Some(moments));
            [norm, scaled, moved, mean, square].map(numbers).to_vec()
        };
        assert_close(|| run(DType::F32), &run(DType::F64));
        assert_close(|| unfused(|| run(DType::F32)), &run(DType::F64));
    }
}

#[test]
fn info_nce_is_the_definition() {
    let (queries, keys, features) = (70, 150, 21);
    let groups = vec![crate::ContrastGroup { queries, keys }];
    let own: Vec<usize> = (0..queries).map(|i| (i * 5 + 3) % keys).collect();
    let kind = |key: usize| (key % 9) as f32;
    // -(a - b)^2 + 1/2, which is negative where two whole numbers differ.
    let query_side = own.iter().map(|&own| kind(own));
    let query_side: Vec<f32> = query_side
        .flat_map(|a| [2.0 * a, 0.5 - a * a, -1.0])
        .collect();
    let key_side = (0..keys).map(kind).flat_map(|b| [b, 1.0, b * b]).collect();
    let exclusion =
        [(query_side, queries), (key_side, keys)].map(|(side, rows): (Vec<f32>, usize)| {
            Tensor::<2>::from_data(TensorData::new(side, [rows, 3]), &Device::flex())
        });
    let of_vectors = |given: Vec<Tensor<1>>| {
        let [queries, keys] = given.try_into().expect("two");
        [queries, keys].map(|x: Tensor<1>| x.reshape([-1, features as i32]))
    };
    let dense: Operation = &|given| {
        let [queries, keys] = of_vectors(given);
        let scores = queries.matmul(keys.transpose()) / 0.3;
        let [query_side, key_side] = exclusion.clone();
        let excluded = query_side
            .matmul(key_side.transpose())
            .greater_equal_elem(0.0);
        let places: Vec<i64> = own.iter().map(|&own| own as i64).collect();
        let places = TensorData::new(places, [own.len(), 1]);
        let own_scores = scores
            .clone()
            .gather(1, Tensor::from_data(places, &Device::flex()));
        let negatives = scores.exp().mask_fill(excluded, 0.0).sum_dim(1);
        let sum = negatives + own_scores.clone().exp();
        (sum.log() - own_scores).reshape([-1])
    };
    let given = operands(&[queries * features, keys * features]);
    let expected = run(dense, &given, DType::F64);
    let fused: Operation = &|given| {
        let [queries, keys] = of_vectors(given);
        let contrast = Contrast {
            queries,
            keys,
            groups: groups.clone(),
            own: own.clone(),
            exclusion: exclusion.clone(),
            temperature: 0.3,
        };
        crate::info_nce(contrast).loss.reshape([-1])
    };
    assert_close(|| run(fused, &given, DType::F32), &expected);
}
