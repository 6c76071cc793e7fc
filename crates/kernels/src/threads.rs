//! Who works on the operations' tasks.

/// Makes the calling thread one of those that do the work of fused operations. For a program that trains on the
/// CPU, at its start, on the thread that trains: it holds for the whole process.
///
/// rayon's pool has as many threads as there are cores, or as `RAYON_NUM_THREADS` says. As it comes, the thread that
/// trains is none of them: it hands over each operation, sleeps, and is woken again. Two such changes for
/// each of a thousand operations took 3 to 12 % of a step's time.
///
/// Returns whether the calling thread has become one of them. It has not where the pool runs already, which is as good, if
/// slower; on a thread of any pool, that one among them; and without the feature `flex`.
///
/// Another thread that hands tasks to the pool while this one waits for it must not be told to use one thread alone:
/// nobody would do the work.
///
/// # Panics
/// If the system starts no more threads. rayon has no pool then, nor gets one later: the first operation would
/// panic, and say less.
pub fn join_thread_pool() -> bool {
    #[cfg(feature = "flex")]
    {
        if rayon::current_thread_index().is_some() {
            // A thread can't be in two pools, and rayon would have no global one ever after.
            return false;
        }
        let pool = rayon::ThreadPoolBuilder::new().use_current_thread();
        match pool.build_global() {
            Ok(()) => true,
            Err(error) => match std::error::Error::source(&error) {
                None => false,
                Some(error) => panic!(
                    "can't start a thread for each core: {error}; the variable RAYON_NUM_THREADS asks for fewer"
                ),
            },
        }
    }
    #[cfg(not(feature = "flex"))]
    false
}
