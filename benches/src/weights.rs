//! Weights that this project and PyTorch make alike, so that what comes out of the same network can be compared.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};

/// The model with weights that follow from their places alone. A weight and its transpose, which some libraries keep in place of
/// it, are the same; vectors, gains of norms among them, are near 1. `reference/torch_peer.py` has the same.
pub(crate) fn with_known_weights<M: Module>(model: M) -> M {
    model.map(&mut Known)
}

struct Known;

impl ModuleMapper for Known {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| {
            let values = values(&old.dims());
            Tensor::from_data(TensorData::new(values, old.dims()), &old.device())
        })
    }
}

fn values(shape: &[usize]) -> Vec<f32> {
    let len: usize = shape.iter().product();
    let is_vector = shape.iter().filter(|&&size| size > 1).count() < 2;
    let value = |mut place: usize| {
        let mut sum = 1;
        for &size in shape.iter().rev() {
            sum += place % size;
            place /= size;
        }
        let wave = (0.7 * sum as f64).sin();
        let value = match is_vector {
            true => 1.0 + 0.1 * wave,
            false => wave / (len as f64).sqrt(),
        };
        value as f32
    };
    (0..len).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_script_and_a_transpose_has_the_same() {
        // `known_values` of reference/torch_peer.py.
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
        close(&values(&[2, 3]), &expected);
        let [a, b, c, d, e, f] = expected;
        close(&values(&[3, 2]), &[a, d, b, e, c, f]);
        close(&values(&[1, 1, 2]), &[1.064_421_8, 1.098_545]);
    }
}
