use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::case::Case;
use crate::drill::Drill;
use crate::summary::Summary;
use crate::trial::{MAX_SECONDS, Outcome, Trial};
use crate::worker::{Line, parse};

/// How long a worker may be silent before it counts as hung. A file that is merely slow at each of its
/// eleven steps, on a machine that is busy with other things, ends before that and is judged by its
/// processor time.
const PATIENCE: Duration = Duration::from_millis((30.0 * MAX_SECONDS * 1000.0) as u64);

/// What to examine, and how.
pub struct Run {
    /// The program that is a worker when called as `PROGRAM work ...`.
    pub program: PathBuf,
    /// The seed of the mutated files.
    pub seed: u64,
    /// Number of mutated files, after the hand-made ones.
    pub files: u64,
    /// Number of worker processes.
    pub workers: usize,
    /// A fault to plant.
    pub drill: Option<Drill>,
}

/// Examines all files of a run in worker processes. A worker that hangs or dies is replaced, and the
/// file that it was at is reported.
///
/// # Errors
/// If workers can't be started or don't speak as workers do.
pub fn supervise(run: &Run) -> Result<Summary> {
    let start = Instant::now();
    let summaries: Vec<Result<Summary>> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..run.workers)
            .map(|lane| scope.spawn(move || supervise_lane(run, lane)))
            .collect();
        lanes
            .into_iter()
            .map(|lane| lane.join().expect("a lane does not panic"))
            .collect()
    });
    let mut total = Summary::default();
    for summary in summaries {
        total.merge(summary?);
    }
    total.elapsed = start.elapsed();
    Ok(total)
}

/// Every `run.workers`-th file, from the one of the lane's own number on.
fn supervise_lane(run: &Run, lane: usize) -> Result<Summary> {
    let mut summary = Summary::default();
    let mut done = 0;
    loop {
        let mut worker = Worker::start(run, lane, done)?;
        let (finished, end) = worker.listen(&mut summary)?;
        done += finished;
        match end {
            End::Done => return Ok(summary),
            End::Lost { .. } if finished == 0 && done == 0 && summary.files() == 0 => {
                bail!("the worker ended before its first file")
            }
            End::Lost(trial) => {
                summary.add(*trial);
                done += 1;
            }
        }
    }
}

enum End {
    Done,
    /// It hung or died at this file.
    Lost(Box<Trial>),
}

struct Worker {
    process: Child,
    lines: Receiver<String>,
}

impl Worker {
    fn start(run: &Run, lane: usize, done: usize) -> Result<Worker> {
        let mut command = Command::new(&run.program);
        command.arg("work");
        for (name, value) in [
            ("--seed", run.seed),
            ("--files", run.files),
            ("--first", (lane + done * run.workers) as u64),
            ("--step", run.workers as u64),
        ] {
            command.arg(name).arg(value.to_string());
        }
        if let Some(drill) = run.drill {
            command.arg("--drill").arg(drill.name());
        }
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't start {}", run.program.display()))?;
        let output = process.stdout.take().context("a worker without output")?;
        Ok(Worker {
            process,
            lines: lines_of(output),
        })
    }

    /// Adds what the worker tells, until it is done, dies, or is silent for too long; also how many
    /// files it finished.
    fn listen(&mut self, summary: &mut Summary) -> Result<(usize, End)> {
        let mut finished = 0;
        let mut current = None;
        loop {
            let silence = match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => match parse(&line)? {
                    Line::Begin {
                        case,
                        group,
                        description,
                    } => {
                        current = Some((case, group, description));
                        continue;
                    }
                    Line::End {
                        outcome,
                        time,
                        peak_bytes,
                    } => {
                        let (case, group, description) = current
                            .take()
                            .context("a worker ended a file that it never began")?;
                        summary.add(Trial {
                            case,
                            group,
                            description,
                            outcome,
                            time,
                            peak_bytes,
                        });
                        finished += 1;
                        continue;
                    }
                },
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => false,
            };
            if silence {
                self.process
                    .kill()
                    .context("can't end a worker that hangs")?;
            }
            let status = self.process.wait().context("can't wait for a worker")?;
            let Some((case, group, description)) = current else {
                if status.success() {
                    return Ok((finished, End::Done));
                }
                bail!("a worker ended between two files: {status}");
            };
            let outcome = Outcome::Offence(if silence {
                format!("hang: silent for {} s", PATIENCE.as_secs())
            } else {
                format!("died: {status}")
            });
            let lost = lost_trial(case, group, description, outcome);
            return Ok((finished, End::Lost(Box::new(lost))));
        }
    }
}

fn lost_trial(case: Case, group: String, description: String, outcome: Outcome) -> Trial {
    // Neither was measured: the worker took its measures with it.
    Trial {
        case,
        group,
        description,
        outcome,
        time: Duration::ZERO,
        peak_bytes: 0,
    }
}

/// Lines as they come, so that waiting for one can end.
fn lines_of(output: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
