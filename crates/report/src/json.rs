//! The report for programs.

use serde_json::{Map, Value, json};

use crate::run::{RunReport, StageReport};

impl RunReport {
    /// All that the page shows, as one object: `run`, `data`, `seed`, `devices`, `seconds`, `settings`, and `stages`, each with
    /// `stage`, `state`, `starts_from`, `loss`, `baseline_loss`, `loss_ratio`, `summary` as it was left, `curves` by their tags as
    /// `[step, value]`, `examples` and `problems`. Numbers are those of the run's files to a unit in
    /// the last place.
    pub fn to_json(&self) -> Value {
        // As they are written: what is kept in f32 would have other digits.
        let settings: Value = toml::from_str(&self.settings).unwrap_or_default();
        let stages = self.stages.iter().map(|stage| self.stage(stage));
        json!({
            "format": FORMAT,
            "run": self.name,
            "data": self.experiment.source.path,
            "seed": self.experiment.seed,
            "devices": self.devices(),
            "seconds": self.seconds(),
            "settings": settings,
            "stages": stages.collect::<Vec<_>>(),
        })
    }

    fn stage(&self, stage: &StageReport) -> Value {
        let (loss, baseline_loss) = stage.outcome.loss_and_baseline();
        let examples = stage.examples.iter().map(|example| {
            let found = |files: &[(&str, Option<Vec<u8>>)], ending: &str| {
                let found = files.iter().filter(|(_, bytes)| bytes.is_some());
                let path = |name: &str| format!("examples/{}/{name}.{ending}", example.place);
                found.map(|(name, _)| path(name)).collect::<Vec<_>>()
            };
            json!({
                "example": example.note,
                "pictures": found(&example.pictures, "png"),
                "sounds": found(&example.sounds, "wav"),
            })
        });
        let curves = stage.curves.points.iter();
        json!({
            "stage": stage.stage.name(),
            "state": stage.state.to_string(),
            "starts_from": stage.stage.starts_from(&self.experiment.stages).map(|stage| stage.name()),
            "loss": loss,
            "baseline_loss": baseline_loss,
            "loss_ratio": stage.outcome.ratio(),
            "summary": stage.summary,
            "curves": curves.map(|(tag, points)| (tag.clone(), json!(points))).collect::<Map<_, _>>(),
            "examples": examples.collect::<Vec<_>>(),
            "problems": stage.problems,
        })
    }
}

/// Goes up when a key changes its meaning or goes away.
const FORMAT: u32 = 1;
