//! The calling thread as a member of the pool. A test program of its own, because the pool belongs to the process.

#![cfg(feature = "flex")]

use rayon::prelude::*;

#[test]
fn a_thread_of_another_pool_leaves_the_global_one_alone_and_joining_twice_is_once() {
    let own = rayon::ThreadPoolBuilder::new()
        .num_threads(2)
        .build()
        .unwrap();
    assert!(!own.install(kernels::join_thread_pool));
    assert_eq!(rayon::current_thread_index(), None);
    assert!(kernels::join_thread_pool());
    assert!(!kernels::join_thread_pool());
    assert!(rayon::current_thread_index().is_some());
    let sum: u64 = (0..1000u64).into_par_iter().sum();
    assert_eq!(sum, 499_500);
}
