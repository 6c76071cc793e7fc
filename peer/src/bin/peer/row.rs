//! The summary of a case's rounds.

use anyhow::{bail, ensure};
use peer::Case;
use serde::Serialize;

use crate::machine::Machine;
use crate::measure::Measurement;

/// A row of `target/bench-peer.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The case.
    pub name: String,
    /// Median of the rounds, each the median of its calls.
    pub ours_ms: f64,
    /// The same of PyTorch.
    pub torch_ms: f64,
    /// Median over the rounds of our time by PyTorch's: below 1, ours is faster.
    pub ratio: f64,
    /// Smallest ratio of a round.
    pub ratio_low: f64,
    /// Largest ratio of a round.
    pub ratio_high: f64,
    /// Largest peak of our rounds.
    pub ours_peak_bytes: Option<u64>,
    /// Largest peak of PyTorch's.
    pub torch_peak_bytes: Option<u64>,
    /// Trainable values of either model.
    pub parameters: usize,
    /// Counted operations of one call, in 1e9.
    pub gflop: f64,
    /// Threads of each process.
    pub threads: u16,
    /// Turns of each side.
    pub rounds: usize,
    /// Burn's version.
    pub ours_version: String,
    /// PyTorch's version.
    pub torch_version: String,
    /// Where and when.
    pub machine: Machine,
}

impl Row {
    /// The summary of rounds, each ours and PyTorch's.
    ///
    /// # Errors
    /// The models have different numbers of parameters, the results of the same work differ, or there is no round.
    pub fn new(
        case: &Case,
        threads: u16,
        rounds: &[[Measurement; 2]],
        machine: &Machine,
    ) -> anyhow::Result<Self> {
        let Some([first_ours, first_torch]) = rounds.first() else {
            bail!("{}: expected at least one round, got none", case.name);
        };
        for [ours, torch] in rounds {
            ensure!(
                ours.parameters == torch.parameters,
                "{}: our model has {} parameters and PyTorch's {}: they aren't the same model; \
                 make peer/torch_peer.py build what the crate builds",
                case.name,
                ours.parameters,
                torch.parameters
            );
            ensure!(
                agree(ours.value, torch.value),
                "{}: the result is {} here and {} in PyTorch: it isn't the same work; \
                 make peer/torch_peer.py compute what this computes",
                case.name,
                ours.value,
                torch.value
            );
        }
        let [ours, torch] = [0, 1].map(|side| -> Vec<f64> {
            let times = rounds.iter().map(|round| &round[side].times_ms);
            times.map(|times| median(times)).collect()
        });
        let peak = |side: usize| {
            rounds
                .iter()
                .filter_map(|round| round[side].peak_bytes)
                .max()
        };
        let ratios: Vec<f64> = std::iter::zip(&ours, &torch)
            .map(|(ours, torch)| ours / torch)
            .collect();
        Ok(Self {
            name: case.name.clone(),
            ours_ms: median(&ours),
            torch_ms: median(&torch),
            ratio: median(&ratios),
            ratio_low: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            ratio_high: ratios.iter().copied().fold(0.0, f64::max),
            ours_peak_bytes: peak(0),
            torch_peak_bytes: peak(1),
            parameters: first_ours.parameters,
            gflop: case.gflop(),
            threads,
            rounds: rounds.len(),
            ours_version: first_ours.version.clone(),
            torch_version: first_torch.version.clone(),
            machine: machine.clone(),
        })
    }

    /// Operations in a second, in 1e9: ours and PyTorch's.
    pub fn gflop_per_s(&self) -> [f64; 2] {
        [self.ours_ms, self.torch_ms].map(|ms| self.gflop / ms * 1e3)
    }
}

/// Whether the mean values of both sides differ by rounding at most.
fn agree(ours: f64, torch: f64) -> bool {
    (ours - torch).abs() <= LARGEST_DIFFERENCE * torch.abs()
}

/// Relative. Sums of f32 in another order differ by less than a tenth of it in all rows.
const LARGEST_DIFFERENCE: f64 = 1e-4;

/// The line above a table: machine, versions, threads and rounds.
pub fn caption(rows: &[Row]) -> String {
    let Some(first) = rows.first() else {
        return String::new();
    };
    let Row {
        machine,
        ours_version,
        torch_version,
        rounds,
        ..
    } = first;
    let mut threads: Vec<String> = rows.iter().map(|row| row.threads.to_string()).collect();
    threads.dedup();
    let threads = threads.join(", then ");
    format!("{machine}; {ours_version}, {torch_version}; threads: {threads}; rounds: {rounds}")
}

/// The middle of sorted values, or the mean of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    } else {
        sorted[middle]
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use peer::{Pass, Work};

    pub fn measurement(parameters: usize, times_ms: &[f64], peak_bytes: u64) -> Measurement {
        Measurement {
            parameters,
            times_ms: times_ms.to_vec(),
            value: 2.0,
            peak_bytes: Some(peak_bytes),
            version: "a version".into(),
        }
    }

    pub fn machine() -> Machine {
        Machine {
            cpu: "a processor".into(),
            cores: 2,
            system: "a system".into(),
            rustc: "rustc 1.0".into(),
            date: "2000-01-31".into(),
        }
    }

    pub fn case() -> Case {
        Case::new("product", Work::Product { size: 1000 }, Pass::Forward)
    }

    #[test]
    fn a_row_holds_medians_of_rounds_and_of_their_ratios() {
        let rounds = [
            [
                measurement(5, &[2.0, 9.0, 1.0], 30),
                measurement(5, &[4.0, 4.0], 70),
            ],
            [measurement(5, &[3.0], 20), measurement(5, &[2.0], 90)],
            [measurement(5, &[4.0], 10), measurement(5, &[1.0], 80)],
        ];
        let row = Row::new(&case(), 2, &rounds, &machine()).unwrap();
        assert_eq!((row.ours_ms, row.torch_ms), (3.0, 2.0));
        assert_eq!((row.ratio_low, row.ratio, row.ratio_high), (0.5, 1.5, 4.0));
        assert_eq!(
            (row.ours_peak_bytes, row.torch_peak_bytes),
            (Some(30), Some(90))
        );
        assert_eq!((row.rounds, row.gflop), (3, 2.0));
    }

    #[test]
    fn a_caption_has_machine_versions_threads_and_rounds() {
        let rounds = [[measurement(5, &[2.0], 30), measurement(5, &[4.0], 70)]];
        let row = |threads| Row::new(&case(), threads, &rounds, &machine()).unwrap();
        assert_eq!(
            caption(&[row(1), row(1), row(2)]),
            "a processor, 2 cores, a system, rustc 1.0, 2000-01-31; a version, a version; threads: 1, then 2; rounds: 1"
        );
        assert_eq!(caption(&[]), "");
    }

    #[test]
    fn models_with_different_numbers_of_parameters_are_not_compared() {
        let rounds = [
            [measurement(5, &[1.0], 1), measurement(5, &[1.0], 1)],
            [measurement(5, &[1.0], 1), measurement(6, &[1.0], 1)],
        ];
        let message = Row::new(&case(), 2, &rounds, &machine())
            .unwrap_err()
            .to_string();
        for part in ["product", "5 parameters", "PyTorch's 6", "torch_peer.py"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn work_with_another_result_is_not_compared() {
        let with = |value| Measurement {
            value,
            ..measurement(0, &[1.0], 1)
        };
        let row = |ours, torch| Row::new(&case(), 2, &[[with(ours), with(torch)]], &machine());
        assert!(row(2.0, 2.00001).is_ok());
        for (ours, torch) in [(2.0, 2.001), (f64::NAN, 2.0), (f64::NAN, f64::NAN)] {
            let message = row(ours, torch).unwrap_err().to_string();
            assert!(message.contains("it isn't the same work"), "{message}");
        }
    }

    #[test]
    fn a_row_is_written_under_the_names_that_readers_expect() {
        let rounds = [[measurement(5, &[2.0], 30), measurement(5, &[4.0], 70)]];
        let row = Row::new(&case(), 2, &rounds, &machine()).unwrap();
        let json = serde_json::to_value(vec![row]).unwrap();
        assert_eq!(json[0]["name"], "product");
        assert_eq!(json[0]["ours_ms"], 2.0);
        assert_eq!(json[0]["torch_ms"], 4.0);
        assert_eq!(json[0]["ratio"], 0.5);
        assert_eq!(json[0]["ours_peak_bytes"], 30);
        assert_eq!(json[0]["torch_peak_bytes"], 70);
        assert_eq!(json[0]["machine"]["cpu"], "a processor");
    }
}
