//! AdamW with decay on weights alone, gradient accumulation, and clipping by global norm.

use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::{
    AdamWState, AdaptiveMomentumState, GradientsParams, LearningRate, ModuleOptimizer, Optimizer,
};
use burn::tensor::{Device, Tensor};
use kernels::AdamWStep;
use serde::{Deserialize, Serialize};

/// AdamW's constants (Loshchilov & Hutter 2019, algorithm 2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Decoupled weight decay, on matrices and kernels only: biases, norms and positions have
    /// none, since shrinking them changes the function without regularising it.
    pub weight_decay: f32,
    /// Decay of the mean of gradients.
    pub beta_1: f32,
    /// Decay of the mean of squared gradients.
    pub beta_2: f32,
    /// Added to the root of the second moment, against division by zero.
    pub epsilon: f32,
    /// Largest Euclidean norm that all gradients together may have; 0 switches clipping off.
    pub clip_norm: f32,
}

/// Parts of a model that learn at another rate than the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LrScale {
    /// Names of the model's fields.
    pub parts: &'static [&'static str],
    /// Their learning rate, as a multiple of the rest's.
    pub factor: f64,
}

impl Default for LrScale {
    /// Everything learns at one rate.
    fn default() -> Self {
        Self {
            parts: &[],
            factor: 1.0,
        }
    }
}

impl OptimizerConfig {
    /// The optimizer for `model`: weights decay and the rest doesn't, and some parts learn at a rate of their own.
    pub fn init<M: Module>(&self, model: &M, scale: LrScale) -> ModuleOptimizer {
        let adamw = |decays: bool, lr_scale| AdamW {
            weight_decay: if decays { self.weight_decay } else { 0.0 },
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            lr_scale,
        };
        let roles = roles(model, scale.parts);
        let group = |role: Role| {
            let of_role = roles.iter().filter(|(_, is)| *is == role);
            ParamGroup::from_ids(of_role.map(|(id, _)| *id).collect::<Vec<_>>())
        };
        let mut optimizer = ModuleOptimizer::from(adamw(true, 1.0));
        for (decays, is_scaled) in [(false, false), (true, true), (false, true)] {
            let lr_scale = if is_scaled { scale.factor } else { 1.0 };
            let group = group(Role { decays, is_scaled });
            optimizer = optimizer.with_group(group, adamw(decays, lr_scale), None);
        }
        optimizer
    }
}

/// AdamW of one group of parameters. Its state is that of Burn's.
#[derive(Clone)]
struct AdamW {
    weight_decay: f32,
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
    lr_scale: f64,
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        let (time, moments) = match state {
            Some(AdamWState { momentum }) => (
                momentum.time + 1,
                Some([momentum.moment_1, momentum.moment_2]),
            ),
            None => (1, None),
        };
        let step = AdamWStep {
            time,
            learning_rate: learning_rate * self.lr_scale,
            weight_decay: self.weight_decay,
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
        };
        let (parameter, [moment_1, moment_2]) = kernels::adamw(step, parameter, gradient, moments);
        let momentum = AdaptiveMomentumState::new(time, moment_1, moment_2);
        (parameter, Some(AdamWState::new(momentum)))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        AdamWState::new(state.momentum.to_device(device))
    }
}

/// What a parameter is to the optimizer.
#[derive(Clone, Copy, PartialEq)]
struct Role {
    /// False for what decay would only harm: biases, the gains and offsets of norms and mask vectors, which have one
    /// axis, and learned positions, which are found by their name.
    decays: bool,
    /// Whether it learns at a rate of its own.
    is_scaled: bool,
}

fn roles<M: Module>(model: &M, scaled: &'static [&'static str]) -> Vec<(ParamId, Role)> {
    struct Roles {
        scaled: &'static [&'static str],
        path: Vec<String>,
        roles: Vec<(ParamId, Role)>,
    }
    impl ModuleVisitor for Roles {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let role = Role {
                decays: D > 1 && self.path.iter().all(|name| name != "positions"),
                is_scaled: self
                    .path
                    .first()
                    .is_some_and(|name| self.scaled.contains(&name.as_str())),
            };
            self.roles.push((param.id, role));
        }
    }
    let mut visitor = Roles {
        scaled,
        path: Vec::new(),
        roles: Vec::new(),
    };
    model.visit(&mut visitor);
    visitor.roles
}

/// Adds `new` to `sum`, tensor by tensor.
pub(crate) fn accumulate<M: Module>(
    model: &M,
    sum: Option<GradientsParams>,
    new: GradientsParams,
) -> GradientsParams {
    let Some(sum) = sum else { return new };
    struct Add {
        sum: GradientsParams,
        new: GradientsParams,
    }
    impl ModuleVisitor for Add {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let Some(new) = self.new.remove::<D>(param.id) else {
                return;
            };
            let total = match self.sum.remove::<D>(param.id) {
                Some(sum) => sum + new,
                None => new,
            };
            self.sum.register(param.id, total);
        }
    }
    let mut visitor = Add { sum, new };
    model.visit(&mut visitor);
    visitor.sum
}

/// Scales all gradients so that their joint norm is at most `clip_norm` (0: leave them).
///
/// Returns the norm before scaling, shape `[1]`. Nothing is read back from the device.
/// Pascanu, Mikolov & Bengio 2013, algorithm 1, over all parameters at once.
pub(crate) fn clip_global_norm<M: Module>(
    model: &M,
    grads: &mut GradientsParams,
    clip_norm: f32,
) -> Tensor<1> {
    struct SquaredSums<'a> {
        grads: &'a GradientsParams,
        sums: Vec<Tensor<1>>,
    }
    impl ModuleVisitor for SquaredSums<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(grad) = self.grads.get::<D>(param.id) {
                self.sums.push(kernels::squared_norm(grad));
            }
        }
    }
    struct Scale<'a> {
        grads: &'a mut GradientsParams,
        factor: Tensor<1>,
    }
    impl ModuleVisitor for Scale<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(grad) = self.grads.remove::<D>(param.id) {
                let grad = kernels::scale(grad, self.factor.clone());
                self.grads.register(param.id, grad);
            }
        }
    }

    let mut squared = SquaredSums {
        grads,
        sums: Vec::new(),
    };
    model.visit(&mut squared);
    assert!(
        !squared.sums.is_empty(),
        "expected gradients for at least one parameter, got none"
    );
    let norm = Tensor::cat(squared.sums, 0).sum().sqrt();
    if clip_norm > 0.0 {
        // The small constant keeps the quotient finite where every gradient is zero.
        let factor = (norm.clone() + 1e-6)
            .recip()
            .mul_scalar(clip_norm)
            .clamp_max(1.0);
        model.visit(&mut Scale { grads, factor });
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
    use burn::optim::AdamWConfig;
    use burn::tensor::{Device, TensorData};

    #[derive(Module, Debug)]
    struct Tiny {
        linear: Linear,
        norm: LayerNorm,
    }

    fn tiny() -> (Tiny, Device) {
        let device = Device::flex().autodiff();
        let model = Tiny {
            linear: LinearConfig::new(3, 2).init(&device),
            norm: LayerNormConfig::new(2).init(&device),
        };
        (model, device)
    }

    fn gradients(model: &Tiny, device: &Device) -> GradientsParams {
        let x = Tensor::<2>::from_data(
            TensorData::new(
                vec![
                    1.0f32, -2.0, 3.0, 0.5, 0.25, -1.0, 2.0, 2.0, 9.0, 1.0, 0.0, 4.0,
                ],
                [4, 3],
            ),
            device,
        );
        let y = model.norm.forward(model.linear.forward(x));
        let loss = (y.clone().square() * y).sum();
        GradientsParams::from_grads(loss.backward(), model)
    }

    fn config() -> OptimizerConfig {
        OptimizerConfig {
            weight_decay: 0.5,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            clip_norm: 1.0,
        }
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn biases_and_norms_do_not_decay_and_weights_do() {
        let (model, device) = tiny();
        let mut optimizer = config().init(&model, LrScale::default());
        let mut zero = GradientsParams::new();
        let weight = model.linear.weight.val().inner();
        zero.register(model.linear.weight.id, weight.zeros_like());
        let bias = model.linear.bias.as_ref().unwrap();
        zero.register(bias.id, bias.val().inner().zeros_like());
        zero.register(
            model.norm.gamma.id,
            model.norm.gamma.val().inner().zeros_like(),
        );
        let before = (values(model.linear.weight.val()), values(bias.val()));

        let after = optimizer.step(0.1, model, zero);
        for (now, then) in values(after.linear.weight.val()).iter().zip(&before.0) {
            assert!(
                (now - then * 0.95).abs() < 1e-7,
                "{now} is not {then} decayed"
            );
        }
        assert_eq!(values(after.linear.bias.unwrap().val()), before.1);
        assert_eq!(values(after.norm.gamma.val()), vec![1.0, 1.0]);
        drop(device);
    }

    #[test]
    fn moments_saved_by_burns_adamw_go_on_as_its_own_would() {
        let (mut model, device) = tiny();
        let decays_all = OptimizerConfig {
            weight_decay: 0.0,
            ..config()
        };
        let burn = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.0);
        let mut theirs = burn.init();
        for _ in 0..3 {
            let grads = gradients(&model, &device);
            model = theirs.step(0.1, model, grads);
        }
        let saved = theirs.into_bytes().unwrap();
        let mut ours = decays_all
            .init(&model, LrScale::default())
            .from_bytes(saved)
            .unwrap();
        let step = |optimizer: &mut ModuleOptimizer| {
            let grads = gradients(&model, &device);
            let after = optimizer.step(0.1, model.clone(), grads);
            let bias = after.linear.bias.unwrap();
            [
                values(after.linear.weight.val()),
                values(bias.val()),
                values(after.norm.beta.unwrap().val()),
            ]
            .concat()
        };
        let (ours, theirs) = (step(&mut ours), step(&mut theirs));
        assert_eq!(ours.len(), 6 + 2 + 2);
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!(
                (ours - theirs).abs() < 1e-6,
                "{ours}, Burn's goes to {theirs}"
            );
        }
    }

    #[test]
    fn clipping_scales_every_gradient_by_one_factor_to_the_given_norm() {
        let (model, device) = tiny();
        let plain = gradients(&model, &device);
        let mut clipped = gradients(&model, &device);
        let norm = values(clip_global_norm(&model, &mut clipped, 0.01))[0];
        assert!(norm > 0.01);
        let left = values(clipped.get::<2>(model.linear.weight.id).unwrap());
        let right = values(plain.get::<2>(model.linear.weight.id).unwrap());
        for (left, right) in left.iter().zip(&right) {
            assert!((left - right * 0.01 / norm).abs() <= 1e-5 * right.abs() + 1e-9);
        }
        let again = values(clip_global_norm(&model, &mut clipped, 0.01))[0];
        assert!((again - 0.01).abs() < 1e-6);
    }

    #[test]
    fn small_gradients_and_a_limit_of_zero_are_left_alone() {
        let (model, device) = tiny();
        for limit in [0.0, 1e9] {
            let mut grads = gradients(&model, &device);
            let before = values(grads.get::<2>(model.linear.weight.id).unwrap());
            clip_global_norm(&model, &mut grads, limit);
            assert_eq!(
                values(grads.get::<2>(model.linear.weight.id).unwrap()),
                before
            );
        }
    }

    #[test]
    fn accumulated_gradients_are_sums() {
        let (model, device) = tiny();
        let once = gradients(&model, &device);
        let sum = accumulate(&model, None, gradients(&model, &device));
        let sum = accumulate(&model, Some(sum), gradients(&model, &device));
        let once = values(once.get::<2>(model.linear.weight.id).unwrap());
        let twice = values(sum.get::<2>(model.linear.weight.id).unwrap());
        assert_eq!(twice, once.iter().map(|v| 2.0 * v).collect::<Vec<_>>());
        assert_eq!(sum.len(), 4);
    }
}
