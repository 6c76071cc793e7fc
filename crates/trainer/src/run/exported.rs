//! A trained model as one file: safetensors, whose metadata say what the weights mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use params::ParamSpec;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::Serialize;

use crate::error::TrainerError;
use crate::run::atomic_write::write_atomic;
use crate::run::checkpoint::{Checkpoint, Context};
use crate::run::json_file::parse_json;
use crate::run::provenance::Provenance;
use crate::settings::experiment::Experiment;
use crate::training::weights::NamedWeights;

/// Keys of the metadata, in addition to those for other readers (`stft`, `sample_rate_hz`).
const STAGE: &str = "stage";
const STEP: &str = "step";
const EXPERIMENT: &str = "experiment";
const NORMALIZATION: &str = "normalization";
const PARAMETERS: &str = "parameters";
const PROVENANCE: &str = "provenance";

/// A model that was exported.
#[derive(Clone, Debug)]
pub struct Exported {
    path: PathBuf,
    bytes: Vec<u8>,
    /// What the weights mean.
    pub context: Context,
}

/// Writes `weights`, which are those of `checkpoint`, to `path`. See [`export`](crate::export).
///
/// # Errors
/// The file can't be written.
pub(crate) fn write_exported(
    checkpoint: &Checkpoint,
    weights: &[NamedWeights],
    path: &Path,
) -> Result<(), TrainerError> {
    let context = &checkpoint.context;
    let mut metadata = BTreeMap::from([
        (STAGE.to_owned(), context.stage.clone()),
        (STEP.to_owned(), checkpoint.progress.step.to_string()),
        (EXPERIMENT.to_owned(), context.experiment.to_toml()),
        (NORMALIZATION.to_owned(), json(&context.normalization)),
        ("stft".to_owned(), json(&context.experiment.data.stft)),
        (
            "sample_rate_hz".to_owned(),
            context.experiment.data.clip.sample_rate_hz.to_string(),
        ),
    ]);
    if let Some(spec) = &context.parameters {
        metadata.insert(PARAMETERS.to_owned(), json(spec));
    }
    if let Some(provenance) = &context.provenance {
        metadata.insert(PROVENANCE.to_owned(), json(provenance));
    }
    let views = weights.iter().map(|weights| {
        let view = TensorView::new(Dtype::F32, weights.shape.clone(), &weights.bytes);
        let view = view.expect("there are as many values as the shape says");
        (weights.name.as_str(), view)
    });
    let bytes =
        serialize(views, Some(metadata.into_iter().collect())).expect("the names are different");
    write_atomic(path, bytes).map_err(TrainerError::write(path))
}

impl Exported {
    /// Reads what was exported to `path`.
    ///
    /// # Errors
    /// The file can't be read, or says nothing of what its weights mean.
    pub fn open(path: &Path) -> Result<Self, TrainerError> {
        let bytes = std::fs::read(path).map_err(TrainerError::read(path))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| unfit(path, error))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let entry = |key: &str| {
            metadata
                .get(key)
                .ok_or_else(|| unfit(path, format!("its metadata have no `{key}`")))
        };
        let experiment: Experiment =
            toml::from_str(entry(EXPERIMENT)?).map_err(|error| unfit(path, error))?;
        let context = Context {
            stage: entry(STAGE)?.clone(),
            normalization: parse_json(path, entry(NORMALIZATION)?)?,
            experiment,
            provenance: match metadata.get(PROVENANCE) {
                Some(text) => Some(parse_json::<Provenance>(path, text)?),
                None => None,
            },
            parameters: match metadata.get(PARAMETERS) {
                Some(text) => Some(parse_json::<ParamSpec>(path, text)?),
                None => None,
            },
        };
        Ok(Self {
            path: path.to_owned(),
            bytes,
            context,
        })
    }

    /// `model` with the exported weights, on `device`. Every weight must have its counterpart.
    ///
    /// # Errors
    /// A name or shape doesn't match.
    pub fn load_model<M: Module>(&self, model: M, device: &Device) -> Result<M, TrainerError> {
        let file =
            SafeTensors::deserialize(&self.bytes).map_err(|error| unfit(&self.path, error))?;
        let mut filling = Filling {
            path: Vec::new(),
            tensors: BTreeMap::from_iter(file.tensors()),
            device,
            fault: None,
        };
        let model = model.map(&mut filling);
        let left_over = filling.tensors.keys().next();
        let left_over = left_over.map(|name| format!("the model has no {name}"));
        match filling.fault.or(left_over) {
            Some(reason) => Err(unfit(&self.path, reason)),
            None => Ok(model),
        }
    }
}

/// Puts named tensors where they belong.
struct Filling<'a> {
    path: Vec<String>,
    /// Those that are left.
    tensors: BTreeMap<String, TensorView<'a>>,
    device: &'a Device,
    /// The first thing that didn't fit.
    fault: Option<String>,
}

impl ModuleMapper for Filling<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let expected = param.shape();
        let fault = match self.tensors.remove(&name) {
            None => format!("it has no {name}"),
            Some(view) if view.dtype() != Dtype::F32 => {
                format!("{name} is {:?}, not F32", view.dtype())
            }
            Some(view) if view.shape() != &expected[..] => {
                format!("{name} is {:?}, not {expected:?}", view.shape())
            }
            Some(view) => {
                let (values, _) = view.data().as_chunks::<4>();
                let values: Vec<f32> = values.iter().map(|&b| f32::from_le_bytes(b)).collect();
                let data = TensorData::new(values, view.shape().to_vec());
                return Param::from_data(data, self.device);
            }
        };
        self.fault.get_or_insert(fault);
        param
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain fields serialise")
}

fn unfit(path: &Path, reason: impl ToString) -> TrainerError {
    TrainerError::Checkpoint {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
