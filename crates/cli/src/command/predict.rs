//! `inversynth predict`: the synthesizer parameters of sounds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use matching::Panel;
use params::{ParamKind, ParamSpec, ParamVector, Patch};
use serde::Serialize;
use stft_data::{Audio, decode_file};
use trainer::{ParameterPredictor, Stage};

use crate::backend::DeviceName;
use crate::explain;
use crate::print;
use crate::rendering::{Distances, render_as_long_as};

#[derive(Args)]
pub struct PredictArguments {
    /// Run, directory of a checkpoint, or file that `export` has written, with parameter heads
    #[arg(long, value_name = "PATH")]
    run: PathBuf,
    /// Stage of the run [default: that of the parameter heads with the lower validation loss]
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// Sound files; what is longer than a clip of training is heard from its beginning
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON object a line: `path`, and like a manifest's row `cont`, positions in 0..1, and `cat`, class indices
    #[arg(long)]
    json: bool,
    /// Directory for what the embedded synthesizer makes of the parameters, as WAV files; none is overwritten
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
    if let Some(folder) = &arguments.render {
        if predictor.spec() != synth::spec() {
            bail!(
                "--render plays the embedded synthesizer, and these are parameters of another; leave it out"
            );
        }
        fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    }
    let mut failed = 0;
    for path in &arguments.files {
        match predict(&predictor, path, arguments.render.as_deref()) {
            Ok((row, _)) if arguments.json => print(serde_json::to_string(&row)?)?,
            Ok((row, patch)) => print(describe(predictor.spec(), &row, &patch))?,
            Err(error) => {
                let path = path.display().to_string();
                let text = explain(&error);
                match text.contains(&path) {
                    true => eprintln!("error: {text}"),
                    false => eprintln!("error: {path}: {text}"),
                }
                failed += 1;
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => bail!("{failed} of {} sounds can't be used", arguments.files.len()),
    }
}

fn predict(
    predictor: &ParameterPredictor,
    path: &Path,
    render: Option<&Path>,
) -> anyhow::Result<(Row, Patch)> {
    let data = predictor.context().experiment.data;
    let sound = decode_file(path, &data.decode)?;
    let vector = predictor.predict(&sound)?;
    let spec = predictor.spec();
    let patch = spec.decode(&vector)?;
    let rendered = match render {
        Some(folder) => Some(render_beside(
            &sound,
            &patch,
            path,
            folder,
            data.clip.sample_rate_hz,
        )?),
        None => None,
    };
    Ok((row(path, spec, vector, rendered), patch))
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

/// Renders `patch` as long as `sound`, writes it to `folder` under the sound's name, and tells how far it is off.
fn render_beside(
    sound: &Audio,
    patch: &Patch,
    path: &Path,
    folder: &Path,
    sample_rate_hz: u32,
) -> anyhow::Result<Rendered> {
    let (audio, distances) = render_as_long_as(sound, patch, &Panel::new(sample_rate_hz)?)?;
    let name = path.file_stem().unwrap_or(path.as_os_str());
    let out = folder.join(name).with_extension("wav");
    let file = fs::File::create_new(&out)
        .with_context(|| format!("can't write {}: nothing is overwritten", out.display()))?;
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: sample_rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::new(std::io::BufWriter::new(file), spec)?;
    for sample in synth::pcm16(&audio.samples) {
        wav.write_sample(sample)?;
    }
    wav.finalize()?;
    Ok(Rendered {
        rendered: out,
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
