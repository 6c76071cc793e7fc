//! The logistic function, several values at a time.

use crate::cpu::exponential::exp2;
use pulp::Simd;
use std::f32::consts::LOG2_E;

/// `1 / (1 + exp(-x))`, with a relative error below 4e-7 + 1.2e-7 |x| down to -87; further down, 0.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let is_left = simd.less_than_f32s(x, simd.splat_f32s(0.0));
    let factor = simd.select_f32s(is_left, simd.splat_f32s(LOG2_E), simd.splat_f32s(-LOG2_E));
    // The power of -|x| never overflows.
    let power = exp2(simd, simd.mul_f32s(x, factor));
    let above = simd.select_f32s(is_left, power, one);
    simd.div_f32s(above, simd.add_f32s(one, power))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::for_each_arch;
    use crate::cpu::vectors::map;
    use pulp::{Arch, WithSimd};

    struct Sigmoid<'a>(&'a [f32], &'a mut [f32]);

    impl WithSimd for Sigmoid<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            map(
                simd,
                [self.0],
                self.1,
                #[inline(always)]
                |[x]| sigmoid(simd, x),
            );
        }
    }

    fn sigmoids(arch: Arch, x: &[f32]) -> Vec<f32> {
        let mut values = x.to_vec();
        arch.dispatch(Sigmoid(x, &mut values));
        values
    }

    #[test]
    fn a_sigmoid_is_that_of_double_precision() {
        let x: Vec<f32> = (-80_000..=80_000).map(|i| i as f32 * 1e-3).collect();
        for_each_arch(|arch| {
            let mut checked = 0;
            for (&x, got) in x.iter().zip(sigmoids(arch, &x)) {
                let expected = 1.0 / (1.0 + (-f64::from(x)).exp());
                let error = (f64::from(got) / expected - 1.0).abs();
                // log2(e) and its product with x are rounded to f32.
                let rounded = 1.2e-7 * f64::from(x.abs());
                assert!(
                    error < 4e-7 + rounded,
                    "at {x}: relative error {error}, {arch:?}"
                );
                checked += 1;
            }
            assert_eq!(checked, 160_001);
        });
    }

    #[test]
    fn large_values_give_0_or_1_and_nan_stays_nan() {
        for_each_arch(|arch| {
            let x = [f32::NEG_INFINITY, -200.0, 200.0, f32::INFINITY, f32::NAN];
            let values = sigmoids(arch, &x);
            assert_eq!(values[..4], [0.0, 0.0, 1.0, 1.0]);
            assert!(values[4].is_nan());
        });
    }
}
