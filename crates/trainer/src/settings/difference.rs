//! Comparing experiments.

use toml::{Table, Value};

use crate::settings::experiment::Experiment;

/// The first setting, of those that `counts` says yes to, in which two experiments differ: its dotted path and both
/// values, in the order of the experiment's tables.
pub(crate) fn first_difference(
    one: &Experiment,
    other: &Experiment,
    counts: impl Fn(&str) -> bool,
) -> Option<(String, String, String)> {
    let table = |experiment: &Experiment| {
        Table::try_from(experiment).expect("an experiment consists of plain tables and values")
    };
    let (one, other) = (leaves(table(one)), leaves(table(other)));
    let find = |leaves: &[(String, Value)], key: &str| {
        let found = leaves.iter().find(|(known, _)| known == key);
        found.map_or_else(|| "not set".to_owned(), |(_, value)| value.to_string())
    };
    let keys = one.iter().chain(&other).map(|(key, _)| key);
    keys.filter(|key| counts(key))
        .map(|key| (key.clone(), find(&one, key), find(&other, key)))
        .find(|(_, one, other)| one != other)
}

/// Every value that is no table, with its dotted path.
fn leaves(table: Table) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => found.extend(
                leaves(inner)
                    .into_iter()
                    .map(|(path, value)| (format!("{key}.{path}"), value)),
            ),
            value => found.push((key, value)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_named_with_both_values_and_what_does_not_count_is_passed_over() {
        let load = |overrides: &[&str]| {
            let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
            Experiment::load(None, &overrides).unwrap()
        };
        let plain = load(&[]);
        let other = load(&["seed=3", "data.clip.seconds=2.0"]);
        assert_eq!(first_difference(&plain, &plain, |_| true), None);
        let found = first_difference(&plain, &other, |key| key != "seed");
        let expected = ("data.clip.seconds", "1.0", "2.0");
        let expected = (expected.0.into(), expected.1.into(), expected.2.into());
        assert_eq!(found, Some(expected));
    }
}
