//! Dynamic time warping.

/// Distance of two sequences of frames under dynamic time warping, divided by the frames of both.
///
/// ```text
/// D[i, j] = min(D[i-1, j-1] + 2 d[i, j],  D[i-1, j] + d[i, j],  D[i, j-1] + d[i, j]),     D[0, 0] = d[0, 0]
/// d[i, j] = mean over coefficients of |a_i - b_j|
/// distance = D[N-1, M-1] / (N + M)
/// ```
///
/// The symmetric form of Sakoe and Chiba 1978, "Dynamic programming algorithm optimization for
/// spoken word recognition", table I, P = 0: a diagonal step counts twice, so that all paths have the same
/// total weight and `N + M` normalises them. (Sakoe and Chiba count `d[0, 0]` twice too; Giorgino 2009,
/// "Computing and visualizing dynamic time warping alignments in R: the dtw package", whose implementations
/// Hayes et al. use, counts it once.) Only repeated frames are free: the distance is 0 exactly if both
/// sequences are the same after merging equal neighbours. It is symmetric; the triangle inequality does not
/// hold.
///
/// Memory is linear in the length: two rows of the shorter sequence's length.
///
/// # Shapes
/// - a: `[N, width]`, row-major, `N` at least 1
/// - b: `[M, width]`, row-major, `M` at least 1
///
/// # Panics
/// If a sequence is empty or not a whole number of frames.
pub fn dtw(a: &[f64], b: &[f64], width: usize) -> f64 {
    assert!(
        width > 0
            && [a, b]
                .iter()
                .all(|s| !s.is_empty() && s.len().is_multiple_of(width)),
        "sequences to warp: expected whole frames of {width} > 0 values and at least one, got {} \
         and {} values",
        a.len(),
        b.len()
    );
    let (long, short) = if a.len() < b.len() { (b, a) } else { (a, b) };
    let mut previous = vec![f64::INFINITY; short.len() / width];
    let mut current = previous.clone();
    for (i, x) in long.chunks_exact(width).enumerate() {
        let mut left = f64::INFINITY;
        let mut diagonal = f64::INFINITY;
        for (j, y) in short.chunks_exact(width).enumerate() {
            let d = mean_absolute(x, y);
            let up = previous[j];
            let cost = if (i, j) == (0, 0) {
                d
            } else {
                (diagonal + 2.0 * d).min(up + d).min(left + d)
            };
            current[j] = cost;
            (left, diagonal) = (cost, up);
        }
        std::mem::swap(&mut previous, &mut current);
    }
    let total = previous[previous.len() - 1];
    total / ((a.len() + b.len()) / width) as f64
}

fn mean_absolute(x: &[f64], y: &[f64]) -> f64 {
    let sum: f64 = x.iter().zip(y).map(|(x, y)| (x - y).abs()).sum();
    sum / x.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Least cost of all paths that end in (i, j), by following each one.
    fn cheapest_path(d: &dyn Fn(usize, usize) -> f64, i: usize, j: usize) -> f64 {
        let here = d(i, j);
        let mut best = if (i, j) == (0, 0) {
            here
        } else {
            f64::INFINITY
        };
        if i > 0 {
            best = best.min(cheapest_path(d, i - 1, j) + here);
        }
        if j > 0 {
            best = best.min(cheapest_path(d, i, j - 1) + here);
        }
        if i > 0 && j > 0 {
            best = best.min(cheapest_path(d, i - 1, j - 1) + 2.0 * here);
        }
        best
    }

    fn frames(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(prop::array::uniform3(-5.0..5.0_f64), count)
            .prop_map(|frames| frames.concat())
    }

    proptest! {
        #[test]
        fn it_is_the_cheapest_of_all_paths(a in frames(1..6), b in frames(1..7)) {
            let (n, m) = (a.len() / 3, b.len() / 3);
            let d = |i: usize, j: usize| mean_absolute(&a[3 * i..][..3], &b[3 * j..][..3]);
            let expected = cheapest_path(&d, n - 1, m - 1) / (n + m) as f64;
            prop_assert!((dtw(&a, &b, 3) - expected).abs() < 1e-12);
        }

        #[test]
        fn it_is_symmetric_to_the_last_bit(a in frames(1..20), b in frames(1..20)) {
            prop_assert_eq!(dtw(&a, &b, 3), dtw(&b, &a, 3));
        }

        #[test]
        fn repeated_frames_cost_nothing(a in frames(1..12), repeats in prop::collection::vec(1_usize..4, 12)) {
            let mut stretched = Vec::new();
            for (frame, &times) in a.chunks_exact(3).zip(&repeats) {
                stretched.extend(frame.repeat(times));
            }
            prop_assert_eq!(dtw(&a, &stretched, 3), 0.0);
        }

        #[test]
        fn it_is_no_more_than_comparing_frame_by_frame(a in frames(7..8), b in frames(7..8)) {
            let straight: f64 = (0..7)
                .map(|i| mean_absolute(&a[3 * i..][..3], &b[3 * i..][..3]) * if i == 0 { 1.0 } else { 2.0 })
                .sum();
            prop_assert!(dtw(&a, &b, 3) <= straight / 14.0 + 1e-12);
        }
    }

    #[test]
    fn every_path_weighs_one_less_than_all_frames() {
        // A constant distance of 1: five and three frames.
        assert_eq!(dtw(&[1.0; 10], &[0.0; 6], 2), 7.0 / 8.0);
    }

    #[test]
    fn the_triangle_inequality_does_not_hold() {
        let (zeros, step, ones) = ([0.0; 5], [0.0, 1.0], [1.0; 5]);
        assert_eq!(dtw(&zeros, &ones, 1), 9.0 / 10.0);
        assert_eq!(dtw(&zeros, &step, 1) + dtw(&step, &ones, 1), 2.0 / 7.0);
    }

    #[test]
    #[should_panic(
        expected = "expected whole frames of 3 > 0 values and at least one, got 6 and 4"
    )]
    fn broken_frames_are_refused() {
        dtw(&[0.0; 6], &[0.0; 4], 3);
    }
}
