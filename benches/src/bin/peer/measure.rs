//! One case of this project, in this process.

use std::time::{Duration, Instant};

use anyhow::Context;
use benches::{Case, cases, sweeps};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::memory;

/// How often work is done in a process.
#[derive(Args, Clone, Debug)]
pub struct Effort {
    /// Timed calls in each process; more until a second has gone, and none after half a minute
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub repeats: u16,
}

/// Short work is repeated for so long.
pub const AT_LEAST: Duration = Duration::from_secs(1);

/// Long work is repeated for no longer, however few calls that are.
pub const AT_MOST: Duration = Duration::from_secs(30);

/// What a process tells of its work, PyTorch's as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// Trainable values of its model.
    pub parameters: usize,
    /// Each timed call.
    pub times_ms: Vec<f64>,
    /// What comes out where both sides are given the same, as [`benches::Prepared::value`].
    pub value: f64,
    /// Largest resident set above what was held before model and data; `None` where the system doesn't say.
    pub peak_bytes: Option<u64>,
    /// Of Burn, or of PyTorch.
    pub version: String,
}

/// Measures the case of this name and prints the [`Measurement`] as a line of JSON.
pub fn run(name: &str, effort: &Effort) -> anyhow::Result<()> {
    let mut all = [cases()?, sweeps()?].concat().into_iter();
    let case = all
        .find(|case| case.name == name)
        .with_context(|| format!("there is no case {name:?}"))?;
    println!("{}", serde_json::to_string(&measure(&case, effort))?);
    Ok(())
}

fn measure(case: &Case, effort: &Effort) -> Measurement {
    // Code is read from disk when it first runs, and threads start: neither belongs to the work.
    (case.work.tiny().prepare(case.pass).call)();

    let baseline = memory::reset_peak();
    let mut prepared = case.work.prepare(case.pass);
    (prepared.call)();
    let mut times_ms = Vec::new();
    let start = Instant::now();
    while wants_more(times_ms.len(), start.elapsed(), effort) {
        let start = Instant::now();
        (prepared.call)();
        times_ms.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let peak_bytes = memory::peak_above(baseline);
    Measurement {
        parameters: prepared.parameters,
        times_ms,
        // After the peak: summing it up takes memory.
        value: (prepared.value)(),
        peak_bytes,
        version: burn_version(),
    }
}

fn wants_more(calls: usize, elapsed: Duration, effort: &Effort) -> bool {
    let too_few = calls < usize::from(effort.repeats) && elapsed < AT_MOST;
    calls == 0 || too_few || elapsed < AT_LEAST
}

/// The version that the workspace pins, since Burn doesn't tell its own.
fn burn_version() -> String {
    let manifest = include_str!("../../../../Cargo.toml");
    let line = manifest.lines().find(|line| line.starts_with("burn = "));
    let version = line.and_then(|line| line.split('"').nth(1));
    let version = version.expect("the workspace pins Burn");
    format!("burn {}", version.trim_start_matches('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use benches::{Pass, Work};

    #[test]
    fn long_work_is_called_at_least_once_and_no_more_after_half_a_minute() {
        let effort = Effort { repeats: 3 };
        let wants = |calls, seconds| wants_more(calls, Duration::from_secs(seconds), &effort);
        assert!(wants(0, 0) && wants(1, 20) && wants(2, 29) && wants(9, 0));
        assert!(!wants(1, 31) && !wants(2, 40) && !wants(3, 1));
    }

    #[test]
    fn work_is_done_as_often_as_asked_for_and_for_a_second() {
        let work = Work::Product(benches::Product { size: 2 });
        let case = Case::new("tiny", work, Pass::Forward);
        let got = measure(&case, &Effort { repeats: 7 });
        assert!(got.times_ms.len() > 7);
        assert!(got.times_ms.iter().sum::<f64>() < 1.1 * AT_LEAST.as_secs_f64() * 1e3);
        assert!(got.times_ms.iter().all(|&time| time > 0.0));
        assert_eq!((got.parameters, got.version.as_str()), (0, "burn 0.22.1"));
        assert!(got.value > 0.0);
    }
}
