//! The training loop, its experiment file, run directory, checkpoints and reports.
//!
//! A run is one walk: an [`Experiment`] names everything, [`Session::open`] reads the
//! sounds, [`StageRun::run`] hands a [`Task`] to the loop in [`Fit`], and the loop
//! tells its [`Observer`]s what happens. No stage has a loop of its own.

mod data;
mod error;
mod output;
mod parameters;
mod run;
mod settings;
mod stages;
mod tasks;
mod training;

pub use data::batch::TensorBatch;
pub use run::checkpoint::{Checkpoint, Context, Progress};
pub use training::devices::Devices;
pub use error::TrainerError;
pub use training::evaluate::Evaluation;
pub use settings::experiment::{
    AutoencoderStage, AutoencoderStart, ContrastiveStage, DecoderStage, EncoderTraining,
    Experiment, FinetuneStage, FullStage, LoaderConfig, ParameterStage, SoundSource, SourceConfig,
    Stages, TokenMask, Training, TransformerStart,
};
pub use run::exported::{Exported, export};
pub use parameters::feature_encoder::{FeatureEncoder, TransformerFeatures, UNetFeatures};
pub use training::fit::{Fit, Fitted};
pub use stages::train::BASELINE_TAG;
pub use run::trained_on::TrainedOn;
pub use output::illustration::{EXAMPLE_NOTE, ExampleNote, Illustration, Made, PICTURES, SOUNDS};
pub use parameters::evaluate_labelled::LabelledEvaluation;
pub use parameters::probe_data::ProbeData;
pub use output::test_examples::{ComparedParameter, Setting};
pub use training::memory::{MemoryEstimate, peak_rss_bytes};
pub use parameters::network::{ParameterEstimator, ParameterNetwork};
pub use training::observe::{Event, Metric, MetricsFile, Observer};
pub use stages::session::Session;
pub use training::optimizer::{LrScale, OptimizerConfig};
pub use run::lineage::Provenance;
pub use parameters::metrics::{
    Average, CategoricalError, ContinuousError, ParameterErrors, ParameterMetrics,
};
pub use output::picture::{Axes, Canvas, Panel, draw_panels};
pub use parameters::predictor::{ParameterPredictor, trained_stage};
pub use stages::stage_run::StageRun;
pub use parameters::rendering::{Distances, Renderer};
pub use output::summary::{DryRun, Plan, StageReport, Summary, TestRow, TestSummary};
pub use run::run_dir::{EXPERIMENT_FILE, RunDir, RunLock, STATISTICS_FILE, StageDir, StageState};
pub use training::schedule::LrSchedule;
pub use data::sounds::{Findings, SoundSet};
pub use settings::stage::Stage;
pub use stages::start::{WeightSource, check_finished, check_start};
pub use head_transfer::HeadTransfer;
pub use training::task::{HeldOut, ScoreName, Scores, Task};
pub use tasks::{
    ContrastivePretraining, ParameterEstimation, PatchReconstruction, Scored, SpectralObjective,
    SpectrogramAutoencoder, Trained,
};
pub use output::tensorboard::TensorBoard;
pub use output::wav::wav_file;
pub use training::weights::weights_sha256;
pub use run::atomic_write::write_atomic;
