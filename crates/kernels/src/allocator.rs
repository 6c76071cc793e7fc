//! What the C library's allocator does with memory that is freed.

/// Asks the allocator to keep freed memory for the next step of training. For a program that trains on the
/// CPU, at its start: it holds for the whole process.
///
/// glibc gives large buffers back to the system as soon as they are freed, and the next step asks for the
/// same again. Each time the pages are unmapped on every core that runs a thread, and cleared once more;
/// that took up to 37 % of the time where tensors are large and work is short (attention with its gradient),
/// a fifth of the default Transformer's step, and nothing of a U-Net's. The memory at the peak grows by up to
/// 4 %.
///
/// Call it before other threads run, whose allocations read these settings without a lock. Elsewhere than with glibc it does
/// nothing.
pub fn keep_freed_memory() {
    #[cfg(all(feature = "flex", target_os = "linux", target_env = "gnu"))]
    {
        /// More than the tensors of these models take. What is larger goes back to the system as before.
        const LARGEST: i32 = 1 << 30;
        /// The most that older versions of glibc allow, on 64 bits.
        const LARGEST_BEFORE: i32 = 32 << 20;
        /// Memory that is asked for at a time.
        const STEP: i32 = 64 << 20;

        let set = |parameter, value| {
            // SAFETY: `mallopt` takes two numbers and answers 0 to those that it doesn't know. It writes single words;
            // an allocation of another thread, which should not run yet, reads the old or the new one.
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
