//! Tables of tests: losses of models, and errors of estimated parameters.

use maud::{Markup, html};
use stft_data::MaskConfig;
use trainer::{ParameterErrors, ParameterMetrics, Scored, Stage, TestRow, mask_caption, percent};

use crate::captions;
use crate::number::{figure, whole};

/// Scores of models on spectrograms with a hidden part, and on whole ones.
pub(crate) fn test_tables(stage: Stage, rows: &[TestRow], mask: Option<&MaskConfig>) -> Markup {
    let hidden = match mask {
        Some(mask) => format!(
            "Hidden: {}. Losses are taken on the hidden part, except those of magnitudes, which are taken on everything.",
            mask_caption(mask)
        ),
        None => "A part is hidden; losses are taken on that part.".to_owned(),
    };
    let whole = "Nothing is hidden. Losses are taken on the whole spectrogram.".to_owned();
    html! {
        @for (scored, caption) in [(Scored::Hidden, hidden), (Scored::Everything, whole)] {
            @let rows: Vec<&TestRow> = rows.iter().filter(|row| row.scored == scored).collect();
            @if !rows.is_empty() {
                (models(stage, scored, &rows, &(caption + " The lowest of each column is bold.")))
            }
        }
    }
}

fn models(stage: Stage, scored: Scored, rows: &[&TestRow], caption: &str) -> Markup {
    let mut measures: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(|row| row.measures.keys()) {
        if !measures.contains(&name.as_str()) {
            measures.push(name);
        }
    }
    // The loss comes first.
    measures.sort_by_key(|name| *name != "loss");
    let value = |row: &TestRow, measure: &str| row.measures.get(measure).copied();
    let rows: Vec<Row> = rows
        .iter()
        .enumerate()
        .map(|(place, row)| Row {
            name: row.model.clone(),
            role: match place {
                0 => "the tested model",
                _ if place + 1 == rows.len() => "the baseline",
                _ => "its initialisation",
            }
            .to_owned(),
            values: measures.iter().map(|measure| value(row, measure)).collect(),
        })
        .collect();
    let columns: Vec<Column> = measures
        .iter()
        .map(|&name| Column {
            heading: captions::measure(stage, scored, name),
            key: name,
            better: Better::Lower,
        })
        .collect();
    table(caption, "Model", &columns, &rows)
}

/// Errors of estimated parameters: means, and one by one.
pub(crate) fn parameter_tables(test: &ParameterMetrics) -> Markup {
    let estimators = test.estimates.iter().map(|of| of.estimator.as_str());
    let estimators: Vec<&str> = estimators.collect();
    let continuous = by_parameter(test, |of| {
        let errors = of.continuous.iter();
        errors
            .map(|error| (error.name.clone(), String::new(), error.mae))
            .collect()
    });
    let categorical = by_parameter(test, |of| {
        let errors = of.categorical.iter();
        errors
            .map(|error| {
                let chance = percent(1.0 / error.classes.max(1) as f64);
                let role = format!("{} classes, {chance} by chance", error.classes);
                (error.name.clone(), role, error.accuracy)
            })
            .collect()
    });
    html! {
        (means_table(test))
        @if !continuous.is_empty() {
            details open {
                summary { "Each continuous parameter" }
                (rows_table("Mean absolute error of the position in 0..1; lower is better, and the best of each row is bold.", &estimators, &continuous, Better::Lower))
            }
        }
        @if !categorical.is_empty() {
            details open {
                summary { "Each categorical parameter" }
                (rows_table("Share of sounds whose class is right; higher is better, and the best of each row is bold.", &estimators, &categorical, Better::Higher))
            }
        }
    }
}

/// Means over all parameters, and distances of renders where there are any.
fn means_table(test: &ParameterMetrics) -> Markup {
    let has = |key: &str| {
        test.estimates
            .iter()
            .any(|of| of.distances.contains_key(key))
    };
    let distances = captions::DISTANCES.iter().filter(|(key, _)| has(key));
    let distances: Vec<&(&str, &str)> = distances.collect();
    let rendered = match &test.not_rendered {
        Some(reason) => format!(" Nothing is rendered: {reason}."),
        None if distances.is_empty() => String::new(),
        None => {
            " Distances: between the sounds and renders of each estimate by the embedded voice."
                .to_owned()
        }
    };
    let caption = format!(
        "Parameters of {} held-out sounds, estimated by heads that were trained on {} labelled sounds. Baselines: the average of those labels, and the labels of the training sound with the nearest log-mel spectrogram. Classes: accuracy, mean over categorical parameters. Errors: of positions in 0..1, mean over continuous parameters. The best of each column is bold.{rendered}",
        whole(test.test_examples as f64),
        whole(test.labelled_examples as f64),
    );
    let means = [
        ("Right classes", "cat_acc_mean", Better::Higher),
        ("Squared error", "cont_mse", Better::Lower),
        ("Absolute error", "cont_mae", Better::Lower),
    ];
    let of_renders = distances.iter().map(|(key, heading)| match *key {
        "rms_cosine" => (*heading, *key, Better::Higher),
        _ => (*heading, *key, Better::Lower),
    });
    let columns = means.into_iter().chain(of_renders);
    let columns: Vec<Column> = columns
        .map(|(heading, key, better)| Column {
            heading: heading.to_owned(),
            key,
            better,
        })
        .collect();
    let row = |of: &ParameterErrors| Row {
        name: of.estimator.clone(),
        role: String::new(),
        values: [of.cat_acc_mean, of.cont_mse, of.cont_mae]
            .into_iter()
            .chain(
                distances
                    .iter()
                    .map(|(key, _)| of.distances.get(*key).copied()),
            )
            .collect(),
    };
    let rows: Vec<Row> = test.estimates.iter().map(row).collect();
    table(&caption, "Estimator", &columns, &rows)
}

fn by_parameter(
    test: &ParameterMetrics,
    errors: impl Fn(&ParameterErrors) -> Vec<(String, String, f64)>,
) -> Vec<Row> {
    let of_each: Vec<_> = test.estimates.iter().map(errors).collect();
    let first = of_each.first().into_iter().flatten();
    first
        .map(|(name, role, _)| {
            let value = |errors: &Vec<(String, String, f64)>| {
                let mut same = errors.iter().filter(|(other, ..)| other == name);
                same.next().map(|(_, _, value)| *value)
            };
            Row {
                name: name.clone(),
                role: role.clone(),
                values: of_each.iter().map(value).collect(),
            }
        })
        .collect()
}

/// What a row is about, what else there is to say of that, and its numbers, some of which may be missing.
struct Row {
    name: String,
    role: String,
    values: Vec<Option<f64>>,
}

/// What a column is about, its key in the summary, and which of its numbers are good.
struct Column<'a> {
    heading: String,
    key: &'a str,
    better: Better,
}

/// Which of two numbers is the good one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    Lower,
    Higher,
}

impl Better {
    /// The best of `values`; none where they are all the same.
    fn of(self, values: impl Iterator<Item = f64> + Clone) -> Option<f64> {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        let best = match self {
            Self::Lower => low,
            Self::Higher => high,
        };
        (low < high).then_some(best)
    }
}

/// A table whose best numbers are those of a column.
fn table(caption: &str, corner: &str, columns: &[Column], rows: &[Row]) -> Markup {
    let best: Vec<Option<f64>> = columns
        .iter()
        .enumerate()
        .map(|(place, column)| {
            let values = rows.iter().filter_map(|row| row.values[place]);
            column.better.of(values)
        })
        .collect();
    let headings = html! {
        @for Column { heading, key, .. } in columns {
            th scope="col" {
                (heading)
                @if heading != key { code.role { (key) } }
            }
        }
    };
    framed(caption, corner, headings, rows, |_| best.clone())
}

/// A table whose best numbers are those of a row.
fn rows_table(caption: &str, columns: &[&str], rows: &[Row], better: Better) -> Markup {
    let headings = html! { @for column in columns { th scope="col" { (column) } } };
    framed(caption, "Parameter", headings, rows, |row| {
        let best = better.of(row.values.iter().flatten().copied());
        vec![best; row.values.len()]
    })
}

fn framed(
    caption: &str,
    corner: &str,
    headings: Markup,
    rows: &[Row],
    best: impl Fn(&Row) -> Vec<Option<f64>>,
) -> Markup {
    html! {
        figure {
            figcaption { (caption) }
            div.scroll {
                table {
                    thead { tr { th.word scope="col" { (corner) } (headings) } }
                    tbody {
                        @for row in rows {
                            tr {
                                th scope="row" {
                                    (row.name)
                                    @if !row.role.is_empty() { span.role { (row.role) } }
                                }
                                @for (value, best) in row.values.iter().zip(best(row)) { (cell(*value, best)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(value: Option<f64>, best: Option<f64>) -> Markup {
    let class = (value.is_some() && value == best).then_some("best");
    let text = value.map_or("–".to_owned(), figure);
    html! { td class=[class] { (text) } }
}
