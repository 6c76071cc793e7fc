//! Fused InfoNCE through the public API, against the definition in double precision.
#![cfg(feature = "flex")]

mod common;

use burn::tensor::{DType, Device, Tensor, TensorData};
use common::difference;
use kernels::{Contrast, ContrastGroup, ContrastScores, has_info_nce, info_nce};
use proptest::prelude::*;

/// The operands as plain numbers, row after row.
#[derive(Clone, Debug)]
struct Case {
    queries: usize,
    keys: usize,
    features: usize,
    temperature: f64,
    groups: Vec<ContrastGroup>,
    own: Vec<usize>,
    /// The kind of each key. Keys of the same kind are no negatives of each other.
    kinds: Vec<usize>,
    query_values: Vec<f32>,
    key_values: Vec<f32>,
    /// Gradient of the losses.
    gradient: Vec<f32>,
}

#[derive(Debug, PartialEq)]
struct Outcome {
    loss: Vec<f64>,
    right: Vec<f64>,
    candidates: Vec<f64>,
    query_gradient: Vec<f64>,
    key_gradient: Vec<f64>,
}

impl Case {
    fn new([queries, keys, features]: [usize; 3], kinds: usize, temperature: f64) -> Self {
        // Cosines of vectors of normal values, as in training.
        let values = |rows: usize, stream: usize| {
            let noise = |i: usize| {
                let wave = |k: usize| ((i * 7 + stream * 131) as f64 * 12.9898 + k as f64).sin();
                (0..6).map(|k| (wave(k) * 43_758.545).fract()).sum::<f64>()
            };
            let row = |row: usize| -> Vec<f32> {
                let row = (0..features).map(|c| noise(row * features + c));
                let row: Vec<f64> = row.collect();
                let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
                row.iter().map(|x| (x / length) as f32).collect()
            };
            (0..rows).flat_map(row).collect::<Vec<f32>>()
        };
        Self {
            queries,
            keys,
            features,
            temperature,
            groups: vec![ContrastGroup { queries, keys }],
            own: (0..queries).map(|i| (i * 5 + 3) % keys).collect(),
            kinds: (0..keys).map(|j| j * j % kinds).collect(),
            query_values: values(queries, 1),
            key_values: values(keys, 2),
            gradient: (0..queries).map(|i| 0.2 + (i as f32).sin()).collect(),
        }
    }

    /// As [`new`](Self::new), with so many queries and keys in each group.
    fn in_groups(sizes: &[[usize; 2]], features: usize, kinds: usize) -> Self {
        let total = |side: usize| sizes.iter().map(|sizes| sizes[side]).sum::<usize>();
        let mut case = Self::new([total(0), total(1), features], kinds, 0.2);
        let group = |&[queries, keys]: &[usize; 2]| ContrastGroup { queries, keys };
        case.groups = sizes.iter().map(group).collect();
        case.own.clear();
        let mut first = 0;
        for &[queries, keys] in sizes {
            case.own
                .extend((0..queries).map(|i| first + (i * 5 + 3) % keys));
            first += keys;
        }
        case
    }

    /// The keys of a query's group.
    fn candidates(&self, query: usize) -> std::ops::Range<usize> {
        let (mut queries, mut keys) = (0, 0);
        for group in &self.groups {
            queries += group.queries;
            if query < queries {
                return keys..keys + group.keys;
            }
            keys += group.keys;
        }
        panic!("query {query} is in no group");
    }

    fn run(&self, [queries_tracked, keys_tracked]: [bool; 2]) -> Outcome {
        let device = Device::flex().autodiff();
        let floats = |values: &[f32], width: usize| {
            let values = TensorData::new(values.to_vec(), [values.len() / width, width]);
            Tensor::<2>::from_data(values, &device)
        };
        let tracked = |tensor: Tensor<2>, is| if is { tensor.require_grad() } else { tensor };
        let queries = tracked(floats(&self.query_values, self.features), queries_tracked);
        let keys = tracked(floats(&self.key_values, self.features), keys_tracked);
        // -(a - b)^2 + 1/2, which is negative where two whole numbers differ.
        let squares = |kind: usize| (kind as f32, (kind * kind) as f32);
        let query_side = self.own.iter().flat_map(|&own| {
            let (kind, square) = squares(self.kinds[own]);
            [2.0 * kind, 0.5 - square, -1.0]
        });
        let key_side = self.kinds.iter().flat_map(|&kind| {
            let (kind, square) = squares(kind);
            [kind, 1.0, square]
        });
        let sides = [query_side.collect::<Vec<f32>>(), key_side.collect()];
        let contrast = Contrast {
            queries: queries.clone(),
            keys: keys.clone(),
            groups: self.groups.clone(),
            own: self.own.clone(),
            exclusion: sides.map(|side| floats(&side, 3)),
            temperature: self.temperature,
        };
        let ContrastScores {
            loss,
            right,
            candidates,
        } = info_nce(contrast);
        let gradients = (loss.clone() * floats(&self.gradient, 1)).sum().backward();
        let numbers = |tensor: Tensor<2>| tensor.into_data().iter::<f64>().collect();
        let slopes = |tensor: &Tensor<2>| tensor.grad(&gradients).map_or(Vec::new(), numbers);
        Outcome {
            loss: numbers(loss),
            right: numbers(right),
            candidates: numbers(candidates),
            query_gradient: slopes(&queries),
            key_gradient: slopes(&keys),
        }
    }

    /// The definition, all products at once.
    fn dense(&self) -> Outcome {
        let n = self.features;
        let row = |values: &[f32], i: usize| -> Vec<f64> {
            values[i * n..][..n].iter().map(|&x| f64::from(x)).collect()
        };
        let mut outcome = Outcome {
            loss: vec![],
            right: vec![],
            candidates: vec![],
            query_gradient: vec![0.0; self.queries * n],
            key_gradient: vec![0.0; self.keys * n],
        };
        for i in 0..self.queries {
            let (query, own) = (row(&self.query_values, i), self.own[i]);
            let score = |j: usize| {
                let key = row(&self.key_values, j);
                query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>() / self.temperature
            };
            let scores: Vec<f64> = (0..self.keys).map(score).collect();
            let group = self.candidates(i);
            let counts = |&j: &usize| j == own || self.kinds[j] != self.kinds[own];
            let candidates: Vec<usize> = group.filter(counts).collect();
            let largest = candidates
                .iter()
                .fold(scores[own], |m, &j| m.max(scores[j]));
            let sum: f64 = candidates
                .iter()
                .map(|&j| (scores[j] - largest).exp())
                .sum();
            let nearer = |&j: &usize| j != own && scores[j] >= scores[own];
            outcome.loss.push(sum.ln() + largest - scores[own]);
            let right = !candidates.iter().any(nearer);
            outcome.right.push(f64::from(u8::from(right)));
            outcome.candidates.push(candidates.len() as f64);
            for &j in &candidates {
                let p = (scores[j] - largest).exp() / sum - f64::from(u8::from(j == own));
                let slope = f64::from(self.gradient[i]) * p / self.temperature;
                let key = row(&self.key_values, j);
                for c in 0..n {
                    outcome.query_gradient[i * n + c] += slope * key[c];
                    outcome.key_gradient[j * n + c] += slope * query[c];
                }
            }
        }
        outcome
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn tiles_are_the_definition_for_ragged_sizes(
        queries in 1_usize..150,
        keys in 1_usize..300,
        features in 1_usize..150,
        kinds in 1_usize..40,
        temperature in 0.05_f64..2.0,
    ) {
        let case = Case::new([queries, keys, features], kinds, temperature);
        let (got, expected) = (case.run([true, true]), case.dense());
        // A score of 1 / temperature carries that many roundings of f32.
        let tolerance = 1e-5 * (0.1 / temperature).max(1.0);
        prop_assert!(difference(&got.loss, &expected.loss) < tolerance);
        prop_assert_eq!(&got.candidates, &expected.candidates);
        let slopes = difference(&got.query_gradient, &expected.query_gradient);
        prop_assert!(slopes < 10.0 * tolerance, "queries' gradient off by {slopes}");
        let slopes = difference(&got.key_gradient, &expected.key_gradient);
        prop_assert!(slopes < 10.0 * tolerance, "keys' gradient off by {slopes}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn queries_choose_among_the_keys_of_their_group(
        sizes in prop::collection::vec([0_usize..90, 1_usize..200], 1..6),
        features in 1_usize..60,
        kinds in 1_usize..40,
    ) {
        let queries: usize = sizes.iter().map(|[queries, _]| queries).sum();
        prop_assume!(queries > 0);
        let case = Case::in_groups(&sizes, features, kinds);
        let (got, expected) = (case.run([true, true]), case.dense());
        prop_assert!(difference(&got.loss, &expected.loss) < 1e-5);
        prop_assert_eq!(&got.candidates, &expected.candidates);
        prop_assert!(difference(&got.query_gradient, &expected.query_gradient) < 1e-4);
        prop_assert!(difference(&got.key_gradient, &expected.key_gradient) < 1e-4);
        // To the last bit the result of each group without the others.
        let (mut query, mut key) = (0, 0);
        for (&[queries, keys], group) in sizes.iter().zip(&case.groups) {
            if queries > 0 {
                let alone = Case {
                    queries,
                    keys,
                    groups: vec![*group],
                    own: case.own[query..query + queries].iter().map(|own| own - key).collect(),
                    kinds: case.kinds[key..key + keys].to_vec(),
                    query_values: case.query_values[query * features..(query + queries) * features].to_vec(),
                    key_values: case.key_values[key * features..(key + keys) * features].to_vec(),
                    gradient: case.gradient[query..query + queries].to_vec(),
                    ..case.clone()
                };
                prop_assert_eq!(&alone.run([true, true]).loss, &got.loss[query..query + queries]);
            }
            (query, key) = (query + queries, key + keys);
        }
    }
}

#[test]
fn many_keys_of_many_features_are_the_definition() {
    // Several tiles of queries, keys and features, none of them full.
    let case = Case::new([130, 2_600, 150], 30, 0.07);
    let (got, expected) = (case.run([true, true]), case.dense());
    assert!(difference(&got.loss, &expected.loss) < 1e-5);
    assert_eq!(got.right, expected.right);
    assert_eq!(got.candidates, expected.candidates);
    assert!(difference(&got.query_gradient, &expected.query_gradient) < 1e-4);
    assert!(difference(&got.key_gradient, &expected.key_gradient) < 1e-4);
}

#[test]
fn runs_and_numbers_of_threads_agree_to_the_last_bit() {
    let case = Case::new([300, 700, 37], 30, 0.07);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| case.run([true, true]))
    };
    let one = with(1);
    for outcome in [with(1), with(2), with(3)] {
        assert!(outcome == one, "a result depends on the number of threads");
    }
    assert!(one.query_gradient.iter().any(|&slope| slope != 0.0));
}

#[test]
fn only_tracked_operands_get_a_gradient_and_values_stay() {
    let case = Case::new([70, 140, 19], 9, 0.2);
    let both = case.run([true, true]);
    let queries = case.run([true, false]);
    let keys = case.run([false, true]);
    assert_eq!(queries.query_gradient, both.query_gradient);
    assert!(queries.key_gradient.is_empty());
    assert_eq!(keys.key_gradient, both.key_gradient);
    assert!(keys.query_gradient.is_empty());
    for outcome in [queries, keys] {
        assert_eq!(outcome.loss, both.loss);
        assert_eq!(outcome.right, both.right);
        assert_eq!(outcome.candidates, both.candidates);
    }
}

#[test]
fn a_query_without_negatives_has_no_loss_and_no_gradient() {
    let outcome = Case::new([5, 200, 7], 1, 0.07).run([true, true]);
    assert_eq!(outcome.loss, [0.0; 5]);
    assert_eq!(outcome.candidates, [1.0; 5]);
    assert!(outcome.query_gradient.iter().all(|&slope| slope == 0.0));
    assert!(outcome.key_gradient.iter().all(|&slope| slope == 0.0));
}

#[test]
fn scores_far_apart_neither_overflow_nor_vanish() {
    // Own keys stand first, in the middle and last; scores are up to 2,000.
    for own in [0, 150, 399] {
        for sign in [-1.0, 1.0] {
            let mut case = Case::new([3, 400, 2], 400, 5e-4);
            case.own = vec![own; 3];
            case.kinds = (0..400).collect();
            case.query_values = [sign, 0.0].repeat(3);
            let angle = |j: usize| j as f32 / 400.0;
            case.key_values = (0..400)
                .flat_map(|j| [angle(j).cos(), angle(j).sin()])
                .collect();
            let (got, expected) = (case.run([true, true]), case.dense());
            assert!(
                got.loss
                    .iter()
                    .chain(&got.key_gradient)
                    .all(|x| x.is_finite())
            );
            assert!(got.query_gradient.iter().all(|x| x.is_finite()));
            // Sums over the first keys have to be scaled down by far before later ones are added.
            let slopes = difference(&got.query_gradient, &expected.query_gradient);
            assert!(slopes < 1e-2, "{own}, {sign}: gradient off by {slopes}");
            let off = difference(&got.loss, &expected.loss);
            assert!(
                off < 1e-3,
                "{own}, {sign}: {:?} {:?}",
                got.loss,
                expected.loss
            );
        }
    }
}

#[test]
fn nan_stays_nan() {
    let mut case = Case::new([4, 150, 6], 20, 0.1);
    case.key_values[6 * 140] = f32::NAN;
    let outcome = case.run([true, true]);
    let kind = case.kinds[140];
    for (loss, own) in outcome.loss.iter().zip(&case.own) {
        assert_eq!(loss.is_nan(), case.kinds[*own] != kind);
    }
    case.query_values[0] = f32::NAN;
    assert!(case.run([true, true]).loss[0].is_nan());
}

#[test]
fn double_precision_is_not_fused() {
    let queries = Tensor::<2>::zeros([2, 3], (&Device::flex(), DType::F64));
    assert!(!has_info_nce(&queries));
    assert!(has_info_nce(&queries.clone().cast(DType::F32)));
    assert!(has_info_nce(&queries.cast(DType::F32).autodiff()));
}

#[test]
fn a_temperature_that_is_no_positive_number_is_refused() {
    for temperature in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        let case = Case::new([3, 5, 2], 4, temperature);
        let refused = std::panic::catch_unwind(|| case.run([false, false]));
        let message = *refused.unwrap_err().downcast::<String>().unwrap();
        let expected =
            format!("the temperature must be a finite number above 0, got {temperature}");
        assert_eq!(message, expected);
    }
}

/// Three queries and eight keys in these groups.
fn call_with(groups: [[usize; 2]; 2], own: [usize; 3]) {
    let device = Device::flex();
    let zeros = |rows| Tensor::<2>::zeros([rows, 2], &device);
    info_nce(Contrast {
        queries: zeros(3),
        keys: zeros(8),
        groups: groups
            .map(|[queries, keys]| ContrastGroup { queries, keys })
            .to_vec(),
        own: own.to_vec(),
        exclusion: [zeros(3), zeros(8)],
        temperature: 0.1,
    });
}

#[test]
#[should_panic(expected = "own keys must be among their group's keys 3..8, got 8")]
fn an_own_key_that_does_not_exist_is_refused() {
    call_with([[0, 3], [3, 5]], [3, 8, 7]);
}

#[test]
#[should_panic(expected = "own keys must be among their group's keys 3..8, got 2")]
fn an_own_key_of_another_group_is_refused() {
    call_with([[1, 3], [2, 5]], [1, 2, 7]);
}

#[test]
#[should_panic(expected = "the groups must be all queries and keys together")]
fn groups_that_leave_keys_out_are_refused() {
    call_with([[1, 3], [2, 4]], [1, 4, 5]);
}
