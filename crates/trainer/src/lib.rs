//! The training loop, its experiment file, run directory, checkpoints and reports.
//!
//! A run is one walk: an [`Experiment`] has all settings, [`Session::open`] reads the sounds, a
//! [`Pipeline`] runs stages in their order, [`StageRun::run`] hands a [`Task`] to the loop in [`Fit`],
//! and the loop sends its events to [`Observer`]s. No stage has a loop of its own.

mod data;
mod error;
mod output;
mod parameters;
mod run;
mod settings;
mod stages;
mod tasks;
mod training;

pub use data::batch::{Sounds, TensorBatch};
pub use data::sounds::SoundSet;
pub use error::TrainerError;
pub use output::captions::{mask as mask_caption, percent};
pub use output::illustration::{
    ComparedParameter, EXAMPLE_NOTE, ExampleNote, Illustration, Made, PICTURES, SOUNDS, Setting,
};
pub use output::picture::{Axes, Canvas, Panel, draw_panels};
pub use output::summary::{DryRun, Plan, StageReport, Summary, TestRow, TestSummary};
pub use output::tensorboard::TensorBoard;
pub use output::wav::wav_file;
pub use parameters::average::Average;
pub use parameters::evaluate_labelled::LabelledEvaluation;
pub use parameters::feature_encoder::{FeatureEncoder, TransformerFeatures, UNetFeatures};
pub use parameters::head_transfer::HeadTransfer;
pub use parameters::metrics::{
    CategoricalError, ContinuousError, ParameterErrors, ParameterMetrics,
};
pub use parameters::network::{ParameterEstimator, ParameterNetwork};
pub use parameters::predictor::{ParameterPredictor, trained_stage};
pub use parameters::probe_data::ProbeData;
pub use parameters::rendering::{Distances, Renderer};
pub use run::atomic_write::write_atomic;
pub use run::checkpoint::{Checkpoint, Context, Progress};
pub use run::exported::Exported;
pub use run::provenance::Provenance;
pub use run::run_dir::{EXPERIMENT_FILE, REPORT_FILE, RunDir, RunLock};
pub use run::stage_dir::{StageDir, StageState};
pub use run::trained_on::TrainedOn;
pub use settings::experiment::{Experiment, LoaderConfig, SoundSource, SourceConfig};
pub use settings::stage::{Stage, StageGroup};
pub use settings::stages::{
    AutoencoderStage, AutoencoderStart, ContrastiveStage, DecoderStage, EncoderStart,
    EncoderTraining, FinetuneStage, FullStage, ParameterStage, Stages, TokenMask, TransformerStart,
};
pub use settings::training::Training;
pub use stages::lineage::WeightSource;
pub use stages::pipeline::{Pipeline, PipelineEvent, PipelineObserver, Scope};
pub use stages::session::Session;
pub use stages::stage_run::StageRun;
pub use stages::start::check_start;
pub use stages::train::BASELINE_TAG;
pub use stages::weights::export;
pub use tasks::{
    ContrastivePretraining, ParameterEstimation, PatchReconstruction, SpectralObjective,
    SpectrogramAutoencoder, Trained,
};
pub use training::devices::Devices;
pub use training::evaluation::Evaluation;
pub use training::fit::{Fit, Fitted};
pub use training::memory::{MemoryEstimate, peak_rss_bytes};
pub use training::observe::{Event, Metric, MetricsFile, Observer};
pub use training::optimizer::{LrScale, OptimizerConfig};
pub use training::parameter_terms::EstimatedParameters;
pub use training::schedule::LrSchedule;
pub use training::task::{HeldOut, ScoreName, Scored, Scores, Task};
pub use training::weights::weights_sha256;
