//! One case of this project, in this process.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use peer::{Case, cases, sweeps};
use serde::{Deserialize, Serialize};
use trainer::peak_rss_bytes;

/// How often work is done in a process.
#[derive(Args, Clone, Debug)]
pub struct Effort {
    /// Timed calls in each process; more until a second has gone, and none after half a minute
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub repeats: u16,
}

/// Short work is repeated for this long.
const AT_LEAST: Duration = Duration::from_secs(1);

/// Long work is repeated for no longer than this, however few calls that are.
const AT_MOST: Duration = Duration::from_secs(30);

/// What a process prints of its work, PyTorch's as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// Trainable values of its model.
    pub parameters: usize,
    /// Each timed call.
    pub times_ms: Vec<f64>,
    /// The result where both sides compute with the same values, see [`peer::Work::value`].
    pub value: f64,
    /// Largest resident set above what was held before model and data; `None` where the system doesn't report it.
    pub peak_bytes: Option<u64>,
    /// Burn's version, or PyTorch's.
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
    // Loads code and starts threads, neither of which belongs to the work.
    drop((case.work.tiny().prepare(case.pass).call)());

    let baseline = reset_peak();
    let mut prepared = case.work.prepare(case.pass);
    drop((prepared.call)());
    let mut times_ms = Vec::new();
    let start = Instant::now();
    while wants_more(times_ms.len(), start.elapsed(), effort) {
        let start = Instant::now();
        drop((prepared.call)());
        times_ms.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let peak_bytes = peak_above(baseline);
    // After the peak: the check takes memory.
    let value = case.work.value(case.pass);
    Measurement {
        parameters: prepared.parameters,
        times_ms,
        value,
        peak_bytes,
        version: burn_version(),
    }
}

fn wants_more(calls: usize, elapsed: Duration, effort: &Effort) -> bool {
    let too_few = calls < usize::from(effort.repeats) && elapsed < AT_MOST;
    calls == 0 || too_few || elapsed < AT_LEAST
}

/// Resets the peak to what is resident now. `None` where the system can't; on Linux it is `/proc/self/clear_refs`.
fn reset_peak() -> Option<u64> {
    fs::write("/proc/self/clear_refs", "5").ok()?;
    peak_rss_bytes()
}

/// Bytes by which the largest resident set since [`reset_peak`] exceeds `baseline`.
fn peak_above(baseline: Option<u64>) -> Option<u64> {
    Some(peak_rss_bytes()?.saturating_sub(baseline?))
}

/// The version that the workspace pins: Burn doesn't export its own.
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
    use peer::{Pass, Work};

    #[test]
    fn long_work_is_called_at_least_once_and_no_more_after_half_a_minute() {
        let effort = Effort { repeats: 3 };
        let wants = |calls, seconds| wants_more(calls, Duration::from_secs(seconds), &effort);
        assert!(wants(0, 0) && wants(1, 20) && wants(2, 29) && wants(9, 0));
        assert!(!wants(1, 31) && !wants(2, 40) && !wants(3, 1));
    }

    #[test]
    fn work_is_done_as_often_as_asked_for_and_for_a_second() {
        let work = Work::Product { size: 2 };
        let case = Case::new("tiny", work, Pass::Forward);
        let got = measure(&case, &Effort { repeats: 7 });
        assert!(got.times_ms.len() > 7);
        assert!(got.times_ms.iter().sum::<f64>() < 1.1 * AT_LEAST.as_secs_f64() * 1e3);
        assert!(got.times_ms.iter().all(|&time| time > 0.0));
        assert_eq!((got.parameters, got.version.as_str()), (0, "burn 0.22.1"));
        assert!(got.value > 0.0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_counts_what_was_held_since_and_given_back() {
        const BYTES: u64 = 64 << 20;
        drop(vec![1u8; 3 * BYTES as usize]);
        let baseline = reset_peak();
        let block = vec![1u8; BYTES as usize];
        assert!(block.iter().all(|&byte| byte == 1));
        drop(block);
        let peak = peak_above(baseline).unwrap();
        assert!((BYTES / 2..2 * BYTES).contains(&peak), "{peak}");
    }
}
