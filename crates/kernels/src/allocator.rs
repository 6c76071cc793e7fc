//! The C library's allocator and freed memory.

/// Makes the allocator keep freed memory for the next step of training, in the whole process. A program that
/// trains on the CPU calls this at its start.
///
/// glibc returns large buffers to the system as soon as they are freed, and the next step requests the same
/// again. Each time the pages are unmapped on every core that runs a thread, and cleared again. This took up to
/// 37 % of the time where tensors are large and the work is short (attention with its gradient), a fifth of the
/// default Transformer's step, and nothing of a U-Net's. The peak of memory grows by up to 4 %.
///
/// Call it before other threads run: their allocations read these settings without a lock. Without glibc, or
/// without the feature `flex`, it does nothing.
pub fn keep_freed_memory() {
    #[cfg(all(feature = "flex", target_os = "linux", target_env = "gnu"))]
    {
        /// More than the size of these models' tensors. Larger buffers are returned to the system as before.
        const LARGEST: i32 = 1 << 30;
        /// The maximum of older versions of glibc, on 64 bits.
        const LARGEST_BEFORE: i32 = 32 << 20;
        /// Memory that is requested at once.
        const STEP: i32 = 64 << 20;

        let set = |parameter, value| {
            // SAFETY: `mallopt` takes two numbers and returns 0 for an unknown parameter. It writes single words: an
            // allocation of another thread, which should not run yet, reads the old word or the new one.
            #[allow(unsafe_code)]
            let done = unsafe { libc::mallopt(parameter, value) };
            done != 0
        };
        if !set(libc::M_MMAP_THRESHOLD, LARGEST) {
            set(libc::M_MMAP_THRESHOLD, LARGEST_BEFORE);
        }
        set(libc::M_TRIM_THRESHOLD, i32::MAX);
        set(libc::M_TOP_PAD, STEP);
    }
}
