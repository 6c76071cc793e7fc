//! `inversynth doctor`: what this program can run on.

pub fn run() -> anyhow::Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!("inversynth {}", env!("CARGO_PKG_VERSION"));
    println!("burn       {}", env!("BURN_VERSION"));
    println!(
        "target     {}-{}",
        std::env::consts::ARCH,
        std::env::consts::OS
    );
    println!("threads    {threads}");
    println!("devices");
    for (backend, lines) in crate::backend::describe() {
        for (index, line) in lines.iter().enumerate() {
            println!("  {:<8} {line}", format!("{backend}:{index}"));
        }
    }
    Ok(())
}
