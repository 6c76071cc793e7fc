//! InfoNCE on the graph.

use super::{Contrast, ContrastGroup, ContrastScores};
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{AutodiffBackend, Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

/// What is no tensor.
#[derive(Clone, Debug)]
pub(crate) struct Pairing {
    /// Which queries choose from which keys.
    pub(super) groups: Vec<ContrastGroup>,
    /// Which key is a query's own.
    pub(super) own: Vec<usize>,
    /// What products are multiplied by.
    pub(super) scale: f32,
    /// Whether the queries, and the keys, are on the graph.
    pub(super) with_gradient: bool,
    pub(super) with_key_gradient: bool,
}

/// The operation.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait InfoNceOps: Backend {
    /// Loss, hits, candidates and the logarithm to base 2 of the sum of exponentials, `[queries, 1]` each;
    /// and the slope of each loss by its query, `[queries, features]`, empty if nobody asks for it.
    #[allow(clippy::type_complexity)]
    fn info_nce_forward(
        queries: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        asked: FloatTensor<Self>,
        others: FloatTensor<Self>,
        pairing: Pairing,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    );
}

/// The part of the gradient of [`InfoNceOps::info_nce_forward`] that the forward pass doesn't know yet; nothing
/// differentiates it once more.
pub(crate) trait InfoNceGradient: InfoNceOps {
    /// The gradient of the keys, from that of the losses.
    #[allow(clippy::too_many_arguments)]
    fn info_nce_keys_backward(
        queries: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        asked: FloatTensor<Self>,
        others: FloatTensor<Self>,
        pairing: Pairing,
        loss: FloatTensor<Self>,
        log_sum: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

pub(super) fn info_nce(contrast: Contrast) -> ContrastScores {
    let [asked, others] = contrast.exclusion;
    let pairing = Pairing {
        groups: contrast.groups,
        own: contrast.own,
        scale: (1.0 / contrast.temperature) as f32,
        with_gradient: contrast.queries.is_tracked(),
        with_key_gradient: contrast.keys.is_tracked(),
    };
    let (loss, right, candidates, _, _) = <Dispatch as InfoNceOps>::info_nce_forward(
        contrast.queries.into_dispatch(),
        contrast.keys.into_dispatch(),
        asked.into_dispatch(),
        others.into_dispatch(),
        pairing,
    );
    ContrastScores {
        loss: Tensor::from_dispatch(loss),
        right: Tensor::<2>::from_dispatch(right).inner(),
        candidates: Tensor::<2>::from_dispatch(candidates).inner(),
    }
}

/// What the backward pass wants.
#[derive(Clone, Debug)]
struct State<B: Backend> {
    /// Slope of each loss by its query; empty if the queries are not on the graph.
    slopes: FloatTensor<B>,
    /// None if the keys are not on the graph.
    keys: Option<KeyState<B>>,
}

#[derive(Clone, Debug)]
struct KeyState<B: Backend> {
    queries: FloatTensor<B>,
    keys: FloatTensor<B>,
    exclusion: [FloatTensor<B>; 2],
    pairing: Pairing,
    loss: FloatTensor<B>,
    log_sum: FloatTensor<B>,
}

impl<B: InfoNceGradient, C: CheckpointStrategy> InfoNceOps for Autodiff<B, C> {
    fn info_nce_forward(
        queries: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        asked: FloatTensor<Self>,
        others: FloatTensor<Self>,
        pairing: Pairing,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let nodes = [queries.node(), keys.node()];
        let (queries, keys) = (queries.into_primitive(), keys.into_primitive());
        let exclusion = [asked.into_primitive(), others.into_primitive()];
        let [asked, others] = exclusion.clone();
        let (loss, right, candidates, log_sum, slopes) = B::info_nce_forward(
            queries.clone(),
            keys.clone(),
            asked,
            others,
            pairing.clone(),
        );
        let tracked = match InfoNce.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let keys = pairing.with_key_gradient.then(|| KeyState {
                    queries,
                    keys,
                    exclusion,
                    pairing,
                    loss: loss.clone(),
                    log_sum: log_sum.clone(),
                });
                let slopes = slopes.clone();
                prepared.finish(State { slopes, keys }, loss)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(loss),
        };
        let constant = <Self as AutodiffBackend>::from_inner;
        (
            tracked,
            constant(right),
            constant(candidates),
            constant(log_sum),
            constant(slopes),
        )
    }
}

/// The node in the graph.
#[derive(Debug)]
struct InfoNce;

impl<B: InfoNceGradient> Backward<B, 2> for InfoNce {
    type State = State<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let State { slopes, keys } = ops.state;
        let gradient = grads.consume::<B>(&ops.node);
        let [of_queries, of_keys] = ops.parents;
        if let Some(parent) = of_queries {
            grads.register::<B>(parent.id, B::float_mul(slopes, gradient.clone()));
        }
        if let (Some(parent), Some(state)) = (of_keys, keys) {
            let [asked, others] = state.exclusion;
            let gradient = B::info_nce_keys_backward(
                state.queries,
                state.keys,
                asked,
                others,
                state.pairing,
                state.loss,
                state.log_sum,
                gradient,
            );
            grads.register::<B>(parent.id, gradient);
        }
    }
}
