//! Working memory that each thread keeps from call to call.

use std::cell::RefCell;

/// Calls `work` with slices of the given lengths. They hold values of earlier calls. Each begins on a cache line,
/// so that no vector straddles two.
///
/// `work` must not call this again on the same thread, so it must not wait for other rayon jobs.
pub(crate) fn with_scratch<const N: usize>(
    lengths: [usize; N],
    work: impl FnOnce([&mut [f32]; N]),
) {
    thread_local! {
        static MEMORY: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    /// A cache line, and the widest vector, in bytes and in values.
    const LINE_BYTES: usize = 64;
    const LINE: usize = LINE_BYTES / size_of::<f32>();

    MEMORY.with_borrow_mut(|memory| {
        let total: usize = lengths.iter().map(|n| n.next_multiple_of(LINE)).sum();
        if memory.len() < total + LINE {
            memory.resize(total + LINE, 0.0);
        }
        let mut rest = &mut memory[..];
        let offset = rest.as_ptr().align_offset(LINE_BYTES).min(LINE);
        rest = &mut rest[offset..];
        work(lengths.map(|length| {
            let (part, after) =
                std::mem::take(&mut rest).split_at_mut(length.next_multiple_of(LINE));
            rest = after;
            &mut part[..length]
        }));
    });
}
