use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Duration;

use cpu_time::ProcessTime;
use peak_alloc::PeakAlloc;

use crate::case::{Case, Content};
use crate::examine::{Examined, Verdict};
use crate::hand_made::Expected;

/// Most processor time that a file may take for a step: to be inspected, or to be loaded. It says on a busy machine
/// what it says on an idle one; a file that waits instead of working is a matter for the supervisor.
pub const MAX_SECONDS: f32 = 2.0;

/// Most memory that the process may have while it works on a file.
pub const MAX_BYTES: usize = 256 << 20;

/// Where the panics happened since this was last emptied, caught or not.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What one file did.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Which file.
    pub case: Case,
    /// Its format, or "hand-made".
    pub group: String,
    /// What was done to it.
    pub description: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Processor time of its longest step.
    pub time: Duration,
    /// Most bytes that the process held meanwhile.
    pub peak_bytes: usize,
}

/// Whether a file did harm.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It gave a sound.
    Usable,
    /// It was refused, for this variant of [`stft_data::Unusable`].
    Refused(String),
    /// It did harm, or fared otherwise than it must.
    Offence(String),
}

/// Makes panics leave a note instead of a message. For a whole process.
pub(crate) fn note_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map_or_else(String::new, ToString::to_string);
        let text = info.payload_as_str().unwrap_or("no message");
        PANICS
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .push(format!("{place}: {text}"));
    }));
}

/// Examines a file and judges what it did.
pub(crate) fn try_out(case: Case, content: &Content, examine: impl Fn() -> Examined) -> Trial {
    let measured = measure(examine);
    Trial {
        case,
        group: content.group.to_owned(),
        description: content.description.clone(),
        outcome: judge(&measured, content.expected),
        time: measured.time,
        peak_bytes: measured.peak_bytes,
    }
}

struct Measured {
    /// Nothing if the panic came all the way.
    verdict: Option<Verdict>,
    panics: Vec<String>,
    time: Duration,
    peak_bytes: usize,
}

fn measure(examine: impl Fn() -> Examined) -> Measured {
    PeakAlloc.reset_peak_usage();
    let start = ProcessTime::now();
    let examined = catch_unwind(AssertUnwindSafe(examine)).ok();
    let total = start.elapsed();
    let steps = examined
        .as_ref()
        .map_or(&[][..], |examined| examined.steps.as_slice());
    // What is outside of all steps counts as one more, so that nothing goes unmeasured.
    let outside = total.saturating_sub(steps.iter().sum());
    Measured {
        time: steps.iter().copied().fold(outside, Duration::max),
        verdict: examined.map(|examined| examined.verdict),
        peak_bytes: PeakAlloc.peak_usage(),
        panics: std::mem::take(
            &mut PANICS
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        ),
    }
}

fn judge(measured: &Measured, expected: Expected) -> Outcome {
    let seconds = measured.time.as_secs_f32();
    // A panic in the decoder library that ends as a refusal is no offence; one of our own code is, even
    // if it was caught.
    let own_panic = measured
        .panics
        .iter()
        .find(|note| !note.contains("symphonia-"));
    match &measured.verdict {
        None => Outcome::Offence(format!("panic: {}", measured.panics.join("; "))),
        _ if own_panic.is_some() => {
            Outcome::Offence(format!("panic: {}", measured.panics.join("; ")))
        }
        _ if seconds > MAX_SECONDS => Outcome::Offence(format!("slow: {seconds:.1} s")),
        _ if measured.peak_bytes > MAX_BYTES => {
            Outcome::Offence(format!("memory: {} MiB", measured.peak_bytes >> 20))
        }
        Some(Verdict::Broken(what)) => Outcome::Offence(format!("promise: {what}")),
        Some(Verdict::Usable) => match expected {
            Expected::Refused(reason) => Outcome::Offence(format!(
                "expected it refused for {reason}, but it is usable"
            )),
            _ => Outcome::Usable,
        },
        Some(Verdict::Refused(got)) => match expected {
            Expected::Usable => {
                Outcome::Offence(format!("expected it usable, but it is refused for {got}"))
            }
            Expected::Refused(reason) if reason != got => Outcome::Offence(format!(
                "expected it refused for {reason}, but it is for {got}"
            )),
            _ => Outcome::Refused(got.clone()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(change: impl Fn(&mut Measured), expected: Expected) -> Outcome {
        let mut measured = Measured {
            verdict: Some(Verdict::Usable),
            panics: Vec::new(),
            time: Duration::from_millis(1_900),
            peak_bytes: MAX_BYTES,
        };
        change(&mut measured);
        judge(&measured, expected)
    }

    fn offence(outcome: Outcome) -> String {
        match outcome {
            Outcome::Offence(text) => text,
            other => panic!("expected an offence, got {other:?}"),
        }
    }

    #[test]
    fn what_keeps_every_limit_is_no_offence() {
        assert_eq!(judged(|_| (), Expected::Harmless), Outcome::Usable);
        let refused = |measured: &mut Measured| {
            measured.verdict = Some(Verdict::Refused("DecoderPanicked".to_owned()));
            measured.panics = vec!["registry/symphonia-core-0.6.1/src/a.rs:1:2: oh".to_owned()];
        };
        let outcome = Outcome::Refused("DecoderPanicked".to_owned());
        assert_eq!(judged(refused, Expected::Harmless), outcome);
        assert_eq!(
            judged(refused, Expected::Refused("DecoderPanicked")),
            outcome
        );
    }

    #[test]
    fn each_limit_is_one_that_can_be_broken() {
        let any = Expected::Harmless;
        assert!(offence(judged(|m| m.verdict = None, any)).starts_with("panic"));
        let own =
            |m: &mut Measured| m.panics = vec!["crates/stft-data/src/a.rs:1:2: oh".to_owned()];
        assert!(offence(judged(own, any)).contains("stft-data"));
        assert_eq!(
            offence(judged(|m| m.time = Duration::from_millis(2_100), any)),
            "slow: 2.1 s"
        );
        assert_eq!(
            offence(judged(|m| m.peak_bytes = 300 << 20, any)),
            "memory: 300 MiB"
        );
        let broken = |m: &mut Measured| m.verdict = Some(Verdict::Broken("so".to_owned()));
        assert_eq!(offence(judged(broken, any)), "promise: so");
    }

    #[test]
    fn a_file_must_fare_as_expected() {
        let refused = |m: &mut Measured| m.verdict = Some(Verdict::Refused("Io".to_owned()));
        offence(judged(|_| (), Expected::Refused("Io")));
        offence(judged(refused, Expected::Usable));
        offence(judged(refused, Expected::Refused("TooLong")));
        assert_eq!(
            judged(refused, Expected::Refused("Io")),
            Outcome::Refused("Io".to_owned())
        );
    }
}
