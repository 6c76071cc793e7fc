//! Loops over slices, a vector at a time.
//!
//! A slice needs no whole number of vectors: the results in the lanes beyond its end are dropped.

use pulp::Simd;

/// Values that are summed in f32, in [`CHAINS`] sums per lane. Blocks of them are summed in f64.
const BLOCK: usize = 4096;

/// Independent sums, so that an addition doesn't wait for the one before.
const CHAINS: usize = 4;

/// `output_i = f(inputs_i)`
#[inline(always)]
pub(crate) fn map<S: Simd, const N: usize>(
    simd: S,
    inputs: [&[f32]; N],
    output: &mut [f32],
    f: impl Fn([S::f32s; N]) -> S::f32s,
) {
    let (output, output_rest) = S::as_mut_simd_f32s(output);
    let (inputs, rests) = split::<S, N>(inputs, output.len(), output_rest.len());
    for (i, output) in output.iter_mut().enumerate() {
        *output = f(vectors_at(simd, &inputs, i));
    }
    if !output_rest.is_empty() {
        simd.partial_store_f32s(output_rest, f(rests_of(simd, &rests)));
    }
}

/// `values_i = f(values_i, inputs_i)`, for several slices at once.
#[inline(always)]
pub(crate) fn update<S: Simd, const M: usize, const N: usize>(
    simd: S,
    values: [&mut [f32]; M],
    inputs: [&[f32]; N],
    f: impl Fn([S::f32s; M], [S::f32s; N]) -> [S::f32s; M],
) {
    let mut rests: [&mut [f32]; M] = std::array::from_fn(|_| Default::default());
    let mut slots = rests.iter_mut();
    let mut values = values.map(|values| {
        let (values, rest) = S::as_mut_simd_f32s(values);
        *slots.next().expect("as many as there are slices") = rest;
        values
    });
    let [vectors, rest] = [values[0].len(), rests[0].len()];
    for (values, rests) in values.iter_mut().zip(&rests) {
        assert_equal([values.len(), rests.len()], [vectors, rest]);
        // Sliced again, so that the compiler sees the equal lengths.
        *values = &mut std::mem::take(values)[..vectors];
    }
    let (inputs, input_rests) = split::<S, N>(inputs, vectors, rest);
    #[allow(clippy::needless_range_loop)] // One loop over several slices.
    for i in 0..vectors {
        let mut before = [simd.splat_f32s(0.0); M];
        for m in 0..M {
            before[m] = values[m][i];
        }
        let updated = f(before, vectors_at(simd, &inputs, i));
        for m in 0..M {
            values[m][i] = updated[m];
        }
    }
    if rest > 0 {
        let mut before = [simd.splat_f32s(0.0); M];
        for m in 0..M {
            before[m] = simd.partial_load_f32s(rests[m]);
        }
        let updated = f(before, rests_of(simd, &input_rests));
        for (rest, updated) in rests.into_iter().zip(updated) {
            simd.partial_store_f32s(rest, updated);
        }
    }
}

/// `sums = f(sums, inputs_i)` for every i, beginning with 0. The order of additions depends only on the length.
#[inline(always)]
pub(crate) fn sums<S: Simd, const N: usize, const M: usize>(
    simd: S,
    inputs: [&[f32]; N],
    f: impl Fn([S::f32s; M], [S::f32s; N]) -> [S::f32s; M],
) -> [f64; M] {
    let length = inputs[0].len();
    let mut totals = [0.0; M];
    for start in (0..length).step_by(BLOCK) {
        let end = length.min(start + BLOCK);
        let inputs = inputs.map(|input| &input[start..end]);
        let (_, rest) = S::as_simd_f32s(inputs[0]);
        let rest = rest.len();
        let whole = (end - start) / S::F32_LANES;
        let (inputs, rests) = split::<S, N>(inputs, whole, rest);

        let mut chains = [[simd.splat_f32s(0.0); M]; CHAINS];
        let mut i = 0;
        while i + CHAINS <= whole {
            for (k, chain) in chains.iter_mut().enumerate() {
                *chain = f(*chain, vectors_at(simd, &inputs, i + k));
            }
            i += CHAINS;
        }
        for (k, chain) in chains.iter_mut().enumerate().take(whole - i) {
            *chain = f(*chain, vectors_at(simd, &inputs, i + k));
        }
        if rest > 0 {
            let rests = rests_of(simd, &rests);
            chains[CHAINS - 1] =
                select_first(simd, rest, f(chains[CHAINS - 1], rests), chains[CHAINS - 1]);
        }
        add_chains(simd, chains, &mut totals);
    }
    totals
}

/// `(sums, value_i) = f(sums, value_i, inputs_i)` for every i: [`update`] and [`sums`] at once.
#[inline(always)]
pub(crate) fn update_and_sum<S: Simd, const N: usize, const M: usize>(
    simd: S,
    values: &mut [f32],
    inputs: [&[f32]; N],
    f: impl Fn([S::f32s; M], S::f32s, [S::f32s; N]) -> ([S::f32s; M], S::f32s),
) -> [f64; M] {
    let length = values.len();
    let mut totals = [0.0; M];
    for start in (0..length).step_by(BLOCK) {
        let end = length.min(start + BLOCK);
        let inputs = inputs.map(|input| &input[start..end]);
        let (values, values_rest) = S::as_mut_simd_f32s(&mut values[start..end]);
        let (inputs, rests) = split::<S, N>(inputs, values.len(), values_rest.len());

        let mut chains = [[simd.splat_f32s(0.0); M]; CHAINS];
        let mut fours = values.chunks_exact_mut(CHAINS);
        let mut i = 0;
        for four in &mut fours {
            for (k, value) in four.iter_mut().enumerate() {
                (chains[k], *value) = f(chains[k], *value, vectors_at(simd, &inputs, i + k));
            }
            i += CHAINS;
        }
        for (k, value) in fours.into_remainder().iter_mut().enumerate() {
            (chains[k], *value) = f(chains[k], *value, vectors_at(simd, &inputs, i + k));
        }
        if !values_rest.is_empty() {
            let rests = rests_of(simd, &rests);
            let before = chains[CHAINS - 1];
            let (sums, value) = f(before, simd.partial_load_f32s(values_rest), rests);
            chains[CHAINS - 1] = select_first(simd, values_rest.len(), sums, before);
            simd.partial_store_f32s(values_rest, value);
        }
        add_chains(simd, chains, &mut totals);
    }
    totals
}

/// The vectors of each slice, and the rest.
///
/// # Panics
/// If a slice is not `vectors` vectors and `rest` values long.
#[inline(always)]
fn split<S: Simd, const N: usize>(
    slices: [&[f32]; N],
    vectors: usize,
    rest: usize,
) -> ([&[S::f32s]; N], [&[f32]; N]) {
    let mut heads: [&[S::f32s]; N] = [&[]; N];
    let mut tails: [&[f32]; N] = [&[]; N];
    for n in 0..N {
        let (head, tail) = S::as_simd_f32s(slices[n]);
        assert_equal([head.len(), tail.len()], [vectors, rest]);
        // Sliced again, so that the compiler sees the equal lengths.
        heads[n] = &head[..vectors];
        tails[n] = tail;
    }
    (heads, tails)
}

#[inline(always)]
fn assert_equal(got: [usize; 2], expected: [usize; 2]) {
    // Not as arrays: those would be compared in memory, for every short slice again.
    assert!(
        got[0] == expected[0] && got[1] == expected[1],
        "slices of one loop must have equal lengths, got {got:?} vectors and values, expected {expected:?}"
    );
}

/// Vector `i` of each slice.
///
/// This and the loops over arrays below are plain ones. The compiler unrolls them, so that the values stay in
/// registers; with `array::from_fn` and `map` they would go through memory.
#[inline(always)]
fn vectors_at<S: Simd, const N: usize>(
    simd: S,
    slices: &[&[S::f32s]; N],
    i: usize,
) -> [S::f32s; N] {
    let mut vectors = [simd.splat_f32s(0.0); N];
    for n in 0..N {
        vectors[n] = slices[n][i];
    }
    vectors
}

/// The rest of each slice, filled up with zeros.
#[inline(always)]
fn rests_of<S: Simd, const N: usize>(simd: S, rests: &[&[f32]; N]) -> [S::f32s; N] {
    let mut vectors = [simd.splat_f32s(0.0); N];
    for n in 0..N {
        vectors[n] = simd.partial_load_f32s(rests[n]);
    }
    vectors
}

/// `first` in the first `lanes` lanes, `others` in the others.
#[inline(always)]
fn select_first<S: Simd, const M: usize>(
    simd: S,
    lanes: usize,
    first: [S::f32s; M],
    others: [S::f32s; M],
) -> [S::f32s; M] {
    let mask = simd.mask_between_m32s(0, lanes as u32).mask();
    let mut selected = others;
    for m in 0..M {
        selected[m] = simd.select_f32s(mask, first[m], others[m]);
    }
    selected
}

#[inline(always)]
fn add_chains<S: Simd, const M: usize>(
    simd: S,
    chains: [[S::f32s; M]; CHAINS],
    totals: &mut [f64; M],
) {
    for (m, total) in totals.iter_mut().enumerate() {
        let left = simd.add_f32s(chains[0][m], chains[1][m]);
        let right = simd.add_f32s(chains[2][m], chains[3][m]);
        *total += f64::from(simd.reduce_sum_f32s(simd.add_f32s(left, right)));
    }
}
