//! The low-frequency oscillator: a slow periodic function of time.

use crate::setting::Class;

/// The shapes of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Sine,
    Triangle,
    SawUp,
    SawDown,
    Square,
}

impl Class for Shape {
    const CLASSES: &'static [(&'static str, Self)] = &[
        ("sine", Self::Sine),
        ("triangle", Self::Triangle),
        ("saw_up", Self::SawUp),
        ("saw_down", Self::SawDown),
        ("square", Self::Square),
    ];
}

impl Shape {
    /// The value, in -1..1, after `periods` periods.
    pub(crate) fn at(self, periods: f32) -> f32 {
        let phase = periods - periods.floor();
        match self {
            Self::Sine => libm::sinf(std::f32::consts::TAU * phase),
            Self::Triangle => 1.0 - 4.0 * ((phase + 0.25) - (phase + 0.25).floor() - 0.5).abs(),
            Self::SawUp => 2.0 * phase - 1.0,
            Self::SawDown => 1.0 - 2.0 * phase,
            Self::Square if phase < 0.5 => 1.0,
            Self::Square => -1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_shape_has_its_corners() {
        let corners = |shape: Shape| [0.0, 0.25, 0.5, 0.75].map(|phase| shape.at(phase));
        let sine = corners(Shape::Sine);
        assert!(
            sine.iter()
                .zip([0.0, 1.0, 0.0, -1.0])
                .all(|(a, b)| (a - b).abs() < 1e-6)
        );
        assert_eq!(corners(Shape::Triangle), [0.0, 1.0, 0.0, -1.0]);
        assert_eq!(corners(Shape::SawUp), [-1.0, -0.5, 0.0, 0.5]);
        assert_eq!(corners(Shape::SawDown), [1.0, 0.5, 0.0, -0.5]);
        assert_eq!(corners(Shape::Square), [1.0, 1.0, -1.0, -1.0]);
    }

    proptest! {
        #[test]
        fn a_period_later_it_is_the_same_and_stays_in_range(
            sixteenths in 0_u32..10_000,
            which in 0_usize..5,
        ) {
            // Sixteenths of a period are exact in f32, so that jumps fall on the same side.
            let (shape, periods) = (Shape::CLASSES[which].1, sixteenths as f32 / 16.0);
            let value = shape.at(periods);
            prop_assert!((-1.0..=1.0).contains(&value), "{}", value);
            prop_assert_eq!(value, shape.at(periods + 1.0));
        }
    }

    #[test]
    fn every_shape_is_centred_and_differs_from_the_others() {
        let period = |shape: Shape| (0..512).map(move |i| shape.at((i as f32 + 0.5) / 512.0));
        for (a, (_, shape)) in Shape::CLASSES.iter().enumerate() {
            assert!(period(*shape).sum::<f32>().abs() < 1e-2, "{shape:?}");
            for (_, other) in &Shape::CLASSES[..a] {
                let distance: f32 = period(*shape)
                    .zip(period(*other))
                    .map(|(x, y)| (x - y).abs())
                    .sum();
                assert!(distance > 512.0 * 0.1, "{shape:?} {other:?} {distance}");
            }
        }
    }
}
