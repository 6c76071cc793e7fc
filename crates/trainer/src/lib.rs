//! The training loop, its experiment file, run directory, checkpoints and reports.
//!
//! A run is one walk: an [`Experiment`] names everything, [`OpenExperiment::open`] reads the
//! sounds, [`PreparedStage::train`] hands a [`Task`] to the loop in [`Fit`], and the loop
//! tells its [`Observer`]s what happens. No stage has a loop of its own.

mod batch;
mod checkpoint;
mod devices;
mod draws;
mod error;
mod evaluate;
mod experiment;
mod fit;
mod layers;
mod memory;
mod observe;
mod optimizer;
mod picture;
mod report;
mod run_dir;
mod schedule;
mod settings;
mod source;
mod stage;
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
    AutoencoderStage, ContrastiveStage, DecoderStage, Experiment, FullStage, LoaderConfig,
    SoundSource, SourceConfig, Stages, TokenMask, Training,
};
pub use fit::{Fit, Fitted};
pub use memory::{MemoryEstimate, peak_rss_bytes};
pub use observe::{Event, Illustration, MetricsFile, Observer};
pub use optimizer::OptimizerConfig;
pub use picture::{Axes, Canvas, Panel, draw_panels};
pub use report::{DryRun, Plan, Summary};
pub use run_dir::{RunDir, RunLock, StageDir, StageState};
pub use schedule::LrSchedule;
pub use stage::{BASELINE_TAG, OpenExperiment, PreparedStage, Stage, StartsIn};
pub use task::{Scores, Task};
pub use tasks::{
    ContrastivePretraining, MaskedAutoencoder, PatchReconstruction, SpectralObjective, Start,
};
pub use tensorboard::TensorBoard;
pub use weights::weights_sha256;
