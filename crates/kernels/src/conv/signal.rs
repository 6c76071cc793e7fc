//! Channels over time.

/// Values `[batch, channels, frames]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signal<'a> {
    data: &'a [f32],
    pub(super) batch: usize,
    pub(super) channels: usize,
    pub(super) frames: usize,
}

impl<'a> Signal<'a> {
    pub(super) fn new(data: &'a [f32], [batch, channels, frames]: [usize; 3]) -> Self {
        assert_eq!(
            data.len(),
            batch * channels * frames,
            "values of [{batch}, {channels}, {frames}]"
        );
        Self {
            data,
            batch,
            channels,
            frames,
        }
    }

    /// All frames of the channels from `channel` on, of one example.
    pub(super) fn rows_from(&self, item: usize, channel: usize) -> &'a [f32] {
        let [start, end] = [
            (item * self.channels + channel) * self.frames,
            (item + 1) * self.channels * self.frames,
        ];
        &self.data[start..end]
    }

    /// The frames of one channel.
    pub(super) fn row(&self, item: usize, channel: usize) -> &'a [f32] {
        &self.rows_from(item, channel)[..self.frames]
    }
}

/// The sum of each channel over the batch and all frames.
pub(super) fn channel_sums(signal: Signal) -> Vec<f32> {
    /// Sums side by side, which vectors hold.
    const LANES: usize = 16;
    (0..signal.channels)
        .map(|channel| {
            let mut sums = [0.0; LANES];
            for item in 0..signal.batch {
                let chunks = signal.row(item, channel).chunks_exact(LANES);
                for (sum, &x) in sums.iter_mut().zip(chunks.remainder()) {
                    *sum += x;
                }
                for chunk in chunks {
                    for (sum, &x) in sums.iter_mut().zip(chunk) {
                        *sum += x;
                    }
                }
            }
            sums.iter().sum()
        })
        .collect()
}

/// `to[i] = from[i step]`.
pub(super) fn copy_strided(to: &mut [f32], from: &[f32], step: usize) {
    match step {
        1 => to.copy_from_slice(&from[..to.len()]),
        // Known to the compiler, so that it shuffles vectors.
        2 => copy_every::<2>(to, from),
        4 => copy_every::<4>(to, from),
        _ => {
            for (to, &from) in to.iter_mut().zip(from.iter().step_by(step)) {
                *to = from;
            }
        }
    }
}

fn copy_every<const STEP: usize>(to: &mut [f32], from: &[f32]) {
    let Some((last, to)) = to.split_last_mut() else {
        return;
    };
    *last = from[STEP * to.len()];
    for (to, group) in to.iter_mut().zip(from.chunks_exact(STEP)) {
        *to = group[0];
    }
}
