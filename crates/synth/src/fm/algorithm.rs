//! Algorithms: the wiring of the operators.

use crate::setting::Class;

/// Number of operators.
pub(crate) const OPERATORS: usize = 6;

/// A wiring of six operators, numbered from 1. Modulators have higher numbers than the operators that they modulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Algorithm {
    /// Modulators of each operator: bit `i` is operator `i + 1`.
    modulators: [u8; OPERATORS],
    /// Operators whose output is the sound: those that modulate no other.
    carriers: u8,
    /// Source of the feedback to the last operator.
    feedback_from: usize,
}

const fn bits(operators: &[usize]) -> u8 {
    let (mut bits, mut i) = (0, 0);
    while i < operators.len() {
        bits |= 1 << (operators[i] - 1);
        i += 1;
    }
    bits
}

/// `feedback_from` is the source of the feedback to the last operator.
const fn wired(modulators: [&[usize]; OPERATORS], feedback_from: usize) -> Algorithm {
    let mut of_each = [0; OPERATORS];
    let (mut all, mut i) = (0, 0);
    while i < OPERATORS {
        of_each[i] = bits(modulators[i]);
        all |= of_each[i];
        i += 1;
    }
    Algorithm {
        modulators: of_each,
        carriers: !all & ((1 << OPERATORS) - 1),
        feedback_from: feedback_from - 1,
    }
}

impl Class for Algorithm {
    /// Eight of the DX7's thirty-two algorithms, by their numbers (Yamaha 1983, DX7 operating manual): two and three stacks,
    /// a stack with branches, one modulator of two and of three carriers, and no modulation.
    const CLASSES: &'static [(&'static str, Self)] = &[
        ("alg1", wired([&[2], &[], &[4], &[5], &[6], &[]], 6)),
        ("alg4", wired([&[2], &[3], &[], &[5], &[6], &[]], 4)),
        ("alg5", wired([&[2], &[], &[4], &[], &[6], &[]], 6)),
        ("alg7", wired([&[2], &[], &[4, 5], &[], &[6], &[]], 6)),
        ("alg11", wired([&[2], &[3], &[], &[5, 6], &[], &[]], 6)),
        ("alg19", wired([&[2], &[3], &[], &[6], &[6], &[]], 6)),
        ("alg22", wired([&[2], &[], &[6], &[6], &[6], &[]], 6)),
        ("alg32", wired([&[], &[], &[], &[], &[], &[]], 6)),
    ];
}

impl Algorithm {
    pub(crate) fn is_carrier(self, operator: usize) -> bool {
        self.carriers >> operator & 1 == 1
    }

    /// The sum of the outputs that modulate `operator`.
    #[inline]
    pub(crate) fn modulation(self, operator: usize, outputs: &[f32; OPERATORS]) -> f32 {
        let modulators = self.modulators[operator];
        // A modulator has a higher number.
        (operator + 1..OPERATORS)
            .filter(|other| modulators >> other & 1 == 1)
            .map(|other| outputs[other])
            .sum()
    }

    /// The sum of the carriers' outputs.
    #[inline]
    pub(crate) fn carrier_sum(self, outputs: &[f32; OPERATORS]) -> f32 {
        (0..OPERATORS)
            .filter(|&operator| self.is_carrier(operator))
            .map(|operator| outputs[operator])
            .sum()
    }

    /// Source and target of the feedback; the first operator is 0.
    pub(crate) fn feedback(self) -> (usize, usize) {
        (self.feedback_from, OPERATORS - 1)
    }

    /// The algorithm of this name.
    #[cfg(test)]
    pub(crate) fn named(name: &str) -> Self {
        let named = Self::CLASSES.iter().find(|(of, _)| *of == name);
        named.expect("an algorithm").1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_is_a_carrier_or_modulates_one_below_it_and_none_is_both() {
        for (name, algorithm) in Algorithm::CLASSES {
            for operator in 0..OPERATORS {
                let modulated = (0..OPERATORS)
                    .filter(|&other| algorithm.modulators[other] >> operator & 1 == 1);
                let modulated: Vec<usize> = modulated.collect();
                assert!(
                    modulated.iter().all(|&other| other < operator),
                    "{name} {operator}"
                );
                assert_ne!(
                    algorithm.is_carrier(operator),
                    !modulated.is_empty(),
                    "{name} {operator}"
                );
            }
            let (from, to) = algorithm.feedback();
            assert!(from <= to && to == OPERATORS - 1, "{name}");
        }
    }

    #[test]
    fn outputs_are_summed_as_they_are_wired() {
        let outputs = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
        let sums = |name: &str| {
            let algorithm = Algorithm::named(name);
            let modulation = [0, 1, 2, 3, 4, 5].map(|i| algorithm.modulation(i, &outputs));
            (modulation, algorithm.carrier_sum(&outputs))
        };
        assert_eq!(sums("alg1"), ([2.0, 0.0, 8.0, 16.0, 32.0, 0.0], 5.0));
        assert_eq!(sums("alg7"), ([2.0, 0.0, 24.0, 0.0, 32.0, 0.0], 5.0));
        assert_eq!(sums("alg22"), ([2.0, 0.0, 32.0, 32.0, 32.0, 0.0], 29.0));
        assert_eq!(sums("alg32"), ([0.0; 6], 63.0));
    }
}
