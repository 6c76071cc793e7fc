//! InfoNCE against a plain dense implementation, and its laws.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use kernels::has_info_nce;
use losses::{
    ContrastiveScores, ContrastiveTokens, InfoNce, LossError, Negatives, mean_over_batch,
};
use proptest::prelude::*;

const CLIP: Negatives = Negatives::CLIP;

/// How the similarities are computed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// In f32 by the fused operation, except with sampled negatives, which have none.
    Fused,
    /// In f32 in chunks, as on a GPU.
    Chunks,
    /// In f64 in chunks.
    Exact,
}

const WAYS: [Way; 3] = [Way::Fused, Way::Chunks, Way::Exact];

impl Way {
    fn dtype(self) -> DType {
        match self {
            Way::Fused | Way::Chunks => DType::F32,
            Way::Exact => DType::F64,
        }
    }

    /// `exact` in f64, `single` in f32.
    fn tolerance(self, exact: f64, single: f64) -> f64 {
        match self {
            Way::Fused | Way::Chunks => single,
            Way::Exact => exact,
        }
    }

    fn scores(self, loss: &InfoNce, tokens: ContrastiveTokens) -> ContrastiveScores {
        let queries = tokens
            .queries
            .clone()
            .reshape([-1, tokens.queries.dims()[2] as i32]);
        assert_eq!(has_info_nce(&queries), self != Way::Exact);
        match self {
            Way::Fused | Way::Exact => loss.per_item(tokens),
            Way::Chunks => loss.per_item_in_chunks(tokens),
        }
    }
}

/// A batch of tokens as plain numbers.
#[derive(Clone, Debug)]
struct Tokens {
    shape: [usize; 3],
    values: usize,
    queries: Vec<f64>,
    keys: Vec<f64>,
    content: Vec<f64>,
    hidden: Vec<bool>,
    valid: Vec<bool>,
    scored: Vec<bool>,
    draw_keys: Vec<u64>,
}

impl Tokens {
    /// Everything hidden, valid and scored; contents all different.
    fn new(shape: [usize; 3], queries: Vec<f64>, keys: Vec<f64>) -> Self {
        let n = shape[0] * shape[1];
        Self {
            shape,
            values: 1,
            queries,
            keys,
            content: (1..=n).map(|i| i as f64).collect(),
            hidden: vec![true; n],
            valid: vec![true; n],
            scored: vec![true; n],
            draw_keys: (0..shape[0] as u64).collect(),
        }
    }

    fn item(&self, item: usize) -> Tokens {
        let [_, tokens, features] = self.shape;
        let floats = |values: &[f64], n: usize| values[item * n..(item + 1) * n].to_vec();
        let flags = |values: &[bool]| values[item * tokens..(item + 1) * tokens].to_vec();
        Tokens {
            shape: [1, tokens, features],
            values: self.values,
            queries: floats(&self.queries, tokens * features),
            keys: floats(&self.keys, tokens * features),
            content: floats(&self.content, tokens * self.values),
            hidden: flags(&self.hidden),
            valid: flags(&self.valid),
            scored: flags(&self.scored),
            draw_keys: vec![self.draw_keys[item]],
        }
    }

    /// The items in reverse order.
    fn backwards(&self) -> Tokens {
        let [batch, tokens, features] = self.shape;
        fn reversed<T: Copy>(values: &[T], width: usize) -> Vec<T> {
            values
                .chunks_exact(width)
                .rev()
                .flatten()
                .copied()
                .collect()
        }
        assert_eq!(self.queries.len(), batch * tokens * features);
        Tokens {
            queries: reversed(&self.queries, tokens * features),
            keys: reversed(&self.keys, tokens * features),
            content: reversed(&self.content, tokens * self.values),
            hidden: reversed(&self.hidden, tokens),
            valid: reversed(&self.valid, tokens),
            scored: reversed(&self.scored, tokens),
            draw_keys: reversed(&self.draw_keys, 1),
            ..*self
        }
    }

    /// With tokens appended to each item that are padding and hold `filling`.
    fn padded(&self, by: usize, filling: f64) -> Tokens {
        let [batch, tokens, features] = self.shape;
        fn longer<T: Copy>(values: &[T], width: usize, by: usize, filling: T) -> Vec<T> {
            let item = |item: &[T]| [item, &vec![filling; by][..]].concat();
            values.chunks_exact(width).flat_map(item).collect()
        }
        let floats =
            |values: &[f64], width: usize| longer(values, tokens * width, by * width, filling);
        let flags = |values: &[bool], filling| longer(values, tokens, by, filling);
        Tokens {
            shape: [batch, tokens + by, features],
            queries: floats(&self.queries, features),
            keys: floats(&self.keys, features),
            content: floats(&self.content, self.values),
            hidden: flags(&self.hidden, true),
            valid: flags(&self.valid, false),
            scored: flags(&self.scored, true),
            draw_keys: self.draw_keys.clone(),
            ..*self
        }
    }

    fn tensors(&self, dtype: DType) -> ContrastiveTokens {
        let device = Device::flex().autodiff();
        let [batch, tokens, features] = self.shape;
        let floats = |values: &[f64], width: usize| {
            let values = TensorData::new(values.to_vec(), [batch, tokens, width]);
            Tensor::<3>::from_data(values, (&device, dtype))
        };
        let flags = |values: &[bool]| {
            let values = TensorData::new(values.to_vec(), [batch, tokens]);
            Tensor::<2, Bool>::from_data(values, &device)
        };
        ContrastiveTokens {
            queries: floats(&self.queries, features).require_grad(),
            keys: floats(&self.keys, features).require_grad(),
            content: floats(&self.content, self.values),
            hidden: flags(&self.hidden),
            valid: flags(&self.valid),
            scored: flags(&self.scored),
            draw_keys: self.draw_keys.clone(),
        }
    }

    fn evaluate(&self, loss: &InfoNce, way: Way) -> Outcome {
        let tokens = self.tensors(way.dtype());
        let (queries, keys) = (tokens.queries.clone(), tokens.keys.clone());
        let scores = way.scores(loss, tokens);
        let gradients = mean_over_batch(scores.loss.clone()).backward();
        Outcome::new(
            scores,
            queries.grad(&gradients).unwrap(),
            keys.grad(&gradients),
        )
    }

    /// The definition, as one dense matrix on the graph.
    fn dense(&self, loss: &InfoNce) -> Outcome {
        let [batch, tokens, features] = self.shape;
        let n = batch * tokens;
        let tensors = self.tensors(DType::F64);
        let unit = |x: Tensor<3>| {
            let x = x.reshape([n, features]);
            x.clone() / x.square().sum_dim(1).sqrt()
        };
        // A product: the gradient of a division by a number goes through f32 in Burn.
        let logits = unit(tensors.queries.clone()).matmul(unit(tensors.keys.clone()).transpose())
            * (1.0 / loss.temperature);
        let mut allowed = vec![false; n * n];
        let (mut weights, mut candidates) = (vec![0.0; n], vec![0.0; n]);
        for i in 0..n {
            if !(self.hidden[i] && self.valid[i] && self.scored[i]) {
                allowed[i * n + i] = true;
                continue;
            }
            for j in 0..n {
                let same_clip = i / tokens == j / tokens;
                let usable = self.valid[j]
                    && (loss.negatives == Negatives::BATCH || same_clip && self.hidden[j]);
                allowed[i * n + j] = i == j || usable && !self.same(i, j, loss.same_content);
            }
            candidates[i] = allowed[i * n..][..n].iter().filter(|&&is| is).count() as f64;
            weights[i] = f64::from(candidates[i] > 1.0);
        }
        let device = logits.device();
        let column = |values: &[f64]| {
            let values = TensorData::new(values.to_vec(), [batch, tokens]);
            Tensor::<2>::from_data(values, (&device, DType::F64))
        };
        let allowed = Tensor::<2, Bool>::from_data(TensorData::new(allowed, [n, n]), &device);
        let logits = logits.mask_fill(allowed.bool_not(), -1e30);
        let own = Tensor::<2, Bool>::diag_mask([n, n], 0, &device).bool_not();
        let pick = |x: Tensor<2>| {
            let zeros = x.zeros_like();
            x.mask_where(own.clone().bool_not(), zeros).sum_dim(1)
        };
        let positive = pick(logits.clone());
        let nearest = logits.clone().mask_fill(own.clone(), -2e30).max_dim(1);
        let right = positive.greater(nearest).float().cast(DType::F64);
        let losses = pick(log_softmax(logits, 1)).neg();
        let weights = column(&weights);
        let mean =
            |x: Tensor<2>| losses::mean_per_item(x.reshape([batch, tokens]), weights.clone());
        let scores = ContrastiveScores {
            loss: mean(losses),
            accuracy: mean(right),
            candidates: mean(column(&candidates)),
            queries: weights.clone().sum_dim(1).squeeze_dim(1),
        };
        let gradients = mean_over_batch(scores.loss.clone()).backward();
        Outcome::new(
            scores,
            tensors.queries.grad(&gradients).unwrap(),
            tensors.keys.grad(&gradients),
        )
    }

    fn same(&self, i: usize, j: usize, same_content: f64) -> bool {
        let of = |token: usize| &self.content[token * self.values..(token + 1) * self.values];
        let square = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>();
        let difference: Vec<f64> = of(i).iter().zip(of(j)).map(|(a, b)| a - b).collect();
        square(&difference) <= same_content.powi(2) * (square(of(i)) + square(of(j))) / 2.0
    }
}

#[derive(Debug)]
struct Outcome {
    loss: Vec<f64>,
    accuracy: Vec<f64>,
    candidates: Vec<f64>,
    queries: Vec<f64>,
    gradient: Vec<f64>,
    /// All 0 if there are no queries, so that no key is on the graph.
    key_gradient: Vec<f64>,
}

impl Outcome {
    fn new(
        scores: ContrastiveScores,
        gradient: Tensor<3>,
        key_gradient: Option<Tensor<3>>,
    ) -> Self {
        let key_gradient = key_gradient.unwrap_or_else(|| gradient.zeros_like());
        let items = |items: Tensor<1>| items.into_data().iter::<f64>().collect();
        Self {
            loss: items(scores.loss),
            accuracy: items(scores.accuracy),
            candidates: items(scores.candidates),
            queries: items(scores.queries),
            gradient: gradient.into_data().iter::<f64>().collect(),
            key_gradient: key_gradient.into_data().iter::<f64>().collect(),
        }
    }

    /// Whether anything differs by more than `tolerance`, relative to the largest number of its kind.
    fn differs(&self, other: &Outcome, tolerance: f64) -> bool {
        self.differs_by(other, tolerance, tolerance)
    }

    /// As [`differs`](Self::differs), with another tolerance for the gradients. Losses below 1 count as 1 and
    /// slopes below 0.1 as 0.1, because a difference of logits has their rounding error.
    fn differs_by(&self, other: &Outcome, of_values: f64, of_gradients: f64) -> bool {
        // A NaN is near nothing.
        let near = |a: &[f64], b: &[f64], least: f64, tolerance: f64| {
            assert_eq!(a.len(), b.len());
            let largest = b.iter().fold(least, |m, x| m.max(x.abs()));
            let mut pairs = a.iter().zip(b);
            pairs.all(|(a, b)| (a - b).abs() <= tolerance * largest)
        };
        let same = near(&self.loss, &other.loss, 1.0, of_values)
            && near(&self.accuracy, &other.accuracy, 1.0, of_values)
            && near(&self.candidates, &other.candidates, 1.0, of_values)
            && near(&self.queries, &other.queries, 1.0, of_values)
            && near(&self.gradient, &other.gradient, 0.1, of_gradients)
            && near(&self.key_gradient, &other.key_gradient, 0.1, of_gradients);
        !same
    }
}

/// Contents of two numbers out of few, so that equal ones are common; some zero.
fn batches() -> impl Strategy<Value = Tokens> {
    (1_usize..4, 2_usize..9).prop_flat_map(|(batch, tokens)| {
        let features = 5;
        let n = batch * tokens;
        let vector = || {
            prop::collection::vec(
                (1_i32..2000).prop_map(|x| x as f64 / 1024.0 - 1.0),
                n * features,
            )
        };
        let content = prop::collection::vec((-2_i32..3).prop_map(f64::from), n * 2);
        let flags = || prop::collection::vec(prop::bool::weighted(0.7), n);
        let masks = (flags(), flags(), flags());
        let draw_keys = prop::collection::vec(any::<u64>(), batch);
        (vector(), vector(), content, masks, draw_keys).prop_map(
            move |(queries, keys, content, (hidden, valid, scored), draw_keys)| Tokens {
                shape: [batch, tokens, features],
                values: 2,
                queries,
                keys,
                content,
                hidden,
                valid,
                scored,
                draw_keys,
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_way_equals_the_dense_definition(tokens in batches(), temperature in 0.02_f64..1.0) {
        for negatives in [Negatives::BATCH, CLIP] {
            let loss = InfoNce { negatives, temperature, chunk_bytes: 300, ..InfoNce::default() };
            let dense = tokens.dense(&loss);
            for way in WAYS {
                // A logit of 1 / temperature carries that many roundings of f32.
                let tolerance = way.tolerance(1e-9, 1e-5 * (0.07 / temperature).max(1.0));
                let got = tokens.evaluate(&loss, way);
                prop_assert!(!got.differs(&dense, tolerance), "{way:?}: {got:?} {dense:?}");
            }
        }
    }

    #[test]
    fn the_size_of_a_chunk_changes_nothing(tokens in batches(), chunk_bytes in 1_usize..3000) {
        for negatives in KINDS {
            let whole = InfoNce { negatives, ..InfoNce::default() };
            let parts = InfoNce { chunk_bytes, ..whole };
            for way in [Way::Chunks, Way::Exact] {
                let whole = tokens.evaluate(&whole, way);
                let parts = tokens.evaluate(&parts, way);
                // Logits of 14 carry 14 roundings of f32.
                let tolerance = way.tolerance(1e-12, 5e-6);
                prop_assert!(!parts.differs(&whole, tolerance), "{way:?}: {parts:?} {whole:?}");
            }
        }
    }

    #[test]
    fn fused_and_in_chunks_it_is_the_same_loss(
        tokens in batches(), temperature in 0.05_f64..1.0, chunk_bytes in 1_usize..3000
    ) {
        for negatives in [Negatives::BATCH, CLIP] {
            let loss = InfoNce { negatives, temperature, chunk_bytes, ..InfoNce::default() };
            let [fused, chunks] = [Way::Fused, Way::Chunks].map(|way| tokens.evaluate(&loss, way));
            prop_assert!(!fused.differs_by(&chunks, 1e-5, 1e-4), "{fused:?} {chunks:?}");
        }
    }

    #[test]
    fn with_negatives_of_the_clip_an_item_costs_what_it_costs_alone(tokens in batches()) {
        for sampled in [None, Some(2)] {
            let loss = InfoNce { negatives: Negatives { sampled, ..CLIP }, ..InfoNce::default() };
            for way in WAYS {
                let together = tokens.evaluate(&loss, way);
                let tolerance = way.tolerance(1e-12, 1e-5);
                for item in 0..tokens.shape[0] {
                    let alone = tokens.item(item).evaluate(&loss, way);
                    prop_assert!((together.loss[item] - alone.loss[0]).abs() < tolerance);
                    prop_assert_eq!(together.accuracy[item], alone.accuracy[0]);
                    prop_assert_eq!(together.candidates[item], alone.candidates[0]);
                }
            }
        }
    }

    #[test]
    fn sampled_negatives_are_at_most_that_many_and_all_if_there_are_fewer(tokens in batches()) {
        for from in [Negatives::BATCH, CLIP] {
            let evaluate = |sampled| {
                let negatives = Negatives { sampled, ..from };
                tokens.evaluate(&InfoNce { negatives, ..InfoNce::default() }, Way::Exact)
            };
            let two = evaluate(Some(2));
            prop_assert!(two.candidates.iter().all(|&candidates| candidates <= 3.0));
            let (many, all) = (evaluate(Some(99)), evaluate(None));
            prop_assert!(!many.differs(&all, 0.0));
        }
    }

    #[test]
    fn permuting_the_batch_permutes_the_items(tokens in batches()) {
        let backwards = tokens.backwards();
        // Which of the batch's tokens are drawn depends on their places.
        for negatives in [Negatives::BATCH, CLIP, CLIP.sampled(2)] {
            let loss = InfoNce { negatives, ..InfoNce::default() };
            for way in WAYS {
                let mut expected = tokens.evaluate(&loss, way).loss;
                expected.reverse();
                let got = backwards.evaluate(&loss, way).loss;
                for (got, expected) in got.iter().zip(&expected) {
                    let tolerance = way.tolerance(1e-9, 1e-5) * expected.max(1.0);
                    prop_assert!((got - expected).abs() < tolerance, "{way:?}: {got} {expected}");
                }
            }
        }
    }

    #[test]
    fn padding_may_hold_anything(tokens in batches(), by in 1_usize..4, filling in anything()) {
        let padded = tokens.padded(by, filling);
        let [_, n_tokens, features] = tokens.shape;
        let item = (n_tokens + by) * features;
        for negatives in KINDS {
            let loss = InfoNce { negatives, ..InfoNce::default() };
            for way in WAYS {
                let alone = tokens.evaluate(&loss, way);
                let got = padded.evaluate(&loss, way);
                // More tokens are summed up in another order.
                for (got, alone) in got.loss.iter().zip(&alone.loss) {
                    let tolerance = way.tolerance(1e-14, 1e-6) * alone.max(1.0);
                    prop_assert!((got - alone).abs() < tolerance, "{way:?}: {got} {alone}");
                }
                prop_assert_eq!(&got.accuracy, &alone.accuracy);
                prop_assert_eq!(&got.candidates, &alone.candidates);
                for (got, alone) in [
                    (got.gradient, alone.gradient),
                    (got.key_gradient, alone.key_gradient),
                ] {
                    let items = got.chunks_exact(item).zip(alone.chunks_exact(n_tokens * features));
                    for (got, alone) in items {
                        let (valid, padding) = got.split_at(n_tokens * features);
                        prop_assert_eq!(valid, alone);
                        prop_assert!(padding.iter().all(|&slope| slope == 0.0), "{padding:?}");
                    }
                }
            }
        }
    }
}

proptest! {
    // Two evaluations for each difference.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_gradient_is_the_finite_difference(tokens in batches()) {
        let step = 1e-6;
        for negatives in KINDS {
            let loss = InfoNce { negatives, ..InfoNce::default() };
            let outcome = tokens.evaluate(&loss, Way::Exact);
            let sides: [(Vec<f64>, Side); 2] = [
                (outcome.gradient, |tokens| &mut tokens.queries),
                (outcome.key_gradient, |tokens| &mut tokens.keys),
            ];
            for (gradient, side) in sides {
                let largest = gradient.iter().fold(1e-3_f64, |m, x| m.max(x.abs()));
                for (i, slope) in gradient.into_iter().enumerate().step_by(3) {
                    let at = |offset: f64| {
                        let mut moved = tokens.clone();
                        side(&mut moved)[i] += offset;
                        let items = moved.evaluate(&loss, Way::Exact).loss;
                        items.iter().sum::<f64>() / items.len() as f64
                    };
                    let difference = (at(step) - at(-step)) / (2.0 * step);
                    prop_assert!(
                        (slope - difference).abs() <= 1e-5 * largest,
                        "{negatives:?}: {slope} {difference}"
                    );
                }
            }
        }
    }
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

/// Queries or keys.
type Side = fn(&mut Tokens) -> &mut Vec<f64>;

/// `n` vectors of length 1 with cosine `-1 / (n - 1)` between any two, the largest possible distance.
fn simplex(n: usize) -> Vec<f64> {
    let vector = |i: usize| (0..n).map(move |j| f64::from(i == j) - 1.0 / n as f64);
    (0..n).flat_map(vector).collect()
}

#[test]
fn perfect_alignment_has_the_least_possible_loss() {
    let n = 6;
    let tokens = Tokens::new([1, n, n], simplex(n), simplex(n));
    let others = (n - 1) as f64;
    for negatives in [Negatives::BATCH, CLIP] {
        // In f32 the least loss at a temperature of 0.07 is 2e-7, less than the rounding of a logit; at 0.5
        // it is 0.37, so that every digit counts.
        for temperature in [0.07, 0.5] {
            let loss = InfoNce {
                negatives,
                temperature,
                ..InfoNce::default()
            };
            let least = (others * (-(1.0 + 1.0 / others) / temperature).exp()).ln_1p();
            for way in WAYS {
                let outcome = tokens.evaluate(&loss, way);
                let off = (outcome.loss[0] - least).abs();
                let exact = off <= 1e-6 * least;
                let in_f32 = way != Way::Exact && off <= 2e-6;
                assert!(
                    exact || in_f32,
                    "{way:?} at {temperature}: {outcome:?}, not {least}"
                );
                let flat = |slopes: &[f64]| slopes.iter().all(|slope| slope.abs() < 1e-6);
                assert!(flat(&outcome.gradient), "{way:?}: {:?}", outcome.gradient);
                assert!(
                    flat(&outcome.key_gradient),
                    "{way:?}: {:?}",
                    outcome.key_gradient
                );
                assert_eq!(outcome.accuracy, [1.0]);
                assert_eq!(outcome.candidates, [6.0]);
            }
        }
    }
}

/// Every kind of negatives.
const KINDS: [Negatives; 4] = [
    Negatives::BATCH,
    Negatives::BATCH.sampled(2),
    CLIP,
    CLIP.sampled(2),
];

#[test]
fn tokens_of_one_content_give_no_signal_and_no_nan() {
    // More than one tile of keys, and none of them full.
    let [batch, n, features] = [2, 171, 12];
    let values = batch * n * features;
    let mut seen = 0;
    for (width, content) in [(1, 0.0), (1, -0.7), (25, 1.3), (128, 0.1)] {
        let noise = |i: usize| (i as f64 * 1.7).sin() + content;
        let patch: Vec<f64> = match width {
            1 => vec![content],
            _ => (0..width).map(noise).collect(),
        };
        // The vectors are equal too, or all different.
        for vectors in [vec![0.3; values], (0..values).map(noise).collect()] {
            let mut tokens = Tokens::new([batch, n, features], vectors.clone(), vectors);
            tokens.values = width;
            tokens.content = patch.repeat(batch * n);
            for negatives in KINDS {
                let loss = InfoNce {
                    negatives,
                    ..InfoNce::default()
                };
                for way in WAYS {
                    let outcome = tokens.evaluate(&loss, way);
                    assert_eq!(outcome.loss, [0.0; 2], "{way:?}, {negatives:?}");
                    assert!(outcome.gradient.iter().all(|&slope| slope == 0.0));
                    assert!(outcome.key_gradient.iter().all(|&slope| slope == 0.0));
                    assert_eq!(outcome.accuracy, [0.0; 2]);
                    assert_eq!(outcome.queries, [0.0; 2], "{way:?}, {negatives:?}");
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, 4 * 2 * KINDS.len() * 3);
}

#[test]
fn collapsed_keys_of_different_content_cost_the_logarithm_of_their_number() {
    // Contents are different if neighbours differ by more than 1 %, so they grow by 5 %.
    let n = 203;
    let mut tokens = Tokens::new([1, n, 3], vec![0.3; 3 * n], vec![0.7; 3 * n]);
    tokens.content = (0..n as i32).map(|i| 1.05_f64.powi(i)).collect();
    for negatives in [Negatives::BATCH, CLIP] {
        let loss = InfoNce {
            negatives,
            ..InfoNce::default()
        };
        for way in WAYS {
            let outcome = tokens.evaluate(&loss, way);
            let off = (outcome.loss[0] - (n as f64).ln()).abs();
            assert!(off < way.tolerance(1e-12, 1e-5), "{way:?}: {off}");
            assert_eq!(outcome.accuracy, [0.0], "a tie is no hit");
            assert_eq!(outcome.candidates, [n as f64]);
            // All keys equal the query's own, so the gradient is 0.
            assert!(outcome.gradient.iter().all(|slope| slope.abs() < 1e-6));
        }
    }
}

#[test]
fn one_context_vector_for_all_cannot_fall_below_the_logarithm_of_their_number() {
    let mut seen = 0;
    for (n, trials) in [(6, 50), (203, 3)] {
        let eye = |i: usize| (0..n).map(move |j| f64::from(i == j));
        let keys: Vec<f64> = (0..n).flat_map(eye).collect();
        let floor = (n as f64).ln();
        for negatives in [Negatives::BATCH, CLIP] {
            let loss = InfoNce {
                negatives,
                ..InfoNce::default()
            };
            for way in WAYS {
                let evaluate = |queries: Vec<f64>| {
                    let mut tokens = Tokens::new([1, n, n], queries, keys.clone());
                    tokens.content = (0..n as i32).map(|i| 1.05_f64.powi(i)).collect();
                    tokens.evaluate(&loss, way)
                };
                let tolerance = way.tolerance(1e-9, 1e-5);
                for trial in 0..trials {
                    let vector = (0..n).map(|j| ((trial * 7 + j * 3) as f64).sin());
                    let vector: Vec<f64> = vector.collect();
                    let outcome = evaluate(vector.repeat(n));
                    assert!(
                        outcome.loss[0] >= floor - tolerance,
                        "{way:?}: {:?}",
                        outcome.loss
                    );
                    seen += 1;
                }
                let even = evaluate(vec![1.0; n * n]);
                assert!(
                    (even.loss[0] - floor).abs() < tolerance,
                    "{way:?}: {:?}",
                    even.loss
                );
            }
        }
    }
    assert_eq!(seen, (50 + 3) * 2 * 3);
}

#[test]
fn zero_vectors_and_batches_without_queries_are_finite() {
    for way in WAYS {
        let mut zeros = Tokens::new([2, 3, 4], vec![0.0; 24], vec![0.0; 24]);
        let outcome = zeros.evaluate(&InfoNce::default(), way);
        let even = |loss: &f64| (loss - 6.0_f64.ln()).abs() < 1e-5;
        assert!(outcome.loss.iter().all(even), "{way:?}: {outcome:?}");
        assert!(outcome.gradient.iter().all(|&slope| slope == 0.0));
        assert!(outcome.key_gradient.iter().all(|&slope| slope == 0.0));
        zeros.valid = vec![true, true, true, false, false, false];
        let padded = zeros.evaluate(&InfoNce::default(), way);
        assert_eq!(padded.loss[1], 0.0);
        assert_eq!(padded.queries, [3.0, 0.0]);
        zeros.hidden = vec![false; 6];
        for negatives in KINDS {
            let loss = InfoNce {
                negatives,
                ..InfoNce::default()
            };
            let nothing = zeros.evaluate(&loss, way);
            assert_eq!(nothing.loss, [0.0; 2]);
            assert_eq!(nothing.gradient, [0.0; 24]);
            assert_eq!(nothing.queries, [0.0; 2]);
        }
    }
}

#[test]
fn a_loud_and_a_soft_patch_differ_and_two_nearly_equal_ones_do_not() {
    for way in WAYS {
        let mut tokens = Tokens::new([1, 4, 2], vec![0.5; 8], vec![0.5; 8]);
        tokens.content = vec![1.0, 0.5, 1.004, 0.0];
        let outcome = tokens.evaluate(&InfoNce::default(), way);
        // 1 and 1.004 count as the same and have 3 candidates each; the others have 4.
        assert_eq!(outcome.candidates, [3.5], "{way:?}");
        tokens.scored = vec![true, false, true, false];
        let outcome = tokens.evaluate(&InfoNce::default(), way);
        assert_eq!(outcome.candidates, [3.0], "{way:?}");
    }
}

#[test]
fn every_way_is_the_same_beyond_one_tile_and_one_chunk() {
    // More than one tile of queries and of keys, none of them full, and more than one chunk.
    let [batch, n, features] = [3, 171, 141];
    let noise = |rate: f64| -> Vec<f64> {
        let values = 0..batch * n * features;
        values
            .map(|i| ((i as f64 * rate).sin() * 4e4).fract())
            .collect()
    };
    let mut tokens = Tokens::new([batch, n, features], noise(1.37), noise(2.71));
    // Some contents are equal, all others far apart; some tokens are visible, silent or padding.
    tokens.content = (0..batch * n).map(|i| 1.0 + (i * i % 61) as f64).collect();
    tokens.hidden = (0..batch * n).map(|i| i % 7 < 4).collect();
    tokens.scored = (0..batch * n).map(|i| i % 11 != 5).collect();
    tokens.valid = (0..batch * n).map(|i| i % n < 171 - 40 * (i / n)).collect();
    for negatives in [Negatives::BATCH, CLIP] {
        let loss = InfoNce {
            negatives,
            chunk_bytes: 100_000,
            ..InfoNce::default()
        };
        let [fused, chunks, exact] = WAYS.map(|way| tokens.evaluate(&loss, way));
        for (way, got) in [(Way::Fused, &fused), (Way::Chunks, &chunks)] {
            let (got_loss, loss) = (&got.loss, &exact.loss);
            assert!(!got.differs(&exact, 1e-5), "{way:?}: {got_loss:?} {loss:?}");
        }
        assert!(!fused.differs_by(&chunks, 1e-5, 1e-4));
        assert!(fused.candidates[0] > 1.0 && fused.queries[2] > 20.0);
        for (way, once) in [(Way::Fused, &fused), (Way::Chunks, &chunks)] {
            assert!(!tokens.evaluate(&loss, way).differs(once, 0.0));
        }
    }
}

#[test]
fn the_same_batch_gives_the_same_bits() {
    let queries: Vec<f64> = (0..2 * 40 * 8).map(|i| (i as f64 * 0.37).sin()).collect();
    let keys: Vec<f64> = (0..2 * 40 * 8).map(|i| (i as f64 * 0.53).cos()).collect();
    let tokens = Tokens::new([2, 40, 8], queries, keys);
    let loss = InfoNce {
        negatives: Negatives::CLIP.sampled(7),
        ..InfoNce::default()
    };
    let once = tokens.evaluate(&loss, Way::Chunks);
    assert!(!tokens.evaluate(&loss, Way::Chunks).differs(&once, 0.0));
    assert_eq!(once.candidates, [8.0; 2]);
    let mut redrawn = tokens.clone();
    redrawn.draw_keys = vec![8, 9];
    assert!(redrawn.evaluate(&loss, Way::Chunks).differs(&once, 1e-3));
}

#[test]
fn without_a_graph_there_is_a_value_all_the_same() {
    let tokens = Tokens::new([1, 3, 3], simplex(3), simplex(3));
    for way in WAYS {
        let tracked = tokens.evaluate(&InfoNce::default(), way).loss;
        let mut plain = tokens.tensors(way.dtype());
        plain.queries = plain.queries.inner();
        plain.keys = plain.keys.inner();
        let loss = way.scores(&InfoNce::default(), plain).loss;
        let loss: Vec<f64> = loss.into_data().iter::<f64>().collect();
        assert_eq!(loss, tracked, "{way:?}");
    }
}

#[test]
fn numbers_out_of_range_are_refused() {
    let with = |change: fn(&mut InfoNce)| {
        let mut loss = InfoNce::default();
        change(&mut loss);
        loss.validate()
    };
    assert_eq!(with(|_| ()), Ok(()));
    assert_eq!(with(|loss| loss.same_content = 0.005), Ok(()));
    let refused = [
        ("temperature", with(|loss| loss.temperature = 0.0)),
        ("same_content", with(|loss| loss.same_content = 1.0)),
        ("same_content", with(|loss| loss.same_content = 0.0049)),
        ("same_content", with(|loss| loss.same_content = 0.0)),
        ("chunk_bytes", with(|loss| loss.chunk_bytes = 0)),
        (
            "negatives.sampled",
            with(|loss| loss.negatives = Negatives::CLIP.sampled(0)),
        ),
    ];
    for (name, refusal) in refused {
        let Err(LossError::OutOfRange { field, .. }) = refusal else {
            panic!("{name} has to be refused, got {refusal:?}");
        };
        assert_eq!(field, name);
    }
}

#[test]
fn detached_keys_get_no_gradient() {
    let queries: Vec<f64> = (0..2 * 5 * 3).map(|i| (i as f64).sin()).collect();
    let keys: Vec<f64> = (0..2 * 5 * 3).map(|i| (i as f64 * 1.7).cos()).collect();
    for way in WAYS {
        let tokens = Tokens::new([2, 5, 3], queries.clone(), keys.clone());
        let mut tokens = tokens.tensors(way.dtype());
        let keys = tokens.keys.clone();
        tokens.keys = keys.clone().detach();
        let queries = tokens.queries.clone();
        let scores = way.scores(&InfoNce::default(), tokens);
        let gradients = mean_over_batch(scores.loss).backward();
        assert!(keys.grad(&gradients).is_none());
        assert!(queries.grad(&gradients).is_some());
    }
}

/// Contents whose squares and products are rounded in both directions, or all in one.
fn patches(width: usize) -> Vec<Vec<f64>> {
    let patch = |of: &dyn Fn(usize) -> f64| (0..width).map(of).collect();
    let mut patches: Vec<Vec<f64>> = vec![
        patch(&|i| (i as f64).sin()),
        patch(&|i| (i as f64 * 0.37).sin().abs() * 3.0 + 0.1),
        patch(&|i| (i as f64 * 1.3).sin().powi(5) * 40.0),
    ];
    for level in [0.1, 0.7, 1.0 / 3.0, 1e-4, 11.3, 0.9999] {
        patches.push(vec![level; width]);
    }
    for seed in 0..20 {
        let noise = |i: usize| ((i + 1) as f64 * (seed as f64 + 1.618)).sin() * 4e4;
        patches.push(patch(&|i| noise(i).fract()));
        patches.push(patch(&|i| noise(i).fract().abs() + 0.01));
    }
    patches
}

#[test]
fn at_the_least_distance_a_content_is_still_its_own_copy() {
    let n = 40;
    let mut seen = 0;
    for (width, same_content) in [(25, 0.005), (128, 0.005), (512, 0.005), (2048, 0.01)] {
        let loss = InfoNce {
            same_content,
            ..InfoNce::default()
        };
        loss.validate().unwrap();
        let patches = patches(width);
        for patch in &patches {
            let mut tokens = Tokens::new([1, n, 2], vec![0.5; 2 * n], vec![0.5; 2 * n]);
            tokens.values = width;
            tokens.content = patch.repeat(n);
            for way in WAYS {
                let queries = tokens.evaluate(&loss, way).queries;
                assert_eq!(queries, [0.0], "{way:?}, {width}: {:?}", &patch[..3]);
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 4 * 49 * 3);
}

#[test]
fn tokens_of_an_item_draw_different_negatives() {
    let n = 12;
    let angle = |token: usize| 0.2 * token as f64;
    let keys = (0..n).flat_map(|token| [angle(token).cos(), angle(token).sin()]);
    let mut tokens = Tokens::new([1, n, 2], [1.0, 0.0].repeat(n), keys.collect());
    let loss = InfoNce {
        temperature: 1.0,
        negatives: Negatives::CLIP.sampled(1),
        ..InfoNce::default()
    };
    let mut drawn = std::collections::BTreeSet::new();
    for token in 0..n {
        tokens.scored = (0..n).map(|other| other == token).collect();
        let outcome = tokens.evaluate(&loss, Way::Exact);
        // l = ln(1 + exp(s_j - s_i)), solved for the cosine of the one negative.
        let cosine = angle(token).cos() + outcome.loss[0].exp_m1().ln();
        drawn.insert((cosine.acos() / 0.2).round() as usize);
    }
    assert!(drawn.len() > 3, "all tokens drew among {drawn:?}");
}

#[test]
fn half_precision_is_computed_in_f32() {
    let queries: Vec<f64> = (0..2 * 5 * 3)
        .map(|i| (i * 7 % 19) as f64 / 16.0 - 0.5)
        .collect();
    let keys: Vec<f64> = (0..2 * 5 * 3)
        .map(|i| (i * 5 % 17) as f64 / 16.0 - 0.6875)
        .collect();
    // Sixteenths, which bf16 holds exactly.
    let tokens = Tokens::new([2, 5, 3], queries, keys);
    for negatives in [Negatives::BATCH, CLIP] {
        let loss = InfoNce {
            negatives,
            ..InfoNce::default()
        };
        let ways: [fn(&InfoNce, ContrastiveTokens) -> ContrastiveScores; 2] =
            [InfoNce::per_item, InfoNce::per_item_in_chunks];
        for scores in ways {
            let [half, single] = [DType::BF16, DType::F32].map(|dtype| {
                let scores = scores(&loss, tokens.tensors(dtype));
                [scores.loss, scores.candidates].map(|items| {
                    assert_eq!(items.dtype(), DType::F32);
                    items.into_data().try_to_vec::<f32>().unwrap()
                })
            });
            assert_eq!(half, single);
        }
    }
}

#[test]
fn a_misspelt_setting_is_refused() {
    let read = |text| toml::from_str::<InfoNce>(text);
    assert_eq!(read("temperature = 0.2").unwrap().temperature, 0.2);
    let refusal = read("temprature = 0.2").unwrap_err().to_string();
    assert!(refusal.contains("unknown field"), "{refusal}");
}
