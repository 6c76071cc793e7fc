//! Where a stage computes.

use burn::tensor::Device;

/// The devices of a run.
#[derive(Clone, Debug)]
pub struct Devices {
    /// Where weights are drawn. Each backend has a generator of its own, so one seed gives the
    /// same model on every device only if the numbers come from one backend.
    pub host: Device,
    /// Where the model is trained.
    pub compute: Device,
    /// What the user called the compute device.
    pub name: String,
}
