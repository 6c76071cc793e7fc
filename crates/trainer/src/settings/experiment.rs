//! The experiment file: everything that a run depends on, and how it is read.
//!
//! The default experiment is part of the program. A file says only what it changes, and
//! `--set` changes that again; every number thus stands in one place.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stft_data::{ClipConfig, DataConfig, DataError, StftConfig};
use synth::{UnknownVoice, Voice};
use transformer::TransformerConfig;
use unet1d::UNet1dConfig;

use crate::error::TrainerError;
use crate::settings::layers::Layers;
use crate::settings::range::within;
use crate::settings::stages::{Shared, Stages};

/// The default experiment, `configs/experiments.toml`.
const DEFAULT_EXPERIMENT: &str = include_str!("../../../../configs/experiments.toml");

/// All settings of a run, resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Every random draw of the run follows from this number.
    pub seed: u64,
    /// Where sounds come from.
    pub source: SourceConfig,
    /// What is done to a sound before a model sees it.
    pub data: DataConfig,
    /// How batches are fetched.
    pub loader: LoaderConfig,
    /// The U-Net. `in_channels` follows from the STFT and need not be written.
    pub unet: UNet1dConfig,
    /// The Transformer. `encoder.bins` and `encoder.max_frames` follow from the STFT and the clip and need
    /// not be written.
    pub transformer: TransformerConfig,
    /// One table for each stage.
    pub stages: Stages,
}

/// Where sounds come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// `"synth"` or `"synth:fm"`, an embedded voice, or where sound files are.
    pub path: SoundSource,
    /// Number of patches that are drawn, where the source is the synthesizer.
    pub synth_examples: usize,
}

/// An embedded voice, or files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PathBuf", into = "PathBuf")]
pub enum SoundSource {
    /// Patches of an embedded voice, rendered when they are needed.
    Synth(Voice),
    /// A directory that is searched recursively, or a list of sounds: `manifest.jsonl` with
    /// its `params.json`, NSynth's `examples.json`, AudioCraft's JSONL.
    Files(PathBuf),
}

impl TryFrom<PathBuf> for SoundSource {
    type Error = String;

    fn try_from(path: PathBuf) -> Result<Self, String> {
        // Not `Path::eq`, which takes `synth/`, a directory, for the same.
        let voice = match path.to_str().map(|path| path.strip_prefix("synth")) {
            Some(Some("")) => Ok(Voice::Subtractive),
            Some(Some(rest)) if rest.starts_with(':') => rest[1..].parse(),
            _ => return Ok(Self::Files(path)),
        };
        let or_path = |error: UnknownVoice| {
            let path = path.display();
            format!("{error}; if `{path}` is a folder, call it `./{path}`")
        };
        voice.map(Self::Synth).map_err(or_path)
    }
}

impl From<SoundSource> for PathBuf {
    fn from(source: SoundSource) -> Self {
        match source {
            SoundSource::Synth(Voice::Subtractive) => "synth".into(),
            SoundSource::Synth(voice) => format!("synth:{voice}").into(),
            SoundSource::Files(path) => path,
        }
    }
}

/// How batches are fetched. Results don't depend on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoaderConfig {
    /// Threads that make batches while the model trains; 0 makes them in the training thread.
    pub workers: usize,
}

impl Experiment {
    /// Reads the default experiment, changed by `file` where given, then by `overrides`
    /// (each `a.b=value`; a value that isn't TOML is taken as a string).
    ///
    /// # Errors
    /// A file that can't be read, a key that doesn't exist (with its line and the nearest
    /// key), a value that doesn't fit, or settings that contradict each other.
    pub fn load(file: Option<&Path>, overrides: &[String]) -> Result<Self, TrainerError> {
        let (experiment, layers) = Self::read(file, overrides)?;
        experiment.validate().map_err(|error| layers.trace(error))?;
        Ok(experiment)
    }

    /// The data settings of an experiment and its seed, for commands that train nothing: the other settings must be well
    /// formed, but need not be possible.
    ///
    /// # Errors
    /// As [`load`](Self::load), of the data alone.
    pub fn load_data(
        file: Option<&Path>,
        overrides: &[String],
    ) -> Result<(DataConfig, u64), TrainerError> {
        let (experiment, layers) = Self::read(file, overrides)?;
        let valid = experiment.data.validate().map_err(in_data);
        valid.map_err(|error| layers.trace(error))?;
        Ok((experiment.data, experiment.seed))
    }

    fn read(file: Option<&Path>, overrides: &[String]) -> Result<(Self, Layers), TrainerError> {
        let mut layers = Layers::new("the default experiment", DEFAULT_EXPERIMENT, Stages::NAMES)?;
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(TrainerError::read(path))?;
            layers.add_text(&path.display().to_string(), &text)?;
        }
        let mut experiment: Self = layers.resolve(derive_sizes)?;
        for text in overrides {
            layers.add_override(text)?;
            experiment = layers.resolve(derive_sizes)?;
        }
        Ok((experiment, layers))
    }

    /// The experiment as TOML, complete.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("an experiment consists of plain tables and values")
    }

    /// Refuses what serde can't see: settings that can't work, alone or together.
    fn validate(&self) -> Result<(), TrainerError> {
        self.data.validate().map_err(in_data)?;
        if self.data.split.valid == 0.0 {
            let expected = "above 0: the loss on held-out sounds decides which weights are best";
            return Err(TrainerError::value("data.split.valid", expected, 0));
        }
        self.validate_source()?;
        self.validate_sizes()?;
        within("loader.workers", self.loader.workers as u64, 0, 256)?;
        self.validate_unet()?;
        self.validate_transformer()?;
        self.stages.validate(Shared {
            data: &self.data,
            transformer: &self.transformer,
        })
    }

    /// Refuses sizes that no machine has room for, before their products are computed.
    fn validate_sizes(&self) -> Result<(), TrainerError> {
        let (unet, transformer) = (&self.unet, &self.transformer);
        let (encoder, decoder) = (&transformer.encoder, &transformer.decoder);
        let sizes = [
            ("unet.base_channels", unet.base_channels, 16_384),
            ("unet.blocks_per_level", unet.blocks_per_level, 256),
            ("transformer.encoder.d_model", encoder.d_model, 65_536),
            ("transformer.encoder.d_ff", encoder.d_ff, 65_536),
            ("transformer.encoder.n_layers", encoder.n_layers, 1024),
            (
                "transformer.contrastive.proj_dim",
                transformer.contrastive.proj_dim,
                65_536,
            ),
            ("transformer.decoder.d_model", decoder.d_model, 65_536),
            ("transformer.decoder.d_ff", decoder.d_ff, 65_536),
            ("transformer.decoder.n_layers", decoder.n_layers, 1024),
        ];
        let multiples = unet.channel_mults.iter();
        let multiples = multiples.map(|&multiple| ("unet.channel_mults", multiple, 256));
        let mut all = sizes.into_iter().chain(multiples);
        all.try_for_each(|(key, size, most)| within(key, size as u64, 0, most))
    }

    fn validate_source(&self) -> Result<(), TrainerError> {
        let rate = self.data.clip.sample_rate_hz;
        if matches!(self.source.path, SoundSource::Synth(_)) && rate < synth::MIN_SAMPLE_RATE_HZ {
            let expected = format!("at least {} for the synthesizer", synth::MIN_SAMPLE_RATE_HZ);
            let key = "data.clip.sample_rate_hz";
            return Err(TrainerError::value(key, expected, rate));
        }
        let examples = self.source.synth_examples as u64;
        within("source.synth_examples", examples, 1, 100_000_000)
    }

    fn validate_unet(&self) -> Result<(), TrainerError> {
        let bins = self.data.stft.bins();
        let got = self.unet.in_channels;
        if got != bins {
            let expected = format!(
                "{bins}, the bins of data.stft.n_fft = {} (n_fft / 2 + 1); leave the key out to have it derived",
                self.data.stft.n_fft
            );
            return Err(TrainerError::value("unet.in_channels", expected, got));
        }
        Ok(self.unet.validate()?)
    }

    fn validate_transformer(&self) -> Result<(), TrainerError> {
        let encoder = &self.transformer.encoder;
        for (name, got, expected, from) in [
            ("bins", encoder.bins, self.data.bins(), "data.stft"),
            (
                "max_frames",
                encoder.max_frames,
                self.data.frames(),
                "data.clip and data.stft",
            ),
        ] {
            if got != expected {
                let expected = format!(
                    "{expected}, which follows from {from}; leave the key out to have it derived"
                );
                return Err(TrainerError::value(
                    format!("transformer.encoder.{name}"),
                    expected,
                    got,
                ));
            }
        }
        self.transformer.validate()?;
        for (name, got, most, whole) in [
            ("patch_bins", encoder.patch_bins, encoder.bins, "bins"),
            (
                "patch_frames",
                encoder.patch_frames,
                self.data.frames(),
                "frames",
            ),
        ] {
            if got > most {
                let expected = format!("at most {most}, the {whole} of a spectrogram");
                let key = format!("transformer.encoder.{name}");
                return Err(TrainerError::value(key, expected, got));
            }
        }
        Ok(())
    }
}

/// Settings of the data crate stand in the table `data` here.
fn in_data(error: DataError) -> TrainerError {
    match error {
        DataError::Config {
            field,
            expected,
            got,
        } => TrainerError::value(format!("data.{field}"), expected, got),
        other => other.into(),
    }
}

/// Fills in `unet.in_channels`, `transformer.encoder.bins` and `.max_frames` from the STFT and the clip where no layer sets
/// them.
fn derive_sizes(table: &mut toml::Table) {
    fn number<T>(
        table: &toml::Table,
        path: [&str; 3],
        read: impl Fn(&toml::Value) -> Option<T>,
    ) -> Option<T> {
        let [outer, inner, key] = path;
        read(table.get(outer)?.get(inner)?.get(key)?)
    }
    let integer = |path| number(table, path, toml::Value::as_integer);
    let seconds = number(table, ["data", "clip", "seconds"], |value| {
        value
            .as_float()
            .or(value.as_integer().map(|whole| whole as f64))
    });
    let n_fft = integer(["data", "stft", "n_fft"]);
    let hop_length = integer(["data", "stft", "hop_length"]);
    let rate = integer(["data", "clip", "sample_rate_hz"]);
    let (Some(n_fft), Some(hop), Some(rate), Some(seconds)) = (n_fft, hop_length, rate, seconds)
    else {
        // Whatever is missing or of the wrong type is reported when the table is read.
        return;
    };
    let clip = ClipConfig {
        seconds: seconds as f32,
        sample_rate_hz: u32::try_from(rate).unwrap_or(0),
    };
    let stft = StftConfig {
        n_fft: usize::try_from(n_fft).unwrap_or(0),
        hop_length: usize::try_from(hop).unwrap_or(0),
        win_length: None,
    };
    let bins = stft.bins() as i64;
    let frames = match stft.validate().is_ok() && clip.samples() > 0 {
        true => stft.frames(clip.samples()) as i64,
        false => 0,
    };
    let fill = |table: Option<&mut toml::Value>, key: &str, value: i64| {
        if let Some(toml::Value::Table(table)) = table {
            table.entry(key).or_insert(toml::Value::Integer(value));
        }
    };
    fill(table.get_mut("unet"), "in_channels", bins);
    for (key, value) in [("bins", bins), ("max_frames", frames)] {
        let encoder = table
            .get_mut("transformer")
            .and_then(|table| table.get_mut("encoder"));
        fill(encoder, key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mine.toml");
        std::fs::write(&path, text).unwrap();
        (directory, path)
    }

    fn message(text: &str) -> String {
        let (_directory, path) = write(text);
        Experiment::load(Some(&path), &[]).unwrap_err().to_string()
    }

    #[test]
    fn a_file_changes_only_what_it_names() {
        let (_directory, path) = write("seed = 9\n[data.clip]\nseconds = 0.25\n");
        let mut expected = Experiment::load(None, &[]).unwrap();
        expected.seed = 9;
        expected.data.clip.seconds = 0.25;
        // And what follows from that.
        expected.transformer.encoder.max_frames = expected.data.frames();
        assert_eq!(Experiment::load(Some(&path), &[]).unwrap(), expected);
    }

    #[test]
    fn sizes_follow_from_any_n_fft() {
        for n_fft in [255, 256, 441, 511, 512, 513] {
            let experiment = Experiment::load(None, &[format!("data.stft.n_fft={n_fft}")]).unwrap();
            let encoder = &experiment.transformer.encoder;
            assert_eq!(encoder.max_frames, experiment.data.frames());
            assert_eq!(encoder.bins, experiment.data.stft.bins());
            assert_eq!(experiment.unet.in_channels, encoder.bins);
        }
    }

    #[test]
    fn the_default_experiment_takes_the_data_crates_own_defaults() {
        let experiment = Experiment::load(None, &[]).unwrap();
        assert_eq!(experiment.data, DataConfig::default());
    }

    #[test]
    fn the_resolved_experiment_is_read_back_as_itself() {
        let experiment = Experiment::load(None, &["seed=3".into()]).unwrap();
        let (_directory, path) = write(&experiment.to_toml());
        assert_eq!(Experiment::load(Some(&path), &[]).unwrap(), experiment);
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line_and_the_nearest_key() {
        let text =
            "seed = 1\n\n[stages.pretrain_autoencoder_mae.training]\nsteps = 5\nbatchsize = 4\n";
        let message = message(text);
        assert!(message.contains("mine.toml, line 5"), "{message}");
        assert!(message.contains("batchsize"), "{message}");
        assert!(message.contains("did you mean `batch_size`"), "{message}");
    }

    #[test]
    fn one_training_table_stands_for_that_of_every_stage_and_a_stage_of_the_same_file_wins() {
        let text = "[training]\nsteps = 7\noptimizer.beta_1 = 0.5\n\
                    [stages.train_full_transformer.training]\nsteps = 9\n";
        let (_directory, path) = write(text);
        let default = Experiment::load(None, &[]).unwrap().stages;
        let load = |overrides: &[String]| Experiment::load(Some(&path), overrides).unwrap().stages;
        let stages = load(&[]);
        assert_eq!(stages.pretrain_autoencoder_mae.training.steps, 7);
        assert_eq!(stages.train_full_transformer.training.steps, 9);
        let training = &stages.finetune_parameters_autoencoder.training;
        assert_eq!((training.steps, training.optimizer.beta_1), (7, 0.5));
        // What the default experiment says of a stage stays.
        let of_default = &default.finetune_parameters_autoencoder.training;
        assert_eq!(
            training.optimizer.weight_decay,
            of_default.optimizer.weight_decay
        );
        // A later layer wins over all of an earlier one.
        let set = load(&["training.steps=3".to_owned()]);
        assert_eq!(set.train_full_transformer.training.steps, 3);
    }

    #[test]
    fn mistakes_in_the_shared_training_table_are_named_as_they_were_written() {
        let misspelt = message("seed = 1\n[training]\nbatchsize = 4\n");
        for part in ["mine.toml, line 3", "`training.batchsize`", "`batch_size`"] {
            assert!(misspelt.contains(part), "{misspelt}");
        }
        let impossible = message("[training]\n\nlr = 0.0\n");
        assert!(impossible.contains("mine.toml, line 3"), "{impossible}");
        let set = |text: &str| {
            let loaded = Experiment::load(None, &[text.to_owned()]);
            loaded.unwrap_err().to_string()
        };
        let misspelt = set("training.batchsize=4");
        assert!(misspelt.contains("`training.batchsize`"), "{misspelt}");
        let impossible = set("training.lr=0.0");
        assert!(impossible.contains("--set training.lr=0.0"), "{impossible}");
        let no_table = set("training=4");
        assert!(
            no_table.contains("`training` is 4: expected a table"),
            "{no_table}"
        );
    }

    #[test]
    fn misspelt_tables_and_values_are_named_too() {
        let table = message("[data.stfft]\nn_fft = 512\n");
        assert!(
            table.contains("line 1") && table.contains("`stft`"),
            "{table}"
        );
        let value = message("[stages.pretrain_autoencoder_mae]\n\nloss = \"l3\"\n");
        assert!(value.contains("line 3"), "{value}");
        let kind = message("seed = \"one\"\n");
        assert!(kind.contains("line 1") && kind.contains("seed"), "{kind}");
        let syntax = message("seed = 1\n[data\n");
        assert!(syntax.contains("line 2"), "{syntax}");
    }

    #[test]
    fn overrides_win_and_their_mistakes_name_them() {
        let set = |text: &str| Experiment::load(None, &[text.to_string()]);
        assert_eq!(set("data.stft.n_fft=600").unwrap().unet.in_channels, 301);
        let path = set("source.path=/my sounds").unwrap().source.path;
        assert_eq!(path, SoundSource::Files("/my sounds".into()));
        for (path, voice) in [
            ("synth", Voice::Subtractive),
            ("synth:subtractive", Voice::Subtractive),
            ("synth:fm", Voice::Fm),
        ] {
            let source = set(&format!("source.path={path}")).unwrap().source.path;
            assert_eq!(source, SoundSource::Synth(voice));
            let again = SoundSource::try_from(PathBuf::from(source.clone()));
            assert_eq!(again, Ok(source));
        }
        for path in ["synth/", "./synth:fm", "synthesizers"] {
            let source = set(&format!("source.path={path}")).unwrap().source.path;
            assert_eq!(source, SoundSource::Files(path.into()));
        }
        let message = set("source.path=synth:pm").unwrap_err().to_string();
        assert!(message.contains("no voice `pm`"), "{message}");
        for wrong in [
            "seeed=1",
            "data.stft=4",
            "seed=-1",
            "unet.base_channels=\"x\"",
        ] {
            let message = set(wrong).unwrap_err().to_string();
            let key = wrong.split('=').next().unwrap();
            assert!(
                message.contains("--set") && message.contains(key),
                "{message}"
            );
        }
        assert!(matches!(set("seed"), Err(TrainerError::Override { .. })));
    }

    #[test]
    fn every_experiment_file_of_the_project_loads() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs");
        let mut loaded = 0;
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            Experiment::load(Some(&path), &[]).unwrap_or_else(|error| panic!("{error}"));
            loaded += 1;
        }
        assert!(loaded >= 6, "{loaded} files in {directory}");
    }

    #[test]
    fn in_channels_follow_from_the_stft_and_must_not_contradict_it() {
        let derived = Experiment::load(None, &[]).unwrap();
        assert_eq!(derived.unet.in_channels, derived.data.stft.bins());
        let message = message("[unet]\nin_channels = 256\n");
        assert!(
            message.contains("256") && message.contains("257"),
            "{message}"
        );
    }

    #[test]
    fn impossible_values_are_refused_with_what_would_do() {
        for wrong in [
            "training.steps=0",
            "training.batch_size=0",
            "training.log_every=0",
            "training.lr=0.0",
            "training.min_lr=1.0",
            "training.optimizer.beta_2=1.0",
            "training.optimizer.epsilon=0.0",
            "training.optimizer.clip_norm=-1.0",
        ] {
            let set = format!("stages.pretrain_autoencoder_mae.{wrong}");
            let message = Experiment::load(None, std::slice::from_ref(&set))
                .unwrap_err()
                .to_string();
            let key = set.split('=').next().unwrap();
            assert!(
                message.contains(&format!("--set {set}: `{key}`")),
                "{message}"
            );
            assert!(message.contains("expected"), "{message}");
        }
        for wrong in [
            "data.split.valid=0.0",
            "data.mask.ratio=0.0",
            "data.stft.hop_length=0",
            "data.clip.sample_rate_hz=3000",
            "loader.workers=1000000",
            "unet.base_channels=8000000000000000000",
            "unet.channel_mults=[1,8000000000000000000]",
            "transformer.decoder.d_ff=8000000000000000000",
            "stages.finetune_parameters_autoencoder.probe_share=1.0",
        ] {
            let message = Experiment::load(None, &[wrong.to_string()])
                .unwrap_err()
                .to_string();
            let key = wrong.split('=').next().unwrap();
            assert!(message.contains(&format!("`{key}`")), "{message}");
        }
    }

    #[test]
    fn a_value_that_cannot_work_names_the_line_that_set_it() {
        for (text, line) in [
            ("seed = 1\n[data.split]\n\nvalid = 0.0\n", 4),
            ("[transformer.encoder]\nn_heads = 3\n", 2),
            ("[transformer.encoder]\n\npatch_bins = 300\n", 3),
            ("[unet]\n\n\nnorm_groups = 7\n", 4),
        ] {
            let message = message(text);
            let place = format!("mine.toml, line {line}: ");
            assert!(message.contains(&place), "{message}");
        }
    }

    #[test]
    fn contrast_needs_two_hidden_patches() {
        let set = "stages.pretrain_transformer_contrastive.mask.ratio=0.001".to_owned();
        let message = Experiment::load(None, &[set]).unwrap_err().to_string();
        assert!(message.contains("mask.ratio"), "{message}");
    }
}
