//! Tiles of queries against tiles of keys.

use super::ContrastGroup;
use crate::cpu::blocks::tiles;
use crate::cpu::matrix::Matrix;
use crate::cpu::product::{Onto, padded, product};
use std::f32::consts::LOG2_E;
use std::ops::Range;

/// Queries of a tile: four of the widest vectors.
pub(super) const QUERY_TILE: usize = 64;
/// Keys of a tile.
pub(super) const KEY_TILE: usize = 128;
/// Features that are multiplied at once. Those of a tile of queries then stay in the L1 cache.
const FEATURE_TILE: usize = 128;

/// The operands, one row after the other.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    /// `[queries, features]`.
    pub(super) queries: Matrix<'a>,
    /// `[keys, features]`.
    pub(super) keys: Matrix<'a>,
    /// `[queries, values]`. Key `j` is no negative of query `i` where row `i` of this times row `j` of `key_side`
    /// isn't negative.
    pub(super) query_side: Matrix<'a>,
    /// `[keys, values]`.
    pub(super) key_side: Matrix<'a>,
    /// Which queries choose from which keys.
    pub(super) groups: &'a [ContrastGroup],
    /// Which key is a query's own.
    pub(super) own: &'a [usize],
    /// The factor of products.
    pub(super) scale: f32,
}

/// Some queries, with their values in columns.
pub(super) struct QueryTile<'a> {
    operands: Operands<'a>,
    queries: Range<usize>,
    query_columns: &'a [f32],
    side_columns: &'a [f32],
}

impl<'a> QueryTile<'a> {
    /// Fills the columns, of `padded(queries)` values each: as many as there are features, and values of the
    /// exclusion.
    pub(super) fn new(
        operands: Operands<'a>,
        queries: Range<usize>,
        query_columns: &'a mut [f32],
        side_columns: &'a mut [f32],
    ) -> Self {
        let lanes = padded(queries.len());
        let scale = operands.scale * LOG2_E;
        let rows = operands.queries.rows(queries.clone());
        rows.copy_columns(scale, lanes, query_columns);
        let rows = operands.query_side.rows(queries.clone());
        rows.copy_columns(1.0, lanes, side_columns);
        Self {
            operands,
            queries,
            query_columns,
            side_columns,
        }
    }

    /// Writes a row for each of some keys: `scores`, in powers of two, and `marks`, which are negative where the
    /// key is a negative of the query. The mark of a query's own key is 0, as are those beyond the last query.
    pub(super) fn compare(&self, keys: Range<usize>, scores: &mut [f32], marks: &mut [f32]) {
        let Operands {
            keys: rows,
            key_side,
            ..
        } = self.operands;
        let lanes = padded(self.queries.len());
        let columns = rows.rows(keys.clone()).transposed();
        for features in tiles(0..columns.rows, FEATURE_TILE) {
            let queries = &self.query_columns[features.start * lanes..features.end * lanes];
            let onto = Onto::nth(features.start);
            product(scores, onto, queries, columns.rows(features), 1.0);
        }
        let columns = key_side.rows(keys.clone()).transposed();
        product(marks, Onto::Nothing, self.side_columns, columns, 1.0);
        for (_, place) in self.own(keys) {
            marks[place] = 0.0;
        }
    }

    /// The queries whose own key is among some keys: their number in the tile, and the place of the pair in
    /// what [`compare`](Self::compare) writes.
    pub(super) fn own(&self, keys: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
        let lanes = padded(self.queries.len());
        let own = self.operands.own[self.queries.clone()].iter().enumerate();
        own.filter_map(move |(lane, key)| {
            let is_here = keys.contains(key);
            is_here.then(|| (lane, (key - keys.start) * lanes + lane))
        })
    }
}
