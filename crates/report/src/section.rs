//! The part of the page that is about one stage.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use trainer::{ComparedParameter, Experiment, HeadTransfer, Provenance, Setting, Stage, percent};

use crate::captions;
use crate::chart::{Chart, Kind, Line};
use crate::curves::Curves;
use crate::fact::fact;
use crate::number::{duration, figure, whole};
use crate::run::{Example, StageReport, State};
use crate::tables::{parameter_tables, test_tables};

/// Curves that are shown at once, in this order; the others wait behind a click.
const FIRST: [&str; 6] = [
    "loss",
    "contrastive_accuracy",
    "param/cat_acc_mean",
    "param/cont_mse",
    "grad_norm",
    "lr",
];

/// The results of `stage`: numbers, curves, pictures and sounds.
pub(crate) fn section(stage: &StageReport, experiment: &Experiment) -> Markup {
    let name = stage.stage.name();
    let log_every = experiment.stages.training(stage.stage).log_every;
    html! {
        section id=(name) {
            h2 { (stage.stage.title()) }
            p.name {
                code { (name) }
                @if stage.state != State::Finished { ", " (stage.state) ": these are the results so far" }
            }
            p { (stage.stage.about(experiment)) }
            @if !stage.problems.is_empty() {
                ul.problems {
                    @for problem in &stage.problems { li { (problem) } }
                }
            }
            (facts(stage))
            @if let Some(rows) = stage.outcome.test_rows() {
                (test_tables(stage.stage, &rows, stage.outcome.mask.as_ref()))
            }
            @if let Some(test) = stage.outcome.parameter_test() {
                (parameter_tables(&test))
            }
            @if !stage.stage.is_test() {
                (curves(stage, log_every))
            }
            (examples(stage))
        }
    }
}

fn facts(stage: &StageReport) -> Markup {
    let outcome = &stage.outcome;
    let count = |count: Option<u64>| count.map(|count| whole(count as f64));
    let sounds = [
        (outcome.train_examples, "to train"),
        (outcome.valid_examples, "to validate"),
        (outcome.test_examples, "to test"),
    ];
    let sounds: Vec<String> = sounds
        .into_iter()
        .filter_map(|(number, purpose)| Some(format!("{} {purpose}", count(number)?)))
        .collect();
    let found = outcome.measure("contrastive_accuracy").map(|accuracy| {
        let chance = outcome
            .measure("contrastive_chance")
            .filter(|chance| *chance > 0.0);
        let times = chance.map(|chance| format!(", {} times chance", figure(accuracy / chance)));
        percent(accuracy) + &times.unwrap_or_default()
    });
    let gibibytes = |bytes: u64| format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30));
    let loss = match stage.stage.is_test() {
        true => None,
        false => outcome.valid_loss.map(figure),
    };
    let lowest = outcome
        .best_valid_loss
        .filter(|lowest| Some(*lowest) != outcome.valid_loss);
    let baseline = outcome.baseline.as_ref().zip(outcome.baseline_loss);
    let start = match stage.stage.is_test() {
        true => "Weights of",
        false => "Initialised from",
    };
    let heads = outcome
        .provenance
        .as_ref()
        .and_then(|provenance| provenance.heads.as_ref());
    let facts = [
        ("Validation loss", loss),
        ("Lowest", lowest.map(figure)),
        (
            "Baseline",
            baseline.map(|(name, loss)| format!("{} ({name})", figure(loss))),
        ),
        ("Ratio", outcome.ratio().map(|ratio| format!("{ratio:.2}"))),
        ("Hidden patches found", found),
        ("Sounds", (!sounds.is_empty()).then(|| sounds.join(", "))),
        ("Parameters", count(outcome.parameters)),
        (
            start,
            outcome.provenance.as_ref().map(Provenance::to_string),
        ),
        ("Transferred heads", heads.map(HeadTransfer::to_string)),
        ("Time", outcome.seconds.map(duration)),
        ("Peak memory", outcome.peak_rss_bytes.map(gibibytes)),
    ];
    html! {
        dl.facts {
            @for (name, value) in facts {
                @if let Some(value) = value { (fact(name, &value)) }
            }
        }
    }
}

fn curves(stage: &StageReport, log_every: u64) -> Markup {
    let names = measures(&stage.curves);
    let drawn = |names: Vec<&str>| -> Vec<Markup> {
        names
            .into_iter()
            .filter_map(|name| chart(stage, name))
            .collect()
    };
    let first = drawn(
        FIRST
            .into_iter()
            .filter(|name| names.contains(name))
            .collect(),
    );
    let further = drawn(
        names
            .iter()
            .copied()
            .filter(|name| !FIRST.contains(name))
            .collect(),
    );
    html! {
        @if first.is_empty() && further.is_empty() {
            p.soft { "There are no curves: nothing was logged yet." }
        } @else {
            h3 { "Curves" }
            p.soft.key {
                span.train { "training batches, mean of up to " (log_every) " steps" }
                span.valid { "validation sounds" }
                span.level { "baseline, on the validation sounds" }
            }
            div.charts { @for chart in first { (chart) } }
            @if !further.is_empty() {
                details {
                    summary { (further.len()) " more" }
                    div.charts { @for chart in further { (chart) } }
                }
            }
        }
    }
}

/// The names of what was measured in training or validation. What is the loss under another name is left out, and so is
/// what is drawn as the level that others are compared with.
fn measures(curves: &Curves) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for tag in curves.points.keys() {
        let Some(name) = ["train/", "valid/"]
            .iter()
            .find_map(|kind| tag.strip_prefix(kind))
        else {
            continue;
        };
        let level = name == "baseline_loss" || name == "contrastive_chance";
        let same_as_loss = name != "loss"
            && ["train", "valid"].iter().all(|kind| {
                curves.of(&format!("{kind}/{name}")) == curves.of(&format!("{kind}/loss"))
            });
        if !level && !same_as_loss && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn chart(stage: &StageReport, name: &str) -> Option<Markup> {
    let curves = &stage.curves;
    let level = match name {
        "loss" => curves
            .last("valid/baseline_loss")
            .or(stage.outcome.baseline_loss)
            .map(|loss| {
                (
                    stage.outcome.baseline.as_deref().unwrap_or("baseline"),
                    loss,
                )
            }),
        "contrastive_accuracy" => curves
            .last("valid/contrastive_chance")
            .map(|chance| ("chance", chance)),
        _ => {
            let baseline = stage.outcome.measure(&format!("{name}_baseline"));
            // The spread of equal vectors carries no information.
            let compared = !name.ends_with("_spread");
            baseline.filter(|_| compared).map(|value| {
                (
                    stage.outcome.baseline.as_deref().unwrap_or("baseline"),
                    value,
                )
            })
        }
    };
    let [train, valid] = ["train", "valid"].map(|kind| curves.of(&format!("{kind}/{name}")));
    let chart = Chart {
        lines: vec![
            Line {
                kind: Kind::Train,
                points: train,
            },
            Line {
                kind: Kind::Valid,
                points: valid,
            },
        ],
        level,
        // Shares and rates are read by their differences.
        may_be_logarithmic: name != "lr" && !name.contains("acc"),
    };
    let title = captions::measure(stage.stage, stage.stage.scored(), name);
    let drawing = chart.draw(&title)?;
    Some(html! {
        figure {
            figcaption { (title) }
            (drawing)
        }
    })
}

fn examples(stage: &StageReport) -> Markup {
    html! {
        @if !stage.examples.is_empty() {
            h3 { "Examples" }
            p.soft { (stage.stage.pictures()) " Brighter is louder; all but the last have the input's scale. " (stage.stage.sounds()) }
            @for example in &stage.examples { (figure_of(example, stage.stage)) }
        }
        @if let Some(picture) = &stage.picture {
            h3 { "Examples" }
            p.soft { (stage.stage.pictures()) }
            img.picture src=(data_uri("image/png", picture)) alt="Spectrograms of the examples, one example in each row";
        }
    }
}

fn figure_of(example: &Example, stage: Stage) -> Markup {
    let place = example.place + 1;
    let (name, details) = match &example.note {
        Some(note) => {
            let hidden = match note.hidden_share {
                _ if stage.is_labelled() => String::new(),
                0.0 => ", nothing hidden".to_owned(),
                share => format!(", {} of its bins hidden", percent(share)),
            };
            (
                note.name.clone(),
                format!(
                    "{:.2} s at {} Hz{hidden}",
                    note.seconds,
                    whole(f64::from(note.sample_rate_hz))
                ),
            )
        }
        None => (format!("Example {place}"), "no description".to_owned()),
    };
    html! {
        figure.example {
            figcaption { (name) " " span.soft { "(" (details) ")" } }
            div.panels {
                @for (picture, bytes) in &example.pictures {
                    @match bytes {
                        Some(bytes) => img src=(data_uri("image/png", bytes)) alt=(format!("{}: {}", name, captions::example(stage, picture)));,
                        None => div.missing { "The picture of the " (picture) " is missing." }
                    }
                }
            }
            div.sounds {
                @for (sound, bytes) in &example.sounds {
                    @match bytes {
                        Some(bytes) => label {
                            @if stage.is_labelled() { (captions::example(stage, sound)) } @else { (sound) }
                            audio controls preload="metadata" src=(data_uri("audio/wav", bytes)) {}
                        },
                        None => span.soft { "The sound of the " (sound) " is missing." }
                    }
                }
            }
            @if let Some(note) = &example.note {
                (compared_parameters(&note.parameters))
            }
        }
    }
}

/// True and estimated parameters of a sound.
fn compared_parameters(parameters: &[ComparedParameter]) -> Markup {
    let value = |setting: &Setting, unit: &str| match setting {
        Setting::Number(number) => format!("{} {unit}", figure(f64::from(*number))),
        Setting::Class(class) => class.clone(),
    };
    html! {
        @if !parameters.is_empty() {
            details {
                summary { "True and estimated parameters" }
                div.scroll { table {
                    thead { tr {
                        th.word scope="col" { "Parameter" }
                        th scope="col" { "Truth" }
                        th scope="col" { "Estimate" }
                    } }
                    tbody {
                        @for ComparedParameter { name, unit, truth, estimate } in parameters {
                            tr {
                                th scope="row" { (name) }
                                td { (value(truth, unit)) }
                                td { (value(estimate, unit)) }
                            }
                        }
                    }
                } }
            }
        }
    }
}

fn data_uri(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", STANDARD.encode(bytes))
}
