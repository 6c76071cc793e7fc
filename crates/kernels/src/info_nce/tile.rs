//! What fused InfoNCE works on: tiles of queries against tiles of keys.

use super::ContrastGroup;
use crate::matrix::Matrix;
use crate::product::{LANE_MULTIPLE, Onto, product};
use std::f32::consts::LOG2_E;
use std::ops::Range;

/// Queries of a tile: four of the widest vectors.
pub(super) const QUERY_TILE: usize = 64;
/// Keys of a tile.
pub(super) const KEY_TILE: usize = 128;
/// Features that are multiplied at once: those of a tile of queries then stay in the first cache.
const FEATURE_TILE: usize = 128;

/// The operands, one row after the other.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    /// `[queries, features]`.
    pub(super) queries: Matrix<'a>,
    /// `[keys, features]`.
    pub(super) keys: Matrix<'a>,
    /// Key `j` is no negative of query `i` where row `i` of this times row `j` of `others` isn't negative.
    pub(super) asked: Matrix<'a>,
    /// `[keys, values]`.
    pub(super) others: Matrix<'a>,
    /// Which queries choose from which keys.
    pub(super) groups: &'a [ContrastGroup],
    /// Which key is a query's own.
    pub(super) own: &'a [usize],
    /// What products are multiplied by.
    pub(super) scale: f32,
}

/// Some queries, whose values stand in columns.
pub(super) struct QueryTile<'a> {
    operands: Operands<'a>,
    queries: Range<usize>,
    query_columns: &'a [f32],
    asked_columns: &'a [f32],
}

impl<'a> QueryTile<'a> {
    /// Fills columns of `padded(queries)` values, as many as there are features and values.
    pub(super) fn new(
        operands: Operands<'a>,
        queries: Range<usize>,
        query_columns: &'a mut [f32],
        asked_columns: &'a mut [f32],
    ) -> Self {
        let lanes = padded(queries.len());
        let scale = operands.scale * LOG2_E;
        let rows = operands.queries.rows(queries.clone());
        rows.copy_columns(scale, lanes, query_columns);
        let rows = operands.asked.rows(queries.clone());
        rows.copy_columns(1.0, lanes, asked_columns);
        Self {
            operands,
            queries,
            query_columns,
            asked_columns,
        }
    }

    /// For some keys, a row of each: `scores`, in powers of two; and `marks`, not negative where the key is
    /// no negative of the query. That is so of a query's own key, for which `own` is called with the
    /// query's place in the tile and the place of their score. It is so beyond the last query, too.
    pub(super) fn compare(
        &self,
        keys: Range<usize>,
        scores: &mut [f32],
        marks: &mut [f32],
        mut own: impl FnMut(usize, usize),
    ) {
        let Operands {
            keys: rows, others, ..
        } = self.operands;
        let lanes = padded(self.queries.len());
        let columns = rows.rows(keys.clone()).transposed();
        for start in (0..columns.rows).step_by(FEATURE_TILE) {
            let end = (start + FEATURE_TILE).min(columns.rows);
            let queries = &self.query_columns[start * lanes..end * lanes];
            let onto = if start == 0 { Onto::Nothing } else { Onto::Sum };
            product(scores, onto, queries, columns.rows(start..end), 1.0);
        }
        let columns = others.rows(keys.clone()).transposed();
        product(marks, Onto::Nothing, self.asked_columns, columns, 1.0);
        for (lane, key) in self.operands.own[self.queries.clone()].iter().enumerate() {
            if keys.contains(key) {
                let place = (key - keys.start) * lanes + lane;
                marks[place] = 0.0;
                own(lane, place);
            }
        }
    }
}

/// Ranges of at most `size`.
pub(super) fn tiles(range: Range<usize>, size: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range
        .step_by(size)
        .map(move |start| start..(start + size).min(end))
}

/// A whole number of vectors.
pub(super) fn padded(size: usize) -> usize {
    size.next_multiple_of(LANE_MULTIPLE)
}
