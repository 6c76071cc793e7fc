//! Fixtures for tests of networks against PyTorch: numbers that follow from a name, equal to those of
//! `reference/unet1d.py` and `reference/transformer.py` to the last bit, and visitors of parameters.

#![warn(missing_docs)]
#![forbid(unsafe_code)]

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

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

/// The module with such numbers as parameters, by path: none is left at its initial 0 or 1.
pub fn filled<M: Module>(module: M) -> M {
    module.map(&mut Fill(Path::default()))
}

/// Calls `f(name, shape, gradient)` for every parameter of `module`. The gradient is empty for a
/// parameter that has none.
pub fn for_each_gradient(
    module: &impl Module,
    gradients: &Gradients,
    f: impl FnMut(&str, &[usize], Vec<f32>),
) {
    module.visit(&mut Visit {
        path: Path::default(),
        gradients: Some(gradients),
        f,
    });
}

/// Name and values of every parameter.
pub fn parameters(module: &impl Module) -> Vec<(String, Vec<f32>)> {
    let mut parameters = Vec::new();
    module.visit(&mut Visit {
        path: Path::default(),
        gradients: None,
        f: |name: &str, _: &[usize], values| parameters.push((name.to_owned(), values)),
    });
    parameters
}

/// Panics unless all values differ by at most `tolerance`.
pub fn assert_close(what: &str, got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= tolerance,
            "value {i} of {what}: expected {expected}, got {got}, tolerance {tolerance}"
        );
    }
}

/// The path of the current module.
#[derive(Default)]
struct Path(Vec<String>);

impl Path {
    fn enter(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    fn exit(&mut self) {
        self.0.pop();
    }

    fn name(&self) -> String {
        self.0.join(".")
    }
}

struct Fill(Path);

impl ModuleMapper for Fill {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.0.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.0.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.0.name();
        let dims = param.dims();
        let (centre, scale) = match dims[..] {
            [_, c, taps] if name.ends_with("weight") => (0.0, (3.0 / (c * taps) as f32).sqrt()),
            [d_in, _] => (0.0, (3.0 / d_in as f32).sqrt()),
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

/// Visits the parameters' gradients, or their values without `gradients`.
struct Visit<'a, F> {
    path: Path,
    gradients: Option<&'a Gradients>,
    f: F,
}

impl<F: FnMut(&str, &[usize], Vec<f32>)> ModuleVisitor for Visit<'_, F> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = match self.gradients {
            Some(gradients) => param.val().grad(gradients),
            None => Some(param.val()),
        };
        let values = tensor.map(|tensor| tensor.into_data().try_to_vec().unwrap());
        let name = self.path.name();
        (self.f)(&name, &param.dims(), values.unwrap_or_default());
    }
}
