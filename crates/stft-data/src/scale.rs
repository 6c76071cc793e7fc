/// The scale that models see: `ln(1 + magnitude)`. Silence stays at exactly 0 and quiet partials
/// stay visible beside loud ones.
pub fn log1p(magnitude: f32) -> f32 {
    magnitude.ln_1p()
}

/// The magnitude of a value on the scale of [`log1p`]: `exp(value) - 1`. A model may predict a value
/// below 0; its magnitude is then negative, and it is for the caller to say what that means.
pub fn expm1(value: f32) -> f32 {
    value.exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_can_be_undone_from_silence_to_the_loudest_bin() {
        assert_eq!(log1p(0.0), 0.0);
        for exponent in -30..=12 {
            let magnitude = 2_f32.powi(exponent);
            assert!(
                (expm1(log1p(magnitude)) / magnitude - 1.0).abs() < 2e-6,
                "2^{exponent}"
            );
        }
    }
}
