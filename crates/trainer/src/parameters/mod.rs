//! Estimation of synthesizer parameters: network, linear probe, metrics, baselines, prediction.

pub(crate) mod average;
pub(crate) mod estimator;
pub(crate) mod evaluate_labelled;
pub(crate) mod feature_encoder;
pub(crate) mod head_transfer;
pub(crate) mod measure;
pub(crate) mod metrics;
pub(crate) mod nearest;
pub(crate) mod network;
pub(crate) mod predictor;
pub(crate) mod probe;
pub(crate) mod probe_data;
pub(crate) mod rendering;
pub(crate) mod test_examples;
