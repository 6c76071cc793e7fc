//! Who works on the operations' tasks.

/// Makes the calling thread one of those that do the work of fused operations. For a program that trains on the
/// CPU, at its start, on the thread that trains: it holds for the whole process.
///
/// rayon's pool has as many threads as there are cores, or as `RAYON_NUM_THREADS` says. As it comes, the thread that
/// trains is none of them: it hands over each operation, sleeps, and is woken again. Two such changes for
/// each of a thousand operations took 3 to 12 % of a step's time.
///
/// Where the pool runs already, on a thread of any pool, or without the feature `flex`, it does nothing. Another thread that hands tasks to the
/// pool while this one waits for it must not be told to use one thread alone: nobody would do the work.
pub fn join_thread_pool() {
    #[cfg(feature = "flex")]
    {
        if rayon::current_thread_index().is_some() {
            // A thread can't be in two pools, and rayon would have no global one ever after.
            return;
        }
        let pool = rayon::ThreadPoolBuilder::new().use_current_thread();
        // A pool that somebody has started before is as good, if slower.
        let _ = pool.build_global();
    }
}
