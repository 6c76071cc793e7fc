//! Runs the commands that the documents give, with few steps and small models, so that none goes stale.
//!
//! Every document has a directory of its own with the files that documents name: `~/Samples`, `~/Renders`, `~/MoreRenders`,
//! `~/Fresh`, `kick.wav`, `snare.wav` and `attempt.wav`, all rendered by the program.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Added to commands that train.
const SMALL: &[&str] = &[
    "training.steps=2",
    "training.warmup_steps=1",
    "training.validate_every=2",
    "training.batch_size=4",
    "source.synth_examples=60",
    "data.clip.seconds=0.25",
    "data.clip.sample_rate_hz=8000",
    "data.stft.n_fft=128",
    "data.stft.hop_length=64",
    "data.split.valid=0.2",
    "data.split.test=0.2",
    "unet.base_channels=8",
    "unet.channel_mults=[1,2]",
    "transformer.encoder.patch_bins=16",
    "transformer.encoder.patch_frames=8",
    "transformer.encoder.d_model=16",
    "transformer.encoder.n_heads=2",
    "transformer.encoder.d_ff=16",
    "transformer.encoder.n_layers=1",
    "transformer.decoder.d_model=16",
    "transformer.decoder.n_heads=2",
    "transformer.decoder.d_ff=16",
    "transformer.decoder.n_layers=1",
];

/// What isn't run, and why.
const SKIPPED: &[(&str, &str)] = &[
    ("cargo xtask test", "CI runs it"),
    ("cargo xtask check", "CI runs it"),
    ("cargo xtask bench", "a measurement"),
    ("cargo bench", "a measurement"),
    ("--device wgpu", "needs another device"),
    ("--device cuda", "needs another device"),
    ("pip install", "needs a network"),
    ("python ", "needs packages from PyPI"),
];

/// Documents that give no command.
const WITHOUT_COMMANDS: [&str; 1] = ["run-directory.md"];

/// Runs every command of `README.md`, `docs` and the headers of `configs` below `root`. The program must have been built.
///
/// # Errors
/// A command fails, or a document can't be read.
pub fn check(root: &Path) -> io::Result<()> {
    let work = std::env::temp_dir().join(format!("inversynth-documents-{}", std::process::id()));
    let done = check_in(root, &work);
    fs::remove_dir_all(&work)?;
    done
}

fn check_in(root: &Path, work: &Path) -> io::Result<()> {
    let sounds = work.join("sounds");
    fs::create_dir_all(&sounds)?;
    for (name, seed) in [("Renders", 1), ("MoreRenders", 2), ("Fresh", 3)] {
        let render = format!(
            "inversynth synth render --count 60 --seconds 0.25 --sample-rate-hz 8000 --seed {seed} --out {name}"
        );
        shell(&render, &sounds)?;
    }
    let mut failed = Vec::new();
    let (mut run, mut skipped) = (0, 0);
    for document in documents(root)? {
        let name = document.strip_prefix(root).unwrap_or(&document).display();
        // Experiments share one, since some start from another's weights.
        let directory = match document.parent() {
            Some(folder) if folder.ends_with("configs") => work.join("experiments"),
            _ => work.join(name.to_string().replace('/', "-")),
        };
        set_up(&directory, &sounds, root)?;
        let commands = commands(&fs::read_to_string(&document)?);
        if commands.is_empty() && !WITHOUT_COMMANDS.iter().any(|name| document.ends_with(name)) {
            return Err(io::Error::other(format!("{name} has no command")));
        }
        for command in commands {
            if let Some((_, reason)) = SKIPPED.iter().find(|(part, _)| command.contains(part)) {
                println!("{name}: skipped, {reason}: {command}");
                skipped += 1;
                continue;
            }
            println!("{name}: {command}");
            run += 1;
            if let Err(error) = shell(&small(&command), &directory) {
                eprintln!("{error}");
                failed.push(format!("{name}: {command}"));
            }
        }
    }
    println!(
        "{run} commands run, {skipped} skipped, {} failed",
        failed.len()
    );
    match failed.is_empty() {
        true => Ok(()),
        false => Err(io::Error::other(failed.join("\n"))),
    }
}

/// The documents whose commands are run.
fn documents(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![root.join("README.md")];
    for (folder, ending) in [("docs", "md"), ("configs", "toml")] {
        let entries: io::Result<Vec<_>> = fs::read_dir(root.join(folder))?.collect();
        let paths = entries?.into_iter().map(|entry| entry.path());
        let mut paths: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|of| of == ending))
            .collect();
        paths.sort();
        // Heads of another run are what the others start from.
        paths.sort_by_key(|path| !path.ends_with("fm_source.toml"));
        found.extend(paths);
    }
    Ok(found)
}

/// The commands in `text`: indented lines of a document, and `# Command` lines of an experiment file, without comments.
fn commands(text: &str) -> Vec<String> {
    let starts = ["cargo ", "inversynth ", "python ", "pip "];
    let text = text.replace("\\\n", " ");
    let lines = text.lines().filter_map(|line| {
        let header = line.strip_prefix("# Command").map(str::trim_start);
        let line = header.or(line.strip_prefix("    "))?;
        let command = line.split("  #").next().unwrap_or_default().trim_end();
        let is_command = starts.iter().any(|start| command.starts_with(start));
        is_command.then(|| command.to_owned())
    });
    lines.collect()
}

/// The program's arguments in place of cargo's, with few steps.
fn small(command: &str) -> String {
    let replaced = [
        ("cargo xtask pretrain", "inversynth run --run pretrain"),
        ("cargo xtask train", "inversynth run --run train"),
        ("cargo xtask evaluate", "inversynth run --run test"),
        ("cargo xtask all", "inversynth run --run all"),
        (
            "cargo xtask label-efficiency",
            "inversynth label-efficiency --config configs/label_efficiency.toml",
        ),
        ("cargo run -- ", "inversynth "),
    ];
    let found = replaced.iter().find(|(from, _)| command.starts_with(from));
    let mut command = match found {
        Some((from, to)) => command.replacen(from, to, 1),
        None => command.to_owned(),
    };
    command = command.replace("--data DIR", "--data ~/Renders");
    let trains = ["inversynth run ", "inversynth label-efficiency"];
    if trains.iter().any(|start| command.starts_with(start)) {
        for setting in SMALL {
            command += &format!(" --set {setting}");
        }
    }
    command
}

/// The files that documents name, in `directory`, which is also the home directory.
fn set_up(directory: &Path, sounds: &Path, root: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for folder in ["Renders", "MoreRenders", "Fresh"] {
        copy(&sounds.join(folder), &directory.join(folder))?;
    }
    copy(&sounds.join("Renders/audio"), &directory.join("Samples"))?;
    copy(&root.join("configs"), &directory.join("configs"))?;
    for (place, name) in ["kick.wav", "snare.wav", "attempt.wav"].iter().enumerate() {
        let sound = sounds.join(format!("MoreRenders/audio/{place:05}.wav"));
        fs::copy(sound, directory.join(name))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, to) = {
            let entry = entry?;
            (entry.path(), to.join(entry.file_name()))
        };
        match path.is_dir() {
            true => copy(&path, &to)?,
            false => {
                fs::copy(&path, &to)?;
            }
        }
    }
    Ok(())
}

/// Runs `command` in `directory`, where the program is found next to this one.
fn shell(command: &str, directory: &Path) -> io::Result<()> {
    let programs = std::env::current_exe()?;
    let programs = programs.parent().expect("a program is in a folder");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(programs.to_owned()).chain(std::env::split_paths(&path));
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(directory)
        .env("HOME", directory)
        .env(
            "PATH",
            std::env::join_paths(paths).map_err(io::Error::other)?,
        )
        .output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "{command}\n{}",
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_in_documents_and_in_headers_of_experiments() {
        let text = "Text cargo run.\n\n    cargo xtask all      # everything\n    ls\n\n\
                    # Command   inversynth run --device cuda\n";
        assert_eq!(
            commands(text),
            ["cargo xtask all", "inversynth run --device cuda"]
        );
    }

    #[test]
    fn training_is_made_small_and_nothing_else() {
        let trained = small("cargo xtask train --name pretrain-001");
        assert!(trained.starts_with("inversynth run --run train --name pretrain-001 --set "));
        assert_eq!(
            small("cargo run -- data check ~/Samples"),
            "inversynth data check ~/Samples"
        );
    }
}
