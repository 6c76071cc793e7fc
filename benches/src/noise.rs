//! Data that this project and PyTorch make alike, so that what comes out of the same work can be compared.

use burn::tensor::{Device, Tensor, TensorData};

/// Values in 0..1, in multiples of 2^-24: a hash of the place and of the stream. `reference/torch_peer.py` has the same.
pub(crate) fn noise<const D: usize>(shape: [usize; D], stream: u32, device: &Device) -> Tensor<D> {
    let values = (0..shape.iter().product::<usize>() as u32).map(|place| value(place, stream));
    Tensor::from_data(TensorData::new(values.collect::<Vec<f32>>(), shape), device)
}

fn value(place: u32, stream: u32) -> f32 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_script() {
        // The first three of streams 0 and 1 by `noise` in reference/torch_peer.py.
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
}
