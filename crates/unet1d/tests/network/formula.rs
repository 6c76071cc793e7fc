//! Numbers that follow from a name, the same here and in `reference/unet1d.py` to the last bit.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use unet1d::{UNet1d, UNet1dConfig};

/// `centre + scale * u`, u uniform in [-1, 1): FNV-1a of the name, plus a step per index, through
/// the mixer of MurmurHash3.
pub fn numbers(name: &str, len: usize, centre: f32, scale: f32) -> Vec<f32> {
    let seed = name.bytes().fold(0x811C_9DC5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let number = |i: usize| {
        let mut x = seed.wrapping_add((i as u32).wrapping_mul(0x9E37_79B9));
        x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
        x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
        x ^= x >> 16;
        let u = (x >> 8) as f32 / (1_u32 << 23) as f32 - 1.0;
        centre + scale * u
    };
    (0..len).map(number).collect()
}

/// A `[batch, bins, frames]` tensor of such numbers.
pub fn spectrogram(name: &str, shape: [usize; 3], device: &Device) -> Tensor<3> {
    let data = TensorData::new(numbers(name, shape.iter().product(), 0.0, 1.0), shape);
    Tensor::from_data(data, device)
}

/// A network whose every parameter is such numbers: nothing is left at zero or one.
pub fn network(config: &UNet1dConfig, device: &Device) -> UNet1d {
    let mut mapper = Fill {
        path: Path::default(),
    };
    config.init(device).map(&mut mapper)
}

/// The path of the module that a visit is in.
#[derive(Default)]
pub struct Path(Vec<String>);

impl Path {
    pub fn enter(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    pub fn exit(&mut self) {
        self.0.pop();
    }

    pub fn name(&self) -> String {
        self.0.join(".")
    }
}

struct Fill {
    path: Path,
}

impl ModuleMapper for Fill {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let dims = param.dims();
        let (centre, scale) = match dims[..] {
            [_, c, taps] => (0.0, (3.0 / (c * taps) as f32).sqrt()),
            _ if name.ends_with("gamma") => (1.0, 0.25),
            _ => (0.0, 0.25),
        };
        let values = numbers(&name, dims.iter().product(), centre, scale);
        param.map(|old| {
            let new = Tensor::from_data(TensorData::new(values, dims), &old.device());
            new.set_require_grad(old.is_require_grad())
        })
    }
}

/// Calls `f(name, shape, gradient)` for every parameter of `model`; the gradient is empty where none
/// has reached it.
pub fn for_each_gradient(
    model: &UNet1d,
    gradients: &burn::tensor::Gradients,
    f: impl FnMut(&str, &[usize], Vec<f32>),
) {
    model.visit(&mut Gradients {
        path: Path::default(),
        gradients,
        f,
    });
}

struct Gradients<'a, F> {
    path: Path,
    gradients: &'a burn::tensor::Gradients,
    f: F,
}

impl<F: FnMut(&str, &[usize], Vec<f32>)> ModuleVisitor for Gradients<'_, F> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = match param.val().grad(self.gradients) {
            Some(gradient) => gradient.into_data().try_to_vec().unwrap(),
            None => Vec::new(),
        };
        (self.f)(&self.path.name(), &param.dims(), gradient);
    }
}
