//! How long the stages of a pipeline will still take.

use std::fmt;

use trainer::{Experiment, Stage};

/// Which network a stage is about: what decides, more than anything else, on how long a step takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    UNet,
    Transformer,
    /// With heads, and with what reads the spectrogram beside the encoder.
    UNetHeads,
    TransformerHeads,
}

impl Network {
    /// The network under the heads, where there are any.
    fn without_heads(self) -> Option<Self> {
        match self {
            Self::UNet | Self::Transformer => None,
            Self::UNetHeads => Some(Self::UNet),
            Self::TransformerHeads => Some(Self::Transformer),
        }
    }
}

/// What a stage will do.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Work {
    network: Network,
    /// Optimizer steps, or what takes as long.
    steps: f64,
}

/// Estimates the time that is left, from the steps of the stages that are left and the seconds that steps of the same
/// network took so far.
///
/// ```text
/// left = r (n - i) + sum over later stages s of t(s) n_s
/// ```
///
/// with `i` of `n` steps of the running stage done at `r` seconds each, and `t(s)` the mean seconds of a step of the
/// network of `s` in earlier stages, or `r` where the running stage has the same network. A network with heads that wasn't
/// timed yet is taken to be as fast as without them, and any other one as the running one.
#[derive(Clone, Debug)]
pub struct PipelineEta {
    stages: Vec<Work>,
    left: Vec<bool>,
    timed: Vec<(Network, f64, f64)>,
}

/// The time that is left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Eta {
    seconds: f64,
    /// Whether every stage that counts is of a network whose steps were timed.
    measured: bool,
}

impl fmt::Display for Eta {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.measured { "about " } else { "roughly " })?;
        match self.seconds.round() as u64 {
            seconds @ 0..100 => write!(out, "{seconds} s"),
            seconds @ 100..6000 => write!(out, "{} min", (seconds + 30) / 60),
            seconds => write!(out, "{:.1} h", seconds as f64 / 3600.0),
        }
    }
}

impl PipelineEta {
    /// Of `stages` under the settings of `experiment`, with `test_examples` held out.
    pub fn new(stages: &[Stage], experiment: &Experiment, test_examples: usize) -> Self {
        let work = |stage: &Stage| {
            let training = experiment.stages.training(*stage);
            let steps = match stage.is_test() {
                false => training.steps as f64,
                // Two models score each example twice; a pass forward takes about a third of a step.
                true => 4.0 * test_examples.div_ceil(training.batch_size) as f64 / 3.0,
            };
            Work {
                network: network(*stage),
                steps,
            }
        };
        Self::of(stages.iter().map(work).collect())
    }

    fn of(stages: Vec<Work>) -> Self {
        Self {
            left: vec![true; stages.len()],
            stages,
            timed: Vec::new(),
        }
    }

    /// How many stages there are.
    pub fn count(&self) -> usize {
        self.stages.len()
    }

    /// Takes note that the stage at `place` needs no more time, and that `steps` of it took `seconds`; 0 where it
    /// wasn't timed.
    pub fn finished(&mut self, place: usize, (steps, seconds): (u64, f64)) {
        self.left[place] = false;
        if steps > 0 {
            let network = self.stages[place].network;
            self.timed.push((network, steps as f64, seconds));
        }
    }

    /// The time left for all stages, where that at `place` runs, has `steps_left` to do and takes `seconds_per_step`.
    pub fn left(&self, place: usize, steps_left: u64, seconds_per_step: f64) -> Eta {
        let running = self.stages[place].network;
        let mut eta = Eta {
            seconds: seconds_per_step * steps_left as f64,
            measured: true,
        };
        for (later, work) in self.stages.iter().enumerate() {
            if later == place || !self.left[later] {
                continue;
            }
            let mean = |network| match network == running {
                true => Some(seconds_per_step),
                false => self.mean(network),
            };
            let own = mean(work.network);
            eta.measured &= own.is_some();
            let alike = || work.network.without_heads().and_then(mean);
            eta.seconds += work.steps * own.or_else(alike).unwrap_or(seconds_per_step);
        }
        eta
    }

    /// Mean seconds of a step of `network` so far.
    fn mean(&self, network: Network) -> Option<f64> {
        let same = self.timed.iter().filter(|(timed, ..)| *timed == network);
        let (steps, seconds) = same.fold((0.0, 0.0), |(steps, seconds), (_, n, s)| {
            (steps + n, seconds + s)
        });
        (steps > 0.0).then_some(seconds / steps)
    }
}

fn network(stage: Stage) -> Network {
    match stage {
        Stage::PretrainAutoencoderMae
        | Stage::TrainAutoencoderNomaskFinetune
        | Stage::TestAutoencoder => Network::UNet,
        Stage::PretrainTransformerContrastive
        | Stage::TrainTransformerDecoder
        | Stage::TrainFullTransformer
        | Stage::TestTransformer => Network::Transformer,
        Stage::FinetuneParametersAutoencoder => Network::UNetHeads,
        Stage::FinetuneParametersTransformer => Network::TransformerHeads,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// U-Net, Transformer, Transformer, U-Net: 100, 200, 300 and 400 steps.
    fn pipeline() -> PipelineEta {
        use Network::{Transformer, UNet};
        let works = [
            (UNet, 100.0),
            (Transformer, 200.0),
            (Transformer, 300.0),
            (UNet, 400.0),
        ];
        PipelineEta::of(
            works
                .map(|(network, steps)| Work { network, steps })
                .to_vec(),
        )
    }

    fn text(eta: Eta) -> (f64, bool) {
        (eta.seconds, eta.measured)
    }

    #[test]
    fn a_network_that_was_not_timed_counts_as_the_running_one_and_the_estimate_as_a_rough_one() {
        let eta = pipeline().left(0, 40, 0.5);
        assert_eq!(text(eta), (0.5 * (40.0 + 200.0 + 300.0 + 400.0), false));
        assert_eq!(eta.to_string(), "roughly 8 min");
    }

    #[test]
    fn later_stages_take_what_steps_of_their_network_took() {
        let mut pipeline = pipeline();
        pipeline.finished(0, (100, 50.0));
        // The Transformer's steps take 2 s, the U-Net's 0.5 s.
        let eta = pipeline.left(1, 10, 2.0);
        assert_eq!(text(eta), (2.0 * (10.0 + 300.0) + 0.5 * 400.0, true));
        assert_eq!(eta.to_string(), "about 14 min");
    }

    #[test]
    fn stages_that_are_finished_already_count_for_nothing() {
        let mut pipeline = pipeline();
        pipeline.finished(0, (0, 0.0));
        pipeline.finished(3, (0, 0.0));
        assert_eq!(text(pipeline.left(1, 10, 2.0)), (2.0 * 310.0, true));
        pipeline.finished(1, (10, 20.0));
        pipeline.finished(2, (300, 610.0));
        assert_eq!(text(pipeline.left(3, 7, 3.0)), (21.0, true));
    }

    #[test]
    fn the_time_of_a_network_is_a_mean_over_its_steps() {
        let mut pipeline = pipeline();
        pipeline.finished(1, (100, 100.0));
        pipeline.finished(2, (300, 500.0));
        assert_eq!(text(pipeline.left(0, 0, 1.0)), (400.0, true));
        assert_eq!(pipeline.mean(Network::Transformer), Some(1.5));
    }

    #[test]
    fn a_test_counts_as_the_steps_that_take_as_long() {
        let experiment = Experiment::load(None, &[]).unwrap();
        let stages = [Stage::PretrainAutoencoderMae, Stage::TestAutoencoder];
        let pipeline = PipelineEta::new(&stages, &experiment, 194);
        // 13 batches of 16, scored four times.
        assert_eq!(pipeline.stages[1].steps, 52.0 / 3.0);
        assert_eq!(pipeline.stages[0].steps, 400.0);
    }

    #[test]
    fn heads_are_timed_apart_from_the_encoder_that_they_stand_on() {
        let experiment = Experiment::load(None, &[]).unwrap();
        let stages = [
            Stage::PretrainAutoencoderMae,
            Stage::FinetuneParametersAutoencoder,
        ];
        let mut pipeline = PipelineEta::new(&stages, &experiment, 194);
        assert_eq!(text(pipeline.left(0, 10, 0.1)), (151.0, false));
        pipeline.finished(0, (400, 40.0));
        // Untimed heads take what their network took, whatever runs.
        let mut stages = stages.to_vec();
        stages.push(Stage::TrainFullTransformer);
        let mut longer = PipelineEta::new(&stages, &experiment, 194);
        longer.finished(0, (400, 40.0));
        assert_eq!(text(longer.left(2, 10, 3.0)), (30.0 + 1500.0 * 0.1, false));
        assert_eq!(text(pipeline.left(1, 1500, 0.3)), (450.0, true));
    }

    #[test]
    fn times_have_the_unit_that_tells_them() {
        let show = |seconds| {
            Eta {
                seconds,
                measured: true,
            }
            .to_string()
        };
        assert_eq!(show(0.4), "about 0 s");
        assert_eq!(show(99.0), "about 99 s");
        assert_eq!(show(100.0), "about 2 min");
        assert_eq!(show(7200.0), "about 2.0 h");
    }
}
