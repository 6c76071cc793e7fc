//! Equality of patches and of specifications.

use sha2::{Digest, Sha256};

use crate::{Param, ParamError, ParamKind, ParamSpec, ParamVector};

impl ParamSpec {
    /// Whether a vector has the same meaning in both specifications: equal names, ranges, curves and classes in the same
    /// order. Units are not compared.
    pub fn means_the_same(&self, other: &Self) -> bool {
        let plain = |spec: &Self| {
            spec.params()
                .iter()
                .map(Param::without_unit)
                .collect::<Vec<_>>()
        };
        plain(self) == plain(other)
    }

    /// Identifies a patch: SHA-256 of the name, range, curve and position of each continuous parameter, and of the name
    /// and class of each categorical one. It doesn't depend on their order and units.
    ///
    /// # Errors
    /// If the vector doesn't fit the specification.
    pub fn patch_sha256(&self, vector: &ParamVector) -> Result<[u8; 32], ParamError> {
        self.check(vector)?;
        let (mut positions, mut classes) = (vector.cont.iter(), vector.cat.iter());
        let mut values: Vec<(&str, Vec<u8>)> = Vec::with_capacity(self.params().len());
        for Param { name, kind } in self.params() {
            let value = match kind {
                ParamKind::Continuous {
                    min, max, curve, ..
                } => {
                    let position = positions.next().expect("the vector fits");
                    // Adding zero turns -0 into 0, which is the same position.
                    let numbers = [*min, *max, position + 0.0].map(f32::to_le_bytes);
                    [&[b'c', *curve as u8], numbers.as_flattened()].concat()
                }
                ParamKind::Categorical { classes: names } => {
                    let class = *classes.next().expect("the vector fits");
                    [b"k", names[class].as_bytes()].concat()
                }
            };
            values.push((name, value));
        }
        values.sort_unstable();
        let mut hash = Sha256::new();
        for part in values
            .iter()
            .flat_map(|(name, value)| [name.as_bytes(), value])
        {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Ok(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Curve;
    use crate::spec::tests::continuous;

    #[test]
    fn a_patch_does_not_depend_on_order_and_units() {
        let wave = |classes: &[&str]| Param {
            name: "wave".into(),
            kind: ParamKind::Categorical {
                classes: classes.iter().map(|&class| class.into()).collect(),
            },
        };
        let cutoff = |max| continuous("cutoff", 20.0, max, Curve::Exponential);
        let level = || continuous("level", 0.0, 1.0, Curve::Linear);
        let spec = |params: Vec<Param>| ParamSpec::new(params).unwrap();
        let patch = |spec: &ParamSpec, cont: &[f32], class| {
            let (cont, cat) = (cont.to_vec(), vec![class]);
            spec.patch_sha256(&ParamVector { cont, cat }).unwrap()
        };
        let first = spec(vec![cutoff(2e4), level(), wave(&["saw", "sine"])]);
        let known = patch(&first, &[0.25, 0.0], 1);
        assert_eq!(patch(&first, &[0.25, -0.0], 1), known);
        let turned = spec(vec![wave(&["sine", "saw"]), level(), cutoff(2e4)]);
        assert_eq!(patch(&turned, &[0.0, 0.25], 0), known);
        assert!(!first.means_the_same(&turned));
        let mut hertz = cutoff(2e4);
        if let ParamKind::Continuous { unit, .. } = &mut hertz.kind {
            *unit = "hertz".into();
        }
        let named = spec(vec![hertz, level(), wave(&["saw", "sine"])]);
        assert_ne!(named, first);
        assert!(named.means_the_same(&first));
        assert_eq!(patch(&named, &[0.25, 0.0], 1), known);

        let wider = spec(vec![cutoff(1e4), level(), wave(&["saw", "sine"])]);
        assert!(!wider.means_the_same(&first));
        let others = [
            patch(&first, &[0.25, 0.0], 0),
            patch(&first, &[0.0, 0.25], 1),
            patch(&wider, &[0.25, 0.0], 1),
        ];
        assert!(!others.contains(&known));
        let short = ParamVector {
            cont: vec![0.5],
            cat: vec![0],
        };
        assert!(first.patch_sha256(&short).is_err());
    }
}
