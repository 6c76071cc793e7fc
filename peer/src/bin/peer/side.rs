//! A case in a process of its own, of this project or of PyTorch.

use std::env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use peer::Case;

use crate::measure::Measurement;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/torch_peer.py");

/// What `kernels::keep_freed_memory` sets in our own process, for glibc.
const KEEP_FREED_MEMORY: [(&str, &str); 3] = [
    ("MALLOC_MMAP_THRESHOLD_", "1073741824"),
    ("MALLOC_TRIM_THRESHOLD_", "2147483647"),
    ("MALLOC_TOP_PAD_", "67108864"),
];

/// One of the two that are compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Side {
    /// This project.
    Ours,
    /// PyTorch, run by this interpreter.
    Torch(PathBuf),
}

impl Side {
    /// PyTorch, where it can be measured.
    ///
    /// # Errors
    /// There is no such interpreter, or it doesn't have PyTorch.
    pub fn torch(python: &Path) -> anyhow::Result<Self> {
        let install = "install PyTorch (`python3 -m pip install torch --index-url https://download.pytorch.org/whl/cpu`, \
                       or https://pytorch.org/get-started/locally), or name an interpreter that has it with --python PATH";
        let import = ["-c", "import torch"];
        let output = match Command::new(python).args(import).output() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bail!("there is no Python at {}: {install}", python.display())
            }
            output => output.with_context(|| format!("can't run {}", python.display()))?,
        };
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            let last = message.lines().last().unwrap_or("no message");
            bail!(
                "{} can't import torch ({last}): {install}",
                python.display()
            );
        }
        Ok(Self::Torch(python.to_owned()))
    }

    /// Measures `case` in a new process with so many threads.
    ///
    /// # Errors
    /// The process fails, or prints something other than a [`Measurement`].
    pub fn measure(&self, case: &Case, threads: u16, repeats: u16) -> anyhow::Result<Measurement> {
        let mut command = match self {
            Self::Ours => {
                let mut command = Command::new(env::current_exe()?);
                command.args(["case", &case.name]);
                command
            }
            Self::Torch(python) => {
                let mut command = Command::new(python);
                let tiny = Case::new(&case.name, case.work.tiny(), case.pass);
                command.arg(SCRIPT);
                command.args([serde_json::to_string(case)?, serde_json::to_string(&tiny)?]);
                command.args(["--threads", &threads.to_string()]);
                command.envs(KEEP_FREED_MEMORY);
                command
            }
        };
        command
            .args(["--repeats", &repeats.to_string()])
            .env("RAYON_NUM_THREADS", threads.to_string())
            .env("OMP_NUM_THREADS", threads.to_string());
        let output = command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("can't run {command:?}"))?;
        if !output.status.success() {
            bail!("{command:?} ended with {}", output.status);
        }
        read(&output.stdout).with_context(|| format!("{command:?}"))
    }
}

fn read(output: &[u8]) -> anyhow::Result<Measurement> {
    let measurement: Measurement = serde_json::from_slice(output).with_context(|| {
        let printed = String::from_utf8_lossy(output);
        format!("expected a line of JSON, got {printed:?}")
    })?;
    if measurement.times_ms.is_empty() {
        bail!("expected at least one time, got none");
    }
    Ok(measurement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_interpreter_or_torch_is_reported_with_how_to_install_it() {
        for python in ["/nowhere/python", "false"] {
            let message = Side::torch(Path::new(python)).unwrap_err().to_string();
            assert!(message.contains(python), "{message}");
            assert!(message.contains("pip install torch"), "{message}");
            assert!(message.contains("--python"), "{message}");
        }
    }

    #[test]
    fn a_process_has_to_print_a_whole_measurement() {
        let printed = br#"{"parameters": 3, "times_ms": [1.5], "value": 2, "peak_bytes": null, "version": "x"}"#;
        assert_eq!(read(printed).unwrap().times_ms, [1.5]);
        for wrong in [
            &b"ready\n"[..],
            br#"{"parameters": 3, "times_ms": [1.5], "value": 1, "version": 7}"#,
            br#"{"parameters": 3, "times_ms": [], "value": 2, "peak_bytes": 1, "version": "x"}"#,
        ] {
            assert!(read(wrong).is_err());
        }
    }
}
