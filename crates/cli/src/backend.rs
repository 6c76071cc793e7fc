//! Devices by their names: the only file that names a backend.

use std::str::FromStr;

use anyhow::bail;
use burn::tensor::Device;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::tensor::DeviceType;
use trainer::Devices;

/// `cpu`, `wgpu[:N]` or `cuda[:N]`, as a user writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceName {
    backend: Backend,
    index: usize,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backend {
    Cpu,
    Wgpu,
    Cuda,
}

/// The processor, for what is too small for anything else.
pub fn cpu() -> Device {
    Device::flex()
}

impl FromStr for DeviceName {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, index.parse().ok()),
            None => (text, Some(0)),
        };
        let known = Backend::ALL
            .into_iter()
            .find(|backend| backend.name() == name);
        let Some(backend) = known else {
            bail!("there is no device {text:?}: use cpu, wgpu[:N] or cuda[:N]");
        };
        let Some(index) = index else {
            bail!("{text:?} names no device: expected a number after the colon, such as {name}:0");
        };
        if backend == Backend::Cpu && index > 0 {
            bail!("{text:?} names no device: there is one cpu");
        }
        Ok(Self {
            backend,
            index,
            text: text.to_string(),
        })
    }
}

impl Backend {
    const ALL: [Self; 3] = [Self::Cpu, Self::Wgpu, Self::Cuda];

    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    /// The devices there are, or `None` where the program was built without the backend.
    fn devices(self) -> Option<Vec<Device>> {
        match self {
            Self::Cpu => Some(vec![Device::flex()]),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Some(Device::enumerate(DeviceType::Wgpu).into_iter().collect()),
            #[cfg(feature = "cuda")]
            Self::Cuda => Some(Device::enumerate(DeviceType::Cuda).into_iter().collect()),
            #[cfg(not(feature = "wgpu"))]
            Self::Wgpu => None,
            #[cfg(not(feature = "cuda"))]
            Self::Cuda => None,
        }
    }
}

impl DeviceName {
    /// The device, if this program was built for it and it is there, with the CPU as its host.
    ///
    /// # Errors
    /// The feature is missing, or there is no such device.
    pub fn open(&self) -> anyhow::Result<Devices> {
        let name = self.backend.name();
        let Some(devices) = self.backend.devices() else {
            bail!("this program was built without {name}: build it with `--features {name}`");
        };
        let found = devices.len();
        match devices.into_iter().nth(self.index) {
            Some(compute) => Ok(Devices {
                host: Device::flex(),
                compute,
                name: self.text.clone(),
            }),
            None => bail!(
                "there is no device {name}:{}: {found} found; is a driver installed?",
                self.index
            ),
        }
    }
}

/// Each backend's name, and the names of its devices or why there are none.
pub fn describe() -> Vec<(&'static str, Vec<String>)> {
    Backend::ALL
        .into_iter()
        .map(|backend| {
            let lines = match backend.devices() {
                None => vec![format!("not built in (--features {})", backend.name())],
                Some(devices) if devices.is_empty() => vec!["built in, no device found".into()],
                Some(devices) => devices.iter().map(|device| format!("{device:?}")).collect(),
            };
            (backend.name(), lines)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_and_without_a_number() {
        for text in ["cpu", "cpu:0", "wgpu", "wgpu:1", "cuda", "cuda:12"] {
            assert_eq!(text.parse::<DeviceName>().unwrap().text, text);
        }
        for text in ["", "gpu", "cpu:1", "cuda:", "cuda:x", "wgpu:-1", "CPU"] {
            assert!(text.parse::<DeviceName>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_cpu_is_always_there() {
        "cpu".parse::<DeviceName>().unwrap().open().unwrap();
        assert_eq!(describe()[0].0, "cpu");
    }
}
