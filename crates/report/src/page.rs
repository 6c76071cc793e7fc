//! The report for people: one page that needs nothing but itself.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use trainer::Experiment;

use crate::captions;
use crate::fact::fact;
use crate::number::{duration, figure, whole};
use crate::run::{RunReport, StageReport, State};
use crate::section::section;

/// Colours, type and layout.
const STYLE: &str = include_str!("style.css");

/// What a browser is allowed to load: what is written in the page.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:";

impl RunReport {
    /// The report as one HTML page with its pictures and sounds in it. It loads nothing over a network and runs no
    /// scripts.
    pub fn to_html(&self) -> String {
        let title = format!("Run {}", self.name);
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    title { (title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { (title) }
                    (self.facts())
                    p { (captions::spectrogram(&self.experiment)) }
                    (self.overview())
                    (self.missing())
                    @for stage in self.begun() {
                        (section(stage, &self.experiment))
                    }
                    h2 { "Settings" }
                    p.soft { "Every setting that the run was made with, as its " code { "experiment.toml" } " has them." }
                    details {
                        summary { "experiment.toml" }
                        pre { code { (self.settings) } }
                    }
                }
            }
        };
        page.into_string()
    }

    fn facts(&self) -> Markup {
        let devices = self.devices().join(", ");
        let unfinished = self.begun().any(|stage| stage.state != State::Finished);
        html! {
            dl.facts {
                (fact("Sounds", &captions::sounds_caption(&self.experiment)))
                (fact("Seed", &self.experiment.seed.to_string()))
                @if !devices.is_empty() {
                    (fact("Device", &devices))
                }
                @if self.seconds() > 0.0 {
                    @let name = if unfinished { "Time of finished stages" } else { "Time" };
                    (fact(name, &duration(self.seconds())))
                }
            }
        }
    }

    /// One row for each stage that was begun.
    fn overview(&self) -> Markup {
        html! {
            h2 { "Results" }
            @if self.begun().next().is_none() {
                p { "No stage of this run has begun." }
            } @else {
                figure {
                    figcaption {
                        "Loss of each stage's last model and of its baseline on the same sounds; a ratio below 1 means that the model has learned. Losses of different stages have different units."
                    }
                    div.scroll { table {
                        thead {
                            tr {
                                th.word scope="col" { "Stage" }
                                th.word scope="col" { "Model" }
                                @for heading in ["Loss", "Baseline", "Ratio", "Steps", "Parameters", "Time"] {
                                    th scope="col" { (heading) }
                                }
                            }
                        }
                        tbody {
                            @for stage in self.begun() {
                                (overview_row(stage, &self.experiment))
                            }
                        }
                    } }
                }
            }
        }
    }

    fn missing(&self) -> Markup {
        let not_run = self
            .stages
            .iter()
            .filter(|stage| stage.state == State::NotRun);
        let names: Vec<&str> = not_run.map(|stage| stage.stage.name()).collect();
        html! {
            @if !names.is_empty() {
                p.soft {
                    "Not run: "
                    @for (place, name) in names.iter().enumerate() {
                        @if place > 0 { ", " }
                        code { (name) }
                    }
                    "."
                }
            }
        }
    }
}

fn overview_row(stage: &StageReport, experiment: &Experiment) -> Markup {
    let outcome = &stage.outcome;
    let (loss, baseline) = outcome.loss_and_baseline();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let name = stage.stage.name();
    html! {
        tr {
            th scope="row" {
                a href=(format!("#{name}")) {
                    // A narrow page breaks the name between its words.
                    @for word in name.split_inclusive('_') { (word) wbr; }
                }
                @if stage.state != State::Finished {
                    span.role { (stage.state) }
                }
            }
            td.word { (stage.stage.network(experiment)) }
            td { (or_dash(loss.map(figure))) }
            td { (or_dash(baseline.map(figure))) }
            td { (or_dash(outcome.ratio().map(|ratio| format!("{ratio:.2}")))) }
            td { (or_dash(outcome.steps.map(|steps| whole(steps as f64)))) }
            td { (or_dash(outcome.parameters.map(|count| whole(count as f64)))) }
            td { (or_dash(outcome.seconds.map(duration))) }
        }
    }
}
