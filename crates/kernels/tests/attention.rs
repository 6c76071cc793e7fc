//! Attention through the public API: its invariants, and the values of PyTorch.
//!
//! On `f32` with the feature `flex` this is the fused version; on the other types, and without the
//! feature, Burn's operations.

mod common;

use burn::tensor::activation::softmax;
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use common::{assert_values_close, floats, floats_of, golden, normal};
use kernels::attention;
use proptest::prelude::*;

/// Of results that are smaller, the difference is compared with this.
const LEAST: f32 = 1e-3;

/// Query, key, value, and the gradient of the output.
struct Case {
    operands: [Tensor<4>; 3],
    gradient: Tensor<4>,
    hidden_keys: Option<Tensor<2, Bool>>,
}

/// The output and the gradients of query, key and value.
type Results = [Vec<f32>; 4];

impl Case {
    fn new([batch, heads, queries, keys, head_dim]: [usize; 5]) -> Self {
        let of_queries = [batch, heads, queries, head_dim];
        let of_keys = [batch, heads, keys, head_dim];
        Self {
            operands: [
                normal(of_queries, 1),
                normal(of_keys, 2),
                normal(of_keys, 3),
            ],
            gradient: normal(of_queries, 4),
            hidden_keys: None,
        }
    }

    fn hiding(self, is_hidden: impl Fn(usize, usize) -> bool) -> Self {
        let [batch, _, keys, _] = self.operands[1].dims();
        let hidden: Vec<bool> = (0..batch * keys)
            .map(|i| is_hidden(i / keys, i % keys))
            .collect();
        let hidden = TensorData::new(hidden, [batch, keys]);
        Self {
            hidden_keys: Some(Tensor::from_data(hidden, &Device::flex())),
            ..self
        }
    }

    fn run(&self) -> Results {
        let results = self.run_with(attention);
        let [query, key, value] = self.operands.clone();
        let without_graph = floats(attention(query, key, value, self.hidden_keys.clone()));
        assert!(results[0] == without_graph, "a graph changes nothing");
        results
    }

    fn run_dense(&self) -> Results {
        self.run_with(dense)
    }

    fn run_with(
        &self,
        function: fn(Tensor<4>, Tensor<4>, Tensor<4>, Option<Tensor<2, Bool>>) -> Tensor<4>,
    ) -> Results {
        let operands = self
            .operands
            .clone()
            .map(|tensor| tensor.autodiff().require_grad());
        let [query, key, value] = operands.clone();
        let output = function(query, key, value, self.hidden_keys.clone());
        let output_values = floats(output.clone().inner());
        let loss = (output * self.gradient.clone().autodiff()).sum();
        let gradients = loss.backward();
        let [query, key, value] = operands.map(|operand| {
            let gradient = operand
                .grad(&gradients)
                .expect("a gradient of each operand");
            assert_eq!(gradient.dims(), operand.dims());
            floats(gradient)
        });
        [output_values, query, key, value]
    }
}

/// Attention with all scores at once and Burn's gradients.
fn dense(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    hidden_keys: Option<Tensor<2, Bool>>,
) -> Tensor<4> {
    let [batch, heads, queries, head_dim] = query.dims();
    let [_, _, keys, _] = key.dims();
    let scores = query.matmul(key.transpose()) / (head_dim as f64).sqrt();
    let Some(hidden_keys) = hidden_keys else {
        return softmax(scores, 3).matmul(value);
    };
    let hidden = hidden_keys
        .reshape([batch, 1, 1, keys])
        .expand([batch, heads, queries, keys]);
    softmax(scores.mask_fill(hidden.clone(), -1e30), 3)
        .mask_fill(hidden, 0.0)
        .matmul(value)
}

/// Equal up to 1e-5 of the largest value, gradients up to 1e-4 of theirs.
fn assert_close(got: &Results, expected: &Results) {
    common::assert_close(got, expected, &[1e-5, 1e-4, 1e-4, 1e-4], LEAST);
}

fn permuted(tensor: &Tensor<4>, order: &[i32]) -> Tensor<4> {
    let order = TensorData::new(order.to_vec(), [order.len()]);
    tensor
        .clone()
        .select(2, Tensor::from_data(order, &Device::flex()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tiles_give_what_all_scores_at_once_give(
        batch in 1_usize..4,
        heads in 1_usize..4,
        queries in 1_usize..=70,
        keys in 1_usize..=70,
        head_dim in prop::sample::select(vec![5_usize, 8, 32, 64]),
        hidden in 0_u64..4,
    ) {
        let case = Case::new([batch, heads, queries, keys, head_dim]);
        let case = match hidden {
            0 => case,
            // Padding; scattered keys; nothing visible in the first example.
            1 => case.hiding(|example, key| key * (example + 2) >= keys),
            2 => case.hiding(|example, key| (key * 7 + example * 3) % 5 < 2),
            _ => case.hiding(|example, key| example == 0 || key % 3 == 0),
        };
        assert_close(&case.run(), &case.run_dense());
    }
}

#[test]
fn sizes_at_the_borders_of_tiles_are_no_special_case() {
    let mut cases = 0;
    for queries in [1, 15, 16, 63, 64, 65, 129] {
        for keys in [1, 127, 128, 129, 300] {
            let case = Case::new([1, 2, queries, keys, 5]);
            assert_close(&case.run(), &case.run_dense());
            let case = case.hiding(|_, key| (100..260).contains(&key) || key % 11 == 3);
            assert_close(&case.run(), &case.run_dense());
            cases += 2;
        }
    }
    assert_eq!(cases, 70);
}

#[test]
fn heads_as_wide_as_those_of_models_go_over_several_tiles_of_keys() {
    for head_dim in [32, 64, 80] {
        let case = Case::new([1, 2, 130, 300, head_dim]);
        assert_close(&case.run(), &case.run_dense());
        let case = case.hiding(|_, key| key % 7 == 2 || key > 270);
        assert_close(&case.run(), &case.run_dense());
    }
}

#[test]
fn the_keys_of_one_head_may_be_divided_among_many_threads() {
    // More tiles of keys than there are pieces of work, and fewer.
    for (heads, keys) in [(1, 2500), (3, 700), (7, 700)] {
        let case = Case::new([1, heads, 70, keys, 8]).hiding(|_, key| key > keys - 40);
        assert_close(&case.run(), &case.run_dense());
    }
}

#[test]
fn values_and_gradients_are_those_of_pytorch() {
    let golden = golden(include_str!("golden/attention.json"));
    let values = |name: &str| floats_of(&golden[name]);
    let sizes: Vec<usize> = values("sizes").into_iter().map(|x| x as usize).collect();
    let [batch, heads, queries, keys, head_dim] = sizes[..] else {
        panic!("five sizes, got {sizes:?}")
    };
    let tensor = |name, tokens| {
        let data = TensorData::new(values(name), [batch, heads, tokens, head_dim]);
        Tensor::from_data(data, &Device::flex())
    };
    let hidden = golden["hidden_keys"].as_array().expect("a list").iter();
    let hidden: Vec<bool> = hidden.map(|x| x == true).collect();
    let case = Case {
        operands: [
            tensor("query", queries),
            tensor("key", keys),
            tensor("value", keys),
        ],
        gradient: tensor("output_gradient", queries),
        hidden_keys: None,
    }
    .hiding(|example, key| hidden[example * keys + key]);
    let expected = ["output", "query_gradient", "key_gradient", "value_gradient"].map(values);
    assert_close(&case.run(), &expected);
}

#[test]
fn gradients_are_finite_differences() {
    let case = Case::new([2, 2, 3, 4, 5]).hiding(|example, key| (example, key) == (1, 2));
    let loss = |operands: &[Tensor<4>; 3]| -> f64 {
        let [query, key, value] = operands.clone();
        let output = floats(attention(query, key, value, case.hidden_keys.clone()));
        let gradient = floats(case.gradient.clone());
        let products = output.iter().zip(&gradient);
        products.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    let results = case.run();
    let mut checked = 0;
    for operand in 0..3 {
        for i in 0..results[operand + 1].len() {
            let step = 1e-2_f32;
            let moved = |by: f32| {
                let mut operands = case.operands.clone();
                let mut values = floats(operands[operand].clone());
                values[i] += by;
                let data = TensorData::new(values, operands[operand].dims());
                operands[operand] = Tensor::from_data(data, &Device::flex());
                loss(&operands)
            };
            let expected = (moved(step) - moved(-step)) / f64::from(2.0 * step);
            let got = f64::from(results[operand + 1][i]);
            assert!(
                (got - expected).abs() < 2e-3,
                "operand {operand}, value {i}: {got}, by differences {expected}"
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 60 + 80 + 80);
}

#[test]
fn the_order_of_keys_does_not_matter() {
    let case = Case::new([2, 3, 20, 150, 8]);
    let order: Vec<i32> = (0..150).map(|i| i * 47 % 150).collect();
    let [query, key, value] = case.operands.clone();
    let expected = attention(query.clone(), key.clone(), value.clone(), None);
    let got = attention(
        query,
        permuted(&key, &order),
        permuted(&value, &order),
        None,
    );
    assert_values_close(&floats(got), &floats(expected), [1e-6, LEAST], 0);
}

#[test]
fn the_values_of_hidden_keys_have_no_effect() {
    let hidden = |example: usize, key: usize| key % 3 == 1 || key > 180 + example;
    let case = Case::new([2, 3, 20, 200, 8]).hiding(hidden);
    let mut altered = Case::new([2, 3, 20, 200, 8]).hiding(hidden);
    let mask = case.hidden_keys.clone().expect("a mask");
    let mask = mask.reshape([2, 1, 200, 1]).expand([2, 3, 200, 8]);
    for operand in &mut altered.operands[1..] {
        *operand = operand.clone().mask_fill(mask.clone(), 1e6);
    }
    let [results, other] = [case.run(), altered.run()];
    assert_eq!(results, other);
    for gradient in &results[2..] {
        for (i, &value) in gradient.iter().enumerate() {
            let [example, key] = [i / (3 * 200 * 8), i / 8 % 200];
            if hidden(example, key) {
                assert_eq!(
                    value, 0.0,
                    "gradient of hidden key {key} of example {example}"
                );
            }
        }
    }
}

#[test]
fn a_query_without_visible_keys_gets_zeros() {
    let case = Case::new([3, 2, 5, 140, 8]).hiding(|example, _| example == 1);
    for (i, values) in case.run().into_iter().enumerate() {
        let each = values.len() / 3;
        assert!(values.iter().all(|x| x.is_finite()), "result {i}");
        assert!(
            values[each..2 * each].iter().all(|&x| x == 0.0),
            "result {i}"
        );
        assert!(values[..each].iter().all(|&x| x != 0.0), "result {i}");
    }
}

#[test]
fn a_result_is_the_same_every_time() {
    let case = Case::new([1, 3, 200, 700, 16]).hiding(|_, key| key % 5 == 0);
    let first = case.run();
    for _ in 0..5 {
        assert_eq!(first, case.run());
    }
}

#[cfg(feature = "flex")]
#[test]
fn the_number_of_threads_changes_no_bit() {
    let case = Case::new([1, 3, 200, 700, 16]).hiding(|_, key| key % 5 == 0);
    let [one, three] = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool of threads").install(|| {
            let [query, key, value] = case.operands.clone();
            let [query, key] = [query, key].map(|operand| operand.autodiff().require_grad());
            let output = attention(query.clone(), key.clone(), value, case.hidden_keys.clone());
            let gradients = output.clone().backward();
            [
                floats(output.inner()),
                floats(query.grad(&gradients).expect("a gradient")),
                floats(key.grad(&gradients).expect("a gradient")),
            ]
        })
    });
    assert_eq!(one, three);
}

#[test]
fn large_scores_do_not_overflow() {
    let mut case = Case::new([1, 2, 30, 200, 16]);
    // Scores of some ten thousands either way.
    case.operands[0] = case.operands[0].clone() * 4000.0;
    let results = case.run();
    assert!(results.iter().flatten().all(|x| x.is_finite()));
    assert_values_close(&results[0], &case.run_dense()[0], [1e-3, LEAST], 0);
    // All far below zero: only the differences count.
    case.operands[0] = case.operands[0].ones_like() * 2000.0;
    case.operands[1] = case.operands[1].clone() - 5.0;
    let results = case.run();
    assert!(results.iter().flatten().all(|x| x.is_finite()));
    assert_values_close(&results[0], &case.run_dense()[0], [1e-2, LEAST], 0);
}

#[test]
fn nan_is_propagated() {
    let mut case = Case::new([1, 1, 3, 5, 8]);
    let mut values = floats(case.operands[0].clone());
    values[9] = f32::NAN;
    case.operands[0] = Tensor::from_data(TensorData::new(values, [1, 1, 3, 8]), &Device::flex());
    let [query, key, value] = case.operands;
    let output = floats(attention(query, key, value, None));
    let is_none = output.iter().map(|x| x.is_nan());
    assert!(
        is_none.eq((0..24).map(|i| (8..16).contains(&i))),
        "{output:?}"
    );
}

#[test]
fn views_need_no_copy_and_give_the_same() {
    let is_hidden = |example: usize, key: usize| key > 30 + example || key % 7 == 2;
    let case = Case::new([2, 3, 20, 40, 8]).hiding(is_hidden);
    let expected = case.run();
    // A transposed mask that is a part of a larger one.
    let hidden: Vec<bool> = (0..2 * 80)
        .map(|i| i % 4 >= 2 || is_hidden(i % 4, i / 4))
        .collect();
    let hidden = TensorData::new(hidden, [40, 4]);
    let hidden = Tensor::<2, Bool>::from_data(hidden, &Device::flex());
    let hidden = hidden.narrow(1, 0, 2).transpose();
    // The layouts of split heads and of a convolution, and others with gaps.
    let orders = [(1, 2), (2, 3), (1, 3), (0, 3)];
    for (a, b) in orders {
        let laid_out = |tensor: &Tensor<4>| {
            // The copy is contiguous in the swapped order; swapped back it is a view of it.
            let data = tensor.clone().swap_dims(a, b).into_data();
            Tensor::from_data(data, &Device::flex()).swap_dims(a, b)
        };
        let view = Case {
            operands: case.operands.each_ref().map(laid_out),
            gradient: laid_out(&case.gradient),
            hidden_keys: Some(hidden.clone()),
        };
        assert_close(&view.run(), &expected);
    }
    let [query, key, value] = case.operands.clone();
    let one_value = value.slice([0..2, 0..3, 3..4, 0..8]).expand([2, 3, 40, 8]);
    let got = attention(query.clone(), key.clone(), one_value.clone(), None);
    assert_values_close(
        &floats(got),
        &floats(dense(query, key, one_value, None)),
        [1e-5, LEAST],
        0,
    );
}

#[test]
fn other_types_of_floats_run_on_burns_operations() {
    let hidden = |example: usize, key: usize| example == 0 || key.is_multiple_of(3);
    for (dtype, tolerance) in [(DType::F64, 1e-5), (DType::F16, 1e-2), (DType::BF16, 5e-2)] {
        let mut case = Case::new([2, 3, 20, 40, 8]).hiding(hidden);
        let expected = case.run_dense();
        case.operands = case.operands.map(|operand| operand.cast(dtype));
        case.gradient = case.gradient.cast(dtype);
        for (i, got) in case.run().into_iter().enumerate() {
            assert_values_close(&got, &expected[i], [tolerance, LEAST], i);
        }
    }
    // More scores than may exist at once.
    let mut case = Case::new([1, 1, 4200, 4100, 1]);
    let expected = case.run();
    case.operands = case.operands.map(|operand| operand.cast(DType::F64));
    case.gradient = case.gradient.cast(DType::F64);
    for (i, got) in case.run().into_iter().enumerate() {
        assert_values_close(&got, &expected[i], [1e-4, LEAST], i);
    }
}

#[test]
fn nothing_to_attend_to_gives_nothing() {
    let device = Device::flex();
    let empty = |tokens| Tensor::<4>::zeros([2, 3, tokens, 8], &device);
    let output = attention(normal([2, 3, 4, 8], 1), empty(0), empty(0), None);
    assert_eq!(floats(output), vec![0.0; 2 * 3 * 4 * 8]);
}

#[test]
#[should_panic(expected = "the floats of value must be the query's")]
fn floats_of_different_types_are_refused() {
    let [query, key, value] = Case::new([1, 2, 3, 4, 5]).operands;
    attention(query, key, value.cast(DType::F64), None);
}

#[test]
#[should_panic(expected = "the shape of value")]
fn shapes_that_do_not_fit_are_refused() {
    let [query, key, _] = Case::new([1, 2, 3, 4, 5]).operands;
    attention(query, key, normal([1, 2, 4, 6], 1), None);
}
