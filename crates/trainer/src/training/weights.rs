//! Walks over a model's parameters: forcing, naming and hashing them.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use sha2::{Digest, Sha256};

/// Draws every lazily initialised parameter now, under the device's current seed.
///
/// Burn draws a parameter at its first use. Without this, weights would come from
/// whatever seed is set when the first batch arrives.
pub fn force_init<M: Module>(model: &M) {
    struct Force;
    impl ModuleVisitor for Force {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let _ = param.val();
        }
    }
    model.visit(&mut Force);
}

/// A parameter of a model.
pub(crate) struct NamedWeights {
    /// Dotted path inside the model.
    pub(crate) name: String,
    /// Sizes of its axes.
    pub(crate) shape: Vec<usize>,
    /// Values, little-endian f32, row-major.
    pub(crate) bytes: Vec<u8>,
}

/// Every parameter of `model`, sorted by name.
pub(crate) fn named_weights<M: Module>(model: &M) -> Vec<NamedWeights> {
    let mut collector = Collector::default();
    model.visit(&mut collector);
    collector
        .weights
        .sort_by(|left, right| left.name.cmp(&right.name));
    collector.weights
}

/// SHA-256 over the sorted names and little-endian bytes of the parameters, in hexadecimal.
///
/// Equal hashes mean equal weights, bit for bit, whatever file they were saved in.
pub fn weights_sha256<M: Module>(model: &M) -> String {
    sha256_of(&named_weights(model))
}

/// The same of weights that are sorted by their names.
pub(crate) fn sha256_of(weights: &[NamedWeights]) -> String {
    let mut hash = Sha256::new();
    for weights in weights {
        hash.update(weights.name.as_bytes());
        hash.update([0]);
        hash.update(&weights.bytes);
    }
    hexadecimal(hash)
}

/// The digits of a finished hash.
pub(crate) fn hexadecimal(hash: Sha256) -> String {
    let digest = hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Default)]
struct Collector {
    path: Vec<String>,
    weights: Vec<NamedWeights>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values: Vec<f32> = param
            .val()
            .into_data()
            .try_to_vec()
            .expect("weights are f32");
        self.weights.push(NamedWeights {
            name: self.path.join("."),
            shape: param.shape().to_vec(),
            bytes: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        });
    }
}
