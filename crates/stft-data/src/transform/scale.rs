/// Computes `ln(1 + magnitude)`, the scale of the models' input. Silence stays at exactly 0, and quiet
/// partials stay visible next to loud ones.
///
/// The relative error is below 2e-7 over all of f32 (measured against f64), so tiny magnitudes keep
/// their digits. The code has no branches and no look-up tables, so the compiler can vectorise a loop
/// over a spectrogram. At -1 and below the result is NaN.
///
/// After `log1p` of fdlibm (Ng, Sun Microsystems 1993) with the coefficients of FreeBSD's `log1pf`:
/// `1 + x = 2^k · (1 + f)` with `√½ < 1 + f < √2`, and
///
/// ```text
/// s = f / (2 + f),   ln(1 + x) = k · ln 2 + f - f²/2 + s · (f²/2 + R(s²))
/// ```
///
/// It differs from the original in one point: the rounding error of the sum `1 + x` is added to `f`,
/// not to the result, which saves a division.
#[inline]
pub fn log1p(magnitude: f32) -> f32 {
    /// Bits of √½, the lower end of `1 + f`.
    const SQRT_HALF_BITS: i32 = 0x3f35_04f3;
    /// Its last bits are zeros, so that its product with `k` is exact.
    const LN_2_HIGH: f32 = 0.693_138_1;
    const LN_2_LOW: f32 = 9.058_001e-6;
    let x = magnitude;

    let sum = 1.0 + x;
    // The exact rounding error of the sum, whichever term is larger (Knuth's two-sum).
    let x_seen = sum - 1.0;
    let lost = (1.0 - (sum - x_seen)) + (x - x_seen);

    let above = (sum.to_bits() as i32).wrapping_sub(SQRT_HALF_BITS);
    let k = above >> 23;
    // 2^-k. Beyond 2^126 it would not be a normal number, and `lost` is negligible there.
    let scale = f32::from_bits(((127 - k.min(126)) as u32) << 23);
    let exact = f32::from_bits(((above & 0x007f_ffff) + SQRT_HALF_BITS) as u32) - 1.0;
    let f = exact + lost * scale;

    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let r = z * (0.666_666_6 + w * 0.284_987_87) + w * (0.400_009_72 + w * 0.242_790_79);
    let half_square = 0.5 * f * f;
    let k = k as f32;
    let result = s * (half_square + r) + k * LN_2_LOW - half_square + f + k * LN_2_HIGH;

    if x == f32::INFINITY {
        x
    } else if x > -1.0 {
        result
    } else {
        f32::NAN
    }
}

/// Computes `exp(value) - 1`, the inverse of [`log1p`]. A model may predict a value below 0; its
/// magnitude is then negative, and the caller has to handle that.
pub fn expm1(value: f32) -> f32 {
    value.exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_can_be_inverted_from_silence_to_the_loudest_bin() {
        assert_eq!(log1p(0.0), 0.0);
        for exponent in -30..=12 {
            let magnitude = 2_f32.powi(exponent);
            assert!(
                (expm1(log1p(magnitude)) / magnitude - 1.0).abs() < 2e-6,
                "2^{exponent}"
            );
        }
    }

    #[test]
    fn the_logarithm_equals_that_in_double_precision_at_every_order_of_magnitude() {
        let mut worst = (0.0_f64, 0.0_f32);
        let mut check = |x: f32| {
            let expected = f64::from(x).ln_1p();
            let error = ((f64::from(log1p(x)) - expected) / expected).abs();
            if error > worst.0 {
                worst = (error, x);
            }
        };
        // By their bits, so that every exponent has its share, from the smallest subnormal up.
        (1..f32::INFINITY.to_bits())
            .step_by(997)
            .for_each(|bits| check(f32::from_bits(bits)));
        check(f32::MAX);
        // Between -1 and 0.
        (1..1.0_f32.to_bits())
            .step_by(997)
            .for_each(|bits| check(-f32::from_bits(bits)));
        // Where the exponent of the sum changes.
        for power in -24..24 {
            let edge = 2_f32.powi(power) * std::f32::consts::SQRT_2 - 1.0;
            for ulps in -50..=50 {
                let x = f32::from_bits((edge.to_bits() as i32 + ulps) as u32);
                if x > -1.0 && x != 0.0 {
                    check(x);
                }
            }
        }
        assert!(worst.0 < 2e-7, "relative error {} at {}", worst.0, worst.1);
    }

    #[test]
    fn the_logarithm_is_nan_where_it_is_not_defined() {
        assert_eq!(log1p(f32::INFINITY), f32::INFINITY);
        for x in [f32::NAN, -1.0, -1.000_001, -3.0, f32::NEG_INFINITY] {
            assert!(log1p(x).is_nan(), "{x}");
        }
    }
}
