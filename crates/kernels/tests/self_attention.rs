//! Attention within a sequence against [`attention`] of its parts, which has tests of its own.

mod common;

use burn::tensor::{Bool, DType, Device, Distribution, Tensor, TensorData};
use common::{assert_close, floats};
use kernels::{attention, self_attention};
use proptest::prelude::*;

type Map = fn(Tensor<3>, usize, Option<Tensor<2, Bool>>) -> Tensor<3>;

/// The same, with the vectors split and joined by Burn.
fn of_parts(tokens: Tensor<3>, heads: usize, hidden: Option<Tensor<2, Bool>>) -> Tensor<3> {
    let [batch, length, features] = tokens.dims();
    let split = |part: Tensor<3>| {
        part.reshape([batch, length, heads, features / 3 / heads])
            .swap_dims(1, 2)
    };
    let [query, key, value] = tokens.chunk(3, 2).try_into().expect("three parts");
    attention(split(query), split(key), split(value), hidden)
        .swap_dims(1, 2)
        .reshape([batch, length, features / 3])
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
}

fn hiding(
    [batch, tokens]: [usize; 2],
    is_hidden: impl Fn(usize, usize) -> bool,
) -> Tensor<2, Bool> {
    let hidden = (0..batch * tokens).map(|i| is_hidden(i / tokens, i % tokens));
    let hidden = TensorData::new(hidden.collect(), [batch, tokens]);
    Tensor::from_data(hidden, &Device::flex())
}

struct Case {
    tokens: Tensor<3>,
    gradient: Tensor<3>,
    heads: usize,
    hidden: Option<Tensor<2, Bool>>,
}

impl Case {
    fn new([batch, tokens, heads, head_dim]: [usize; 4]) -> Self {
        Self {
            tokens: random([batch, tokens, 3 * heads * head_dim]),
            gradient: random([batch, tokens, heads * head_dim]),
            heads,
            hidden: None,
        }
    }

    /// The output, and the gradient of the tokens.
    fn run(&self, map: Map) -> [Vec<f32>; 2] {
        let tokens = self.tokens.clone().autodiff().require_grad();
        let output = map(tokens.clone(), self.heads, self.hidden.clone());
        let without_graph = map(self.tokens.clone(), self.heads, self.hidden.clone());
        assert_eq!(floats(output.clone()), floats(without_graph));
        let gradients = (output.clone() * self.gradient.clone().autodiff())
            .sum()
            .backward();
        let gradient = tokens.grad(&gradients).expect("a gradient");
        assert_eq!(gradient.dims(), tokens.dims());
        [floats(output), floats(gradient)]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_attention_of_its_parts(
        batch in 1_usize..4,
        tokens in 1_usize..=150,
        heads in 1_usize..4,
        head_dim in prop::sample::select(vec![1_usize, 5, 8, 32]),
        hidden in 0_u64..4,
    ) {
        let mut case = Case::new([batch, tokens, heads, head_dim]);
        case.hidden = match hidden {
            0 => None,
            // Padding; scattered tokens; nothing visible in the first item.
            1 => Some(hiding([batch, tokens], |item, key| key * (item + 2) >= tokens)),
            2 => Some(hiding([batch, tokens], |item, key| (key * 7 + item * 3) % 5 < 2)),
            _ => Some(hiding([batch, tokens], |item, key| item == 0 || key % 3 == 0)),
        };
        assert_close(&case.run(self_attention), &case.run(of_parts), &[1e-5, 1e-4], 1e-3);
    }
}

#[test]
fn no_bit_depends_on_the_number_of_threads() {
    let mut case = Case::new([2, 700, 3, 16]);
    case.hidden = Some(hiding([2, 700], |_, key| key % 5 == 0));
    let expected = case.run(self_attention);
    assert_close(&expected, &case.run(of_parts), &[1e-5, 1e-4], 1e-3);
    assert_eq!(case.run(self_attention), expected);
    #[cfg(feature = "flex")]
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let on_them = pool
            .expect("a pool of threads")
            .install(|| case.run(self_attention));
        assert_eq!(on_them, expected);
    }
}

#[test]
fn views_give_the_same() {
    let mut case = Case::new([3, 40, 2, 8]);
    let is_hidden = |item: usize, key: usize| key > 25 + item || key % 7 == 2;
    case.hidden = Some(hiding([3, 40], is_hidden));
    let expected = case.run(self_attention);
    // A transposed layout, and a part of a longer sequence.
    let swapped = case.tokens.clone().swap_dims(0, 2).into_data();
    case.tokens = Tensor::from_data(swapped, &Device::flex()).swap_dims(0, 2);
    case.gradient = Tensor::cat(vec![case.gradient.clone(), case.gradient], 1).narrow(1, 40, 40);
    case.hidden = Some(hiding([40, 3], |key, item| is_hidden(item, key)).transpose());
    assert_eq!(case.run(self_attention), expected);
}

#[test]
fn other_types_of_floats_run_on_burns_operations() {
    let mut case = Case::new([2, 20, 3, 8]);
    let expected = case.run(of_parts);
    case.tokens = case.tokens.cast(DType::F64);
    case.gradient = case.gradient.cast(DType::F64);
    assert_close(&case.run(self_attention), &expected, &[1e-5, 1e-5], 1e-3);
}

#[test]
fn no_tokens_give_nothing() {
    let output = self_attention(random([2, 0, 24]), 4, None);
    assert_eq!(output.dims(), [2, 0, 8]);
}

#[test]
#[should_panic(expected = "three vectors for each of 4 heads")]
fn heads_that_do_not_fit_are_refused() {
    self_attention(random([1, 2, 16]), 4, None);
}

#[test]
#[should_panic(expected = "the shape of hidden_keys")]
fn masks_that_do_not_fit_are_refused() {
    self_attention(random([1, 2, 12]), 4, Some(hiding([1, 3], |_, _| false)));
}
