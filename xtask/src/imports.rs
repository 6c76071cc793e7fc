//! Circles of files: files of a crate that import each other, directly or through others.
//!
//! A file and the files in the folder of its name count as one: `conv.rs` may use `conv/winograd.rs`, and the other way
//! round. Re-exports are followed. Methods in another file than their type are not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

/// Prints the import cycles of every crate in `crates` below `root`.
///
/// # Errors
/// There is one, no import is found in a crate of several files, or a source file can't be read.
pub fn check(root: &Path) -> io::Result<()> {
    let mut found = 0;
    for entry in fs::read_dir(root.join("crates"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let graph = Graph::read(&path.join("src"))?;
        if graph.imports.len() > 1 && graph.imports.values().all(BTreeSet::is_empty) {
            return Err(io::Error::other(format!("{name}: no file imports another")));
        }
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
        _ => Err(io::Error::other(format!("{found} import cycles"))),
    }
}

/// The files of a crate by module path, and the files that each imports. The crate's root, `""`, is left out.
#[derive(Default)]
struct Graph {
    imports: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read(src: &Path) -> io::Result<Self> {
        let mut texts = BTreeMap::new();
        collect(src, "", &mut texts)?;
        Ok(Self::of(&texts))
    }

    /// Of files by module path.
    fn of(texts: &BTreeMap<String, String>) -> Self {
        let names = Names::of(texts);
        let imports = texts.iter().filter(|(module, _)| !module.is_empty());
        let imports = imports.map(|(module, text)| {
            let imported = names.paths(text, module).into_iter();
            let files = imported.filter_map(|path| names.file_of(&path));
            let others = files.filter(|file| !is_related(file, module));
            (module.clone(), others.collect())
        });
        Self {
            imports: imports.collect(),
        }
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
            ("", "lib" | "main") => String::new(),
            (_, "mod") => prefix.to_owned(),
            ("", name) => name.to_owned(),
            (prefix, name) => format!("{prefix}::{name}"),
        };
        if path.is_dir() {
            collect(&path, &module, texts)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path)?;
            let code = text.split("#[cfg(test)]\nmod tests").next();
            let lines = code.unwrap_or_default().lines();
            let lines = lines.map(|line| line.split("//").next().unwrap_or_default());
            texts.insert(module, lines.collect::<Vec<_>>().join("\n"));
        }
    }
    Ok(())
}

/// Whether one is the other, or lies in the folder of its name.
fn is_related(one: &str, other: &str) -> bool {
    let lies_in = |inner: &str, outer: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.starts_with("::"))
    };
    one == other || lies_in(one, other) || lies_in(other, one)
}

/// What the paths of a crate lead to.
struct Names<'a> {
    modules: BTreeSet<&'a str>,
    /// By module and name: the path that it re-exports.
    exports: BTreeMap<(&'a str, String), String>,
}

impl<'a> Names<'a> {
    fn of(texts: &'a BTreeMap<String, String>) -> Self {
        let mut names = Self {
            modules: texts.keys().map(String::as_str).collect(),
            exports: BTreeMap::new(),
        };
        for (module, text) in texts {
            for statement in text.split(';') {
                let Some((_, tree)) = statement
                    .split_once("pub use ")
                    .or_else(|| statement.split_once("pub(crate) use "))
                else {
                    continue;
                };
                for path in names.paths(&format!("use {tree}"), module) {
                    let name = path.rsplit("::").next().unwrap_or_default().to_owned();
                    names.exports.insert((module, name), path);
                }
            }
        }
        names
    }

    /// Every path, from the crate's root, that a module's `code` names: after `crate::`, `super::`, `self::`, or the name of
    /// a module in its folder.
    fn paths(&self, code: &str, module: &str) -> Vec<String> {
        let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let mut found = Vec::new();
        let mut rest = code;
        while let Some(at) = rest.find(is_path) {
            let token = &rest[at..];
            let end = token.find(|c| !is_path(c)).unwrap_or(token.len());
            if let Some((prefix, used)) = self.root_of(&token[..end], module) {
                expand(&token[used..], &prefix, &mut found);
            }
            rest = &token[end..];
        }
        found
    }

    /// The module that the beginning of a path leads to, as a prefix, and the length of that beginning.
    fn root_of(&self, path: &str, module: &str) -> Option<(String, usize)> {
        let mut here = module;
        let mut used = 0;
        loop {
            let rest = &path[used..];
            if let Some(after) = rest.strip_prefix("super::") {
                here = here.rsplit_once("::").map_or("", |(parent, _)| parent);
                used = path.len() - after.len();
            } else if let Some(after) = rest.strip_prefix("self::") {
                used = path.len() - after.len();
            } else if let Some(after) = rest.strip_prefix("crate::") {
                return Some((String::new(), path.len() - after.len()));
            } else {
                break;
            }
        }
        let prefix = match here {
            "" => String::new(),
            module => format!("{module}::"),
        };
        let first = path[used..].split("::").next().unwrap_or_default();
        let is_child = path.contains("::") && self.modules.contains(&*format!("{prefix}{first}"));
        (used > 0 || is_child).then_some((prefix, used))
    }

    /// The file that defines what `path` names.
    fn file_of(&self, path: &str) -> Option<String> {
        let mut module = path.trim_end_matches("::");
        let mut name = "";
        // A re-export leads on; a crate can't have more of them in a row than modules.
        for _ in 0..=self.modules.len() {
            if self.modules.contains(module) {
                match self.exports.get(&(module, name.to_owned())) {
                    Some(target) if target != path => return self.file_of(target),
                    _ => return (!module.is_empty()).then(|| module.to_owned()),
                }
            }
            let (parent, last) = module.rsplit_once("::").unwrap_or(("", module));
            (module, name) = (parent, last);
        }
        None
    }
}

/// Adds the paths of a use tree, `a::{b, c::d}`, at the beginning of `text`; returns what follows it.
fn expand<'a>(text: &'a str, prefix: &str, found: &mut Vec<String>) -> &'a str {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let end = text.find(|c| !is_path(c)).unwrap_or(text.len());
    let path = format!("{prefix}{}", &text[..end]);
    let mut rest = &text[end..];
    let is_list = (path.is_empty() || path.ends_with("::")) && rest.starts_with('{');
    if !is_list {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let texts = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let circles = Graph::of(&texts.collect()).circles().into_iter();
        circles.map(|circle| circle.into_iter().collect()).collect()
    }

    #[test]
    fn a_circle_is_found_whatever_its_paths_look_like() {
        for (one, other) in [
            ("use crate::b::{C, d};", "use crate::a::E;"),
            ("use super::b::C;", "fn f() -> crate::a::E { x() }"),
            ("use crate::{b, c::D};", "use super::{a::E};"),
            ("use crate::C;", "use crate::a::E;"),
            ("crate::c::D::new();", "use crate::a::E;"),
        ] {
            let files = [
                ("", "mod a; mod b; mod c; pub use b::C;"),
                ("a", one),
                ("b", other),
                ("c", "pub use inner::D;"),
                ("c::inner", "use super::super::b::C;"),
            ];
            assert!(
                circles(&files)
                    .iter()
                    .any(|circle| circle.contains(&"a".into())),
                "{one} {other}"
            );
        }
    }

    #[test]
    fn a_file_and_its_folder_are_one_and_a_walk_down_is_no_circle() {
        let files = [
            ("", "mod a; mod b; pub use b::B;"),
            ("a", "mod inner; use inner::C; use crate::b::B;"),
            ("a::inner", "use super::A;"),
            ("b", "use other_crate::a::X;"),
        ];
        assert!(circles(&files).is_empty(), "{:?}", circles(&files));
    }
}
