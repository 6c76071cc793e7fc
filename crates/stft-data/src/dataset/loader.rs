use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::dataset::batch::SpectrogramBatch;
use crate::dataset::dataset::Dataset;
use crate::dataset::order::{BatchOrder, Order};
use crate::error::{DataError, panic_message};

/// Batches that wait in each worker's channel; the worker holds one more.
const WAITING_PER_WORKER: usize = 1;

/// An iterator over batches, made in the background, always the same ones in the same order.
///
/// Of `N` workers, worker `w` makes batches `w, w + N, w + 2N, …` and sends them through its own
/// channel; the iterator reads the channels in turn. A slow worker thus holds the others back, and
/// batches don't pile up. With `N = 0`, `next` makes the batch itself.
///
/// The iterator ends after an error. Dropping it stops the workers.
pub struct Loader {
    next: u64,
    ended: bool,
    maker: Maker,
}

enum Maker {
    Here(Arc<Dataset>, BatchOrder),
    Workers(Workers),
}

type Batch = Result<SpectrogramBatch, DataError>;

impl Loader {
    /// Starts at batch `start`: a run that stopped after `start` batches resumes with the next.
    pub fn new(
        dataset: Arc<Dataset>,
        order: Order,
        batch_size: usize,
        workers: usize,
        start: u64,
    ) -> Loader {
        let order = BatchOrder::new(&dataset, order, batch_size);
        let maker = match workers {
            0 => Maker::Here(dataset, order),
            _ => Maker::Workers(Workers::start(dataset, order, workers as u64, start)),
        };
        Loader {
            next: start,
            ended: false,
            maker,
        }
    }

    /// Number of the next batch, which is the `start` of a resumed loader.
    pub fn position(&self) -> u64 {
        self.next
    }
}

impl Iterator for Loader {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if self.ended {
            return None;
        }
        let batch = match &mut self.maker {
            Maker::Here(dataset, order) => {
                order.items(self.next).map(|items| dataset.batch(&items))
            }
            Maker::Workers(workers) => workers.receive(self.next),
        };
        match &batch {
            Some(Ok(_)) => self.next += 1,
            Some(Err(_)) | None => self.ended = true,
        }
        batch
    }
}

struct Workers {
    first: u64,
    stop: Arc<AtomicBool>,
    channels: Vec<Receiver<Batch>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    fn start(dataset: Arc<Dataset>, order: BatchOrder, count: u64, first: u64) -> Workers {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut channels, mut threads) = (Vec::new(), Vec::new());
        for w in 0..count {
            let (sender, receiver) = sync_channel(WAITING_PER_WORKER);
            let worker = Worker {
                dataset: dataset.clone(),
                order: order.clone(),
                stop: stop.clone(),
            };
            let to_reader = sender.clone();
            let work = move || worker.run((first + w..).step_by(count as usize), &to_reader);
            match thread::Builder::new()
                .name(format!("loader-{w}"))
                .spawn(work)
            {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    let failed = DataError::Worker {
                        message: format!("can't start a thread: {error}"),
                    };
                    sender
                        .send(Err(failed))
                        .expect("the channel is empty and its reader is here");
                }
            }
            channels.push(receiver);
        }
        Workers {
            first,
            stop,
            channels,
            threads,
        }
    }

    /// Batch `k`; none after the end, where the worker has closed its channel.
    fn receive(&mut self, k: u64) -> Option<Batch> {
        let turn = (k - self.first) as usize % self.channels.len();
        self.channels[turn].recv().ok()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Without readers, workers that wait for room in their channels wake up and end.
        self.channels.clear();
        for thread in self.threads.drain(..) {
            // A worker catches its panics and sends them, so there is no result to look at.
            let _ = thread.join();
        }
    }
}

struct Worker {
    dataset: Arc<Dataset>,
    order: BatchOrder,
    stop: Arc<AtomicBool>,
}

impl Worker {
    fn run(mut self, numbers: impl Iterator<Item = u64>, to_reader: &SyncSender<Batch>) {
        for k in numbers {
            let made = catch_unwind(AssertUnwindSafe(|| self.make(k)));
            let batch = made.unwrap_or_else(|payload| {
                Some(Err(DataError::Worker {
                    message: panic_message(&*payload),
                }))
            });
            let Some(batch) = batch else { return };
            let failed = batch.is_err();
            if to_reader.send(batch).is_err() || failed {
                return;
            }
        }
    }

    /// Batch `k`; none after the end, or if the loader is dropped in the meantime.
    fn make(&mut self, k: u64) -> Option<Batch> {
        let items = self.order.items(k)?;
        let wanted = || !self.stop.load(Ordering::Relaxed);
        self.dataset.batch_while(&items, wanted).transpose()
    }
}
