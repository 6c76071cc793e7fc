use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::audio::Audio;

/// Cache of sounds at the clip's rate, up to a number of bytes.
///
/// The first sounds stay, none is evicted: an epoch uses every sound once, so eviction of the least
/// recently used one would remove each sound just before its next use.
#[derive(Debug)]
pub(crate) struct MemoryCache {
    sounds: Vec<OnceLock<Arc<Audio>>>,
    free_bytes: AtomicUsize,
}

impl MemoryCache {
    pub(crate) fn new(sounds: usize, bytes: usize) -> MemoryCache {
        MemoryCache {
            sounds: (0..sounds).map(|_| OnceLock::new()).collect(),
            free_bytes: AtomicUsize::new(bytes),
        }
    }

    /// Returns the cached sound, or loads it and caches it if there is room.
    pub(crate) fn get_or_load<E>(
        &self,
        index: usize,
        load: impl FnOnce() -> Result<Audio, E>,
    ) -> Result<Arc<Audio>, E> {
        let slot = &self.sounds[index];
        if let Some(kept) = slot.get() {
            return Ok(kept.clone());
        }
        let audio = Arc::new(load()?);
        let bytes = size_of_val(audio.samples.as_slice());
        let room = |free: usize| free.checked_sub(bytes);
        if self
            .free_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .is_ok()
            && slot.set(audio.clone()).is_err()
        {
            // Another thread has cached the same sound in the meantime.
            self.free_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(audio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn sound(samples: usize) -> Result<Audio, Infallible> {
        Ok(Audio {
            samples: vec![0.5; samples],
            sample_rate_hz: 8_000,
        })
    }

    #[test]
    fn a_sound_is_loaded_once_if_there_is_room_and_each_time_if_not() {
        let cache = MemoryCache::new(3, 4 * 250);
        let mut loads = [0; 3];
        for _ in 0..4 {
            for (index, count) in loads.iter_mut().enumerate() {
                let audio = cache.get_or_load(index, || {
                    *count += 1;
                    sound(100)
                });
                assert_eq!(audio, Ok(Arc::new(sound(100).unwrap())));
            }
        }
        assert_eq!(loads, [1, 1, 4]);
    }

    #[test]
    fn an_error_is_returned_and_not_cached() {
        let cache = MemoryCache::new(1, 1_000);
        assert_eq!(cache.get_or_load(0, || Err("no")), Err("no"));
        assert!(cache.get_or_load(0, || sound(1)).is_ok());
    }
}
