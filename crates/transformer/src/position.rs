//! Positional encodings: learned vectors, or sines and cosines.

use crate::linear::init_vectors;
use crate::patchify::PatchGrid;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// Kind of positional encoding; `"sin_cos"` or `"learned"` in a configuration file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionKind {
    /// Sines and cosines of column and row, for any number of frames.
    ///
    /// ```text
    /// w_i = 10000^(-i / (d/4))                                          i = 0..d/4
    /// p(row, column) = [sin(column w), cos(column w), sin(row w), cos(row w)]
    /// ```
    ///
    /// The 2-D form of Vaswani et al. 2017 in the code of Chen et al. 2021 (MoCo v3) and He et al.
    /// 2022 (MAE). `d_model` must be a multiple of 4.
    #[default]
    SinCos,
    /// A learned vector for each cell of the grid of `max_frames` frames (Dosovitskiy et al. 2021).
    Learned,
}

/// Positional encodings of all cells of a grid.
#[derive(Module, Debug)]
pub(crate) struct Positions {
    /// `[rows, max_columns, d_model]` if positions are learned.
    table: Option<Param<Tensor<3>>>,
    d_model: usize,
}

impl Positions {
    /// `largest` is the grid of the largest number of frames; only learned positions use it.
    pub(crate) fn init(
        kind: PositionKind,
        largest: PatchGrid,
        d_model: usize,
        device: &Device,
    ) -> Self {
        let table = (kind == PositionKind::Learned)
            .then(|| init_vectors([largest.rows(), largest.columns(), d_model], device));
        Self { table, d_model }
    }

    /// # Shapes
    /// - output: `[tokens, d_model]`
    pub(crate) fn forward(&self, grid: PatchGrid, device: &Device) -> Tensor<2> {
        let [rows, columns] = [grid.rows(), grid.columns()];
        let table = match &self.table {
            Some(table) => {
                let [_, max_columns, _] = table.dims();
                assert!(
                    columns <= max_columns,
                    "positions are learned for {max_columns} columns of patches, got {columns}: \
                     raise `max_frames`, or set `position = \"sin_cos\"`"
                );
                table.val().narrow(1, 0, columns)
            }
            None => sin_cos(rows, columns, self.d_model, device),
        };
        table.reshape([rows * columns, self.d_model])
    }
}

/// See [`PositionKind::SinCos`].
///
/// # Shapes
/// - output: `[rows, columns, d_model]`
fn sin_cos(rows: usize, columns: usize, d_model: usize, device: &Device) -> Tensor<3> {
    let half = d_model / 2;
    let of_columns = waves(columns, half, device).reshape([1, columns, half]);
    let of_rows = waves(rows, half, device).reshape([rows, 1, half]);
    Tensor::cat(
        vec![
            of_columns.expand([rows, columns, half]),
            of_rows.expand([rows, columns, half]),
        ],
        2,
    )
}

/// Sines, then cosines, of the positions 0..n: `[n, width]`.
fn waves(n: usize, width: usize, device: &Device) -> Tensor<2> {
    let quarter = width / 2;
    let angle =
        |place: usize, i: usize| place as f64 * 10_000_f64.powf(-(i as f64) / quarter as f64);
    let values: Vec<f32> = (0..n)
        .flat_map(|place| {
            let sines = (0..quarter).map(move |i| angle(place, i).sin() as f32);
            let cosines = (0..quarter).map(move |i| angle(place, i).cos() as f32);
            sines.chain(cosines)
        })
        .collect();
    Tensor::from_data(TensorData::new(values, [n, width]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(bins: usize, frames: usize) -> PatchGrid {
        PatchGrid {
            bins,
            frames,
            patch_bins: 2,
            patch_frames: 3,
        }
    }

    fn places(kind: PositionKind, frames: usize) -> Vec<Vec<f32>> {
        let device = Device::flex();
        let positions = Positions::init(kind, grid(5, 30), 8, &device);
        let table = positions.forward(grid(5, frames), &device);
        let values: Vec<f32> = table.into_data().try_to_vec().unwrap();
        values.chunks(8).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn sines_and_cosines_equal_those_of_mae() {
        #[derive(Deserialize)]
        struct Golden {
            sin_cos: Table,
        }
        #[derive(Deserialize)]
        struct Table {
            rows: usize,
            columns: usize,
            d_model: usize,
            values: Vec<f32>,
        }
        let file = include_str!("../tests/golden/cases.json");
        let Table {
            rows,
            columns,
            d_model,
            values: expected,
        } = serde_json::from_str::<Golden>(file).unwrap().sin_cos;
        let table = sin_cos(rows, columns, d_model, &Device::flex());
        let got: Vec<f32> = table.into_data().try_to_vec().unwrap();
        assert_eq!(got.len(), 3 * 5 * 8);
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(expected) {
            assert!(
                (got - expected).abs() < 1e-7,
                "expected {expected}, got {got}"
            );
        }
    }

    #[test]
    fn no_two_places_are_alike() {
        for kind in [PositionKind::SinCos, PositionKind::Learned] {
            let places = places(kind, 28);
            assert_eq!(places.len(), 30);
            let mut compared = 0;
            for (i, a) in places.iter().enumerate() {
                for b in &places[..i] {
                    assert_ne!(a, b);
                    compared += 1;
                }
            }
            assert_eq!(compared, 30 * 29 / 2);
        }
    }

    #[test]
    fn a_place_does_not_depend_on_the_number_of_frames() {
        let device = Device::flex();
        for kind in [PositionKind::SinCos, PositionKind::Learned] {
            let positions = Positions::init(kind, grid(5, 30), 8, &device);
            let rows = |frames: usize| -> Tensor<3> {
                let grid = grid(5, frames);
                positions
                    .forward(grid, &device)
                    .reshape([grid.rows(), grid.columns(), 8])
            };
            let cut = rows(29).narrow(1, 0, 4);
            assert_eq!(cut.into_data(), rows(11).into_data());
        }
    }

    #[test]
    fn sines_exist_for_any_number_of_frames() {
        assert_eq!(places(PositionKind::SinCos, 300).len(), 300);
    }

    #[test]
    #[should_panic(expected = "learned for 10 columns of patches, got 11: raise `max_frames`")]
    fn more_frames_than_learned_positions_are_refused() {
        places(PositionKind::Learned, 31);
    }
}
