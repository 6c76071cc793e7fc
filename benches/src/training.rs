//! A model's inference and its training step, as the trainer does them.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use trainer::{LrScale, OptimizerConfig};

use crate::work::Pass;

/// Any learning rate: speed doesn't depend on it.
const LR: f64 = 1e-4;

/// `forward` alone, on a model without gradients; or with the squared error to `target`, its gradients and
/// an optimizer step.
pub(crate) fn call<M: Module + 'static, const D: usize>(
    model: M,
    pass: Pass,
    optimizer: &OptimizerConfig,
    target: Tensor<D>,
    forward: impl Fn(&M) -> Tensor<D> + 'static,
) -> Box<dyn FnMut()> {
    match pass {
        Pass::Forward => {
            let model = model.valid();
            Box::new(move || drop(forward(&model)))
        }
        Pass::Step => {
            let mut optimizer = optimizer.init(&model, LrScale::default());
            let mut trained = Some(model);
            Box::new(move || {
                let model = trained.take().expect("each step puts a model back");
                let loss = (forward(&model) - target.clone()).square().mean();
                let gradients = GradientsParams::from_grads(loss.backward(), &model);
                trained = Some(optimizer.step(LR, model, gradients));
                let loss: f32 = loss.into_scalar();
                assert!(loss.is_finite(), "the loss is {loss}");
            })
        }
    }
}
