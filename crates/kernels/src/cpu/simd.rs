//! The set of vector instructions in use.

use pulp::Arch;

/// The widest vectors of the machine; in tests, those of the current turn of [`for_each_arch`].
#[inline(always)]
pub(crate) fn arch() -> Arch {
    #[cfg(test)]
    if let Some(arch) = CHOSEN.get() {
        return arch;
    }
    Arch::new()
}

/// Vectors of 256 bits, where [`arch`] has them.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn narrow() -> Option<pulp::x86::V3> {
    match arch() {
        Arch::V4(simd) => Some(*simd),
        Arch::V3(simd) => Some(simd),
        _ => None,
    }
}

#[cfg(test)]
thread_local! {
    static CHOSEN: std::cell::Cell<Option<Arch>> = const { std::cell::Cell::new(None) };
}

/// Calls `work` once for each set of instructions of the machine, single values first. It runs in a pool of one
/// thread, which runs all tasks that it spawns.
#[cfg(test)]
pub(crate) fn for_each_arch(work: impl Fn(Arch) + Sync) {
    let mut all = vec![Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    all.extend(pulp::x86::V3::try_new().map(Arch::V3));
    all.push(Arch::new());
    all.dedup_by_key(|arch| std::mem::discriminant(arch));
    for arch in all {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .start_handler(move |_| CHOSEN.set(Some(arch)));
        pool.build().expect("a thread").install(|| work(arch));
    }
}
