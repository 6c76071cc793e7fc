//! The thread pool.

/// Makes the calling thread a member of rayon's global pool, for the whole process. A program that trains on the
/// CPU calls this at its start, on the thread that trains.
///
/// The pool has as many threads as there are cores, or as `RAYON_NUM_THREADS` sets. By default the thread that
/// trains is not one of them: it hands over each operation, sleeps, and is woken again. Two such switches for each
/// of a thousand operations took 3 to 12 % of a step's time.
///
/// Returns whether the calling thread has joined the pool. It hasn't if the pool already runs, which works too but
/// is slower; if the thread belongs to a pool, this one included; and without the feature `flex`.
///
/// If the calling thread then waits for another thread that hands tasks to the pool, the pool needs at least two
/// threads: with one, the tasks would never run.
///
/// # Panics
/// If the system can't start the threads. rayon gets no pool later either: the first operation would panic, with a
/// less helpful message.
pub fn join_thread_pool() -> bool {
    #[cfg(feature = "flex")]
    {
        if rayon::current_thread_index().is_some() {
            // A thread can't be in two pools, and after a failure rayon never has a global one.
            return false;
        }
        let pool = rayon::ThreadPoolBuilder::new().use_current_thread();
        match pool.build_global() {
            Ok(()) => true,
            Err(error) => match std::error::Error::source(&error) {
                None => false,
                Some(error) => panic!(
                    "can't start a thread for each core: {error}; set the variable RAYON_NUM_THREADS to a smaller number"
                ),
            },
        }
    }
    #[cfg(not(feature = "flex"))]
    false
}
