//! Numbers that follow from a name, the same here and in `reference/transformer.py` to the last bit.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Gradients, Tensor, TensorData};

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

/// A mask over tokens that hides a little less than half of them.
pub fn hidden(shape: [usize; 2], device: &Device) -> Tensor<2, Bool> {
    let numbers = numbers("hidden", shape.iter().product(), 0.0, 1.0);
    let hidden: Vec<bool> = numbers.into_iter().map(|x| x > 0.1).collect();
    Tensor::from_data(TensorData::new(hidden, shape), device)
}

/// The module with such numbers for parameters: nothing is left at zero or one.
pub fn filled<M: Module>(module: M) -> M {
    module.map(&mut Fill {
        path: Path::default(),
    })
}

/// The path of the module that a visit is in.
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

/// Calls `f(name, shape, gradient)` for every parameter of `module`; the gradient is empty where none
/// has reached it.
pub fn for_each_gradient(
    module: &impl Module,
    gradients: &Gradients,
    f: impl FnMut(&str, &[usize], Vec<f32>),
) {
    module.visit(&mut Visit {
        path: Path::default(),
        gradients,
        f,
    });
}

struct Visit<'a, F> {
    path: Path,
    gradients: &'a Gradients,
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
        let gradient = match param.val().grad(self.gradients) {
            Some(gradient) => gradient.into_data().try_to_vec().unwrap(),
            None => Vec::new(),
        };
        (self.f)(&self.path.name(), &param.dims(), gradient);
    }
}

/// Every parameter's name and values.
pub fn parameters(module: &impl Module) -> Vec<(String, Vec<f32>)> {
    struct Values(Path, Vec<(String, Vec<f32>)>);
    impl ModuleVisitor for Values {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.enter(name);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let values = param.val().into_data().try_to_vec().unwrap();
            self.1.push((self.0.name(), values));
        }
    }
    let mut visitor = Values(Path::default(), Vec::new());
    module.visit(&mut visitor);
    visitor.1
}

/// The values of the rows that are not hidden, `[batch, rows, width]` with `[batch, rows]`.
pub fn shown(x: Tensor<3>, hidden: Option<&Tensor<2, Bool>>) -> Vec<f32> {
    let [_, _, width] = x.dims();
    let values: Vec<f32> = x.into_data().try_to_vec().unwrap();
    let Some(hidden) = hidden else { return values };
    let hidden: Vec<bool> = hidden.clone().into_data().iter::<bool>().collect();
    let rows = values.chunks(width).zip(hidden);
    let shown = rows.filter(|(_, hidden)| !hidden);
    shown.flat_map(|(row, _)| row.to_vec()).collect()
}

/// Panics unless both are alike to within `tolerance`.
pub fn close(what: &str, got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= tolerance,
            "value {i} of {what}: expected {expected}, got {got}, tolerance {tolerance}"
        );
    }
}
