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

impl Devices {
    /// One device for weights and training, which the user calls `name`.
    pub fn of(device: Device, name: &str) -> Self {
        Self {
            host: device.clone(),
            compute: device,
            name: name.to_owned(),
        }
    }
}
