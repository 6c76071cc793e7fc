//! Settings of InfoNCE.

use crate::candidates::Negatives;
use crate::error::{LossError, in_range};
use serde::{Deserialize, Serialize};

/// InfoNCE over hidden tokens: each context vector has to identify its own content among others.
///
/// ```text
/// l_i = - ln [ exp(s_ii) / (exp(s_ii) + sum_{j in N_i} exp(s_ij)) ]
/// s_ij = cos(q_i, k_j) / tau
///
/// q_i  context vector of hidden token i,  k_j  content vector of token j
/// N_i  negatives of i: its candidates except i itself and those of the same content
/// tau  temperature
/// ```
///
/// van den Oord, Li and Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018,
/// section 2.3; with cosines and negatives from the same clip as in Baevski et al., "wav2vec 2.0",
/// NeurIPS 2020, section 3.2.
///
/// Domain: token vectors, no sound. An item's loss is the mean over its queries. With
/// [`Negatives::CLIP`] it depends on that item alone; with [`Negatives::BATCH`] the other items provide
/// negatives.
///
/// # Tokens of the same content
///
/// Two patches of silence are indistinguishable, so one must not be a negative of the other. Tokens `i`
/// and `j` count as the same if their contents differ by at most `same_content` of their size:
///
/// ```text
/// ||c_i - c_j||^2 <= same_content^2 (||c_i||^2 + ||c_j||^2) / 2
/// ```
///
/// `c` is the raw content that a key is computed from, not the key. The keys of an untrained or collapsed
/// network are nearly equal. If they were compared, no negatives would be left and collapse would
/// minimise the loss. The criterion is a distance, not a cosine: by its cosine, a loud patch is the same
/// as a soft one, and any two constant patches are the same.
///
/// # Memory and gradient
///
/// Similarities are computed for some queries at a time and never kept. In f32 on the CPU backend, with
/// all candidates as negatives, [`kernels::info_nce`] computes them in tiles; keys on the graph cost two
/// more products and no memory except their gradient. In all other cases they are computed in chunks of
/// `chunk_bytes`, as follows. Value and gradient of a chunk are computed from the same softmax:
///
/// ```text
/// dl_i / dq_i = (sum_j p_ij k_j - k_i) / tau      (q, k of length 1, p the softmax of s)
/// ```
///
/// They enter the graph as `sum(q g) - sum(q g) + l`, where `g` is that gradient and the second sum is
/// detached: the value is `l`, the derivative is `g`. (A second derivative would be wrong; Burn has none.)
/// Queries and their gradients are `[queries, features]`, for any number of keys.
///
/// Keys on the graph get their gradient in the same way, item by item. This costs a third product and
/// `[keys, features]` values for each item with queries (not for each chunk), which are kept until the
/// backward pass. With [`Negatives::BATCH`] the keys are those of the whole batch: 8 items with 56,000 keys
/// of 256 features keep 440 MiB. Detached keys, as with the stop-gradient of contrastive pretraining,
/// cost nothing.
///
/// Differs from the paper: queries are averaged per item first; candidates of the same content are left
/// out; a query without negatives is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InfoNce {
    /// Divisor of the cosines.
    pub temperature: f64,
    /// Source of the negatives.
    pub negatives: Negatives,
    /// Relative distance up to which two contents count as the same, from 0.005 to below 1.
    ///
    /// Smaller distances are lost in the rounding of f32: a content would differ from its own copy. The limit
    /// depends on the number of values. Copies of constant patches, whose sums are all rounded to one side,
    /// were taken for different below 0.0008 with 25 values, 0.0017 with 128, 0.0036 with 512 and 0.0062
    /// with 2048.
    pub same_content: f64,
    /// Memory of a chunk of similarities, if they are not fused; the results don't depend on it.
    pub chunk_bytes: usize,
}

impl Default for InfoNce {
    fn default() -> Self {
        Self {
            temperature: 0.07,
            negatives: Negatives::BATCH,
            same_content: 0.01,
            chunk_bytes: 256 << 20,
        }
    }
}

impl InfoNce {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] for the first number out of range.
    pub fn validate(&self) -> Result<(), LossError> {
        // Logits reach the reciprocal, and their exponentials must stay distinct in f32.
        let holds = self.temperature >= 1e-3 && self.temperature.is_finite();
        in_range(
            "temperature",
            self.temperature,
            holds,
            "finite, and 0.001 at least",
        )?;
        let holds = (0.005..1.0).contains(&self.same_content);
        in_range(
            "same_content",
            self.same_content,
            holds,
            "from 0.005 to below 1",
        )?;
        let holds = self.chunk_bytes > 0;
        in_range("chunk_bytes", self.chunk_bytes as f64, holds, "positive")?;
        if let Some(n) = self.negatives.sampled {
            in_range("negatives.sampled", n as f64, n > 0, "at least 1")?;
        }
        Ok(())
    }
}
