//! Powers of two, several at a time.

use pulp::Simd;

/// `2^x` for `x <= 127`. Below -127 it is exactly 0, minus infinity included; NaN stays NaN.
///
/// Relative error below 2e-7 from -126 up. After `exp2f` of Cephes (Moshier 1989): with the whole
/// number `n` nearest to `x` and `f = x - n`, `2^x = 2^n (1 + f R(f))`.
#[inline(always)]
pub(crate) fn exp2<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// Here the spacing of floats is 1: adding it rounds to a whole number, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const COEFFICIENTS: [f32; 6] = [
        1.535_336_2e-4,
        1.339_887_4e-3,
        9.618_437e-3,
        5.550_332_5e-2,
        0.240_226_48,
        std::f32::consts::LN_2,
    ];
    // At -127 the exponent field below becomes 0, and so the power. A comparison with NaN is false.
    let lowest = simd.splat_f32s(-127.0);
    let x = simd.select_f32s(simd.less_than_f32s(x, lowest), lowest, x);

    let round = simd.splat_f32s(ROUND);
    let rounded = simd.add_f32s(x, round);
    let f = simd.sub_f32s(x, simd.sub_f32s(rounded, round));
    let [first, rest @ ..] = COEFFICIENTS;
    let mut r = simd.splat_f32s(first);
    for coefficient in rest {
        r = simd.mul_add_e_f32s(r, f, simd.splat_f32s(coefficient));
    }
    let mantissa = simd.mul_add_e_f32s(r, f, simd.splat_f32s(1.0));

    let exponent = simd.wrapping_dyn_shl_u32s(
        simd.add_u32s(simd.transmute_u32s_f32s(rounded), simd.splat_u32s(127)),
        simd.splat_u32s(23),
    );
    simd.mul_f32s(mantissa, simd.transmute_f32s_u32s(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::for_each_arch;
    use pulp::{Arch, WithSimd};

    struct Exp2<'a>(&'a mut [f32]);

    impl WithSimd for Exp2<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let (vectors, rest) = S::as_mut_simd_f32s(self.0);
            assert!(rest.is_empty(), "the test fills whole vectors");
            for x in vectors {
                *x = exp2(simd, *x);
            }
        }
    }

    fn powers(arch: Arch, x: &[f32]) -> Vec<f32> {
        let mut powers = x.to_vec();
        powers.resize(x.len().next_multiple_of(64), 0.0);
        arch.dispatch(Exp2(&mut powers));
        powers.truncate(x.len());
        powers
    }

    #[test]
    fn a_power_of_two_is_that_of_double_precision() {
        // By bit patterns, so that every exponent occurs; and evenly over the whole range.
        let below_one = (1..127_f32.to_bits()).step_by(4001).map(f32::from_bits);
        let even = (0..1_000_000).map(|i| i as f32 * 126e-6);
        let x: Vec<f32> = below_one
            .chain(even)
            .flat_map(|x| [x, -x])
            .filter(|&x| x >= -126.0)
            .collect();
        assert!(x.len() > 2_000_000, "{} values", x.len());
        for_each_arch(|arch| {
            let worst = x
                .iter()
                .zip(powers(arch, &x))
                .map(|(&x, power)| (f64::from(power) / f64::from(x).exp2() - 1.0).abs())
                .fold(0.0, f64::max);
            assert!(worst < 2e-7, "relative error {worst}, {arch:?}");
        });
    }

    #[test]
    fn hidden_scores_weigh_exactly_nothing_and_nan_stays_nan() {
        let x = [f32::NEG_INFINITY, -1e30, -128.0, -127.0, f32::NAN, 0.0, 3.0];
        for_each_arch(|arch| {
            let [hidden, far, below, last, none, one, eight] =
                powers(arch, &x).try_into().expect("7 powers");
            assert_eq!(
                [hidden, far, below, last, one, eight],
                [0.0, 0.0, 0.0, 0.0, 1.0, 8.0]
            );
            assert!(none.is_nan());
        });
    }
}
