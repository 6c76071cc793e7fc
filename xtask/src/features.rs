//! Equal features of dependencies for the program and the tests, so that Burn is compiled once.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Command;

/// Compares the features of the program's dependencies with those in a build of all tests.
///
/// # Errors
/// They differ, or cargo can't be asked.
pub fn check(cargo: &OsStr, root: &Path) -> io::Result<()> {
    let program = features(
        cargo,
        root,
        &["--package", "cli", "--edges", "normal,build"],
    )?;
    let tests = features(cargo, root, &["--workspace", "--edges", "normal,build,dev"])?;
    if !program.keys().any(|package| package.starts_with("burn ")) {
        return Err(io::Error::other(
            "cargo tree lists no burn among the program's dependencies",
        ));
    }
    let mut differing = 0;
    for (package, features) in program {
        if tests.get(&package) != Some(&features) {
            differing += 1;
            let tests = tests.get(&package).into_iter().flatten();
            eprintln!(
                "{package} has features {features:?} for the program and {:?} for the tests",
                tests.collect::<Vec<_>>()
            );
        }
    }
    match differing {
        0 => Ok(()),
        _ => Err(io::Error::other(
            "the tests would compile dependencies of the program again; see crates/cli/Cargo.toml",
        )),
    }
}

/// The sets of features with which each package outside the workspace is built.
fn features(
    cargo: &OsStr,
    root: &Path,
    selection: &[&str],
) -> io::Result<BTreeMap<String, BTreeSet<String>>> {
    let output = Command::new(cargo)
        .args(["tree", "--prefix", "none", "--format", "{p}|{f}"])
        .args(selection)
        .current_dir(root)
        .output()?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(error.into_owned()));
    }
    let mut features: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let line = line.trim_end_matches(" (*)");
        // A path is a package of ours.
        let Some((package, of)) = line.split_once('|').filter(|(name, _)| !name.contains('/'))
        else {
            continue;
        };
        let package = package.replace(" (proc-macro)", "").trim().to_owned();
        features.entry(package).or_default().insert(of.to_owned());
    }
    Ok(features)
}
