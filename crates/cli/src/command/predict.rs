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
use crate::logging::{error, note};
use crate::{explain, print, print_rejected};

#[derive(Args)]
pub struct PredictArguments {
    /// Run, directory of a checkpoint, or file that `export` has written, with parameter heads
    #[arg(long, value_name = "PATH")]
    run: PathBuf,
    /// Stage of the run [default: that of the parameter heads with the lower validation loss]
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// Sound files; of a longer file only the first clip length is analysed, as in validation, and the output says how much
    #[arg(required_unless_present = "test", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder or list of labelled sounds, to measure the errors of the estimates; sounds that the heads were trained on are
    /// skipped
    #[arg(long, value_name = "DIR", conflicts_with_all = ["files", "render"])]
    test: Option<PathBuf>,
    /// Print JSON: one object for --test, or one a line for each file, with `path` and, as in a manifest's row, `cont`
    /// (positions in 0..1) and `cat` (class indices)
    #[arg(long)]
    json: bool,
    /// Directory for renders of the estimates by the embedded voice: WAV files with the sounds' names, numbered where two are
    /// equal; none is overwritten
    #[arg(long, value_name = "DIR")]
    render: Option<PathBuf>,
    /// `cpu`, `wgpu`, `cuda`, or one of several, such as `cuda:1`
    #[arg(long, default_value = "cpu")]
    device: String,
}

/// One sound with its estimated parameters.
#[derive(Serialize)]
struct Row {
    path: String,
    cont: BTreeMap<String, f32>,
    cat: BTreeMap<String, usize>,
    #[serde(flatten)]
    rendered: Option<Rendered>,
}

/// The render of the estimates.
#[derive(Serialize)]
struct Rendered {
    rendered: PathBuf,
    /// Distances to the given sound, named as in `compare`.
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
    note!("parameters by {}", predictor.context().stage);
    match &arguments.test {
        Some(labelled) => test(&predictor, labelled, arguments.json),
        None => predict_files(&predictor, arguments),
    }
}

fn predict_files(
    predictor: &ParameterPredictor,
    arguments: &PredictArguments,
) -> anyhow::Result<()> {
    let voice = Voice::of(predictor.spec());
    if let Some(folder) = &arguments.render {
        if voice.is_none() {
            bail!(
                "--render needs an embedded voice, and these are parameters of another synthesizer; leave it out"
            );
        }
        fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    }
    let mut names = Names::default();
    let (mut unusable, mut unrendered) = (0, 0);
    for path in &arguments.files {
        let estimate = match predict(predictor, path) {
            Ok(estimate) => estimate,
            Err(error) => {
                complain(path, &error);
                unusable += 1;
                continue;
            }
        };
        estimate.note_unused_sound(path, predictor);
        let mut rendered = None;
        if let Some((folder, voice)) = arguments.render.as_ref().zip(voice) {
            let out = folder.join(names.claim(path));
            let rate = predictor.context().experiment.data.clip.sample_rate_hz;
            // The estimate is printed whether or not it can be rendered.
            match render_to(voice, &out, &estimate, rate) {
                Ok(render) => rendered = Some(render),
                Err(error) => {
                    complain(path, &error);
                    unrendered += 1;
                }
            }
        }
        let row = row(path, predictor.spec(), estimate.vector, rendered);
        match arguments.json {
            true => print(serde_json::to_string(&row)?)?,
            false => print(describe(predictor.spec(), &row, &estimate.patch))?,
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

/// Measures the errors of the estimates for labelled sounds.
fn test(predictor: &ParameterPredictor, labelled: &Path, json: bool) -> anyhow::Result<()> {
    let limits = &predictor.context().experiment.data.decode;
    let source = FileSource::open(labelled, limits)?;
    print_rejected(source.rejected());
    let test = LabelledEvaluation::new(predictor, &source)?;
    match json {
        true => print(serde_json::to_string(&test)?),
        false => print(test),
    }
}

/// Prints an error about one sound, with its path.
fn complain(path: &Path, error: &anyhow::Error) {
    let path = path.display().to_string();
    let text = explain(error);
    match text.contains(&path) {
        true => error!("{text}"),
        false => error!("{path}: {text}"),
    }
}

/// A sound and its estimated parameters.
struct SoundEstimate {
    sound: Audio,
    vector: ParamVector,
    patch: Patch,
}

fn predict(predictor: &ParameterPredictor, path: &Path) -> anyhow::Result<SoundEstimate> {
    let data = predictor.context().experiment.data;
    let sound = decode_file(path, &data.decode)?;
    let vector = predictor.predict(&sound)?;
    let patch = predictor.spec().decode(&vector)?;
    Ok(SoundEstimate {
        sound,
        vector,
        patch,
    })
}

impl SoundEstimate {
    /// Notes on standard error that only the beginning of a sound longer than a clip is analysed.
    fn note_unused_sound(&self, path: &Path, predictor: &ParameterPredictor) {
        let clip = predictor.context().experiment.data.clip;
        let seconds = self.sound.samples.len() as f64 / f64::from(self.sound.sample_rate_hz);
        let analysed = clip.samples() as f64 / f64::from(clip.sample_rate_hz);
        if seconds > analysed {
            note!(
                "{}: only the first {analysed:.2} s of its {seconds:.2} s are analysed",
                path.display()
            );
        }
    }
}

/// Unique names of rendered sounds.
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

/// Renders the estimate at the length of its sound, writes it to `out`, and measures its distances.
fn render_to(
    voice: Voice,
    out: &Path,
    estimate: &SoundEstimate,
    sample_rate_hz: u32,
) -> anyhow::Result<Rendered> {
    let renderer = Renderer::new(voice, sample_rate_hz)?;
    let (audio, distances) = renderer.render_as_long_as(&estimate.sound, &estimate.patch)?;
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
