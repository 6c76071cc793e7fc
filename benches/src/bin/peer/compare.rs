//! The comparison: rounds of ours and PyTorch's in turn.

use std::fs;
use std::path::Path;

use anyhow::Context;
use benches::{Case, cases};
use serde::Serialize;

use crate::machine::Machine;
use crate::process::Side;
use crate::row::{Row, caption};
use crate::table::{Table, mib, ms};
use crate::{Options, chosen};

const DEFAULT_THREADS: u16 = 2;

/// Measures all rows, prints the table, and writes `target/bench-peer.json`.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let cases = chosen(cases()?, &options.only, |case| &case.name)?;
    let torch = Side::torch(&options.python)?;
    let threads = options.threads.unwrap_or(DEFAULT_THREADS);
    let machine = Machine::here();
    let mut rows = Vec::new();
    for case in &cases {
        rows.push(in_turn(case, threads, &torch, options, &machine)?);
        // After each row, so that what is there is there when somebody stops it.
        write("bench-peer.json", &rows)?;
    }
    print!("{}", table(&rows, options.markdown));
    Ok(())
}

/// Rounds of ours, then PyTorch's.
pub fn in_turn(
    case: &Case,
    threads: u16,
    torch: &Side,
    options: &Options,
    machine: &Machine,
) -> anyhow::Result<Row> {
    let repeats = options.effort.repeats;
    let mut rounds = Vec::new();
    for round in 1..=options.rounds {
        eprintln!(
            "{}, {threads} threads: round {round} of {}",
            case.name, options.rounds
        );
        let ours = Side::Ours.measure(case, threads, repeats)?;
        rounds.push((ours, torch.measure(case, threads, repeats)?));
    }
    Row::new(case, threads, &rounds, machine)
}

/// Writes a file of the workspace's `target`.
pub fn write<T: Serialize>(name: &str, rows: &T) -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let path = folder.join(name);
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let text = serde_json::to_string_pretty(rows)? + "\n";
    fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))
}

fn table(rows: &[Row], markdown: bool) -> String {
    let heading = [
        "case",
        "ours",
        "PyTorch",
        "ours / PyTorch",
        "spread",
        "our peak",
        "PyTorch's peak",
        "parameters",
    ];
    let mut table = Table::new(&heading, markdown);
    for row in rows {
        table.push(vec![
            row.name.clone(),
            ms(row.ours_ms),
            ms(row.torch_ms),
            format!("{:.2}", row.ratio),
            format!("{:.2} to {:.2}", row.ratio_low, row.ratio_high),
            mib(row.ours_peak_bytes),
            mib(row.torch_peak_bytes),
            row.parameters.to_string(),
        ]);
    }
    format!("{}\n\n{}", caption(rows.iter()), table.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::{case, machine, measurement};

    #[test]
    fn the_table_says_how_the_ratio_is_meant() {
        let rounds = [(
            measurement(5, &[20.0], 3 << 20),
            measurement(5, &[40.0], 6 << 20),
        )];
        let row = Row::new(&case(), 2, &rounds, &machine()).unwrap();
        let text = table(&[row], true);
        assert!(text.starts_with("a processor, 2 cores"), "{text}");
        assert!(text.contains("ours / PyTorch"), "{text}");
        for cell in [
            "20.0 ms",
            "40.0 ms",
            "0.50",
            "0.50 to 0.50",
            "3 MiB",
            "6 MiB",
        ] {
            assert!(text.contains(cell), "{text}");
        }
    }
}
