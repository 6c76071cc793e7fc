//! Sources of sound files: folders, lists, and lists with the parameters of each sound.

pub(crate) mod file_source;
pub(crate) mod folder;
mod json;
pub(crate) mod list;
pub(crate) mod manifest;
pub(crate) mod row_fault;
pub(crate) mod sound_file;
mod sound_files;
