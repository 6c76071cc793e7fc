//! `inversynth doctor`: what this program can run on.

use std::fmt::Write;

use crate::print;

pub fn run() -> anyhow::Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut text = format!(
        "inversynth {}\nburn       {}\ntarget     {}-{}\nthreads    {threads}\ndevices",
        env!("CARGO_PKG_VERSION"),
        env!("BURN_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS,
    );
    for (backend, lines) in crate::backend::describe() {
        for (index, line) in lines.iter().enumerate() {
            write!(text, "\n  {:<8} {line}", format!("{backend}:{index}"))?;
        }
    }
    print(text)
}
