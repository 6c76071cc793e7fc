//! Specifications of a synthesizer's parameters: patches to vectors and back.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::{Curve, Param, ParamError, ParamKind, ParamVector, Patch};

const CONTINUOUS: &str = "continuous";
const CATEGORICAL: &str = "categorical";

/// The parameters of a synthesizer, with their order, ranges and classes.
///
/// In JSON, the list `params` of a `params.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Param>", into = "Vec<Param>")]
pub struct ParamSpec {
    params: Vec<Param>,
}

impl ParamSpec {
    /// A specification of these parameters, in this order.
    ///
    /// # Errors
    /// If there are none, a name is empty or repeated, a range is empty or not finite, an exponential range
    /// includes zero, or a categorical parameter has fewer than two classes or repeats one.
    pub fn new(params: Vec<Param>) -> Result<Self, ParamError> {
        if params.is_empty() {
            return Err(ParamError::Empty);
        }
        let mut names = HashSet::new();
        for (index, param) in params.iter().enumerate() {
            if param.name.is_empty() {
                return Err(ParamError::NoName { index });
            }
            if !names.insert(&param.name) {
                return Err(ParamError::DuplicateName {
                    owner: "the specification".into(),
                    name: param.name.clone(),
                });
            }
            param.check()?;
        }
        Ok(Self { params })
    }

    /// All parameters, in order.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The continuous parameters, in the order of [`ParamVector::cont`].
    pub fn continuous(&self) -> impl Iterator<Item = &Param> {
        self.params
            .iter()
            .filter(|p| matches!(p.kind, ParamKind::Continuous { .. }))
    }

    /// The categorical parameters, in the order of [`ParamVector::cat`].
    pub fn categorical(&self) -> impl Iterator<Item = &Param> {
        self.params
            .iter()
            .filter(|p| matches!(p.kind, ParamKind::Categorical { .. }))
    }

    /// Number of continuous parameters.
    pub fn n_continuous(&self) -> usize {
        self.ranges().count()
    }

    /// Number of classes of each categorical parameter, in order.
    pub fn class_counts(&self) -> Vec<usize> {
        self.choices().map(|(_, classes)| classes).collect()
    }

    /// For each output of a network (positions of continuous parameters, then the classes of each categorical one), the
    /// index of the output with the same name, of parameter and class, in a network for `other`.
    ///
    /// Ranges are not compared: positions of the same name may stand for different values.
    pub fn outputs_alike(&self, other: &Self) -> Vec<Option<usize>> {
        let theirs: Vec<_> = other.output_names().collect();
        let find = |name| theirs.iter().position(|theirs| *theirs == name);
        self.output_names().map(find).collect()
    }

    /// Names of a network's outputs: the parameter for a position, parameter and class for a class.
    pub fn output_names(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let positions = self.continuous().map(|param| (param.name.as_str(), None));
        let classes = self.params.iter().flat_map(|param| match &param.kind {
            ParamKind::Continuous { .. } => vec![],
            ParamKind::Categorical { classes } => {
                let name = param.name.as_str();
                classes
                    .iter()
                    .map(|class| (name, Some(class.as_str())))
                    .collect()
            }
        });
        positions.chain(classes)
    }

    /// Converts a patch to positions and class indices, the inverse of [`ParamSpec::decode`].
    ///
    /// # Errors
    /// If a parameter has no value, a value has no parameter, or a value is out of range.
    pub fn encode(&self, patch: &Patch) -> Result<ParamVector, ParamError> {
        self.gather(&patch.cont, &patch.cat, |name, range, value| {
            range.check(name, value)?;
            Ok(range.curve.position(value, range.min, range.max))
        })
    }

    /// Converts positions and class indices to a patch in musical units.
    ///
    /// # Errors
    /// If a length differs from that of the specification, a position is outside 0..1 (or NaN), or a class
    /// index is too large.
    pub fn decode(&self, vector: &ParamVector) -> Result<Patch, ParamError> {
        self.check(vector)?;
        let cont = self
            .ranges()
            .zip(&vector.cont)
            .map(|((name, r), &u)| (name.to_owned(), r.curve.value(u, r.min, r.max)))
            .collect();
        let cat = self
            .choices()
            .zip(&vector.cat)
            .map(|((name, _), &class)| (name.to_owned(), class))
            .collect();
        Ok(Patch { cont, cat })
    }

    /// Checks that a vector fits this specification.
    pub(crate) fn check(&self, vector: &ParamVector) -> Result<(), ParamError> {
        check_length(CONTINUOUS, self.n_continuous(), vector.cont.len())?;
        check_length(CATEGORICAL, self.choices().count(), vector.cat.len())?;
        for ((name, _), &u) in self.ranges().zip(&vector.cont) {
            Range::POSITION.check(name, u)?;
        }
        for ((name, classes), &class) in self.choices().zip(&vector.cat) {
            check_class(name, classes, class)?;
        }
        Ok(())
    }

    /// The vector of named positions and classes.
    pub(crate) fn order(
        &self,
        cont: &BTreeMap<String, f32>,
        cat: &BTreeMap<String, usize>,
    ) -> Result<ParamVector, ParamError> {
        self.gather(cont, cat, |name, _, u| {
            Range::POSITION.check(name, u).map(|()| u)
        })
    }

    /// Named values in the specification's order; `position` converts each continuous one.
    fn gather(
        &self,
        cont: &BTreeMap<String, f32>,
        cat: &BTreeMap<String, usize>,
        position: impl Fn(&str, Range<'_>, f32) -> Result<f32, ParamError>,
    ) -> Result<ParamVector, ParamError> {
        let positions = self
            .ranges()
            .map(|(name, range)| position(name, range, lookup(cont, name, CONTINUOUS)?))
            .collect::<Result<_, _>>()?;
        let classes = self
            .choices()
            .map(|(name, classes)| {
                let class = lookup(cat, name, CATEGORICAL)?;
                check_class(name, classes, class).map(|()| class)
            })
            .collect::<Result<_, _>>()?;
        self.refuse_unknown(cont, cat)?;
        Ok(ParamVector {
            cont: positions,
            cat: classes,
        })
    }

    fn refuse_unknown(
        &self,
        cont: &BTreeMap<String, f32>,
        cat: &BTreeMap<String, usize>,
    ) -> Result<(), ParamError> {
        let unknown = |name: &String, kind| ParamError::Unknown {
            name: name.clone(),
            kind,
        };
        if let Some(name) = cont
            .keys()
            .find(|key| self.ranges().all(|(name, _)| name != *key))
        {
            return Err(unknown(name, CONTINUOUS));
        }
        if let Some(name) = cat
            .keys()
            .find(|key| self.choices().all(|(name, _)| name != *key))
        {
            return Err(unknown(name, CATEGORICAL));
        }
        Ok(())
    }

    fn ranges(&self) -> impl Iterator<Item = (&str, Range<'_>)> {
        self.params.iter().filter_map(|param| match &param.kind {
            &ParamKind::Continuous {
                min,
                max,
                ref unit,
                curve,
            } => Some((
                param.name.as_str(),
                Range {
                    min,
                    max,
                    unit,
                    curve,
                },
            )),
            ParamKind::Categorical { .. } => None,
        })
    }

    fn choices(&self) -> impl Iterator<Item = (&str, usize)> {
        self.params.iter().filter_map(|param| match &param.kind {
            ParamKind::Continuous { .. } => None,
            ParamKind::Categorical { classes } => Some((param.name.as_str(), classes.len())),
        })
    }
}

impl TryFrom<Vec<Param>> for ParamSpec {
    type Error = ParamError;

    fn try_from(params: Vec<Param>) -> Result<Self, ParamError> {
        Self::new(params)
    }
}

impl From<ParamSpec> for Vec<Param> {
    fn from(spec: ParamSpec) -> Self {
        spec.params
    }
}

/// The range of a continuous parameter.
struct Range<'a> {
    min: f32,
    max: f32,
    unit: &'a str,
    curve: Curve,
}

impl Range<'static> {
    /// The range of positions.
    const POSITION: Self = Self {
        min: 0.0,
        max: 1.0,
        unit: "(position)",
        curve: Curve::Linear,
    };
}

impl Range<'_> {
    fn check(&self, name: &str, got: f32) -> Result<(), ParamError> {
        if (self.min..=self.max).contains(&got) {
            return Ok(());
        }
        let (name, unit) = (name.to_owned(), self.unit.to_owned());
        Err(ParamError::OutOfRange {
            name,
            min: self.min,
            max: self.max,
            unit,
            got,
        })
    }
}

fn check_length(kind: &'static str, expected: usize, got: usize) -> Result<(), ParamError> {
    if got == expected {
        Ok(())
    } else {
        Err(ParamError::Length {
            kind,
            expected,
            got,
        })
    }
}

fn check_class(name: &str, classes: usize, got: usize) -> Result<(), ParamError> {
    if got < classes {
        return Ok(());
    }
    Err(ParamError::ClassOutOfRange {
        name: name.to_owned(),
        classes,
        got,
    })
}

fn lookup<V: Copy>(
    values: &BTreeMap<String, V>,
    name: &str,
    kind: &'static str,
) -> Result<V, ParamError> {
    values
        .get(name)
        .copied()
        .ok_or_else(|| ParamError::Missing {
            name: name.to_owned(),
            kind,
        })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn continuous(name: &str, min: f32, max: f32, curve: Curve) -> Param {
        let kind = ParamKind::Continuous {
            min,
            max,
            unit: "unit".into(),
            curve,
        };
        Param {
            name: name.into(),
            kind,
        }
    }

    fn categorical(name: &str, classes: &[&str]) -> Param {
        let classes = classes.iter().map(|&class| class.into()).collect();
        Param {
            name: name.into(),
            kind: ParamKind::Categorical { classes },
        }
    }

    /// Three continuous parameters, one per curve, and two categorical ones, interleaved.
    fn mixed() -> ParamSpec {
        ParamSpec::new(vec![
            categorical("wave", &["sine", "saw", "square", "noise"]),
            continuous("pan", -1.0, 1.0, Curve::Linear),
            continuous("cutoff_hz", 20.0, 8_000.0, Curve::Exponential),
            categorical("filter", &["low", "high"]),
            continuous("drive", 0.0, 12.0, Curve::Quadratic),
        ])
        .unwrap()
    }

    #[test]
    fn outputs_are_matched_by_the_names_of_parameter_and_class() {
        let continuous = |name| continuous(name, 0.0, 1.0, Curve::Linear);
        let ours = [
            continuous("level"),
            categorical("wave", &["saw", "sine"]),
            continuous("new"),
        ];
        let theirs = [
            continuous("rate"),
            continuous("level"),
            categorical("wave", &["sine", "square", "saw"]),
            categorical("shape", &["saw", "sine"]),
        ];
        let [ours, theirs] =
            [ours.to_vec(), theirs.to_vec()].map(|params| ParamSpec::new(params).unwrap());
        // Theirs: rate, level, wave sine, square, saw, shape saw, sine. Ours: level, new, wave saw, sine.
        let expected = [Some(1), None, Some(4), Some(2)];
        assert_eq!(ours.outputs_alike(&theirs), expected);
        let all: Vec<_> = (0..4).map(Some).collect();
        assert_eq!(ours.outputs_alike(&ours), all);
    }

    fn vector(cont: [f32; 3], cat: [usize; 2]) -> ParamVector {
        ParamVector {
            cont: cont.into(),
            cat: cat.into(),
        }
    }

    #[test]
    fn continuous_and_categorical_keep_the_order_of_the_specification() {
        let spec = mixed();
        let names = |params: Vec<&Param>| params.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
        assert_eq!(
            names(spec.continuous().collect()),
            ["pan", "cutoff_hz", "drive"]
        );
        assert_eq!(names(spec.categorical().collect()), ["wave", "filter"]);
        assert_eq!((spec.n_continuous(), spec.class_counts()), (3, vec![4, 2]));
    }

    #[test]
    fn both_ends_and_the_middle_decode_to_musical_units_and_back_exactly() {
        let spec = mixed();
        for (u, expected) in [
            (0.0, [-1.0, 20.0, 0.0]),
            (0.5, [0.0, 400.0, 3.0]),
            (1.0, [1.0, 8_000.0, 12.0]),
        ] {
            let positions = vector([u; 3], [3, 1]);
            let patch = spec.decode(&positions).unwrap();
            let values = ["pan", "cutoff_hz", "drive"].map(|name| patch.cont[name]);
            for (value, expected) in values.iter().zip(expected) {
                assert!(
                    (value - expected).abs() <= 1e-6 * expected.abs(),
                    "{value} {expected}"
                );
            }
            assert_eq!(spec.encode(&patch).unwrap(), positions);
        }
    }

    #[test]
    fn every_class_survives_the_round_trip() {
        let spec = mixed();
        let mut checked = 0;
        for wave in 0..4 {
            for filter in 0..2 {
                let classes = vector([0.25; 3], [wave, filter]);
                let patch = spec.decode(&classes).unwrap();
                assert_eq!((patch.cat["wave"], patch.cat["filter"]), (wave, filter));
                assert_eq!(spec.encode(&patch).unwrap().cat, classes.cat);
                checked += 1;
            }
        }
        assert_eq!(checked, 8);
    }

    proptest! {
        #[test]
        fn encode_undoes_decode(
            cont in prop::array::uniform3(0.0_f32..=1.0),
            wave in 0_usize..4,
            filter in 0_usize..2,
        ) {
            let spec = mixed();
            let given = vector(cont, [wave, filter]);
            let back = spec.encode(&spec.decode(&given).unwrap()).unwrap();
            prop_assert_eq!(&back.cat, &given.cat);
            for (a, b) in back.cont.iter().zip(&given.cont) {
                prop_assert!((a - b).abs() <= 1e-6, "{} {}", a, b);
            }
        }

        #[test]
        fn decode_undoes_encode(
            pan in -1.0_f32..=1.0,
            cutoff_hz in 20.0_f32..=8_000.0,
            drive in 0.0_f32..=12.0,
        ) {
            let values = [("pan", pan), ("cutoff_hz", cutoff_hz), ("drive", drive)];
            let given = Patch {
                cont: values.map(|(name, value)| (name.into(), value)).into(),
                cat: [("wave".into(), 2), ("filter".into(), 1)].into(),
            };
            let spec = mixed();
            let back = spec.decode(&spec.encode(&given).unwrap()).unwrap();
            for (name, value) in values {
                // Half a step of a position in f32 moves the cutoff by ln(400) 2^-25 of itself.
                let tolerance = 1e-6 * value.abs().max(1.0);
                prop_assert!((back.cont[name] - value).abs() <= tolerance, "{}", name);
            }
        }
    }

    #[test]
    fn an_impossible_specification_is_refused() {
        let message = |params| ParamSpec::new(params).unwrap_err().to_string();
        let good = || continuous("a", 0.0, 1.0, Curve::Linear);
        let cases = [
            (vec![], "at least one"),
            (
                vec![continuous("", 0.0, 1.0, Curve::Linear)],
                "number 0 has no name",
            ),
            (vec![good(), good()], "`a` twice"),
            (
                vec![continuous("b", 1.0, 1.0, Curve::Linear)],
                "`b` has the range 1..1",
            ),
            (
                vec![continuous("b", 0.0, f32::INFINITY, Curve::Linear)],
                "finite",
            ),
            (
                vec![continuous("b", f32::NAN, 1.0, Curve::Linear)],
                "finite",
            ),
            (
                vec![continuous("b", 0.0, 1.0, Curve::Exponential)],
                "`b` is exponential from 0",
            ),
            (vec![categorical("c", &["one"])], "`c` has 1 class"),
            (
                vec![categorical("c", &["x", "y", "x"])],
                "parameter `c` lists `x` twice",
            ),
        ];
        for (params, part) in cases {
            let text = message(params);
            assert!(text.contains(part), "expected {part:?} in {text:?}");
        }
    }

    #[test]
    fn a_patch_that_does_not_fit_is_refused_by_name() {
        let spec = mixed();
        let good = spec.decode(&vector([0.5; 3], [0, 0])).unwrap();
        let fault = |change: fn(&mut Patch)| {
            let mut patch = good.clone();
            change(&mut patch);
            spec.encode(&patch).unwrap_err().to_string()
        };
        let cases = [
            (
                fault(|p| {
                    p.cont.remove("pan");
                }),
                "continuous parameter `pan` has no value",
            ),
            (
                fault(|p| {
                    p.cat.remove("wave");
                }),
                "categorical parameter `wave` has no value",
            ),
            (
                fault(|p| {
                    p.cont.insert("wave".into(), 0.5);
                }),
                "no continuous parameter `wave`",
            ),
            (
                fault(|p| {
                    p.cat.insert("x".into(), 0);
                }),
                "no categorical parameter `x`",
            ),
            (
                fault(|p| {
                    p.cont.insert("pan".into(), 1.5);
                }),
                "`pan` is 1.5: expected -1 to 1",
            ),
            (
                fault(|p| {
                    p.cont.insert("pan".into(), f32::NAN);
                }),
                "`pan` is NaN",
            ),
            (
                fault(|p| {
                    p.cat.insert("wave".into(), 4);
                }),
                "class index 4: expected 0 to 3",
            ),
        ];
        for (text, part) in cases {
            assert!(text.contains(part), "expected {part:?} in {text:?}");
        }
    }

    #[test]
    fn a_vector_that_does_not_fit_is_refused() {
        let spec = mixed();
        let message = |vector| spec.decode(&vector).unwrap_err().to_string();
        let cases = [
            (
                ParamVector {
                    cont: vec![0.5; 2],
                    cat: vec![0, 0],
                },
                "2 continuous value(s)",
            ),
            (
                ParamVector {
                    cont: vec![0.5; 3],
                    cat: vec![0],
                },
                "1 categorical value(s)",
            ),
            (vector([0.5, 1.01, 0.5], [0, 0]), "`cutoff_hz` is 1.01"),
            (vector([0.5, f32::NAN, 0.5], [0, 0]), "`cutoff_hz` is NaN"),
            (vector([0.5; 3], [0, 2]), "`filter` has class index 2"),
        ];
        for (vector, part) in cases {
            let text = message(vector);
            assert!(text.contains(part), "expected {part:?} in {text:?}");
        }
    }

    #[test]
    fn json_is_checked_like_the_constructor() {
        let spec = mixed();
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<ParamSpec>(&text).unwrap(), spec);
        let twice = r#"[{"name":"c","kind":"categorical","classes":["x","x"]}]"#;
        let error = serde_json::from_str::<ParamSpec>(twice)
            .unwrap_err()
            .to_string();
        assert!(error.contains("parameter `c` lists `x` twice"), "{error}");
    }
}
