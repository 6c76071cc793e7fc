//! What pretraining is worth: errors of parameter heads over the share of labels, for several ways to begin.

mod notes;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use trainer::write_atomic;

use crate::scale::Scale;

/// A label-efficiency study, as far as it has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LabelEfficiency {
    /// Its finetunings, in any order.
    pub finetunings: Vec<Finetuning>,
    /// Whether every seed has the same sounds and holds out the same of them. Files are split by their content; each
    /// seed of the embedded synthesizer has sounds of its own.
    #[serde(default)]
    pub seeds_share_sounds: bool,
}

/// Parameter heads and an encoder, trained once and tested on held-out sounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finetuning {
    /// The encoder and how it began, such as `U-Net, masked`, or what needs no training: the labels' average.
    pub start: String,
    /// Share of the training sounds whose labels were learned from, in 0..1.
    pub share: f64,
    /// How many those are.
    pub labels: usize,
    /// Labelled examples that training draws, each counted as often as it is drawn; none where nothing is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<u64>,
    /// The experiment's seed: of all draws, and of the sounds where [`LabelEfficiency::seeds_share_sounds`] isn't so.
    pub seed: u64,
    /// Sounds tested on.
    pub test_examples: usize,
    /// Figures by name; see [`MEASURES`].
    #[serde(flatten)]
    pub figures: BTreeMap<String, f64>,
}

/// A figure of a finetuning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Its name in JSON.
    pub key: &'static str,
    /// What a table calls it.
    pub heading: &'static str,
    /// Whether more is better.
    pub rises: bool,
}

/// The figures of a finetuning: means over the held-out sounds.
pub const MEASURES: [Measure; 5] = [
    Measure {
        key: "cat_acc_mean",
        heading: "categorical accuracy",
        rises: true,
    },
    Measure {
        key: "cont_mse",
        heading: "continuous squared error",
        rises: false,
    },
    Measure {
        key: "cont_mae",
        heading: "continuous absolute error",
        rises: false,
    },
    Measure {
        key: "mss",
        heading: "multi-scale spectral distance, dB",
        rises: false,
    },
    Measure {
        key: "logmel_l1",
        heading: "log-mel distance, dB",
        rises: false,
    },
];

/// A measure over the seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverSeeds {
    /// Mean.
    pub mean: f64,
    /// Smallest.
    pub low: f64,
    /// Largest.
    pub high: f64,
    /// Number of seeds.
    pub seeds: usize,
}

impl LabelEfficiency {
    /// The ways to begin, in the order of their first finetuning.
    pub fn starts(&self) -> Vec<&str> {
        let mut starts: Vec<&str> = Vec::new();
        for finetuning in &self.finetunings {
            if !starts.contains(&finetuning.start.as_str()) {
                starts.push(&finetuning.start);
            }
        }
        starts
    }

    /// The shares of labels, the smallest first.
    pub fn shares(&self) -> Vec<f64> {
        let mut shares: Vec<f64> = self.finetunings.iter().map(|one| one.share).collect();
        shares.sort_by(f64::total_cmp);
        shares.dedup();
        shares
    }

    /// A measure of the finetunings that began as `start` with `share` of the labels; none where none has it.
    pub fn over_seeds(&self, start: &str, share: f64, measure: Measure) -> Option<OverSeeds> {
        let of_these = |one: &&Finetuning| one.start == start && one.share == share;
        let values: Vec<f64> = self
            .finetunings
            .iter()
            .filter(of_these)
            .filter_map(|one| one.figures.get(measure.key).copied())
            .collect();
        let seeds = values.len();
        (seeds > 0).then(|| OverSeeds {
            mean: values.iter().sum::<f64>() / seeds as f64,
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            seeds,
        })
    }

    /// Writes `label-efficiency.json`, `.md` (the tables) and `.svg` (the plot) into `directory`.
    ///
    /// # Errors
    /// A file can't be written.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        let path = |ending: &str| directory.join(format!("label-efficiency.{ending}"));
        let json = serde_json::to_string_pretty(self).expect("plain numbers and names");
        write_atomic(&path("json"), json + "\n")?;
        write_atomic(&path("md"), self.to_string())?;
        write_atomic(&path("svg"), self.to_svg())
    }

    /// The seeds, the smallest first.
    pub fn seeds(&self) -> Vec<u64> {
        let mut seeds: Vec<u64> = self.finetunings.iter().map(|one| one.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        seeds
    }

    /// The measures that any finetuning has.
    fn measures(&self) -> impl Iterator<Item = Measure> {
        let has = |measure: &Measure| {
            let mut all = self.finetunings.iter();
            all.any(|one| one.figures.contains_key(measure.key))
        };
        MEASURES.into_iter().filter(has)
    }

    /// A drawing that stands alone: a panel for each measure, a line for each way to begin, and bars from the smallest to
    /// the largest of the seeds.
    pub fn to_svg(&self) -> String {
        let measures: Vec<Measure> = self
            .measures()
            .filter(|measure| measure.key != "cont_mae")
            .collect();
        let rows = measures.len().div_ceil(2);
        let height = rows as f64 * PANEL[1] + 22.0 * (1 + self.starts().len().div_ceil(3)) as f64;
        let panel = |(place, measure): (usize, &Measure)| {
            let origin = [(place % 2) as f64 * PANEL[0], (place / 2) as f64 * PANEL[1]];
            html! {
                g transform=(format!("translate({} {})", origin[0], origin[1])) {
                    (self.panel(*measure))
                }
            }
        };
        html! {
            svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {} {height}", 2.0 * PANEL[0]))
                font-family="sans-serif" font-size="11" fill="#333" role="img"
                aria-label="Errors of parameter heads over the share of labels" {
                rect width="100%" height="100%" fill="#fff" {}
                @for panel in measures.iter().enumerate().map(panel) { (panel) }
                (self.legend(rows as f64 * PANEL[1]))
            }
        }
        .into_string()
    }

    fn panel(&self, measure: Measure) -> Markup {
        let shares = self.shares();
        let x = |place: f64| {
            // Room for the outermost starts on both sides.
            let apart = (PANEL[0] - MARGIN[0] - 56.0) / (shares.len().max(2) - 1) as f64;
            MARGIN[0] + 20.0 + apart * place
        };
        let starts = self.starts();
        let points_of: Vec<Vec<(usize, OverSeeds)>> = starts
            .iter()
            .map(|start| {
                let at = |(place, &share): (usize, &f64)| {
                    Some((place, self.over_seeds(start, share, measure)?))
                };
                shares.iter().enumerate().filter_map(at).collect()
            })
            .collect();
        let ends = points_of.iter().flatten();
        let Some(scale) = Scale::roomy(ends.flat_map(|(_, point)| [point.low, point.high]), false)
        else {
            return html! {};
        };
        let y = |value: f64| {
            let room = PANEL[1] - MARGIN[1] - 34.0;
            round(MARGIN[1] + room * (1.0 - scale.place(value)))
        };
        let bottom = PANEL[1] - 34.0;
        let better = if measure.rises { "more" } else { "less" };
        html! {
            text x=(MARGIN[0] - 30.0) y="16" font-weight="bold" { (measure.heading) ", " (better) " is better" }
            @for (value, label) in scale.ticks() {
                line x1=(MARGIN[0]) x2=(PANEL[0] - 16.0) y1=(y(value)) y2=(y(value)) stroke="#ddd" {}
                text x=(MARGIN[0] - 6.0) y=(y(value) + 4.0) text-anchor="end" { (label) }
            }
            @for (place, share) in shares.iter().enumerate() {
                text x=(round(x(place as f64))) y=(bottom + 16.0) text-anchor="middle" { (percent(*share)) }
            }
            @for (number, points) in points_of.iter().enumerate() {
                // Side by side, so that bars don't cover each other.
                @let aside = 4.0 * (number as f64 - (points_of.len() as f64 - 1.0) / 2.0);
                @let at = |place: usize| round(x(place as f64) + aside);
                @let line: Vec<String> = points.iter().map(|(place, point)| format!("{},{}", at(*place), y(point.mean))).collect();
                polyline points=(line.join(" ")) fill="none" stroke=(colour(number)) stroke-width="1.6"
                    stroke-dasharray=[dashes(starts[number])] {}
                @for (place, point) in points {
                    line x1=(at(*place)) x2=(at(*place)) y1=(y(point.low)) y2=(y(point.high))
                        stroke=(colour(number)) stroke-width="1.2" {}
                    circle cx=(at(*place)) cy=(y(point.mean)) r="2.8" fill=(colour(number)) {}
                }
            }
        }
    }

    fn legend(&self, top: f64) -> Markup {
        let starts = self.starts();
        html! {
            @for (number, start) in starts.iter().enumerate() {
                @let x = MARGIN[0] + (number % 3) as f64 * 240.0;
                @let y = top + 14.0 + (number / 3) as f64 * 22.0;
                line x1=(x) x2=(x + 26.0) y1=(y) y2=(y) stroke=(colour(number)) stroke-width="2"
                    stroke-dasharray=[dashes(start)] {}
                text x=(x + 32.0) y=(y + 4.0) { (start) }
            }
            text x=(MARGIN[0]) y=(top + 14.0 + starts.len().div_ceil(3) as f64 * 22.0) {
                "over the share of labels; points are means over seeds, bars reach from the lowest to the highest"
            }
        }
    }
}

/// Width and height of a panel.
const PANEL: [f64; 2] = [380.0, 230.0];

/// Left of and above a panel's curves.
const MARGIN: [f64; 2] = [52.0, 28.0];

/// Colours of the starts, which people with red-green colour blindness can distinguish as well (Okabe & Ito 2008).
const COLOURS: [&str; 7] = [
    "#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#009e73", "#cc79a7", "#999999",
];

fn colour(number: usize) -> &'static str {
    COLOURS[number % COLOURS.len()]
}

/// What begins with nothing is drawn broken.
fn dashes(start: &str) -> Option<&'static str> {
    start.ends_with("scratch").then_some("4 3")
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 1e4).round() / 100.0)
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// One number, or from which to which they are: `10`, `10 to 12`.
fn range(counts: impl Iterator<Item = usize> + Clone) -> String {
    let (low, high) = (counts.clone().min(), counts.max());
    match (low, high) {
        (Some(low), Some(high)) if low < high => format!("{low} to {high}"),
        (low, _) => low.unwrap_or(0).to_string(),
    }
}

/// Markdown: what there is to know of the figures, and tables: a measure each, a row for each way to begin, a column for
/// each share of the labels.
impl fmt::Display for LabelEfficiency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shares = self.shares();
        let n_seeds = self.seeds().len();
        for note in self.notes() {
            writeln!(out, "- {note}")?;
        }
        for measure in self.measures() {
            write!(out, "\n| {} |", measure.heading)?;
            for share in &shares {
                let with = self.finetunings.iter().filter(|one| one.share == *share);
                let labels = range(with.map(|one| one.labels));
                write!(out, " {} of labels ({labels}) |", percent(*share))?;
            }
            write!(out, "\n| --- |{}", " --- |".repeat(shares.len()))?;
            for start in self.starts() {
                write!(out, "\n| {start} |")?;
                for share in &shares {
                    match self.over_seeds(start, *share, measure) {
                        Some(over) => {
                            let OverSeeds {
                                mean,
                                low,
                                high,
                                seeds,
                            } = over;
                            write!(out, " {mean:.4} ({low:.4} to {high:.4}")?;
                            // A study that isn't finished.
                            if seeds < n_seeds {
                                write!(out, ", {seeds} of {n_seeds} seeds")?;
                            }
                            write!(out, ") |")?;
                        }
                        None => write!(out, " |")?,
                    }
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study() -> LabelEfficiency {
        let mut finetunings = Vec::new();
        for (start, better) in [("U-Net, scratch", 0.0), ("U-Net, masked", 0.1)] {
            for (share, labels) in [(0.1, 10), (1.0, 100)] {
                for seed in [0, 1, 5] {
                    let accuracy = share * 0.5 + better + 0.01 * seed as f64;
                    finetunings.push(Finetuning {
                        start: start.to_owned(),
                        share,
                        labels,
                        drawn: Some(100),
                        seed,
                        test_examples: 7,
                        figures: [("cat_acc_mean".to_owned(), accuracy)].into(),
                    });
                }
            }
        }
        LabelEfficiency {
            finetunings,
            seeds_share_sounds: false,
        }
    }

    #[test]
    fn a_cell_is_the_mean_and_the_ends_over_its_own_seeds() {
        let study = study();
        let over = study.over_seeds("U-Net, masked", 1.0, MEASURES[0]).unwrap();
        assert!((over.mean - 0.62).abs() < 1e-12, "{over:?}");
        assert!((over.low - 0.6).abs() < 1e-12 && (over.high - 0.65).abs() < 1e-12);
        assert_eq!(over.seeds, 3);
        assert_eq!(study.over_seeds("U-Net, masked", 0.5, MEASURES[0]), None);
        assert_eq!(study.over_seeds("U-Net, masked", 1.0, MEASURES[1]), None);
    }

    #[test]
    fn tables_have_the_measures_that_were_taken() {
        let text = study().to_string();
        assert_eq!(
            text.split_once("\n\n").unwrap().1,
            "| categorical accuracy | 10 % of labels (10) | 100 % of labels (100) |\n\
             | --- | --- | --- |\n\
             | U-Net, scratch | 0.0700 (0.0500 to 0.1000) | 0.5200 (0.5000 to 0.5500) |\n\
             | U-Net, masked | 0.1700 (0.1500 to 0.2000) | 0.6200 (0.6000 to 0.6500) |\n"
        );
    }

    #[test]
    fn a_column_says_how_many_labels_each_of_its_seeds_has_and_a_cell_how_many_seeds_are_missing() {
        let mut study = study();
        study.finetunings[1].labels = 12;
        study.finetunings.pop();
        let text = study.to_string();
        assert!(text.contains("| 10 % of labels (10 to 12) | 100 % of labels (100) |"));
        assert!(
            text.contains("| 0.6050 (0.6000 to 0.6100, 2 of 3 seeds) |"),
            "{text}"
        );
    }

    #[test]
    fn above_the_tables_stands_what_the_figures_are_of() {
        let mut study = study();
        let notes = |study: &LabelEfficiency| {
            let text = study.to_string();
            text.split_once("\n\n").unwrap().0.to_owned()
        };
        let plain = notes(&study);
        for said in [
            "over seeds 0, 1 and 5",
            "Each seed has sounds of its own: 7 are tested on",
            "least loss on the whole labelled validation split",
            "draws 100 labelled examples",
        ] {
            assert!(plain.contains(said), "no {said:?} in {plain}");
        }
        assert!(!plain.contains("Not every label"), "{plain}");

        study.seeds_share_sounds = true;
        for one in &mut study.finetunings {
            if one.start == "U-Net, masked" {
                one.drawn = Some(99);
            }
        }
        let other = notes(&study);
        for said in [
            "All seeds have the same sounds, and test on the same 7",
            "draws 100 labelled examples (U-Net, scratch), 99 (U-Net, masked)",
            "**Not every label is learned from** in U-Net, masked with 100 % of labels (99 drawn, 100 labels)",
        ] {
            assert!(other.contains(said), "no {said:?} in {other}");
        }
        assert!(!other.contains("with 10 %"), "{other}");
    }

    #[test]
    fn what_is_written_is_read_back_and_drawn() {
        let directory = tempfile::tempdir().unwrap();
        study().write(directory.path()).unwrap();
        let read = |ending: &str| {
            let path = directory.path().join(format!("label-efficiency.{ending}"));
            std::fs::read_to_string(path).unwrap()
        };
        let back: LabelEfficiency = serde_json::from_str(&read("json")).unwrap();
        assert_eq!(back, study());
        let svg = read("svg");
        // A point for each of two starts and two shares, and a line for each start.
        assert_eq!(svg.matches("<circle").count(), 4);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("U-Net, masked") && !svg.contains("NaN"));
    }
}
