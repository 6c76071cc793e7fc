//! The comparison and its tables.

use std::fs;
use std::path::Path;

use anyhow::Context;
use peer::{Case, cases, sweeps};

use crate::Options;
use crate::machine::Machine;
use crate::row::{Row, caption};
use crate::side::Side;
use crate::table::{markdown, mib, ms};

/// Measures the rows of the comparison, prints their table and writes `target/bench-peer.json`.
pub fn compare(options: &Options) -> anyhow::Result<()> {
    let cases = chosen(cases()?, &options.only)?;
    let rows = measured(&cases, &[2], options, "bench-peer.json")?;
    print!("{}", comparison(&rows));
    Ok(())
}

/// Measures sweeps and training steps, on one thread and on two, prints their table and writes
/// `target/bench-scaling.json`.
pub fn scaling(options: &Options) -> anyhow::Result<()> {
    let mut all = sweeps()?;
    // The others are measured against the product, so that it is always there.
    let product = all.remove(0);
    all.extend(cases()?.into_iter().filter(Case::is_short_training_step));
    let mut cases = chosen(all, &options.only)?;
    cases.insert(0, product);
    let rows = measured(&cases, &[1, 2], options, "bench-scaling.json")?;
    print!("{}", growth(&rows));
    Ok(())
}

/// Cases with any of `only` in their names, or all of them.
fn chosen(cases: Vec<Case>, only: &[String]) -> anyhow::Result<Vec<Case>> {
    let has = |case: &Case, part: &String| case.name.contains(part);
    for part in only {
        if !cases.iter().any(|case| has(case, part)) {
            let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
            anyhow::bail!("no row has {part:?} in its name: {}", names.join(", "));
        }
    }
    let wanted = |case: &Case| only.is_empty() || only.iter().any(|part| has(case, part));
    Ok(cases.into_iter().filter(wanted).collect())
}

/// Rounds of ours and PyTorch's in turn, with each number of threads unless the options set one. Writes a file in the
/// workspace's `target` after each row, so that it can be stopped.
fn measured(
    cases: &[Case],
    threads: &[u16],
    options: &Options,
    file: &str,
) -> anyhow::Result<Vec<Row>> {
    let torch = Side::torch(&options.python)?;
    let machine = Machine::here();
    let threads = options.threads.map_or(threads.to_vec(), |set| vec![set]);
    let repeats = options.effort.repeats;
    let mut rows = Vec::new();
    for threads in threads {
        for case in cases {
            let name = &case.name;
            let mut rounds = Vec::new();
            for round in 1..=options.rounds {
                let of = options.rounds;
                eprintln!("{name}, {threads} threads: round {round} of {of}");
                let ours = Side::Ours.measure(case, threads, repeats)?;
                rounds.push([ours, torch.measure(case, threads, repeats)?]);
            }
            rows.push(Row::new(case, threads, &rounds, &machine)?);
            write(file, &rows)?;
        }
    }
    Ok(rows)
}

fn write(file: &str, rows: &[Row]) -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let path = folder.join(file);
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let text = serde_json::to_string_pretty(rows)? + "\n";
    fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))
}

fn comparison(rows: &[Row]) -> String {
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
    let cells = |row: &Row| {
        vec![
            row.name.clone(),
            ms(row.ours_ms),
            ms(row.torch_ms),
            format!("{:.2}", row.ratio),
            format!("{:.2} to {:.2}", row.ratio_low, row.ratio_high),
            mib(row.ours_peak_bytes),
            mib(row.torch_peak_bytes),
            row.parameters.to_string(),
        ]
    };
    let table = markdown(&heading, rows.iter().map(cells));
    format!("{}\n\n{table}", caption(rows))
}

/// "of best" is a share of the faster side's matrix product on as many threads.
fn growth(rows: &[Row]) -> String {
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
    let best = |threads| {
        let products = rows.iter().filter(|row| row.threads == threads);
        let products = products.filter(|row| row.name.starts_with("product"));
        products.flat_map(Row::gflop_per_s).fold(0.0, f64::max)
    };
    let cells = |row: &Row| {
        let [ours, torch] = row.gflop_per_s();
        let percent = |speed: f64| format!("{:.0} %", 100.0 * speed / best(row.threads));
        vec![
            row.name.clone(),
            row.threads.to_string(),
            format!("{:.1}", row.gflop),
            ms(row.ours_ms),
            ms(row.torch_ms),
            format!("{:.2}", row.ratio),
            mib(row.ours_peak_bytes),
            mib(row.torch_peak_bytes),
            format!("{ours:.1}"),
            format!("{torch:.1}"),
            percent(ours),
            percent(torch),
        ]
    };
    let table = markdown(&heading, rows.iter().map(cells));
    format!("{}\n\n{table}", caption(rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::{case, machine, measurement};

    #[test]
    fn the_table_of_the_comparison_has_times_ratio_spread_and_peaks() {
        let rounds = [[
            measurement(5, &[20.0], 3 << 20),
            measurement(5, &[40.0], 6 << 20),
        ]];
        let row = Row::new(&case(), 2, &rounds, &machine()).unwrap();
        let text = comparison(&[row]);
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

    #[test]
    fn speed_is_operations_by_time_and_share_is_speed_by_the_best_on_as_many_threads() {
        // 2 GFLOP in 10 ms and in 20 ms, then in 20 ms and in 40 ms.
        let row = |name: &str, threads, ms| {
            let case = Case {
                name: name.into(),
                ..case()
            };
            let rounds = [[ms, 2.0 * ms].map(|ms| measurement(0, &[ms], 1 << 20))];
            Row::new(&case, threads, &rounds, &machine()).unwrap()
        };
        let work = row("work", 1, 20.0);
        let [ours, torch] = work.gflop_per_s();
        assert!((ours - 100.0).abs() < 1e-9 && (torch - 50.0).abs() < 1e-9);
        let text = growth(&[
            row("product_1000", 1, 10.0),
            work,
            row("product_1000", 2, 1.0),
        ]);
        let line = text.lines().find(|line| line.contains("work")).unwrap();
        assert!(line.contains(" 50 % ") && line.contains(" 25 % "), "{text}");
    }

    #[test]
    fn the_networks_steps_are_among_the_rows_of_scaling() {
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

    #[test]
    fn rows_are_chosen_by_a_part_of_their_names() {
        let names = ["unet_step", "unet_forward", "stft"];
        let pick = |only: &[&str]| {
            let cases = names.map(|name| Case {
                name: name.into(),
                ..case()
            });
            let only: Vec<String> = only.iter().map(|&part| part.to_owned()).collect();
            let chosen = chosen(cases.to_vec(), &only)?;
            anyhow::Ok(chosen.into_iter().map(|case| case.name).collect::<Vec<_>>())
        };
        assert_eq!(pick(&[]).unwrap(), names);
        assert_eq!(pick(&["step", "stft"]).unwrap(), ["unet_step", "stft"]);
        let message = pick(&["step", "lstm"]).unwrap_err().to_string();
        assert!(
            message.contains("\"lstm\"") && message.contains("unet_forward"),
            "{message}"
        );
    }
}
