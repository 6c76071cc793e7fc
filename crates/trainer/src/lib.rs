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
mod fit;
mod fitting;
mod job;
mod layers;
mod memory;
mod observe;
mod open;
mod optimizer;
mod picture;
mod prepared;
mod report;
mod run_dir;
mod schedule;
mod settings;
mod source;
mod stage;
mod statistics;
mod task;
mod tasks;
mod tensorboard;
mod weights;

pub use batch::TensorBatch;
pub use checkpoint::{Checkpoint, Context, Progress};
pub use devices::Devices;
pub use error::TrainerError;
pub use evaluate::Evaluation;
pub use experiment::{
    AutoencoderStage, ContrastiveStage, DecoderStage, Experiment, FinetuneStage, FullStage,
    LoaderConfig, SoundSource, SourceConfig, Stages, TokenMask, Training,
};
pub use fit::{Fit, Fitted};
pub use fitting::BASELINE_TAG;
pub use memory::{MemoryEstimate, peak_rss_bytes};
pub use observe::{Event, Illustration, MetricsFile, Observer};
pub use open::{OpenExperiment, StartsIn};
pub use optimizer::OptimizerConfig;
pub use picture::{Axes, Canvas, Panel, draw_panels};
pub use prepared::PreparedStage;
pub use report::{DryRun, Plan, StageReport, Summary, TestRow, TestSummary};
pub use run_dir::{RunDir, RunLock, StageDir, StageState};
pub use schedule::LrSchedule;
pub use stage::Stage;
pub use task::{Scores, Task};
pub use tasks::{
    ContrastivePretraining, PatchReconstruction, Scored, SpectralObjective, SpectrogramAutoencoder,
    Trained,
};
pub use tensorboard::TensorBoard;
pub use weights::weights_sha256;
