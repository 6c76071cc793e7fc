//! What a run is asked to do: the experiment file, read, resolved and checked.

pub(crate) mod difference;
pub(crate) mod experiment;
pub(crate) mod layers;
pub(crate) mod range;
pub(crate) mod spectral;
pub(crate) mod stage;
pub(crate) mod stages;
pub(crate) mod training;
