//! Growing sizes and threads, and how near the arithmetic comes to what the machine can do.

use anyhow::Context;
use benches::{Case, cases, sweeps};
use serde::Serialize;

use crate::compare::{in_turn, write};
use crate::machine::Machine;
use crate::process::Side;
use crate::row::{Row, caption};
use crate::table::{Table, mib, ms};
use crate::{Options, chosen};

const DEFAULT_THREADS: [u16; 2] = [1, 2];

/// A row of `target/bench-scaling.json`: that of the comparison, and its arithmetic.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct ScalingRow {
    #[serde(flatten)]
    row: Row,
    /// Operations in a second, in 1e9.
    ours_gflop_per_s: f64,
    /// PyTorch's.
    torch_gflop_per_s: f64,
    /// Operations in a second as a share of the best matrix product with as many threads, either's.
    ours_share_of_peak: f64,
    /// PyTorch's.
    torch_share_of_peak: f64,
}

/// Measures sweeps and the models' steps with each number of threads, prints the table, and writes
/// `target/bench-scaling.json`.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let steps = cases()?.into_iter().filter(Case::is_short_training_step);
    let mut all = sweeps()?;
    // The product is what the others are measured by, whatever was chosen.
    let product = all.remove(0);
    all.extend(steps);
    let chosen = chosen(all, &options.only, |case| &case.name)?;
    let torch = Side::torch(&options.python)?;
    let threads = match options.threads {
        Some(threads) => vec![threads],
        None => DEFAULT_THREADS.to_vec(),
    };
    let machine = Machine::here();
    let mut rows = Vec::new();
    for threads in threads {
        let best = in_turn(&product, threads, &torch, options, &machine)?;
        let peak = gflop_per_s(&best).into_iter().fold(0.0, f64::max);
        rows.push(ScalingRow::new(best, peak));
        for case in &chosen {
            let row = in_turn(case, threads, &torch, options, &machine)
                .with_context(|| format!("{} with {threads} threads", case.name))?;
            rows.push(ScalingRow::new(row, peak));
            write("bench-scaling.json", &rows)?;
        }
    }
    print!("{}", table(&rows, options.markdown));
    Ok(())
}

/// Ours and PyTorch's.
fn gflop_per_s(row: &Row) -> [f64; 2] {
    [row.ours_ms, row.torch_ms].map(|ms| row.gflop / ms * 1e3)
}

impl ScalingRow {
    fn new(row: Row, peak_gflop_per_s: f64) -> Self {
        let [ours, torch] = gflop_per_s(&row);
        Self {
            row,
            ours_gflop_per_s: ours,
            torch_gflop_per_s: torch,
            ours_share_of_peak: ours / peak_gflop_per_s,
            torch_share_of_peak: torch / peak_gflop_per_s,
        }
    }
}

fn table(rows: &[ScalingRow], markdown: bool) -> String {
    let heading = [
        "case",
        "threads",
        "GFLOP",
        "ours",
        "PyTorch",
        "ours / PyTorch",
        "our peak",
        "PyTorch's peak",
        "our GFLOP/s",
        "PyTorch's",
        "ours of best",
        "PyTorch's of best",
    ];
    let mut table = Table::new(&heading, markdown);
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    for row in rows {
        let ScalingRow { row: both, .. } = row;
        table.push(vec![
            both.name.clone(),
            both.threads.to_string(),
            format!("{:.1}", both.gflop),
            ms(both.ours_ms),
            ms(both.torch_ms),
            format!("{:.2}", both.ratio),
            mib(both.ours_peak_bytes),
            mib(both.torch_peak_bytes),
            format!("{:.1}", row.ours_gflop_per_s),
            format!("{:.1}", row.torch_gflop_per_s),
            percent(row.ours_share_of_peak),
            percent(row.torch_share_of_peak),
        ]);
    }
    let caption = caption(rows.iter().map(|row| &row.row));
    format!("{caption}\n\n{}", table.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::{case, machine, measurement};

    #[test]
    fn speed_is_operations_by_time_and_share_is_speed_by_the_best() {
        // 2 GFLOP in 20 ms and in 40 ms.
        let rounds = [(
            measurement(0, &[20.0], 1 << 20),
            measurement(0, &[40.0], 2 << 20),
        )];
        let row = Row::new(&case(), 1, &rounds, &machine()).unwrap();
        let row = ScalingRow::new(row, 200.0);
        assert!((row.ours_gflop_per_s - 100.0).abs() < 1e-9);
        assert!((row.torch_gflop_per_s - 50.0).abs() < 1e-9);
        assert!((row.ours_share_of_peak - 0.5).abs() < 1e-12);
        let text = table(std::slice::from_ref(&row), false);
        assert!(text.contains("50 %") && text.contains("25 %"), "{text}");
        let json = serde_json::to_value(row).unwrap();
        assert_eq!(json["name"], "product");
        assert_eq!(json["threads"], 1);
        assert!(json["ours_gflop_per_s"].is_number());
    }

    #[test]
    fn the_models_steps_are_among_the_rows() {
        let steps: Vec<String> = cases()
            .unwrap()
            .into_iter()
            .filter(Case::is_short_training_step)
            .map(|case| case.name)
            .collect();
        let expected = [
            "unet_step_paper",
            "unet_step_default",
            "transformer_step",
            "transformer_step_default",
            "masked_step_default",
            "contrastive_step_default",
        ];
        assert_eq!(steps, expected);
    }
}
