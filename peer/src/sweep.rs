//! The same work at growing sizes.

use trainer::{Experiment, TrainerError};
use transformer::EncoderTokens;

use crate::case::{Case, small_encoder, unet};
use crate::work::{Pass, Work};

/// Side of the square matrix product that stands for what the machine can do.
const PRODUCT_SIZE: usize = 2048;

/// The machine's matrix product, then training steps of the default U-Net over batch and frames, of a small encoder
/// and of attention over tokens, and that encoder on the visible tokens alone.
///
/// # Errors
/// The default experiment can't be read.
pub fn sweeps() -> Result<Vec<Case>, TrainerError> {
    let product = Work::Product { size: PRODUCT_SIZE };
    let name = format!("product_{PRODUCT_SIZE}");
    let mut cases = vec![Case::new(name, product, Pass::Forward)];
    let mut step = |name, work| cases.push(Case::new(name, work, Pass::Step));
    let model = unet(&Experiment::load(None, &[])?);
    for batch in [1, 2, 4, 8, 16] {
        let mut model = model.clone();
        model.batch = batch;
        step(format!("unet_step_batch_{batch}"), Work::UNet(model));
    }
    for frames in [64, 128, 256, 512, 1024] {
        let mut model = model.clone();
        (model.batch, model.frames) = (4, frames);
        step(format!("unet_step_frames_{frames}"), Work::UNet(model));
    }
    for tokens in [128, 256, 512, 1024, 2048] {
        let mut model = small_encoder();
        let rows = model.encoder.bins / model.encoder.patch_bins;
        model.batch = 2;
        model.frames = tokens / rows * model.encoder.patch_frames;
        model.encoder.max_frames = model.frames;
        let name = format!("transformer_step_tokens_{tokens}");
        step(name, Work::Transformer(model));
    }
    for tokens in [256, 512, 1024, 2048, 4096, 8192] {
        let work = Work::Attention {
            batch: 1,
            heads: 8,
            tokens,
            head_dim: 64,
        };
        step(format!("attention_step_tokens_{tokens}"), work);
    }
    for percent in [0, 45, 80] {
        let mut model = small_encoder();
        model.encoder.tokens = EncoderTokens::Visible;
        model.hidden = model.tokens() * percent / 100;
        for (pass, verb) in [(Pass::Forward, "forward"), (Pass::Step, "step")] {
            let name = format!("transformer_{verb}_{percent}_percent_hidden");
            cases.push(Case::new(name, Work::Transformer(model.clone()), pass));
        }
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_names_and_work_grows_with_them() {
        let cases = sweeps().unwrap();
        let mut compared = 0;
        for pair in cases.windows(2) {
            let [stem, next] = [0, 1].map(|i| pair[i].name.rsplit_once('_').unwrap().0);
            if stem == next {
                let growth = pair[1].gflop() / pair[0].gflop();
                assert!((1.9..4.1).contains(&growth), "{}: {growth}", pair[1].name);
                compared += 1;
            }
        }
        assert_eq!(compared, 4 + 4 + 4 + 5);
        let hidden = |case: &&Case| case.name.ends_with("_hidden");
        let hidden: Vec<_> = cases.iter().filter(hidden).map(Case::gflop).collect();
        assert_eq!(hidden.len(), 6);
        for pass in [0, 1] {
            assert!(hidden[pass] / hidden[2 + pass] > 1.8);
            assert!(hidden[pass] / hidden[4 + pass] > 4.9);
        }
        for case in &cases {
            if let (Work::Transformer(size), Some((_, tokens))) =
                (&case.work, case.name.split_once("_tokens_"))
            {
                assert_eq!(size.tokens().to_string(), tokens);
            }
        }
    }
}
