//! What can go wrong outside the program, and what to do about it.

use std::path::{Path, PathBuf};

use stft_data::DataError;
use transformer::TransformerConfigError;
use unet1d::UNetConfigError;

/// Everything that the trainer reports instead of panicking.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainerError {
    /// A file or directory can't be read.
    #[error("can't read {path}: {source}", path = path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file or directory can't be written.
    #[error("can't write {path}: {source}; check that the directory is writable and the disk isn't full", path = path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// An experiment file is no TOML.
    #[error("{origin}, line {line}: {message}")]
    Syntax {
        /// The file.
        origin: String,
        /// One-based line of the mistake.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// An experiment file has a key that doesn't exist, or a value that doesn't fit its key.
    #[error("{origin}{}: `{key}`: {message}{}", place(*line), hint(nearest))]
    Key {
        /// The file, or the `--set` that the key came with.
        origin: String,
        /// One-based line, where there is a file.
        line: Option<usize>,
        /// Dotted path of the key.
        key: String,
        /// What is wrong with it.
        message: String,
        /// The valid key or value that is spelt most like it.
        nearest: Option<String>,
    },
    /// An override isn't of the form `a.b=value`.
    #[error("--set {text}: expected KEY=VALUE, such as seed=1 or data.clip.seconds=0.5")]
    Override {
        /// What was given.
        text: String,
    },
    /// A value is of the right type but can't work.
    #[error("{}`{key}` is {got}: expected {expected}", set_by(origin))]
    Value {
        /// The file and line, or the `--set`, that the value came with; empty for the default.
        origin: String,
        /// Dotted path of the key.
        key: String,
        /// What would work.
        expected: String,
        /// What was given.
        got: String,
    },
    /// No stage has this name.
    #[error("there is no stage {name:?}{}; the stages are: {known}", hint(nearest))]
    UnknownStage {
        /// What was asked for.
        name: String,
        /// The stage that is spelt most like it.
        nearest: Option<String>,
        /// All stages.
        known: String,
    },
    /// What has the run's name is no run: nothing is overwritten.
    #[error("{path} exists and is not a run; choose another --name, or remove it", path = path.display())]
    RunExists {
        /// What there is.
        path: PathBuf,
    },
    /// Runs can't be kept there.
    #[error("{path} is not a directory; choose another --out", path = path.display())]
    NotADirectory {
        /// What was named.
        path: PathBuf,
    },
    /// A run's name would leave the output directory.
    #[error("{name:?} can't name a run: use up to 100 letters, digits, '-', '_' and '.'")]
    RunName {
        /// What was asked for.
        name: String,
    },
    /// The loss stopped being a number.
    #[error(
        "the loss is {loss} after step {step}; lower the stage's `training.lr`, or raise its `training.warmup_steps` or `training.batch_size`"
    )]
    Diverged {
        /// Steps done.
        step: u64,
        /// The loss as it was.
        loss: f32,
    },
    /// A checkpoint's weights don't fit the model.
    #[error("{path} doesn't fit this model: {reason}", path = path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The data can't be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The embedded synthesizer can't play a patch.
    #[error(transparent)]
    Synth(#[from] synth::SynthError),
    /// Estimates don't fit a synthesizer's parameters.
    #[error(transparent)]
    Parameters(#[from] params::ParamError),
    /// Sounds can't be compared.
    #[error(transparent)]
    Distance(#[from] distances::DistanceError),
    /// The U-Net's configuration can't work.
    #[error("{}[unet]: {source}", set_by(origin))]
    UNet {
        /// The file and line, or the `--set`, that the setting came with; empty for the default.
        origin: String,
        /// What is wrong.
        source: UNetConfigError,
    },
    /// A loss can't be used as it is configured.
    #[error(transparent)]
    Loss(#[from] losses::LossError),
    /// The Transformer's configuration can't work.
    #[error("{}[transformer]: {source}", set_by(origin))]
    Transformer {
        /// The file and line, or the `--set`, that the setting came with; empty for the default.
        origin: String,
        /// What is wrong.
        source: TransformerConfigError,
    },
    /// The stage that another one starts from was interrupted.
    #[error("{stage} starts from {needs}, which was interrupted at {path}; finish {needs} first, or name its run with --from to use its weights as they are", path = path.display())]
    StartUnfinished {
        /// The stage that was to run.
        stage: &'static str,
        /// The stage it starts from.
        needs: &'static str,
        /// The directory of the latter.
        path: PathBuf,
    },
    /// The stage that another one starts from has no checkpoint.
    #[error("{stage} starts from {needs}, but there is no checkpoint at {path}; run {needs} first, or name a run that has it with --from", path = path.display())]
    NoStart {
        /// The stage that was to run.
        stage: &'static str,
        /// The stage it starts from.
        needs: &'static str,
        /// Where its checkpoint was looked for.
        path: PathBuf,
    },
    /// A stage starts from heads of another run.
    #[error("{stage} starts from heads of another run; name that run with --from")]
    StartElsewhere {
        /// The stage that was to run.
        stage: &'static str,
    },
    /// A checkpoint was trained with other settings than those of the run.
    #[error("{path}: its `{key}` is {there}, and this run's is {here}; give both the same value", path = path.display())]
    StartDiffers {
        /// The checkpoint.
        path: PathBuf,
        /// Dotted path of the first setting that differs.
        key: String,
        /// Its value in the checkpoint.
        there: String,
        /// Its value here.
        here: String,
    },
    /// A run is continued with other settings than those it began with.
    #[error("the run at {path} began with `{key}` = {there}, not {here}; give it the same value, or start another run with --name", path = path.display())]
    RunDiffers {
        /// The run's directory.
        path: PathBuf,
        /// Dotted path of the first setting that differs.
        key: String,
        /// Its value in the run.
        there: String,
        /// Its value now.
        here: String,
    },
    /// A run is continued with other sounds than those it began with.
    #[error("the sounds are not those that the run at {path} began with: {}; restore those, or start another run with --name, which can use its weights with --from", changed(*there, *here), path = path.display())]
    SoundsDiffer {
        /// The run's directory.
        path: PathBuf,
        /// How many it began with.
        there: usize,
        /// How many there are now.
        here: usize,
    },
    /// A stage that needs labels has sounds without.
    #[error(
        "{stage} learns synthesizer parameters, but {sounds} has none: give it the embedded synthesizer (`synth`), or a folder with manifest.jsonl and params.json"
    )]
    Unlabelled {
        /// The stage.
        stage: &'static str,
        /// The sounds, or one of them, whose parameters aren't known.
        sounds: String,
    },
    /// No sound is held out.
    #[error(
        "none of the {sounds} sounds is held out for testing (data.split.test is {share}): set it above 0, and use at least three different sounds"
    )]
    NothingHeldOut {
        /// How many sounds there are.
        sounds: usize,
        /// The share that was to be held out.
        share: f64,
    },
    /// Weights were given to a stage that starts from scratch.
    #[error("{stage} starts from scratch and would ignore {path}; leave --from out, or set the stage's `start` if it has one", path = path.display())]
    StartUnused {
        /// The stage.
        stage: &'static str,
        /// What was given.
        path: PathBuf,
    },
    /// A stage that has begun is given other weights to start from.
    #[error("{stage} of the run at {run} was initialised from {there}, not from {here}; leave --from out to continue it, or start another run with --name", run = run.display())]
    StartChanged {
        /// The stage.
        stage: &'static str,
        /// The run's directory.
        run: PathBuf,
        /// What it began with.
        there: String,
        /// What it was given.
        here: String,
    },
    /// A checkpoint has no record of its training sounds that this version can read.
    #[error("{path} has no record of the sounds that its weights were trained on (trained_on.json is missing or of another version), so tests could be contaminated; copy that file from the checkpoint's original directory, or train the weights again", path = path.display())]
    TrainingSoundsUnknown {
        /// The checkpoint.
        path: PathBuf,
    },
    /// A stage would start from weights that were trained on sounds which are held out here.
    #[error("{path} was trained on {known} of the {held_out} sounds that {stage} holds out (first: {first}), so test scores would be contaminated; use the same --data and data.split for both runs, or disjoint sounds", path = path.display())]
    Contaminated {
        /// The stage.
        stage: &'static str,
        /// The checkpoint with the weights.
        path: PathBuf,
        /// How many held-out sounds the weights were trained on.
        known: usize,
        /// How many sounds are held out.
        held_out: usize,
        /// The first of the former.
        first: String,
    },
    /// The weights that a finished stage was initialised from have been replaced.
    #[error("{stage} was initialised from {there}, which has been replaced by {here}; remove {path} to run the stage again", path = path.display())]
    StartReplaced {
        /// The stage.
        stage: &'static str,
        /// What it was initialised from.
        there: String,
        /// What is there now.
        here: String,
        /// The stage's directory.
        path: PathBuf,
    },
    /// Labels that heads can't be tested on.
    #[error(
        "these sounds have no labels, or labels of other parameters than the heads estimate: names, ranges and classes have to be those of the training sounds"
    )]
    OtherLabels,
    /// The weights were trained on every sound that was given.
    #[error(
        "the weights were trained on or selected by each of these {sounds} sounds; test them on others"
    )]
    AllTrainedOn {
        /// How many.
        sounds: usize,
    },
    /// There is no model to use.
    #[error("there is no {wanted} at {path}; {advice}", path = path.display())]
    NoModel {
        /// What was looked for.
        wanted: String,
        /// Where.
        path: PathBuf,
        /// What to do.
        advice: &'static str,
    },
    /// Another process works on the run.
    #[error("another process is working on the run at {path}; wait for it, or choose another --name", path = path.display())]
    RunBusy {
        /// The run's directory.
        path: PathBuf,
    },
}

impl TrainerError {
    /// A value that can't work; its origin is added by [`Layers::trace`](crate::settings::layers::Layers::trace).
    pub(crate) fn value(
        key: impl Into<String>,
        expected: impl Into<String>,
        got: impl ToString,
    ) -> Self {
        Self::Value {
            origin: String::new(),
            key: key.into(),
            expected: expected.into(),
            got: got.to_string(),
        }
    }

    /// Turns an IO error of reading `path` into a [`TrainerError::Read`].
    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Read { path, source }
    }

    /// Turns an IO error of writing `path` into a [`TrainerError::Write`].
    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Write { path, source }
    }
}

impl From<UNetConfigError> for TrainerError {
    fn from(source: UNetConfigError) -> Self {
        let origin = String::new();
        Self::UNet { origin, source }
    }
}

impl From<TransformerConfigError> for TrainerError {
    fn from(source: TransformerConfigError) -> Self {
        let origin = String::new();
        Self::Transformer { origin, source }
    }
}

fn set_by(origin: &str) -> String {
    if origin.is_empty() {
        String::new()
    } else {
        format!("{origin}: ")
    }
}

fn changed(there: usize, here: usize) -> String {
    match there == here {
        true => format!("as many, {here}, but not the same"),
        false => format!("{here} in place of {there}"),
    }
}

fn place(line: Option<usize>) -> String {
    line.map_or(String::new(), |line| format!(", line {line}"))
}

fn hint(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map_or(String::new(), |name| format!("; did you mean `{name}`?"))
}
