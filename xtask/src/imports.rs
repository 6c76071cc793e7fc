//! Circles of files: files of a crate that import each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

/// Crates that must have no circle.
const CRATES: [&str; 12] = [
    "cli",
    "distances",
    "heads",
    "kernels",
    "losses",
    "params",
    "report",
    "stft-data",
    "synth",
    "trainer",
    "transformer",
    "unet1d",
];

/// Prints the circles of every crate below `root`.
///
/// # Errors
/// There is one, or a source file can't be read.
pub fn check(root: &Path) -> io::Result<()> {
    let mut found = 0;
    for name in CRATES {
        let graph = Graph::read(&root.join("crates").join(name).join("src"))?;
        for circle in graph.circles() {
            found += 1;
            eprintln!("{name}: these files import each other:");
            for module in &circle {
                let inside = graph.imports[module].intersection(&circle);
                let inside: Vec<&str> = inside.map(String::as_str).collect();
                eprintln!("  {module} -> {}", inside.join(", "));
            }
        }
    }
    match found {
        0 => Ok(()),
        _ => Err(io::Error::other(format!("{found} circles of files"))),
    }
}

/// The files of a crate by module path, and the files that each imports. The crate's root is left out.
#[derive(Default)]
struct Graph {
    imports: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read(src: &Path) -> io::Result<Self> {
        let mut texts = BTreeMap::new();
        collect(src, "", &mut texts)?;
        let modules: BTreeSet<&str> = texts.keys().map(String::as_str).collect();
        let imports = texts.iter().map(|(module, text)| {
            let imported = paths(text, module).into_iter();
            let files = imported.filter_map(|path| file_of(&path, &modules));
            let others = files.filter(|file| file != module);
            (module.clone(), others.collect())
        });
        Ok(Self {
            imports: imports.collect(),
        })
    }

    /// Sets of files that can all be reached from each other.
    fn circles(&self) -> BTreeSet<BTreeSet<String>> {
        let reachable: BTreeMap<&String, BTreeSet<String>> = self
            .imports
            .keys()
            .map(|module| (module, self.reachable(module)))
            .collect();
        let circle_of = |module: &String| -> BTreeSet<String> {
            let others = reachable[module].iter();
            let back = others.filter(|other| reachable[other].contains(module));
            back.cloned().collect()
        };
        let circles = self.imports.keys().map(circle_of);
        circles.filter(|circle| !circle.is_empty()).collect()
    }

    fn reachable(&self, from: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![from.to_owned()];
        while let Some(module) = open.pop() {
            for next in &self.imports[&module] {
                if found.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        found
    }
}

/// The code of every file below `folder` by its module path, without comments and unit tests.
fn collect(folder: &Path, prefix: &str, texts: &mut BTreeMap<String, String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let module = match (prefix, &*stem) {
            (_, "mod") => prefix.to_owned(),
            ("", name) => name.to_owned(),
            (prefix, name) => format!("{prefix}::{name}"),
        };
        if path.is_dir() {
            collect(&path, &module, texts)?;
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && !["lib", "main"].contains(&&*module)
        {
            let text = fs::read_to_string(&path)?;
            let code = text
                .split("#[cfg(test)]\nmod tests")
                .next()
                .unwrap_or_default();
            let lines = code
                .lines()
                .map(|line| line.split("//").next().unwrap_or_default());
            texts.insert(module, lines.collect::<Vec<_>>().join("\n"));
        }
    }
    Ok(())
}

/// Every path below the crate's root that a module's `code` names, such as `settings::stage::Stage`.
fn paths(code: &str, module: &str) -> Vec<String> {
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let mut found = Vec::new();
    for (root, prefix) in [("crate::", ""), ("super::", parent), ("self::", module)] {
        for (at, _) in code.match_indices(root) {
            let is_start =
                !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if is_start {
                let prefix = if prefix.is_empty() {
                    String::new()
                } else {
                    format!("{prefix}::")
                };
                expand(&code[at + root.len()..], &prefix, &mut found);
            }
        }
    }
    found
}

/// Adds the paths of a use tree, `a::{b, c::d}`, at the beginning of `text`; returns what follows it.
fn expand<'a>(text: &'a str, prefix: &str, found: &mut Vec<String>) -> &'a str {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let end = text.find(|c| !is_path(c)).unwrap_or(text.len());
    let path = format!("{prefix}{}", &text[..end]);
    let mut rest = &text[end..];
    if !path.ends_with("::") || !rest.starts_with('{') {
        found.push(path);
        return rest;
    }
    rest = &rest[1..];
    while !rest.is_empty() {
        rest = expand(rest.trim_start(), &path, found);
        // Past a rename, to the next of the list or to its end.
        let Some(next) = rest.find([',', '}']) else {
            break;
        };
        let is_last = rest[next..].starts_with('}');
        rest = &rest[next + 1..];
        if is_last {
            break;
        }
    }
    rest
}

/// The file that defines the longest beginning of `path`.
fn file_of(path: &str, modules: &BTreeSet<&str>) -> Option<String> {
    let mut path = path.trim_end_matches("::");
    loop {
        if modules.contains(path) {
            return Some(path.to_owned());
        }
        path = path.rsplit_once("::")?.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_trees_are_expanded_and_strangers_ignored() {
        let code =
            "use crate::a::{b::C, d};\nuse super::e;\nfn f() -> crate::g::H { not_crate::x() }";
        assert_eq!(paths(code, "m::n"), ["a::b::C", "a::d", "g::H", "m::e"]);
    }

    #[test]
    fn files_that_import_each_other_are_a_circle_and_others_are_none() {
        let edges = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")];
        let mut graph = Graph::default();
        for module in ["a", "b", "c", "d"] {
            let of = edges.iter().filter(|(from, _)| *from == module);
            let to = of.map(|(_, to)| (*to).to_owned()).collect();
            graph.imports.insert(module.to_owned(), to);
        }
        let circles = graph.circles();
        let expected = BTreeSet::from(["a", "b", "c"].map(str::to_owned));
        assert_eq!(circles, BTreeSet::from([expected]));
    }
}
