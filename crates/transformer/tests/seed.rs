//! Alone in its process, since Burn's random numbers come from one generator per process.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use transformer::{EncoderConfig, PositionKind, TransformerConfig};

#[test]
fn equal_seeds_draw_equal_networks() {
    let [first, again, other] = [7, 7, 8].map(weights);
    assert_eq!(first, again);
    assert_ne!(first, other);
}

fn weights(seed: u64) -> Vec<f32> {
    let device = Device::flex();
    let mut config = TransformerConfig {
        encoder: EncoderConfig {
            bins: 9,
            max_frames: 12,
            d_model: 8,
            n_heads: 2,
            d_ff: 12,
            n_layers: 1,
            position: PositionKind::Learned,
            ..EncoderConfig::default()
        },
        ..TransformerConfig::default()
    };
    config.decoder.d_model = 16;
    config.decoder.d_ff = 12;
    device.seed(seed);
    let model = config.init(&device);
    // Burn draws a parameter when it is first used, so the seed must still be in force here.
    let mut weights = Weights(Vec::new());
    model.visit(&mut weights);
    assert_eq!(weights.0.len(), model.num_params());
    weights.0
}

struct Weights(Vec<f32>);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0
            .extend(param.val().into_data().try_to_vec::<f32>().unwrap());
    }
}
