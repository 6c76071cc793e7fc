//! Data and weights that follow from their places alone, so that both sides can compute with the same values.
//!
//! `torch_peer.py` has the same formulas.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};

/// Values in 0..1, in multiples of 2^-24: a hash of the place and of the stream.
pub(crate) fn noise<const D: usize>(shape: [usize; D], stream: u32, device: &Device) -> Tensor<D> {
    let values = (0..shape.iter().product::<usize>() as u32).map(|place| hash(place, stream));
    Tensor::from_data(TensorData::new(values.collect::<Vec<f32>>(), shape), device)
}

fn hash(place: u32, stream: u32) -> f32 {
    let mut hash = place
        .wrapping_mul(2_654_435_761)
        .wrapping_add(stream.wrapping_mul(40_503));
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(2_246_822_519);
    hash ^= hash >> 13;
    (hash >> 8) as f32 / (1 << 24) as f32
}

/// The mean absolute value.
pub(crate) fn magnitude<const D: usize>(tensor: Tensor<D>) -> f64 {
    let values: Vec<f32> = tensor.into_data().try_to_vec().expect("the values are f32");
    let sum: f64 = values.iter().map(|&value| f64::from(value.abs())).sum();
    sum / values.len() as f64
}

/// The model with weights by the formula.
///
/// A weight and its transpose, which some libraries keep instead, get the same values. Vectors, such as the gains of
/// norms, are near 1.
pub(crate) fn with_formula_weights<M: Module>(model: M) -> M {
    struct Formula;

    impl ModuleMapper for Formula {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|old| {
                let data = TensorData::new(weights(&old.dims()), old.dims());
                Tensor::from_data(data, &old.device())
            })
        }
    }

    model.map(&mut Formula)
}

fn weights(shape: &[usize]) -> Vec<f32> {
    let len: usize = shape.iter().product();
    let is_vector = shape.iter().filter(|&&size| size > 1).count() < 2;
    let weight = |mut place: usize| {
        let mut sum = 1;
        for &size in shape.iter().rev() {
            sum += place % size;
            place /= size;
        }
        let wave = (0.7 * sum as f64).sin();
        let weight = match is_vector {
            true => 1.0 + 0.1 * wave,
            false => wave / (len as f64).sqrt(),
        };
        weight as f32
    };
    (0..len).map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_that_of_the_script() {
        // The first three of streams 0 and 1 by `noise` in torch_peer.py.
        let expected = [
            [0.0, 0.807_253_7, 0.823_778_2],
            [0.299_310_03, 0.730_285_17, 0.710_851_1],
        ];
        for (stream, expected) in expected.iter().enumerate() {
            let values = noise([3], stream as u32, &Device::flex()).into_data();
            assert_eq!(values.try_to_vec::<f32>().unwrap(), expected);
        }
        let many = noise([100, 100], 2, &Device::flex());
        assert!((magnitude(many) - 0.5).abs() < 0.01);
    }

    #[test]
    fn weights_are_those_of_the_script_and_a_transpose_has_the_same() {
        // `formula_weights` of torch_peer.py.
        let expected = [
            0.263_000_76,
            0.402_308_17,
            0.352_403_75,
            0.402_308_17,
            0.352_403_75,
            0.136_758_34,
        ];
        let close = |got: &[f32], expected: &[f32]| {
            assert_eq!(got.len(), expected.len());
            for (got, expected) in got.iter().zip(expected) {
                assert!((got - expected).abs() < 1e-6, "{got}, expected {expected}");
            }
        };
        close(&weights(&[2, 3]), &expected);
        let [a, b, c, d, e, f] = expected;
        close(&weights(&[3, 2]), &[a, d, b, e, c, f]);
        close(&weights(&[1, 1, 2]), &[1.064_421_8, 1.098_545]);
    }
}
