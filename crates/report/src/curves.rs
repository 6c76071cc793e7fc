//! What `metrics.jsonl` holds, tag by tag.

use std::collections::BTreeMap;
use std::path::Path;

use trainer::Metric;

/// Numbers over the steps of a stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// The points of each tag in the order of their steps; none where the number wasn't finite.
    pub points: BTreeMap<String, Vec<(u64, Option<f64>)>>,
    /// Lines that say nothing: cut off, or no metrics.
    pub unreadable_lines: usize,
}

impl Curves {
    /// Reads `path`, as much of it as can be read.
    ///
    /// # Errors
    /// There is no such file, or it can't be opened.
    pub(crate) fn read(path: &Path) -> std::io::Result<Self> {
        // Bytes that are no text spoil their line alone.
        let bytes = std::fs::read(path)?;
        Ok(Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    fn parse(text: &str) -> Self {
        let mut curves = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let Ok(metric) = serde_json::from_str::<Metric>(line) else {
                curves.unreadable_lines += 1;
                continue;
            };
            let value = metric.value.filter(|value| value.is_finite());
            let points = curves.points.entry(metric.tag.into_owned()).or_default();
            points.push((metric.step, value.map(shortest)));
        }
        for points in curves.points.values_mut() {
            points.sort_by_key(|(step, _)| *step);
        }
        curves
    }

    /// The points of `tag`; none where it wasn't logged.
    pub(crate) fn of(&self, tag: &str) -> &[(u64, Option<f64>)] {
        self.points.get(tag).map_or(&[], Vec::as_slice)
    }

    /// The last finite number of `tag`.
    pub(crate) fn last(&self, tag: &str) -> Option<f64> {
        self.of(tag).iter().rev().find_map(|(_, value)| *value)
    }

    /// The last step that anything was logged at.
    pub(crate) fn last_step(&self) -> Option<u64> {
        let last = self.points.values().filter_map(|points| points.last());
        last.map(|(step, _)| *step).max()
    }
}

/// The f64 that is written with the digits of `value`, so that 0.1 doesn't become 0.10000000149.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_say_nothing_are_counted_and_the_others_kept() {
        let text = "{\"step\":2,\"tag\":\"a\",\"value\":0.1}\n\n{\"step\":1,\"tag\":\"a\",\"value\":null}\n\
                    nonsense\n{\"step\":3,\"tag\":\"b\\u0041\",\"value\":-7}\n{\"step\":4,\"tag\":\"a\",\"val";
        let curves = Curves::parse(text);
        assert_eq!(curves.unreadable_lines, 2);
        assert_eq!(curves.of("a"), [(1, None), (2, Some(0.1))]);
        assert_eq!(curves.of("bA"), [(3, Some(-7.0))]);
        assert_eq!(curves.of("c"), []);
        assert_eq!((curves.last("a"), curves.last("c")), (Some(0.1), None));
        assert_eq!(curves.last_step(), Some(3));
    }
}
