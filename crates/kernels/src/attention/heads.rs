//! Heads, and the tiles of their keys.

use crate::cpu::blocks::tiles;
use crate::cpu::matrix::{Matrices, Matrix};
use crate::cpu::product::{Onto, product};
use std::ops::Range;

/// Queries of a tile: four of the widest vectors.
pub(super) const QUERY_TILE: usize = 64;
/// Keys of a tile. The scores of a tile fill the larger part of the L1 cache.
pub(super) const KEY_TILE: usize = 128;

/// The operands, each `[batch, heads, queries or keys, head_dim]`.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    pub(super) query: Matrices<'a>,
    pub(super) key: Matrices<'a>,
    pub(super) value: Matrices<'a>,
    /// `[batch, keys]`, not 0 where hidden.
    pub(super) hidden_keys: Option<&'a [u8]>,
}

/// One head of one example.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) batch: usize,
    pub(super) query: Matrix<'a>,
    pub(super) key: Matrix<'a>,
    pub(super) value: Matrix<'a>,
    /// Of this example, `[keys]`.
    pub(super) hidden_keys: Option<&'a [u8]>,
    /// `1 / sqrt(head_dim)`.
    pub(super) scale: f32,
    pub(super) head_dim: usize,
}

impl<'a> Operands<'a> {
    pub(super) fn head(&self, index: usize) -> Head<'a> {
        let [_, heads, _, head_dim] = self.query.shape();
        let [_, _, keys, _] = self.key.shape();
        let batch = index / heads;
        Head {
            batch,
            query: self.query.matrix(index),
            key: self.key.matrix(index),
            value: self.value.matrix(index),
            hidden_keys: self
                .hidden_keys
                .map(|hidden| &hidden[batch * keys..][..keys]),
            scale: 1.0 / (head_dim as f32).sqrt(),
            head_dim,
        }
    }
}

/// Keys that are processed together. The first and the last of them are visible.
#[derive(Clone, Debug)]
pub(super) struct KeyTile {
    pub(super) keys: Range<usize>,
    /// Whether a key between them is hidden.
    has_hidden: bool,
}

impl KeyTile {
    /// Writes the scores of the queries, `[keys, lanes]`, in powers of two: minus infinity where hidden.
    pub(super) fn scores(&self, query: &[f32], head: Head, scores: &mut [f32]) {
        let lanes = scores.len() / self.keys.len();
        let key = head.key.rows(self.keys.clone()).transposed();
        product(scores, Onto::Nothing, query, key, 1.0);
        if let (true, Some(hidden)) = (self.has_hidden, head.hidden_keys) {
            for (row, &hidden) in scores
                .chunks_exact_mut(lanes)
                .zip(&hidden[self.keys.clone()])
            {
                if hidden != 0 {
                    row.fill(f32::NEG_INFINITY);
                }
            }
        }
    }
}

/// The tiles of every example that have a visible key. Padding at the end costs nothing.
pub(super) struct KeyTiles {
    /// One list for all examples if nothing is hidden.
    lists: Vec<Vec<KeyTile>>,
}

impl KeyTiles {
    pub(super) fn new(operands: &Operands) -> Self {
        let [batch, _, keys, _] = operands.key.shape();
        let list = |hidden: Option<&[u8]>| {
            tiles(0..keys, KEY_TILE)
                .filter_map(|keys| {
                    let Some(hidden) = hidden else {
                        return Some(KeyTile {
                            keys,
                            has_hidden: false,
                        });
                    };
                    let hidden = &hidden[keys.clone()];
                    let first = hidden.iter().position(|&hidden| hidden == 0)?;
                    let last = hidden.iter().rposition(|&hidden| hidden == 0)?;
                    Some(KeyTile {
                        keys: keys.start + first..keys.start + last + 1,
                        has_hidden: hidden[first..=last].iter().any(|&hidden| hidden != 0),
                    })
                })
                .collect()
        };
        let lists = match operands.hidden_keys {
            None => vec![list(None)],
            Some(_) if keys == 0 => vec![Vec::new(); batch],
            Some(hidden) => hidden
                .chunks_exact(keys)
                .map(|row| list(Some(row)))
                .collect(),
        };
        Self { lists }
    }

    pub(super) fn of(&self, batch: usize) -> &[KeyTile] {
        &self.lists[batch.min(self.lists.len() - 1)]
    }

    /// The tiles inside a range that begins and ends with a tile.
    pub(super) fn within(&self, batch: usize, keys: Range<usize>) -> &[KeyTile] {
        let tiles = self.of(batch);
        let start = tiles.partition_point(|tile| tile.keys.start < keys.start);
        let end = tiles.partition_point(|tile| tile.keys.start < keys.end);
        &tiles[start..end]
    }
}
