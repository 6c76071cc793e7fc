//! TOML texts laid over each other, with mistakes traced back to their line.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use crate::error::TrainerError;

/// A table that later texts and overrides have changed.
///
/// The table `training` of a layer stands for `stages.NAME.training` of every stage; what the same layer says of a stage
/// wins.
pub(crate) struct Layers {
    merged: Table,
    /// Names of the stages.
    stages: &'static [&'static str],
    /// Oldest first; never empty.
    layers: Vec<Layer>,
}

/// Where settings came from.
struct Layer {
    origin: String,
    content: Content,
}

enum Content {
    /// A file's text.
    Text(String),
    /// The one key of an override.
    Key(String),
}

impl Layers {
    /// Starts with a complete text, in which every one of `stages` has a training table.
    pub fn new(
        origin: &str,
        text: &str,
        stages: &'static [&'static str],
    ) -> Result<Self, TrainerError> {
        let mut layers = Self {
            merged: Table::new(),
            stages,
            layers: Vec::new(),
        };
        layers.add_text(origin, text)?;
        Ok(layers)
    }

    /// Lays a TOML text over what is there.
    pub fn add_text(&mut self, origin: &str, text: &str) -> Result<(), TrainerError> {
        self.merge(origin, parse(origin, text)?)?;
        self.layers.push(Layer {
            origin: origin.to_string(),
            content: Content::Text(text.to_string()),
        });
        Ok(())
    }

    /// Lays one `a.b=value` over what is there.
    pub fn add_override(&mut self, text: &str) -> Result<(), TrainerError> {
        let malformed = || TrainerError::Override {
            text: text.to_string(),
        };
        let (key, value) = text.split_once('=').ok_or_else(malformed)?;
        let keys: Vec<&str> = key.trim().split('.').collect();
        if keys.iter().any(|key| key.is_empty()) {
            return Err(malformed());
        }
        // What isn't one TOML value is taken as a string, so that paths need no quotes.
        let value = toml::from_str::<Table>(&format!("value = {value}"))
            .ok()
            .filter(|table| table.len() == 1)
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| Value::String(value.to_string()));
        let layer = keys.iter().rev().fold(value, |value, key| {
            Value::Table(Table::from_iter([(key.to_string(), value)]))
        });
        if let Value::Table(layer) = layer {
            self.merge(&format!("--set {text}"), layer)?;
        }
        self.layers.push(Layer {
            origin: format!("--set {text}"),
            content: Content::Key(keys.join(".")),
        });
        Ok(())
    }

    fn merge(&mut self, origin: &str, mut layer: Table) -> Result<(), TrainerError> {
        spread_training(&mut layer, self.stages).map_err(|got| TrainerError::Value {
            origin: origin.to_owned(),
            key: "training".to_owned(),
            expected: "a table, such as training.steps = 100".to_owned(),
            got,
        })?;
        merge(&mut self.merged, layer);
        Ok(())
    }

    /// What the layers say together, after `derive` has filled in what follows from the rest.
    /// A mistake is put down to the newest layer, so call this after each.
    pub fn resolve<T: DeserializeOwned>(
        &self,
        derive: impl FnOnce(&mut Table),
    ) -> Result<T, TrainerError> {
        let mut table = self.merged.clone();
        derive(&mut table);
        serde_path_to_error::deserialize(table).map_err(|error| {
            let path = error.path().to_string();
            let message = error.inner().message().trim().to_string();
            let (key, nearest) = blame(&path, &message);
            let newest = self.layers.last().expect("there is a first layer");
            let key = shared_key(&key)
                .filter(|shared| newest.sets(shared).is_some())
                .unwrap_or(key);
            TrainerError::Key {
                origin: newest.origin.clone(),
                line: newest.line_of(&key).map(|(_, line)| line),
                message: match nearest {
                    Some(_) => without_candidates(&message),
                    None => message,
                },
                key,
                nearest,
            }
        })
    }

    /// Says of a value that can't work which layer set it.
    pub fn trace(&self, mut error: TrainerError) -> TrainerError {
        match &mut error {
            TrainerError::Value { origin, key, .. } => *origin = self.origin(key),
            TrainerError::UNet { origin, source } => {
                *origin = self.origin(&format!("unet.{}", source.field()));
            }
            TrainerError::Transformer { origin, source } => {
                *origin = self.origin(&format!("transformer.{}", source.field()));
            }
            _ => {}
        }
        error
    }

    /// Which layer set `key`; empty for the default, which works until another one contradicts it.
    fn origin(&self, key: &str) -> String {
        let written = [Some(key.to_owned()), shared_key(key)];
        let mut layers = self.layers[1..].iter().rev();
        let found =
            layers.find_map(|layer| written.iter().flatten().find_map(|key| layer.sets(key)));
        found.unwrap_or_default()
    }
}

impl Layer {
    /// Where the layer sets the dotted `key`, if it does.
    fn sets(&self, key: &str) -> Option<String> {
        match &self.content {
            Content::Key(set) => (set == key).then(|| self.origin.clone()),
            Content::Text(_) => {
                let (found, line) = self.line_of(key)?;
                (found == key.split('.').count()).then(|| format!("{}, line {line}", self.origin))
            }
        }
    }

    /// How many parts of the dotted `key` a file writes, and the one-based line of the last.
    fn line_of(&self, key: &str) -> Option<(usize, usize)> {
        let Content::Text(text) = &self.content else {
            return None;
        };
        let document = DeTable::parse(text).ok()?;
        let mut table = document.get_ref();
        let mut found = None;
        for (depth, part) in key.split('.').enumerate() {
            let Some((name, value)) = find(table, part) else {
                break;
            };
            found = Some((depth + 1, line_at(text, name.span().start)));
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        found
    }
}

fn parse(origin: &str, text: &str) -> Result<Table, TrainerError> {
    Table::deserialize(
        toml::Deserializer::parse(text).map_err(|error| syntax(origin, text, &error))?,
    )
    .map_err(|error| syntax(origin, text, &error))
}

fn syntax(origin: &str, text: &str, error: &toml::de::Error) -> TrainerError {
    TrainerError::Syntax {
        origin: origin.to_string(),
        line: error.span().map_or(1, |span| line_at(text, span.start)),
        message: error.message().to_string(),
    }
}

/// Tables are merged key by key; any other value replaces what was there.
fn merge(base: &mut Table, layer: Table) {
    for (key, value) in layer {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(layer)) => merge(base, layer),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Replaces the table `training` of a layer by one for each of `stages`.
///
/// # Errors
/// It is no table, but the returned value.
fn spread_training(layer: &mut Table, stages: &[&str]) -> Result<(), String> {
    let shared = match layer.remove("training") {
        None => return Ok(()),
        Some(shared @ Value::Table(_)) => shared,
        Some(other) => return Err(other.to_string()),
    };
    let mut spread = Table::new();
    for &stage in stages {
        let training = Table::from_iter([("training".to_owned(), shared.clone())]);
        spread.insert(stage.to_owned(), Value::Table(training));
    }
    let mut spread = Table::from_iter([("stages".to_owned(), Value::Table(spread))]);
    merge(&mut spread, std::mem::take(layer));
    *layer = spread;
    Ok(())
}

/// The key of the shared training table that stands for the `key` of one stage.
fn shared_key(key: &str) -> Option<String> {
    let (_, of_stage) = key.strip_prefix("stages.")?.split_once('.')?;
    of_stage
        .starts_with("training.")
        .then(|| of_stage.to_owned())
}

/// The dotted key that a message is about, and the valid name most like the wrong one.
///
/// Serde's message for a name that doesn't exist quotes that name first and then the
/// valid ones, each in backticks.
fn blame(path: &str, message: &str) -> (String, Option<String>) {
    let unknown_field = message.starts_with("unknown field");
    if !unknown_field && !message.starts_with("unknown variant") {
        return (path.to_string(), None);
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let Some(wrong) = quoted.next() else {
        return (path.to_string(), None);
    };
    let nearest = nearest(wrong, quoted);
    let last = path.rsplit('.').next().unwrap_or_default();
    let key = match path {
        _ if !unknown_field || last == wrong => path.to_string(),
        "" | "." => wrong.to_string(),
        _ => format!("{path}.{wrong}"),
    };
    (key, nearest)
}

/// Serde's message without its list of valid names, for where one of them is proposed.
fn without_candidates(message: &str) -> String {
    message
        .split_once(", expected one of")
        .map_or(message, |(head, _)| head)
        .to_string()
}

/// The candidate with the fewest edits from `name`, if it is at all alike.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(edits, candidate)| 2 * edits <= name.len().max(candidate.len()))
        .min()
        .map(|(_, candidate)| candidate.to_string())
}

type Entry<'a, 'i> = (
    &'a Spanned<toml::de::DeString<'i>>,
    &'a Spanned<DeValue<'i>>,
);

fn find<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<Entry<'a, 'i>> {
    table.iter().find(|(key, _)| key.get_ref() == name)
}

fn line_at(text: &str, offset: usize) -> usize {
    text[..offset.min(text.len())].matches('\n').count() + 1
}
