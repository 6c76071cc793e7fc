//! Cutting sound into overlapping frames.

use burn::tensor::Tensor;

/// Samples that [`frames`] needs for `count` frames: whole hops, which is slightly more than the frames
/// cover.
pub(crate) fn samples_needed(length: usize, hop: usize, count: usize) -> usize {
    (count - 1 + length.div_ceil(hop)) * hop
}

/// Frame `t` of each item is `signal[t * hop .. t * hop + length]`.
///
/// Concatenates `ceil(length / hop)` shifted copies of the signal, each cut into hops. The gradient is then
/// as many additions of a signal-sized tensor, while that of Burn's `unfold` adds frame by frame.
///
/// # Shapes
/// - signal: `[batch, samples_needed(length, hop, count)]`
/// - output: `[batch, count, length]`
pub(crate) fn frames(signal: Tensor<2>, length: usize, hop: usize, count: usize) -> Tensor<3> {
    let [batch, samples] = signal.dims();
    assert_eq!(
        samples,
        samples_needed(length, hop, count),
        "{count} frames of {length} samples at hop {hop} need another number of samples"
    );
    let pieces = (0..length.div_ceil(hop))
        .map(|shift| {
            let start = shift * hop;
            let width = hop.min(length - start);
            signal
                .clone()
                .narrow(1, start, count * hop)
                .reshape([batch, count, hop])
                .narrow(2, 0, width)
        })
        .collect();
    Tensor::cat(pieces, 2)
}

/// Adds overlapping frames up: the adjoint of [`frames`].
///
/// # Shapes
/// - framed: `[batch, count, length]`
/// - output: `[batch, samples_needed(length, hop, count)]`
pub(crate) fn overlap_add(framed: Tensor<3>, hop: usize) -> Tensor<2> {
    let [batch, count, length] = framed.dims();
    let samples = samples_needed(length, hop, count);
    let pieces = (0..length.div_ceil(hop)).map(|shift| {
        let start = shift * hop;
        let width = hop.min(length - start);
        let piece = framed.clone().narrow(2, start, width);
        let piece = match hop - width {
            0 => piece,
            missing => piece.pad([(0, 0), (0, 0), (0, missing)], 0.0),
        };
        let after = samples - start - count * hop;
        piece
            .reshape([batch, count * hop])
            .pad([(0, 0), (start, after)], 0.0)
    });
    pieces
        .reduce(|sum, piece| sum + piece)
        .expect("a frame has samples")
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn frames_are_slices_of_the_signal_for_any_length_and_hop() {
        let mut compared = 0;
        for (length, hop, count) in [(5, 2, 3), (4, 4, 2), (3, 5, 4), (7, 1, 2), (1, 3, 1)] {
            let samples = samples_needed(length, hop, count);
            let signal: Vec<f32> = (0..2 * samples).map(|i| i as f32).collect();
            let tensor = Tensor::<2>::from_data(
                TensorData::new(signal.clone(), [2, samples]),
                &Device::flex(),
            );
            let got = frames(tensor, length, hop, count);
            assert_eq!(got.dims(), [2, count, length]);
            let got = got.into_data().try_to_vec::<f32>().unwrap();
            for (i, frame) in got.chunks_exact(length).enumerate() {
                let start = i / count * samples + i % count * hop;
                assert_eq!(frame, &signal[start..start + length]);
                compared += 1;
            }
        }
        assert_eq!(compared, 2 * (3 + 2 + 4 + 2 + 1));
    }
}
