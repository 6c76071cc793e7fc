//! Pooled features to parameters.

use burn::module::{Initializer, Module, Param};
use burn::nn::{Dropout, DropoutConfig, LayerNorm, LayerNormConfig, Linear};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};

use crate::config::ParameterHeadsConfig;
use crate::estimate::ParameterEstimate;

/// One head for all continuous parameters and one for each categorical one, on a shared hidden layer.
///
/// ```text
/// h    = norm(features)                         h = drop(GELU(W_1 h + b_1)) with a hidden layer, else drop(h)
/// c    = sigmoid(W_c h + b_c)                   positions of the continuous parameters in 0..1
/// z_q  = W_q h + b_q                            logits of categorical parameter q
/// ```
///
/// The norm (Ba et al. 2016) brings features of every encoder to one scale. Before training all heads say 0.5 and
/// equal logits: their weights begin at 0.
#[derive(Module, Debug)]
pub struct ParameterHeads {
    norm: LayerNorm,
    hidden: Option<Linear>,
    dropout: Dropout,
    /// All heads beside each other: continuous parameters first, then the classes.
    output: Linear,
    n_continuous: usize,
    class_counts: Vec<usize>,
}

impl ParameterHeadsConfig {
    /// Heads on `features` pooled features, on `device`. Burn draws each weight when it is first used.
    ///
    /// # Panics
    /// If [`validate`](Self::validate) refuses the configuration, or there are no features or no parameters.
    pub fn init(
        &self,
        features: usize,
        n_continuous: usize,
        class_counts: &[usize],
        device: &Device,
    ) -> ParameterHeads {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let outputs = n_continuous + class_counts.iter().sum::<usize>();
        assert!(features > 0, "heads need features, got 0");
        assert!(outputs > 0, "heads need parameters to estimate, got none");
        let glorot = Initializer::XavierUniform { gain: 1.0 };
        let inner = if self.hidden > 0 {
            self.hidden
        } else {
            features
        };
        ParameterHeads {
            norm: LayerNormConfig::new(features).init(device),
            hidden: (self.hidden > 0).then(|| linear(&glorot, [features, self.hidden], device)),
            dropout: DropoutConfig::new(self.dropout).init(),
            output: linear(&Initializer::Zeros, [inner, outputs], device),
            n_continuous,
            class_counts: class_counts.to_vec(),
        }
    }
}

impl ParameterHeads {
    /// The parameters that these features speak of.
    ///
    /// # Shapes
    /// - pooled: `[batch, features]`
    /// - output: [`ParameterEstimate`]
    ///
    /// # Panics
    /// If the features are not as many as the heads were made for.
    pub fn forward(&self, pooled: Tensor<2>) -> ParameterEstimate {
        let [_, features] = pooled.dims();
        let [expected] = self.norm.gamma.dims();
        assert_eq!(
            features, expected,
            "these heads take {expected} features, got {features}"
        );
        let mut h = self.norm.forward(pooled);
        if let Some(hidden) = &self.hidden {
            h = kernels::gelu(apply(hidden, h));
        }
        let outputs = apply(&self.output, self.dropout.forward(h));
        ParameterEstimate::of_outputs(outputs, self.n_continuous, &self.class_counts, sigmoid)
    }

    /// The same heads, going on from those of `giver`: with its norm and hidden layer, and with its outputs where `sources` names one.
    /// Outputs are positions of continuous parameters first, then classes; those without a source stay as they are.
    ///
    /// Heads of another width can't be gone on from, and are not.
    ///
    /// # Panics
    /// If there isn't a place in `sources` for each output, or one names an output that `giver` doesn't have.
    #[must_use]
    pub fn inherit(self, giver: &Self, sources: &[Option<usize>]) -> Self {
        let [inner, outputs] = self.output.weight.dims();
        let [given_inner, given_outputs] = giver.output.weight.dims();
        assert_eq!(sources.len(), outputs, "one source for each output");
        let has_the_same_layers = self.norm.gamma.dims() == giver.norm.gamma.dims()
            && self.hidden.is_some() == giver.hidden.is_some()
            && inner == given_inner;
        if !has_the_same_layers || sources.iter().all(Option::is_none) {
            return self;
        }
        let device = self.output.weight.device();
        let values = |x: Tensor<2>| -> Vec<f32> { x.into_data().iter().collect() };
        // One row for each input, and the bias as a last one.
        let rows = |heads: &Self| {
            let bias = heads.output.bias.as_ref().expect("heads have a bias");
            let bias = bias.val().unsqueeze::<2>();
            values(Tensor::cat(vec![heads.output.weight.val(), bias], 0))
        };
        let (own, given) = (rows(&self), rows(giver));
        let mut merged = own;
        for (row, given) in merged
            .chunks_exact_mut(outputs)
            .zip(given.chunks_exact(given_outputs))
        {
            for (value, source) in row.iter_mut().zip(sources) {
                if let Some(source) = source {
                    *value = given[*source];
                }
            }
        }
        let bias = merged.split_off(inner * outputs);
        let weight = Tensor::from_data(TensorData::new(merged, [inner, outputs]), &device);
        let bias = Tensor::from_data(TensorData::new(bias, [outputs]), &device);
        Self {
            norm: giver.norm.clone(),
            hidden: giver.hidden.clone(),
            output: Linear {
                weight: Param::from_tensor(weight),
                bias: Some(Param::from_tensor(bias)),
            },
            ..self
        }
    }

    /// Parameters of each part, in the order in which features meet them.
    pub fn parameters_per_part(&self) -> Vec<(String, usize)> {
        let input = self.norm.num_params() + self.hidden.as_ref().map_or(0, Module::num_params);
        vec![
            ("heads.input".to_owned(), input),
            ("heads.output".to_owned(), self.output.num_params()),
        ]
    }
}

fn linear(weight: &Initializer, [d_in, d_out]: [usize; 2], device: &Device) -> Linear {
    Linear {
        weight: weight.init_with([d_in, d_out], Some(d_in), Some(d_out), device),
        bias: Some(Initializer::Zeros.init([d_out], device)),
    }
}

fn apply(linear: &Linear, x: Tensor<2>) -> Tensor<2> {
    let bias = linear.bias.as_ref().map(Param::val);
    kernels::linear(x, linear.weight.val(), bias)
}
