//! Heads: pooled features to parameters.

use burn::module::{Initializer, Module, Param};
use burn::nn::{Dropout, DropoutConfig, LayerNorm, LayerNormConfig, Linear};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Int, Tensor, TensorData};

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
/// The layer norm (Ba et al. 2016) brings the features of every encoder to one scale. The output weights start at 0,
/// so untrained heads predict 0.5 and equal logits.
#[derive(Module, Debug)]
pub struct ParameterHeads {
    norm: LayerNorm,
    hidden: Option<Linear>,
    dropout: Dropout,
    /// All heads in one layer: continuous parameters first, then the classes.
    output: Linear,
    n_continuous: usize,
    class_counts: Vec<usize>,
}

impl ParameterHeadsConfig {
    /// Initialises heads for `features` pooled features on `device`. Burn draws each parameter when it is first used.
    ///
    /// # Panics
    /// If [`validate`](Self::validate) returns an error, or there are no features or no parameters.
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
    /// Predicts parameters.
    ///
    /// # Shapes
    /// - pooled: `[batch, features]`
    /// - output: [`ParameterEstimate`]
    ///
    /// # Panics
    /// If the number of features differs from that of [`init`](ParameterHeadsConfig::init).
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

    /// Whether both heads have the same number of features and layers of the same widths.
    fn has_widths_of(&self, other: &Self) -> bool {
        let widths = |heads: &Self| {
            let [inner, _] = heads.output.weight.dims();
            (heads.norm.gamma.dims(), heads.hidden.is_some(), inner)
        };
        widths(self) == widths(other)
    }

    /// Initialises these heads from trained ones: copies the norm and hidden layer of `source`, and its output
    /// `outputs[i]` as output i. Outputs are positions of continuous parameters first, then classes; those with `None`
    /// keep their weights.
    ///
    /// Nothing is copied if all `outputs` are `None`, or if `source` has another number of features or layers of other
    /// widths.
    ///
    /// # Panics
    /// If `outputs` doesn't have one entry for each output, or names an output that `source` doesn't have.
    #[must_use]
    pub fn inherit(self, source: &Self, outputs: &[Option<usize>]) -> Self {
        let [_, n_outputs] = self.output.weight.dims();
        assert_eq!(outputs.len(), n_outputs, "one source for each output");
        if !self.has_widths_of(source) || outputs.iter().all(Option::is_none) {
            return self;
        }
        // The columns of `source` follow the own ones.
        let columns = outputs.iter().enumerate();
        let columns =
            columns.map(|(own, output)| output.map_or(own, |given| n_outputs + given) as i64);
        let columns = TensorData::new(columns.collect::<Vec<_>>(), [n_outputs]);
        let columns = Tensor::<1, Int>::from_data(columns, &self.output.weight.device());
        let merged = |own: Tensor<2>, given: Tensor<2>| {
            let both = Tensor::cat(vec![own, given], 1);
            both.select(1, columns.clone()).detach()
        };
        let bias = |heads: &Self| {
            let bias = heads.output.bias.as_ref().expect("heads have a bias");
            bias.val().unsqueeze::<2>()
        };
        Self {
            norm: source.norm.clone(),
            hidden: source.hidden.clone(),
            output: Linear {
                weight: Param::from_tensor(merged(
                    self.output.weight.val(),
                    source.output.weight.val(),
                )),
                bias: Some(Param::from_tensor(
                    merged(bias(&self), bias(source)).squeeze_dim(0),
                )),
            },
            ..self
        }
    }

    /// Name and number of parameters of each part, in the order of the forward pass.
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
