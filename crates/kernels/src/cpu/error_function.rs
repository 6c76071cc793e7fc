//! The distribution function of the standard normal distribution, several values at a time.

use crate::cpu::exponential::exp2;
use pulp::Simd;
use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

/// `P(x) = (1 + erf(x / sqrt 2)) / 2`, and `exp(-x^2 / 2)`, which comes with it.
///
/// The error of `P` is below 3.1e-7. After Abramowitz & Stegun 1964, formula 7.1.26 (Hastings 1955):
///
/// ```text
/// erf(z) = 1 - (a1 t + a2 t^2 + ... + a5 t^5) exp(-z^2)      t = 1 / (1 + p z), z >= 0
/// ```
#[inline(always)]
pub(crate) fn normal_distribution<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    const P: f32 = 0.327_591_1;
    /// From the highest power of `t` down.
    const COEFFICIENTS: [f32; 5] = [
        1.061_405_4,
        -1.453_152,
        1.421_413_7,
        -0.284_496_74,
        0.254_829_6,
    ];
    let one = simd.splat_f32s(1.0);
    let is_left = simd.less_than_f32s(x, simd.splat_f32s(0.0));
    let factor = simd.splat_f32s(P * FRAC_1_SQRT_2);
    let scaled = simd.mul_f32s(x, factor);
    // Without `abs_f32s`, here and in `sigmoid`: the compiler doesn't inline it with pulp 0.22.
    let scaled = simd.select_f32s(is_left, simd.sub_f32s(simd.splat_f32s(0.0), scaled), scaled);
    let t = simd.div_f32s(one, simd.add_f32s(one, scaled));
    let [first, rest @ ..] = COEFFICIENTS;
    let mut polynomial = simd.splat_f32s(0.5 * first);
    for coefficient in rest {
        polynomial = simd.mul_add_e_f32s(polynomial, t, simd.splat_f32s(0.5 * coefficient));
    }
    let square = simd.mul_f32s(x, x);
    let bell = exp2(simd, simd.mul_f32s(square, simd.splat_f32s(-0.5 * LOG2_E)));
    // The probability below -|x|.
    let tail = simd.mul_f32s(simd.mul_f32s(polynomial, t), bell);
    let below = simd.select_f32s(is_left, tail, simd.sub_f32s(one, tail));
    (below, bell)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::for_each_arch;
    use crate::cpu::vectors::map;
    use pulp::{Arch, WithSimd};

    struct Both<'a>(&'a [f32], &'a mut [f32], &'a mut [f32]);

    impl WithSimd for Both<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            map(
                simd,
                [self.0],
                self.1,
                #[inline(always)]
                |[x]| normal_distribution(simd, x).0,
            );
            map(
                simd,
                [self.0],
                self.2,
                #[inline(always)]
                |[x]| normal_distribution(simd, x).1,
            );
        }
    }

    fn both(arch: Arch, x: &[f32]) -> [Vec<f32>; 2] {
        let mut results = [x.to_vec(), x.to_vec()];
        let [below, bell] = &mut results;
        arch.dispatch(Both(x, below, bell));
        results
    }

    /// By Simpson's rule from 0 on, with steps small enough for an error below 1e-13.
    fn expected(steps_per_value: usize, values: usize, width: f64) -> Vec<f64> {
        let bell = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let step = width / steps_per_value as f64;
        let mut sum = 0.5;
        (0..values)
            .map(|i| {
                let before = sum;
                for k in 0..steps_per_value {
                    let x = i as f64 * width + k as f64 * step;
                    sum += step / 6.0 * (bell(x) + 4.0 * bell(x + step / 2.0) + bell(x + step));
                }
                before
            })
            .collect()
    }

    #[test]
    fn the_distribution_is_that_of_double_precision() {
        // Steps that are exact in f32, up to 8.
        let width = 1.0 / 4096.0;
        let n = 8 * 4096 + 1;
        let expected = expected(1, n, width);
        let right: Vec<f32> = (0..n).map(|i| i as f32 * width as f32).collect();
        let left: Vec<f32> = right.iter().map(|x| -x).collect();
        for_each_arch(|arch| {
            let [right_below, right_bell] = both(arch, &right);
            let [left_below, left_bell] = both(arch, &left);
            assert_eq!(right_bell, left_bell);
            for i in 0..n {
                let errors = [
                    f64::from(right_below[i]) - expected[i],
                    f64::from(left_below[i]) - (1.0 - expected[i]),
                    f64::from(right_bell[i]) - (-0.5 * f64::from(right[i]).powi(2)).exp(),
                ];
                let worst = errors.map(f64::abs).into_iter().fold(0.0, f64::max);
                assert!(
                    worst < 3.1e-7,
                    "at {}: errors {errors:?}, {arch:?}",
                    right[i]
                );
            }
        });
    }

    #[test]
    fn large_values_give_0_or_1_and_nan_stays_nan() {
        for_each_arch(|arch| {
            let x = [f32::NEG_INFINITY, -40.0, 40.0, f32::INFINITY, f32::NAN];
            let [below, bell] = both(arch, &x);
            assert_eq!(below[..4], [0.0, 0.0, 1.0, 1.0]);
            assert_eq!(bell[..4], [0.0; 4]);
            assert!(below[4].is_nan());
        });
    }
}
