//! Where and when something was measured.

use std::env;
use std::fmt;
use std::process::Command;
use std::thread;

use serde::Serialize;
use sysinfo::{CpuRefreshKind, RefreshKind, System};
use time::OffsetDateTime;

/// What one has to know about a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The processor's own name.
    pub cpu: String,
    /// Threads that it runs at once.
    pub cores: usize,
    /// The system and its version.
    pub system: String,
    /// The compiler that `rustc` runs; in a checkout it is the one that built this.
    pub rustc: String,
    /// In UTC, `2026-01-31`.
    pub date: String,
}

impl Machine {
    /// This machine, now. What can't be read is `unknown`.
    pub fn here() -> Self {
        let cpus = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing());
        let all = System::new_with_specifics(cpus);
        let cpu = all.cpus().first().map(|cpu| cpu.brand().trim().to_owned());
        let words = [System::name(), System::kernel_version()];
        let system: Vec<String> = words.into_iter().flatten().collect();
        Self {
            cpu: or_unknown(cpu),
            cores: thread::available_parallelism().map_or(1, usize::from),
            system: or_unknown(Some(system.join(", kernel "))),
            rustc: or_unknown(rustc()),
            date: OffsetDateTime::now_utc().date().to_string(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self {
            cpu,
            cores,
            system,
            rustc,
            date,
        } = self;
        write!(f, "{cpu}, {cores} cores, {system}, {rustc}, {date}")
    }
}

/// `rustc 1.95.0`.
fn rustc() -> Option<String> {
    let program = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(program).arg("--version").output().ok()?;
    let printed = String::from_utf8(output.stdout).ok()?;
    let words: Vec<&str> = printed.split_whitespace().take(2).collect();
    Some(words.join(" "))
}

fn or_unknown(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty())
        .unwrap_or_else(|| "unknown".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_all_of_its_parts() {
        let machine = Machine::here();
        assert!(machine.cores >= 1);
        assert!(machine.rustc.starts_with("rustc 1."), "{}", machine.rustc);
        let date: Vec<&str> = machine.date.split('-').collect();
        assert_eq!(
            date.iter().map(|part| part.len()).collect::<Vec<_>>(),
            [4, 2, 2]
        );
        let text = machine.to_string();
        for part in [&machine.cpu, &machine.system, &machine.rustc, &machine.date] {
            assert!(!part.is_empty() && text.contains(part.as_str()), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_unknown() {
        assert_eq!(or_unknown(None), "unknown");
        assert_eq!(or_unknown(Some(String::new())), "unknown");
        assert_eq!(or_unknown(Some("Linux".into())), "Linux");
    }
}
