//! `inversynth predict`: the synthesizer parameters of sounds.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use params::{ParamKind, ParamSpec, ParamVector, Patch};
use serde::Serialize;
use stft_data::{Audio, FileSource, decode_file};
use synth::Voice;
use trainer::{Distances, LabelledEvaluation, ParameterPredictor, Renderer, Stage, wav_file};

use crate::backend::DeviceName;
use crate::{explain, print, tell_rejected};

#[derive(Args)]
pub struct PredictArguments {
    /// Run, directory of a checkpoint, or file that `export` has written, with parameter heads
    #[arg(long, value_name = "PATH")]
    run: PathBuf,
    /// Stage of the run [default: that of the parameter heads with the lower validation loss]
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// Sound files; of one that is longer than a clip of training the beginning is heard, as in validation and test of the
    /// heads, and how much that is is said
    #[arg(required_unless_present = "test", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Labelled sounds, a folder with a list as `--data` of `run` takes it: tells how far the parameters are off of those
    /// that weren't learned from
    #[arg(long, value_name = "DIR", conflicts_with_all = ["files", "render"])]
    test: Option<PathBuf>,
    /// Print one JSON object for all of --test, or one a line for each file: `path`, and like a manifest's row `cont`, positions in 0..1, and `cat`, class indices
    #[arg(long)]
    json: bool,
    /// Directory for what the embedded synthesizer makes of the parameters, as WAV files under the sounds' names, numbered
    /// where two have the same; none is overwritten
    #[arg(long, value_name = "DIR")]
    render: Option<PathBuf>,
    /// `cpu`, `wgpu`, `cuda`, or one of several, such as `cuda:1`
    #[arg(long, default_value = "cpu")]
    device: String,
}

/// One sound with what was found.
#[derive(Serialize)]
struct Row {
    path: String,
    cont: BTreeMap<String, f32>,
    cat: BTreeMap<String, usize>,
    #[serde(flatten)]
    rendered: Option<Rendered>,
}

/// The sound that the parameters make.
#[derive(Serialize)]
struct Rendered {
    rendered: PathBuf,
    /// Distances to the sound that was given, as `compare` names them.
    distances: Distances,
}

pub fn run(arguments: &PredictArguments) -> anyhow::Result<()> {
    let stage: Option<Stage> = match &arguments.stage {
        Some(name) => Some(name.parse()?),
        None => None,
    };
    let device: DeviceName = arguments.device.parse()?;
    let devices = device.open()?;
    let predictor = ParameterPredictor::open(&arguments.run, stage, &devices.compute)?;
    eprintln!("parameters by {}", predictor.context().stage);
    if let Some(labelled) = &arguments.test {
        return test(&predictor, labelled, arguments.json);
    }
    let voice = Voice::of(predictor.spec());
    if let Some(folder) = &arguments.render {
        if voice.is_none() {
            bail!(
                "--render plays the embedded synthesizer, and these are parameters of another; leave it out"
            );
        }
        fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    }
    let mut names = Names::default();
    let (mut unusable, mut unrendered) = (0, 0);
    for path in &arguments.files {
        let found = match predict(&predictor, path) {
            Ok(found) => found,
            Err(error) => {
                complain(path, &error);
                unusable += 1;
                continue;
            }
        };
        found.tell_what_is_not_heard(path, &predictor);
        let rendered = match arguments.render.as_ref().zip(voice) {
            Some((folder, voice)) => {
                let out = folder.join(names.claim(path));
                let sample_rate_hz = predictor.context().experiment.data.clip.sample_rate_hz;
                // What was estimated is told whether or not it can be heard.
                match render_to(voice, &out, &found, sample_rate_hz) {
                    Ok(rendered) => Some(rendered),
                    Err(error) => {
                        complain(path, &error);
                        unrendered += 1;
                        None
                    }
                }
            }
            None => None,
        };
        let row = row(path, predictor.spec(), found.vector, rendered);
        match arguments.json {
            true => print(serde_json::to_string(&row)?)?,
            false => print(describe(predictor.spec(), &row, &found.patch))?,
        }
    }
    let faults: Vec<String> = [(unusable, "used"), (unrendered, "rendered")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| {
            let all = arguments.files.len();
            format!("{count} of {all} sounds can't be {what}")
        })
        .collect();
    match faults[..] {
        [] => Ok(()),
        _ => bail!(faults.join(", ")),
    }
}

/// Compares what is found of labelled sounds with their labels.
fn test(predictor: &ParameterPredictor, labelled: &Path, json: bool) -> anyhow::Result<()> {
    let limits = &predictor.context().experiment.data.decode;
    let source = FileSource::open(labelled, limits)?;
    tell_rejected(source.rejected());
    let test = LabelledEvaluation::new(predictor, &source)?;
    match json {
        true => print(serde_json::to_string(&test)?),
        false => print(test),
    }
}

/// Says what is wrong with one sound, and which.
fn complain(path: &Path, error: &anyhow::Error) {
    let path = path.display().to_string();
    let text = explain(error);
    match text.contains(&path) {
        true => eprintln!("error: {text}"),
        false => eprintln!("error: {path}: {text}"),
    }
}

/// A sound and its parameters.
struct Found {
    sound: Audio,
    vector: ParamVector,
    patch: Patch,
}

fn predict(predictor: &ParameterPredictor, path: &Path) -> anyhow::Result<Found> {
    let data = predictor.context().experiment.data;
    let sound = decode_file(path, &data.decode)?;
    let vector = predictor.predict(&sound)?;
    let patch = predictor.spec().decode(&vector)?;
    Ok(Found {
        sound,
        vector,
        patch,
    })
}

impl Found {
    /// Says so on standard error where the sound is longer than a clip.
    fn tell_what_is_not_heard(&self, path: &Path, predictor: &ParameterPredictor) {
        let clip = predictor.context().experiment.data.clip;
        let seconds = self.sound.samples.len() as f64 / f64::from(self.sound.sample_rate_hz);
        let heard = clip.samples() as f64 / f64::from(clip.sample_rate_hz);
        if seconds > heard {
            eprintln!(
                "{}: of its {seconds:.2} s, the first {heard:.2} s were heard",
                path.display()
            );
        }
    }
}

/// Names of rendered sounds, of which no two are the same.
#[derive(Default)]
struct Names(BTreeSet<OsString>);

impl Names {
    /// The name of the sound at `path` with `.wav` in place of its ending: `kick.v1.wav` for `kick.v1.flac`. Where another
    /// sound has it, it is numbered: `kick.v1-2.wav`.
    fn claim(&mut self, path: &Path) -> OsString {
        let stem = path.file_stem().unwrap_or(path.as_os_str());
        let mut number = 1;
        loop {
            let mut name = stem.to_owned();
            match number {
                1 => name.push(".wav"),
                _ => name.push(format!("-{number}.wav")),
            }
            if self.0.insert(name.clone()) {
                return name;
            }
            number += 1;
        }
    }
}

fn row(path: &Path, spec: &ParamSpec, vector: ParamVector, rendered: Option<Rendered>) -> Row {
    let names = spec.continuous().map(|param| param.name.clone());
    let choices = spec.categorical().map(|param| param.name.clone());
    Row {
        path: path.display().to_string(),
        cont: names.zip(vector.cont).collect(),
        cat: choices.zip(vector.cat).collect(),
        rendered,
    }
}

/// Renders what was found as long as its sound, writes it to `out`, and tells how far it is off.
fn render_to(
    voice: Voice,
    out: &Path,
    found: &Found,
    sample_rate_hz: u32,
) -> anyhow::Result<Rendered> {
    let renderer = Renderer::new(voice, sample_rate_hz)?;
    let (audio, distances) = renderer.render_as_long_as(&found.sound, &found.patch)?;
    let mut file = fs::File::create_new(out)
        .with_context(|| format!("can't write {}: nothing is overwritten", out.display()))?;
    file.write_all(&wav_file(&synth::pcm16(&audio.samples), sample_rate_hz))
        .with_context(|| format!("can't write {}", out.display()))?;
    Ok(Rendered {
        rendered: out.to_owned(),
        distances,
    })
}

/// The parameters in musical units, in the order of the specification.
fn describe(spec: &ParamSpec, row: &Row, patch: &Patch) -> String {
    let mut lines = vec![row.path.clone()];
    for param in spec.params() {
        let name = &param.name;
        lines.push(match &param.kind {
            ParamKind::Continuous { unit, .. } => {
                let value = patch.cont[name];
                format!("  {name:<28} {value:>12.4} {unit}")
            }
            ParamKind::Categorical { classes } => {
                format!("  {name:<28} {:>12}", classes[patch.cat[name]])
            }
        });
    }
    if let Some(Rendered {
        rendered,
        distances,
    }) = &row.rendered
    {
        lines.push(format!(
            "  rendered                     {}",
            rendered.display()
        ));
        for (name, value) in distances {
            lines.push(format!("  {name:<28} {value:>12.4}"));
        }
    }
    lines.join("\n")
}
