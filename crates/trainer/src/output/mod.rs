//! What people look at: summaries, TensorBoard, pictures, sounds of examples.

pub(crate) mod captions;
pub(crate) mod illustration;
pub(crate) mod picture;
pub(crate) mod summary;
pub(crate) mod tensorboard;
pub(crate) mod wav;
