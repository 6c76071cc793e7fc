//! What the program says on standard error, and where its time goes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tracing::{Subscriber, span};
use tracing_chrome::{ChromeLayerBuilder, FlushGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt as log};

#[derive(Args)]
pub struct LogArguments {
    /// Format of what is said on standard error; RUST_LOG=info says more
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Write a Chrome trace of this call to a file (for chrome://tracing or Perfetto), and print the time by kind of work
    #[arg(long, global = true, value_name = "FILE.json")]
    profile: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines, and a progress bar on a terminal
    Text,
    /// One JSON object a line
    Json,
}

/// Whether messages are JSON; set once, by [`LogArguments::start`].
static JSON: OnceLock<bool> = OnceLock::new();

/// Whether messages are JSON objects.
pub fn is_json() -> bool {
    JSON.get().copied().unwrap_or(false)
}

/// A kind of message.
#[derive(Clone, Copy)]
pub enum Kind {
    Note,
    Warning,
    Error,
}

/// Writes a message to standard error.
pub fn say(kind: Kind, text: fmt::Arguments) {
    match (is_json(), kind) {
        (false, Kind::Note) => eprintln!("{text}"),
        (false, Kind::Warning) => eprintln!("warning: {text}"),
        (false, Kind::Error) => eprintln!("error: {text}"),
        (true, Kind::Note) => tracing::info!("{text}"),
        (true, Kind::Warning) => tracing::warn!("{text}"),
        (true, Kind::Error) => tracing::error!("{text}"),
    }
}

/// Writes a note to standard error, as `eprintln` does.
macro_rules! note {
    ($($text:tt)*) => {
        $crate::logging::say($crate::logging::Kind::Note, format_args!($($text)*))
    };
}

/// Writes a warning to standard error.
macro_rules! warning {
    ($($text:tt)*) => {
        $crate::logging::say($crate::logging::Kind::Warning, format_args!($($text)*))
    };
}

/// Writes an error to standard error.
macro_rules! error {
    ($($text:tt)*) => {
        $crate::logging::say($crate::logging::Kind::Error, format_args!($($text)*))
    };
}

pub(crate) use {error, note, warning};

impl LogArguments {
    /// Begins to log, and to measure if a profile is asked for.
    ///
    /// # Errors
    /// The profile can't be written.
    pub fn start(&self) -> anyhow::Result<Profile> {
        let json = self.log_format == LogFormat::Json;
        JSON.get_or_init(|| json);
        // Notes are part of the program's output, whatever RUST_LOG says of the libraries.
        let default = if json { "warn,inversynth=info" } else { "warn" };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
        let lines = log::layer().with_writer(std::io::stderr);
        let messages = match json {
            true => lines.json().with_filter(filter).boxed(),
            false => lines.with_filter(filter).boxed(),
        };

        let times = Times::default();
        let (trace, guard) = match &self.profile {
            None => (None, None),
            Some(path) => {
                let file = File::create_new(path)
                    .with_context(|| format!("can't write the profile {}", path.display()))?;
                let chrome = ChromeLayerBuilder::new().writer(BufWriter::new(file));
                let (layer, guard) = chrome.include_args(true).build();
                (Some(layer), Some(guard))
            }
        };
        let own = || {
            let crates = ["inversynth", "trainer", "stft_data", "report"];
            Targets::new().with_targets(crates.map(|name| (name, LevelFilter::DEBUG)))
        };
        tracing_subscriber::registry()
            .with(messages)
            .with(trace.map(|layer| layer.with_filter(own())))
            .with(guard.is_some().then(|| times.clone().with_filter(own())))
            .init();
        Ok(Profile { guard, times })
    }
}

/// A profile in the making. Dropping it completes the trace file.
pub struct Profile {
    guard: Option<FlushGuard>,
    times: Times,
}

impl Profile {
    /// Prints the time by kind of work, if a profile was asked for.
    pub fn finish(self) {
        if self.guard.is_some() {
            note!("{}", self.times);
        }
    }
}

/// Time in spans, by their names.
#[derive(Clone, Default)]
struct Times(Arc<Mutex<BTreeMap<&'static str, Total>>>);

#[derive(Clone, Copy, Default)]
struct Total {
    count: u64,
    /// Time in the span.
    total: Duration,
    /// Time in no span within it.
    own: Duration,
}

thread_local! {
    /// When each entered span of this thread was entered, and the time in spans within it.
    static ENTERED: RefCell<Vec<(Instant, Duration)>> = const { RefCell::new(Vec::new()) };
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Times {
    fn on_enter(&self, _id: &span::Id, _context: Context<'_, S>) {
        ENTERED.with_borrow_mut(|entered| entered.push((Instant::now(), Duration::ZERO)));
    }

    fn on_exit(&self, id: &span::Id, context: Context<'_, S>) {
        let left = ENTERED.with_borrow_mut(|entered| {
            let (since, within) = entered.pop()?;
            let took = since.elapsed();
            if let Some((_, of_parent)) = entered.last_mut() {
                *of_parent += took;
            }
            Some((took, took.saturating_sub(within)))
        });
        let (Some((took, own)), Some(span)) = (left, context.span(id)) else {
            return;
        };
        let mut times = self.0.lock().expect("no thread panics while it adds");
        let total = times.entry(span.name()).or_default();
        total.count += 1;
        total.total += took;
        total.own += own;
    }
}

impl fmt::Display for Times {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = self.0.lock().expect("no thread panics while it adds");
        let mut rows: Vec<_> = times.iter().collect();
        rows.sort_by_key(|(_, total)| std::cmp::Reverse(total.own));
        write!(
            out,
            "{:<20}{:>9}{:>12}{:>12}{:>12}",
            "time, all threads", "count", "total s", "own s", "mean ms"
        )?;
        for (name, Total { count, total, own }) in rows {
            let mean = total.as_secs_f64() * 1e3 / *count as f64;
            let [total, own] = [total, own].map(Duration::as_secs_f64);
            write!(
                out,
                "\n{name:<20}{count:>9}{total:>12.2}{own:>12.2}{mean:>12.3}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_within_a_span_is_not_its_own() {
        let times = Times::default();
        let subscriber = tracing_subscriber::registry().with(times.clone());
        tracing::subscriber::with_default(subscriber, || {
            let _outer = tracing::info_span!("outer").entered();
            for _ in 0..2 {
                let _inner = tracing::info_span!("inner").entered();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let times = times.0.lock().unwrap();
        let [outer, inner] = ["outer", "inner"].map(|name| times[name]);
        assert_eq!([outer.count, inner.count], [1, 2]);
        assert!(inner.total >= Duration::from_millis(40) && inner.own == inner.total);
        assert!(outer.total >= inner.total && outer.own < outer.total / 2);
    }
}
