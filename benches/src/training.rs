//! A model's inference and its training step, as the trainer does them.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use trainer::{LrScale, OptimizerConfig};

use crate::work::Pass;

/// Any learning rate: speed doesn't depend on it.
const LR: f64 = 1e-4;

/// Inference by `forward`; or a step towards `target` by the squared error.
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
        Pass::Step => step(model, optimizer, move |model| {
            (forward(model) - target.clone()).square().mean()
        }),
    }
}

/// The loss, its gradients and an optimizer step.
pub(crate) fn step<M: Module + 'static>(
    model: M,
    optimizer: &OptimizerConfig,
    loss: impl Fn(&M) -> Tensor<1> + 'static,
) -> Box<dyn FnMut()> {
    let mut optimizer = optimizer.init(&model, LrScale::default());
    let mut trained = Some(model);
    Box::new(move || {
        let model = trained.take().expect("each step puts a model back");
        let loss = loss(&model);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        trained = Some(optimizer.step(LR, model, gradients));
        let loss: f32 = loss.into_scalar();
        assert!(loss.is_finite(), "the loss is {loss}");
    })
}
