//! The training split's statistics in the run's directory, so that later calls need not look at its
//! sounds again.

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use stft_data::{Normalization, Spectrogram, TrainStatistics};

use crate::error::TrainerError;

/// Names of the tensors: `[bins, frames]`, and `[2]` of mean and standard deviation.
const MEAN: &str = "mean_log1p";
const NORMALIZATION: &str = "normalization";

/// `statistics` as a safetensors file.
pub(crate) fn to_file(statistics: &TrainStatistics) -> Vec<u8> {
    let TrainStatistics {
        normalization: Normalization { mean, std },
        mean_log1p:
            Spectrogram {
                values,
                bins,
                frames,
            },
    } = statistics;
    let [values, scale] = [&values[..], &[*mean, *std]].map(to_bytes);
    let tensors = [
        (MEAN, vec![*bins, *frames], &values),
        (NORMALIZATION, vec![2], &scale),
    ];
    let views = tensors.map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape, bytes);
        (
            name,
            view.expect("there are as many values as the shape says"),
        )
    });
    serialize(views, None).expect("the names are different")
}

/// Reads what [`to_file`] has made.
pub(crate) fn read(path: &Path) -> Result<TrainStatistics, TrainerError> {
    let bytes = std::fs::read(path).map_err(TrainerError::read(path))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| mismatch(path, error))?;
    let tensor = |name| {
        let view = file.tensor(name).map_err(|error| mismatch(path, error))?;
        match view.dtype() {
            Dtype::F32 => Ok((view.shape().to_vec(), from_bytes(view.data()))),
            other => Err(mismatch(path, format!("{name} is {other:?}, not F32"))),
        }
    };
    let (shape, values) = tensor(MEAN)?;
    let (_, scale) = tensor(NORMALIZATION)?;
    let (&[bins, frames], &[mean, std]) = (&shape[..], &scale[..]) else {
        return Err(mismatch(path, format!("{MEAN} has the shape {shape:?}")));
    };
    Ok(TrainStatistics {
        normalization: Normalization { mean, std },
        mean_log1p: Spectrogram {
            values,
            bins,
            frames,
        },
    })
}

fn mismatch(path: &Path, reason: impl ToString) -> TrainerError {
    TrainerError::Checkpoint {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

fn to_bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    let (values, _) = bytes.as_chunks::<4>();
    values
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_come_back_bit_for_bit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("statistics.safetensors");
        let statistics = TrainStatistics {
            normalization: Normalization {
                mean: 0.1 + f32::EPSILON,
                std: 1.0 / 3.0,
            },
            mean_log1p: Spectrogram {
                values: vec![0.1, 0.2, 0.3, f32::MIN_POSITIVE, -0.0, 7.0],
                bins: 3,
                frames: 2,
            },
        };
        std::fs::write(&path, to_file(&statistics)).unwrap();
        assert_eq!(read(&path).unwrap(), statistics);
    }

    #[test]
    fn what_is_no_such_file_is_refused_with_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("statistics.safetensors");
        std::fs::write(&path, "no tensors").unwrap();
        let message = read(&path).unwrap_err().to_string();
        assert!(message.contains("statistics.safetensors"), "{message}");
    }
}
