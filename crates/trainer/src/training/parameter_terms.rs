//! Errors of estimated parameters, for every task that estimates some.

use std::borrow::Cow;

use burn::tensor::Tensor;
use losses::{ParameterPrediction, ParameterTarget};
use params::{Param, ParamSpec};

/// Estimated synthesizer parameters of a batch, all of a synthesizer's or some.
#[derive(Clone, Debug, Default)]
pub struct EstimatedParameters {
    /// Continuous parameters by their names, `[batch]` each, as positions in 0..1.
    pub continuous: Vec<(String, Tensor<1>)>,
    /// Logits of categorical parameters by their names, `[batch, classes]` each.
    pub logits: Vec<(String, Tensor<2>)>,
}

impl EstimatedParameters {
    /// All parameters of `spec`, in its order.
    pub fn of(spec: &ParamSpec, prediction: ParameterPrediction) -> Self {
        let name = |param: &Param| param.name.clone();
        let positions = prediction.continuous.into_iter();
        let columns = positions.flat_map(|positions| {
            let [_, count] = positions.dims();
            (0..count).map(move |place| positions.clone().narrow(1, place, 1).squeeze_dim(1))
        });
        Self {
            continuous: spec.continuous().map(name).zip(columns).collect(),
            logits: spec
                .categorical()
                .map(name)
                .zip(prediction.logits)
                .collect(),
        }
    }

    /// What is logged of each item, `[batch]`: `param/cont_mse`, the mean over the continuous parameters, `param/cont_mae/NAME` of
    /// each, `param/cat_acc_mean` and `param/cat_acc/NAME`. Nothing is on the graph.
    ///
    /// # Panics
    /// If a name isn't one of `spec`, or the truth isn't of `spec`.
    pub(crate) fn terms(
        self,
        spec: &ParamSpec,
        truth: &ParameterTarget,
    ) -> Vec<(Cow<'static, str>, Tensor<1>)> {
        let mut terms = Vec::new();
        let mut squares = Vec::new();
        let mut errors = Vec::new();
        for (name, position) in self.continuous {
            let place = place(spec.continuous(), &name, "continuous");
            let truth = truth.continuous.as_ref();
            let truth = truth.expect("the truth has the parameters of its specification");
            let error = position.detach() - truth.clone().narrow(1, place, 1).squeeze_dim(1);
            squares.push(error.clone().square());
            errors.push((format!("param/cont_mae/{name}").into(), error.abs()));
        }
        terms.extend(mean(squares).map(|mse| ("param/cont_mse".into(), mse)));
        terms.extend(errors);

        let mut correct = Vec::new();
        let mut accuracies = Vec::new();
        for (name, logits) in self.logits {
            let place = place(spec.categorical(), &name, "categorical");
            let truth = truth.classes.as_ref();
            let truth = truth.expect("the truth has the parameters of its specification");
            let hit = logits
                .detach()
                .argmax(1)
                .equal(truth.clone().narrow(1, place, 1));
            let hit: Tensor<1> = hit.float().squeeze_dim(1);
            correct.push(hit.clone());
            accuracies.push((format!("param/cat_acc/{name}").into(), hit));
        }
        terms.extend(mean(correct).map(|share| ("param/cat_acc_mean".into(), share)));
        terms.extend(accuracies);
        terms
    }
}

fn place<'a>(mut params: impl Iterator<Item = &'a Param>, name: &str, kind: &str) -> usize {
    let place = params.position(|param| param.name == name);
    place.unwrap_or_else(|| panic!("the sounds have no {kind} parameter {name:?}"))
}

/// The mean of `[batch]` columns, item by item.
fn mean(columns: Vec<Tensor<1>>) -> Option<Tensor<1>> {
    let count = columns.len();
    let sum = columns.into_iter().reduce(|sum, column| sum + column);
    sum.map(|sum| sum / count as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Int};
    use params::{Curve, ParamKind};

    fn spec() -> ParamSpec {
        let continuous = |name: &str| Param {
            name: name.into(),
            kind: ParamKind::Continuous {
                min: 0.0,
                max: 1.0,
                unit: "unit".into(),
                curve: Curve::Linear,
            },
        };
        let categorical = |name: &str, classes: &[&str]| Param {
            name: name.into(),
            kind: ParamKind::Categorical {
                classes: classes.iter().map(|class| class.to_string()).collect(),
            },
        };
        let params = vec![
            continuous("level"),
            categorical("wave", &["saw", "sine"]),
            continuous("cutoff"),
            categorical("filter", &["low", "band", "high"]),
        ];
        ParamSpec::new(params).unwrap()
    }

    fn truth(device: &Device) -> ParameterTarget {
        ParameterTarget {
            continuous: Some(Tensor::from_data([[0.5, 0.25], [0.0, 1.0]], device)),
            classes: Some(Tensor::<2, Int>::from_data([[1, 2], [0, 0]], device)),
        }
    }

    fn values(terms: Vec<(Cow<'static, str>, Tensor<1>)>) -> Vec<(String, Vec<f32>)> {
        let list = |items: Tensor<1>| items.into_data().try_to_vec::<f32>().unwrap();
        let terms = terms.into_iter();
        terms
            .map(|(name, items)| (name.into_owned(), list(items)))
            .collect()
    }

    #[test]
    fn a_list_of_all_parameters_is_measured_by_name() {
        let device = Device::flex();
        let wave = Tensor::<2>::from_data([[0.0, 1.0], [0.0, 1.0]], &device);
        let filter = Tensor::<2>::from_data([[0.0, 0.0, 3.0], [2.0, 0.0, 0.0]], &device);
        let prediction = ParameterPrediction {
            continuous: Some(Tensor::from_data([[0.5, 0.75], [0.5, 1.0]], &device)),
            logits: vec![wave, filter],
        };
        let terms = EstimatedParameters::of(&spec(), prediction).terms(&spec(), &truth(&device));
        let expected: [(&str, [f32; 2]); 6] = [
            ("param/cont_mse", [0.125, 0.125]),
            ("param/cont_mae/level", [0.0, 0.5]),
            ("param/cont_mae/cutoff", [0.5, 0.0]),
            ("param/cat_acc_mean", [1.0, 0.5]),
            ("param/cat_acc/wave", [1.0, 0.0]),
            ("param/cat_acc/filter", [1.0, 1.0]),
        ];
        let expected = expected.map(|(name, items)| (name.to_owned(), items.to_vec()));
        assert_eq!(values(terms), expected);
    }

    #[test]
    fn one_parameter_by_name_is_measured_alone() {
        let device = Device::flex();
        let filter = Tensor::<2>::from_data([[0.0, 0.0, 3.0], [0.0, 1.0, 0.0]], &device);
        let estimate = EstimatedParameters {
            logits: vec![("filter".to_owned(), filter)],
            ..EstimatedParameters::default()
        };
        let expected = ["param/cat_acc_mean", "param/cat_acc/filter"];
        let expected = expected.map(|name| (name.to_owned(), vec![1.0, 0.0]));
        assert_eq!(values(estimate.terms(&spec(), &truth(&device))), expected);
    }

    #[test]
    #[should_panic(expected = "no continuous parameter \"wave\"")]
    fn a_name_of_another_kind_is_refused() {
        let device = Device::flex();
        let estimate = EstimatedParameters {
            continuous: vec![("wave".to_owned(), Tensor::zeros([2], &device))],
            ..EstimatedParameters::default()
        };
        estimate.terms(&spec(), &truth(&device));
    }
}
