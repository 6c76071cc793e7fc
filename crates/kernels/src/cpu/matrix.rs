//! Strided views of matrices.

use std::ops::Range;

/// A matrix inside a slice. Its transpose and its rows are views.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

/// `[outer, inner]` matrices inside a slice: the heads of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrices<'a> {
    data: &'a [f32],
    shape: [usize; 4],
    strides: [usize; 4],
}

impl<'a> Matrix<'a> {
    /// Column after column, without gaps.
    pub(crate) fn by_columns(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self {
            data: &data[..rows * columns],
            rows,
            columns,
            row_stride: 1,
            column_stride: rows,
        }
    }

    /// # Panics
    /// If a value of the matrix lies beyond the end of the slice.
    pub(crate) fn check(&self) {
        let Self {
            rows,
            columns,
            row_stride,
            column_stride,
            ..
        } = *self;
        let reach = match [rows, columns] {
            [0, _] | [_, 0] => 0,
            _ => (rows - 1) * row_stride + (columns - 1) * column_stride + 1,
        };
        assert!(
            reach <= self.data.len(),
            "a matrix of [{rows}, {columns}] with strides [{row_stride}, {column_stride}] reaches over {reach} values, \
             got {}",
            self.data.len()
        );
    }

    pub(crate) fn rows(self, range: Range<usize>) -> Self {
        assert!(
            range.end <= self.rows,
            "rows {range:?} of {} rows",
            self.rows
        );
        let start = (range.start * self.row_stride).min(self.data.len());
        Self {
            data: &self.data[start..],
            rows: range.len(),
            ..self
        }
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

impl<'a> Matrices<'a> {
    /// A view of `data`, which begins with the first element.
    pub(crate) fn new(data: &'a [f32], shape: [usize; 4], mut strides: [usize; 4]) -> Self {
        for (stride, size) in strides.iter_mut().zip(shape) {
            // No step is taken along these axes. A stride of 1 avoids a special case.
            if size <= 1 {
                *stride = 1;
            }
        }
        let extent = if shape.contains(&0) {
            0
        } else {
            let last = shape
                .iter()
                .zip(strides)
                .map(|(size, stride)| (size - 1) * stride);
            1 + last.sum::<usize>()
        };
        assert!(
            extent <= data.len(),
            "{shape:?} with strides {strides:?} needs {extent} values, got {}",
            data.len()
        );
        Self {
            data,
            shape,
            strides,
        }
    }

    pub(crate) fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Matrix number `index`, counted through all of `[outer, inner]`.
    pub(crate) fn matrix(&self, index: usize) -> Matrix<'a> {
        let [outer, inner] = [index / self.shape[1], index % self.shape[1]];
        assert!(
            outer < self.shape[0],
            "matrix {index} of {:?}",
            &self.shape[..2]
        );
        let start = outer * self.strides[0] + inner * self.strides[1];
        Matrix {
            data: self.data.get(start..).unwrap_or_default(),
            rows: self.shape[2],
            columns: self.shape[3],
            row_stride: self.strides[2],
            column_stride: self.strides[3],
        }
    }
}
