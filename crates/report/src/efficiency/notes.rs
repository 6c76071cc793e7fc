//! What has to be known of a study's figures.

use super::{Finetuning, LabelEfficiency, percent, range};

impl LabelEfficiency {
    /// A paragraph each: which sounds the figures are of, which weights, and what those have learned from.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            self.seeds_note(),
            "Tested are the weights with the least loss on the whole labelled validation split, whatever the share of the training labels."
                .to_owned(),
        ];
        notes.extend(self.draws_note());
        notes.extend(self.unseen_note());
        notes
    }

    fn seeds_note(&self) -> String {
        let seeds = self.seeds();
        let tested = range(self.finetunings.iter().map(|one| one.test_examples));
        let sounds = match self.seeds_share_sounds {
            true => format!(
                "All seeds have the same sounds, and test on the same {tested}, since files are split by their content. Seeds differ in the labels that are used and in the random draws of training; brackets say nothing about other sounds."
            ),
            false => format!("Each seed has sounds of its own: {tested} are tested on."),
        };
        let over = match &seeds[..] {
            [one] => format!("Over seed {one} alone."),
            _ => format!(
                "Means over seeds {}, and in brackets the lowest and the highest.",
                listed(&seeds)
            ),
        };
        format!("{over} {sounds}")
    }

    /// How many examples a finetuning draws from each start.
    fn draws_note(&self) -> Option<String> {
        let mut starts_of: Vec<(u64, Vec<&str>)> = Vec::new();
        for start in self.starts() {
            let mut own = self.finetunings.iter().filter(|one| one.start == start);
            let Some(drawn) = own.find_map(|one| one.drawn) else {
                continue;
            };
            match starts_of.iter_mut().find(|(other, _)| *other == drawn) {
                Some((_, starts)) => starts.push(start),
                None => starts_of.push((drawn, vec![start])),
            }
        }
        let texts: Vec<String> = match &starts_of[..] {
            [] => return None,
            [(drawn, _)] => vec![format!("{drawn} labelled examples")],
            several => several
                .iter()
                .enumerate()
                .map(|(place, (drawn, starts))| {
                    let what = if place == 0 { " labelled examples" } else { "" };
                    format!("{drawn}{what} ({})", starts.join("; "))
                })
                .collect(),
        };
        Some(format!(
            "Whatever the share, a finetuning draws {}, each counted as often as it is drawn.",
            texts.join(", ")
        ))
    }

    /// Where fewer examples are drawn than there are labels.
    fn unseen_note(&self) -> Option<String> {
        let mut cells: Vec<String> = Vec::new();
        for start in self.starts() {
            for share in self.shares() {
                let of_these = |one: &&Finetuning| one.start == start && one.share == share;
                let own = self.finetunings.iter().filter(of_these);
                let least = own.filter_map(|one| Some((one.drawn?, one.labels)));
                let short = least.filter(|&(drawn, labels)| drawn < labels as u64);
                if let Some((drawn, labels)) = short.max_by_key(|&(_, labels)| labels) {
                    let share = percent(share);
                    cells.push(format!(
                        "{start} with {share} of labels ({drawn} drawn, {labels} labels)"
                    ));
                }
            }
        }
        (!cells.is_empty()).then(|| {
            format!(
                "**Not every label is learned from** in {}: raise the steps of finetuning.",
                cells.join("; ")
            )
        })
    }
}

/// `0, 1 and 5`.
fn listed(numbers: &[u64]) -> String {
    let texts: Vec<String> = numbers.iter().map(u64::to_string).collect();
    match texts.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => texts.concat(),
    }
}
