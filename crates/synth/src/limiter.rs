//! A limiter that keeps all sounds within full scale.

/// Level up to which the limiter is linear.
const KNEE: f32 = 0.8;

/// The identity up to the knee, then a hyperbola with the same slope that approaches 1 without exceeding
/// it.
#[inline]
pub(crate) fn limit(x: f32) -> f32 {
    let beyond = (x.abs() - KNEE).max(0.0);
    let bent = KNEE + beyond * (1.0 - KNEE) / (1.0 - KNEE + beyond);
    if beyond > 0.0 { bent.copysign(x) } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limiter_keeps_what_is_below_its_knee_and_never_passes_one() {
        for x in [-0.8, -0.3, 0.0, 0.5, 0.8] {
            assert_eq!(limit(x), x);
        }
        let mut previous = 0.0;
        for i in 1..2_000 {
            let x = i as f32 * 0.01;
            let y = limit(x);
            assert!(y > previous && y <= 1.0, "{x} {y}");
            assert_eq!(limit(-x), -y);
            previous = y;
        }
        assert!((limit(0.801) - 0.801).abs() < 1e-5);
        assert!(limit(f32::MAX) <= 1.0);
    }
}
