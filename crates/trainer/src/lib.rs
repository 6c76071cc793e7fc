//! The training loop, its experiment file, run directory, checkpoints and reports.
//!
//! A run is one walk: an [`Experiment`] names everything, [`OpenExperiment::open`] reads the
//! sounds, [`PreparedStage::run`] hands a [`Task`] to the loop in [`Fit`], and the loop
//! tells its [`Observer`]s what happens. No stage has a loop of its own.

mod batch;
mod checkpoint;
mod devices;
mod draws;
mod error;
mod evaluate;
mod examination;
mod experiment;
mod exported;
mod feature_encoder;
mod fit;
mod fitting;
mod heard;
mod illustration;
mod job;
mod json_file;
mod labelled_test;
mod labels;
mod layers;
mod linear_fit;
mod linear_source;
mod listening;
mod magnitude;
mod memory;
mod nearest;
mod network;
mod observe;
mod one_sound;
mod open;
mod optimizer;
mod origin;
mod parameter_test;
mod picture;
mod predictor;
mod prepared;
mod rendering;
mod report;
mod run_dir;
mod schedule;
mod settings;
mod shift;
mod sounds;
mod source;
mod stage;
mod start;
mod statistics;
mod taken_over;
mod task;
mod tasks;
mod tensorboard;
mod wav;
mod weights;
mod whole_file;

pub use batch::TensorBatch;
pub use checkpoint::{Checkpoint, Context, Progress};
pub use devices::Devices;
pub use error::TrainerError;
pub use evaluate::Evaluation;
pub use experiment::{
    AutoencoderStage, AutoencoderStart, ContrastiveStage, DecoderStage, EncoderTraining,
    Experiment, FinetuneStage, FullStage, LoaderConfig, ParameterStage, SoundSource, SourceConfig,
    Stages, TokenMask, Training, TransformerStart,
};
pub use exported::{Exported, export};
pub use feature_encoder::{FeatureEncoder, TransformerFeatures, UNetFeatures};
pub use fit::{Fit, Fitted};
pub use fitting::BASELINE_TAG;
pub use heard::Heard;
pub use illustration::{EXAMPLE_NOTE, ExampleNote, Illustration, Made, PICTURES, SOUNDS};
pub use labelled_test::LabelledTest;
pub use linear_source::LinearSource;
pub use listening::{ComparedParameter, Setting};
pub use memory::{MemoryEstimate, peak_rss_bytes};
pub use network::{ParameterEstimator, ParameterNetwork};
pub use observe::{Event, Metric, MetricsFile, Observer};
pub use open::OpenExperiment;
pub use optimizer::{LrScale, OptimizerConfig};
pub use origin::Origin;
pub use parameter_test::{
    Average, CategoricalError, ContinuousError, ParameterErrors, ParameterTest,
};
pub use picture::{Axes, Canvas, Panel, draw_panels};
pub use predictor::{ParameterPredictor, trained_stage};
pub use prepared::PreparedStage;
pub use rendering::{Distances, Renderer};
pub use report::{DryRun, Plan, StageReport, Summary, TestRow, TestSummary};
pub use run_dir::{EXPERIMENT_FILE, RunDir, RunLock, STATISTICS_FILE, StageDir, StageState};
pub use schedule::LrSchedule;
pub use sounds::{Findings, SoundSet};
pub use stage::Stage;
pub use start::{StartsIn, check_finished, check_start};
pub use taken_over::TakenOver;
pub use task::{HeldOut, ScoreName, Scores, Task};
pub use tasks::{
    ContrastivePretraining, ParameterEstimation, PatchReconstruction, Scored, SpectralObjective,
    SpectrogramAutoencoder, Trained,
};
pub use tensorboard::TensorBoard;
pub use wav::wav_file;
pub use weights::weights_sha256;
pub use whole_file::write_whole;
