//! A directory of its own in which the program is run as a user runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A model and data so small that a run takes a second or two.
#[allow(dead_code, reason = "not every test file trains")]
pub const TINY: &str = r#"
[source]
synth_examples = 40
[data.clip]
seconds = 0.25
sample_rate_hz = 8000
[data.stft]
n_fft = 128
hop_length = 64
[data.split]
valid = 0.2
[unet]
base_channels = 8
channel_mults = [1, 2]
blocks_per_level = 1
[transformer.encoder]
patch_bins = 8
patch_frames = 4
d_model = 16
n_heads = 2
d_ff = 24
n_layers = 1
dropout = 0.1
[transformer.contrastive]
proj_dim = 8
[transformer.decoder]
d_model = 12
n_heads = 2
d_ff = 20
n_layers = 1
[stages.pretrain_autoencoder_mae.training]
steps = 6
batch_size = 5
warmup_steps = 2
validate_every = 3
log_every = 2
pictured_examples = 2
[stages.pretrain_transformer_contrastive.training]
steps = 6
batch_size = 5
warmup_steps = 2
validate_every = 2
log_every = 2
pictured_examples = 1
[stages.train_transformer_decoder.training]
steps = 6
batch_size = 5
warmup_steps = 2
validate_every = 2
log_every = 2
pictured_examples = 1
[stages.train_full_transformer.training]
steps = 6
batch_size = 5
warmup_steps = 2
validate_every = 2
log_every = 2
pictured_examples = 1
[stages.train_autoencoder_nomask_finetune.training]
steps = 6
batch_size = 5
warmup_steps = 2
validate_every = 2
log_every = 2
pictured_examples = 1
[stages.finetune_parameters_autoencoder.training]
steps = 6
batch_size = 5
warmup_steps = 2
validate_every = 2
log_every = 2
[stages.finetune_parameters_transformer.training]
steps = 4
batch_size = 5
warmup_steps = 2
validate_every = 2
log_every = 2
"#;

/// A temporary directory that is the program's working directory.
pub struct Cli {
    directory: tempfile::TempDir,
}

impl Cli {
    /// An empty one.
    pub fn empty() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// A path in the directory.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs the program in the directory.
    pub fn inversynth(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_inversynth"))
            .args(arguments)
            .current_dir(self.directory.path())
            .output()
            .unwrap()
    }

    /// Calls the program and kills it as soon as `is_time`.
    #[allow(dead_code, reason = "not every test file kills")]
    pub fn kill_when(&self, arguments: &[&str], is_time: impl Fn() -> bool) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_inversynth"))
            .args(arguments)
            .current_dir(self.path(""))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while !is_time() && started.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_time());
    }

    /// What the program prints when it succeeds.
    pub fn says(&self, arguments: &[&str]) -> String {
        let output = self.inversynth(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        stdout(&output)
    }

    /// Asserts that `arguments` fail as a user's mistake, with all of `said`.
    pub fn refuses(&self, arguments: &[&str], said: &[&str]) -> Output {
        let output = self.inversynth(arguments);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        for part in said {
            assert!(
                message.contains(part),
                "{arguments:?}: no {part:?} in: {message}"
            );
        }
        output
    }
}

/// What the program said of its progress, or of a mistake.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What the program printed.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
