//! Work without a network: attention, the transform, losses and the matrix product.

use burn::tensor::{Bool, Device, Tensor};
use losses::{
    ContrastiveTokens, InfoNce, MultiResolutionStftConfig, WaveformLoss, mean_over_batch,
};
use rayon::prelude::*;
use stft_data::{Stft, StftConfig, log1p};
use transformer::QueriesAndKeys;

use super::{Pass, Prepared, gradient, on_graph};
use crate::formula::noise;

/// The values' mixture, or the gradient of its sum with respect to the queries.
///
/// # Shapes
/// - shape, output: `[batch, heads, tokens, head_dim]`
pub(super) fn attention(
    shape: [usize; 4],
    pass: Pass,
    device: &Device,
) -> impl Fn() -> Tensor<4> + use<> {
    let operands = [0, 1, 2].map(|stream| noise(shape, stream, device));
    move || {
        let [query, key, value] = operands.each_ref().map(|operand| on_graph(operand, pass));
        let mixed = kernels::attention(query.clone(), key, value, None);
        match pass {
            Pass::Forward => mixed,
            Pass::Step => gradient(&query, mixed.sum()),
        }
    }
}

/// `log1p` of the magnitudes of white noise.
pub(super) fn stft(
    [clips, samples]: [usize; 2],
    [n_fft, hop_length]: [usize; 2],
    device: &Device,
) -> Prepared {
    let stft = Stft::new(&StftConfig {
        n_fft,
        hop_length,
        win_length: None,
    })
    .expect("the sizes are valid");
    let noise = noise([clips, samples], 0, device) * 2.0 - 1.0;
    let noise: Vec<f32> = noise.into_data().try_to_vec().expect("the values are f32");
    let transform = move || -> Vec<Vec<f32>> {
        let log_magnitude = |clip: &[f32]| {
            let mut values = stft.magnitude(clip).values;
            for value in &mut values {
                *value = log1p(*value);
            }
            values
        };
        let clips = noise.par_chunks_exact(samples);
        clips.map(log_magnitude).collect()
    };
    Prepared {
        parameters: 0,
        call: Box::new(move || {
            let spectrograms = std::hint::black_box(transform());
            Box::new(move || mean(&spectrograms))
        }),
    }
}

/// None of the values is negative.
fn mean(spectrograms: &[Vec<f32>]) -> f64 {
    let values = || spectrograms.iter().flatten();
    values().map(|&value| f64::from(value)).sum::<f64>() / values().count() as f64
}

/// The gradient with respect to the queries.
pub(super) fn info_nce(
    shape: [usize; 3],
    hidden: usize,
    loss: InfoNce,
    device: &Device,
) -> impl Fn() -> Tensor<3> + use<> {
    let [batch, tokens, _] = shape;
    let [queries, keys, content] = [0, 1, 2].map(|stream| noise(shape, stream, device));
    let all = Tensor::<2, Bool>::full([batch, tokens], true, device);
    let hidden = all.clone().slice_fill([0..batch, hidden..tokens], false);
    move || {
        let queries = on_graph(&queries, Pass::Step);
        let vectors = QueriesAndKeys {
            queries: queries.clone(),
            keys: keys.clone(),
        };
        let loss = contrastive_loss(&loss, vectors, &content, [&hidden, &all]);
        gradient(&queries, loss)
    }
}

/// The mean loss of the tokens at `hidden`. `all` is true everywhere: none is padding or silent.
pub(super) fn contrastive_loss(
    loss: &InfoNce,
    QueriesAndKeys { queries, keys }: QueriesAndKeys,
    content: &Tensor<3>,
    [hidden, all]: [&Tensor<2, Bool>; 2],
) -> Tensor<1> {
    let scores = loss.per_item(ContrastiveTokens {
        queries,
        keys,
        content: content.clone(),
        hidden: hidden.clone(),
        valid: all.clone(),
        scored: all.clone(),
        draw_keys: Vec::new(),
    });
    mean_over_batch(scores.loss)
}

/// The gradient with respect to the prediction.
pub(super) fn multi_resolution(
    shape: [usize; 2],
    loss: &MultiResolutionStftConfig,
    device: &Device,
) -> impl Fn() -> Tensor<2> + use<> {
    let loss = loss.init(device).expect("the sizes are valid");
    let [prediction, target] = [0, 1].map(|stream| noise(shape, stream, device) * 0.2 - 0.1);
    let [batch, samples] = shape;
    let valid = vec![samples; batch];
    move || {
        let prediction = on_graph(&prediction, Pass::Step);
        let items = loss.per_item(prediction.clone(), target.clone(), &valid);
        gradient(&prediction, mean_over_batch(items))
    }
}

/// The product of two square matrices.
pub(super) fn product(size: usize, device: &Device) -> impl Fn() -> Tensor<2> + use<> {
    let [a, b] = [0, 1].map(|stream| noise([size, size], stream, device));
    move || kernels::linear(a.clone(), b.clone(), None)
}
