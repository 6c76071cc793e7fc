use std::hint::black_box;
use std::str::FromStr;
use std::time::Duration;

use cpu_time::ProcessTime;

use crate::trial::{MAX_BYTES, MAX_SECONDS};

/// A fault planted in the examination of one file, to see that a run reports it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Drill {
    /// A panic.
    Panic,
    /// A wait without end.
    Hang,
    /// Work that takes too long, and ends.
    Slow,
    /// More memory than allowed, given back at once.
    Allocation,
    /// The end of the process.
    Abort,
}

impl Drill {
    /// The file of a run that the fault is planted in.
    pub(crate) const AT: u64 = 5;

    const ALL: [Drill; 5] = [
        Drill::Panic,
        Drill::Hang,
        Drill::Slow,
        Drill::Allocation,
        Drill::Abort,
    ];

    /// The word for it on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Drill::Panic => "panic",
            Drill::Hang => "hang",
            Drill::Slow => "slow",
            Drill::Allocation => "allocation",
            Drill::Abort => "abort",
        }
    }

    pub(crate) fn strike(self) {
        match self {
            Drill::Panic => panic!("this is a drill"),
            Drill::Hang => loop {
                std::thread::sleep(Duration::from_secs(1));
            },
            Drill::Slow => {
                let start = ProcessTime::now();
                while start.elapsed().as_secs_f32() < 1.1 * MAX_SECONDS {}
            }
            Drill::Allocation => drop(black_box(vec![1_u8; MAX_BYTES])),
            Drill::Abort => std::process::abort(),
        }
    }
}

impl FromStr for Drill {
    type Err = String;

    fn from_str(text: &str) -> Result<Drill, String> {
        Drill::ALL
            .into_iter()
            .find(|drill| drill.name() == text)
            .ok_or_else(|| format!("expected panic, hang, slow, allocation or abort; got `{text}`"))
    }
}
