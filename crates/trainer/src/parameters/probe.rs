//! The closed-form fit of a linear probe from summary statistics of sounds to parameters.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn, RowDVector, SymmetricEigen};
use params::ParamVector;

/// Most sounds for the principal axes: their Gram matrix is decomposed, which takes a second or two.
pub(crate) const MOST_FOR_AXES: usize = 1000;

/// Most axes.
const MOST_AXES: usize = 400;

/// Axes along which sounds differ less than this, relative to the first one's variance, hold the rounding of f32.
const LEAST_VARIANCE: f64 = 1e-9;

/// Coordinates are divided by the deviation of their axis to this power: 1 would give axes of noise the same weight as all others.
const WHITENING: f64 = 0.3;

/// Penalty on the squared weights of a ridge regression, in units of one sound.
const RIDGE: f64 = 0.6;

/// Inverse penalty on the squared weights of a logistic regression.
const LOGISTIC: f64 = 20.0;

/// Steps of a logistic regression. Its loss changes in the fourth digit after half as many.
const STEPS: usize = 200;

/// Weights of a linear probe, row after row, in f32: `[features, outputs]` and `[outputs]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Solution {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// Fits a linear probe to the `labels`, which belong to some rows of the summary statistics `[sounds, features]`. Each part
/// of the statistics has the same weight.
///
/// ```text
/// y     = ((d - m) S V) diag(deviation)^-0.3 / l            of mean squared length 1 for any statistics
/// p     = ridge regression of the positions on y            Hoerl & Kennard 1970
/// z_q   = multinomial logistic regression of choice q on y
///
/// m, V  mean and principal axes of up to 1,000 sounds, with labels or without
/// S     scales each part to a variance of 1,  l  the length
/// ```
///
/// The principal axes need no labels: a hundred labels are too few to find which features vary together.
pub(crate) fn fit(
    statistics: &DMatrix<f64>,
    parts: &[usize],
    labels: &[(usize, ParamVector)],
    class_counts: &[usize],
) -> Solution {
    let axes = Axes::of(statistics, parts);
    let rows: Vec<usize> = labels.iter().map(|(row, _)| *row).collect();
    let known = axes.coordinates(statistics.select_rows(&rows));
    let n_continuous = labels.first().map_or(0, |(_, truth)| truth.cont.len());
    let positions = DMatrix::from_fn(labels.len(), n_continuous, |row, column| {
        f64::from(labels[row].1.cont[column])
    });
    let mut maps = vec![ridge(&known, &positions)];
    for (choice, &classes) in class_counts.iter().enumerate() {
        let truths: Vec<usize> = labels.iter().map(|(_, truth)| truth.cat[choice]).collect();
        maps.push(logistic(&known, &truths, classes));
    }

    let outputs = n_continuous + class_counts.iter().sum::<usize>();
    let mut weight = DMatrix::zeros(statistics.ncols(), outputs);
    let mut bias = RowDVector::zeros(outputs);
    let mut start = 0;
    for Map {
        weight: of,
        bias: b,
    } in maps
    {
        let width = of.ncols();
        let on_features = &axes.axes * of;
        bias.columns_mut(start, width)
            .copy_from(&(b - &axes.mean * &on_features));
        weight.columns_mut(start, width).copy_from(&on_features);
        start += width;
    }
    Solution {
        // Columns of the transpose are the rows.
        weight: weight.transpose().iter().map(|&x| x as f32).collect(),
        bias: bias.iter().map(|&x| x as f32).collect(),
    }
}

/// Coordinates are `(statistics - mean) axes`.
struct Axes {
    mean: RowDVector<f64>,
    /// `[features, axes]`
    axes: DMatrix<f64>,
}

impl Axes {
    fn of(statistics: &DMatrix<f64>, parts: &[usize]) -> Self {
        let count = statistics.nrows().min(MOST_FOR_AXES);
        let rows: Vec<usize> = (0..count).map(|i| i * statistics.nrows() / count).collect();
        let mut seen = statistics.select_rows(&rows);
        let mean = seen.row_mean();
        for mut row in seen.row_iter_mut() {
            row -= &mean;
        }
        let mut scale = DVector::zeros(seen.ncols());
        let mut start = 0;
        for &width in parts {
            let mut part = seen.columns_mut(start, width);
            let variance = part.norm_squared() / count as f64;
            // A part in which no two sounds differ carries no information.
            let factor = if variance > 0.0 {
                variance.sqrt().recip()
            } else {
                0.0
            };
            part *= factor;
            scale.rows_mut(start, width).fill(factor);
            start += width;
        }

        let gram = &seen * seen.transpose() / count as f64;
        let SymmetricEigen {
            eigenvalues,
            eigenvectors,
        } = gram.symmetric_eigen();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|&a, &b| eigenvalues[b].total_cmp(&eigenvalues[a]));
        let largest = eigenvalues[order[0]];
        order.retain(|&i| eigenvalues[i] > LEAST_VARIANCE * largest);
        order.truncate(MOST_AXES);
        let variances = order.iter().map(|&i| eigenvalues[i]);
        let squared_length: f64 = variances
            .map(|variance| variance.powf(1.0 - WHITENING))
            .sum();
        let mut axes = seen.transpose() * eigenvectors.select_columns(&order);
        for (mut axis, &i) in axes.column_iter_mut().zip(&order) {
            let variance = eigenvalues[i];
            let length = (count as f64 * variance).sqrt();
            axis /= length * variance.powf(WHITENING / 2.0) * squared_length.sqrt();
            axis.component_mul_assign(&scale);
        }
        Self { mean, axes }
    }

    fn coordinates(&self, mut statistics: DMatrix<f64>) -> DMatrix<f64> {
        for mut row in statistics.row_iter_mut() {
            row -= &self.mean;
        }
        statistics * &self.axes
    }
}

/// From coordinates to some outputs.
struct Map {
    weight: DMatrix<f64>,
    bias: RowDVector<f64>,
}

fn cholesky(matrix: DMatrix<f64>) -> Cholesky<f64, Dyn> {
    Cholesky::new(matrix).expect("squares with a positive diagonal added are positive definite")
}

/// `min |Y W + b - T|^2 + RIDGE |W|^2`.
fn ridge(coordinates: &DMatrix<f64>, targets: &DMatrix<f64>) -> Map {
    let (mean, mean_target) = (coordinates.row_mean(), targets.row_mean());
    let centred = DMatrix::from_fn(coordinates.nrows(), coordinates.ncols(), |i, j| {
        coordinates[(i, j)] - mean[j]
    });
    let axes = coordinates.ncols();
    let squares = centred.tr_mul(&centred) + DMatrix::identity(axes, axes) * RIDGE;
    let weight = cholesky(squares).solve(&centred.tr_mul(targets));
    Map {
        bias: mean_target - mean * &weight,
        weight,
    }
}

/// `min` of the sum of cross-entropies `+ |W|^2 / (2 LOGISTIC)`.
///
/// Steps are those of a quadratic bound of the loss whose curvature never changes, so that one factorisation serves all
/// (Böhning 1992, "Multinomial logistic regression algorithm"), with Nesterov's momentum (1983).
fn logistic(coordinates: &DMatrix<f64>, truths: &[usize], classes: usize) -> Map {
    let (sounds, axes) = coordinates.shape();
    // A column of ones, whose weight is the bias, with almost no penalty.
    let inputs = coordinates.clone().insert_column(axes, 1.0);
    let mut cost = DVector::from_element(axes + 1, 1.0 / LOGISTIC);
    cost[axes] = 1e-6;
    let bound = inputs.tr_mul(&inputs) * 0.5 + DMatrix::from_diagonal(&cost);
    let bound = cholesky(bound);
    let truth = DMatrix::from_fn(sounds, classes, |sound, class| {
        f64::from(u8::from(truths[sound] == class))
    });
    let mut weight = DMatrix::zeros(axes + 1, classes);
    let mut ahead = weight.clone();
    for step in 0..STEPS {
        let mut excess = &inputs * &ahead;
        for mut row in excess.row_iter_mut() {
            let largest = row.max();
            row.apply(|logit| *logit = (*logit - largest).exp());
            let sum = row.sum();
            row /= sum;
        }
        excess -= &truth;
        let mut slope = inputs.tr_mul(&excess);
        for (mut row, (weights, cost)) in
            slope.row_iter_mut().zip(ahead.row_iter().zip(cost.iter()))
        {
            row += weights * *cost;
        }
        let next = &ahead - bound.solve(&slope);
        let momentum = step as f64 / (step as f64 + 3.0);
        ahead = &next + (&next - &weight) * momentum;
        weight = next;
    }
    Map {
        bias: weight.row(axes).into_owned(),
        weight: weight.rows(0, axes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sounds that differ along three hidden directions, described by 3 + 9 values with a little of everything else.
    fn statistics(sounds: usize) -> (DMatrix<f64>, Vec<[f64; 3]>) {
        let hidden =
            |i: usize| [1.0, 2.0, 3.0].map(|k: f64| ((i as f64 + 1.0) * (12.9898 * k)).sin());
        let directions = DMatrix::from_fn(3, 12, |k, j| ((k * 12 + j).pow(2) as f64 * 0.7).cos());
        let causes: Vec<[f64; 3]> = (0..sounds).map(hidden).collect();
        let rows = DMatrix::from_fn(sounds, 3, |i, k| causes[i][k]);
        let noise = DMatrix::from_fn(sounds, 12, |i, j| ((i * 12 + j) as f64 * 78.233).sin());
        (rows * directions + noise * 0.01, causes)
    }

    fn truth(cause: &[f64; 3]) -> ParamVector {
        ParamVector {
            cont: vec![0.5 + 0.3 * cause[0] as f32, 0.5 - 0.2 * cause[1] as f32],
            cat: vec![
                usize::from(cause[2] > 0.0),
                match cause[0] + cause[1] {
                    sum if sum < -0.5 => 0,
                    sum if sum < 0.5 => 1,
                    _ => 2,
                },
            ],
        }
    }

    fn say(solution: &Solution, row: &[f64]) -> Vec<f64> {
        let outputs = solution.bias.len();
        (0..outputs)
            .map(|output| {
                let terms = row.iter().enumerate();
                let sum: f64 = terms
                    .map(|(j, x)| x * f64::from(solution.weight[j * outputs + output]))
                    .sum();
                sum + f64::from(solution.bias[output])
            })
            .collect()
    }

    #[test]
    fn forty_labels_tell_the_parameters_of_three_hundred_sounds() {
        let (rows, causes) = statistics(300);
        let labels: Vec<_> = (0..40).map(|i| (i * 7, truth(&causes[i * 7]))).collect();
        let solution = fit(&rows, &[3, 9], &labels, &[2, 3]);
        assert_eq!([solution.weight.len(), solution.bias.len()], [12 * 7, 7]);
        let (mut squares, mut right, mut count) = (0.0, [0; 2], 0);
        for (i, cause) in causes.iter().enumerate().filter(|(i, _)| i % 7 != 0) {
            let row: Vec<f64> = rows.row(i).iter().copied().collect();
            let (said, truth) = (say(&solution, &row), truth(cause));
            for (said, truth) in said.iter().zip(&truth.cont) {
                squares += (said - f64::from(*truth)).powi(2);
            }
            let likeliest = |range: std::ops::Range<usize>| {
                let best = range.clone().max_by(|&a, &b| said[a].total_cmp(&said[b]));
                best.expect("there are classes") - range.start
            };
            right[0] += usize::from(likeliest(2..4) == truth.cat[0]);
            right[1] += usize::from(likeliest(4..7) == truth.cat[1]);
            count += 1;
        }
        assert_eq!(count, 257);
        let error = squares / (2 * count) as f64;
        assert!(error < 1e-3, "positions are off by {error}, squared");
        assert!(right[0] > 235 && right[1] > 205, "{right:?} of {count}");
    }

    #[test]
    fn a_logistic_regression_ends_where_its_loss_has_no_slope() {
        let (rows, causes) = statistics(60);
        let coordinates = Axes::of(&rows, &[12]).coordinates(rows.clone());
        let truths: Vec<usize> = causes.iter().map(|cause| truth(cause).cat[1]).collect();
        let Map { weight, bias } = logistic(&coordinates, &truths, 3);
        let mut slope = &weight / LOGISTIC;
        for (i, &truth) in truths.iter().enumerate() {
            let logits = coordinates.row(i) * &weight + &bias;
            let terms = logits.map(f64::exp);
            let mut excess = &terms / terms.sum();
            excess[truth] -= 1.0;
            slope += coordinates.row(i).transpose() * excess;
        }
        // It begins at more than a thousand times that.
        assert!(slope.amax() < 1e-2, "the slope is {}", slope.amax());
        assert!(weight.amax() > 1.0);
    }

    #[test]
    fn coordinates_have_a_mean_squared_length_of_one_whatever_the_units() {
        let (rows, _) = statistics(50);
        for factor in [1e-3, 1.0, 1e4] {
            let rows = &rows * factor;
            let coordinates = Axes::of(&rows, &[3, 9]).coordinates(rows);
            let squared_length = coordinates.norm_squared() / 50.0;
            assert!((squared_length - 1.0).abs() < 1e-9, "{squared_length}");
            assert!(coordinates.row_mean().amax() < 1e-9);
        }
    }

    #[test]
    fn what_is_the_same_of_all_sounds_says_nothing_and_breaks_nothing() {
        let rows = DMatrix::from_fn(5, 4, |i, j| if j < 2 { 3.0 } else { (i * j) as f64 });
        let labels: Vec<_> = (0..5)
            .map(|i| {
                let truth = ParamVector {
                    cont: vec![i as f32 / 4.0],
                    cat: vec![0],
                };
                (i, truth)
            })
            .collect();
        let Solution { weight, bias } = fit(&rows, &[2, 2], &labels, &[1]);
        assert!(weight.iter().chain(&bias).all(|x| x.is_finite()));
        assert_eq!(weight[..4], [0.0; 4]);
    }
    #[test]
    fn one_sound_one_label_and_nothing_continuous_are_solved_too() {
        for (sounds, n_continuous, n_labels) in [(1, 1, 1), (2, 0, 1), (3, 2, 3), (9, 1, 1)] {
            let rows = DMatrix::from_fn(sounds, 6, |i, j| ((i * 6 + j) as f64).sin());
            let label = |row| {
                let truth = ParamVector {
                    cont: vec![0.25; n_continuous],
                    cat: vec![row % 2],
                };
                (row, truth)
            };
            let labels: Vec<_> = (0..n_labels).map(label).collect();
            let solution = fit(&rows, &[4, 2], &labels, &[2]);
            assert_eq!(solution.bias.len(), n_continuous + 2);
            for row in 0..sounds {
                let row: Vec<f64> = rows.row(row).iter().copied().collect();
                let said = say(&solution, &row);
                assert!(said.iter().all(|x| x.is_finite()), "{said:?}");
                // All labels agree on the positions.
                assert!(said[..n_continuous].iter().all(|x| (x - 0.25).abs() < 1e-6));
            }
        }
    }
}
