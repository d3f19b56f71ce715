//! What the sources themselves must keep to: no long files, nothing put off.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

const MAX_LINES: usize = 400;
/// Written in two halves, so that this file does not find itself.
const PUT_OFF: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!"), concat!("unimple", "mented!")];
const SOURCES: [&str; 9] = ["rs", "toml", "sql", "html", "css", "js", "py", "sh", "json"];
const NOT_OURS: [&str; 4] = ["target", "node_modules", "otp-data", "__pycache__"];

/// Looks through every source under `root`.
///
/// # Errors
/// When there are faults, which are printed one a line.
pub fn check(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    for path in sources(root)? {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let path = path.strip_prefix(root)?;
        faults.extend(faults_in(path, &text));
    }
    faults.iter().for_each(|fault| eprintln!("{fault}"));
    ensure!(faults.is_empty(), "faults in the sources: {}", faults.len());
    Ok(())
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') || NOT_OURS.contains(&&*name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            found.extend(sources(&path)?);
        } else if extension(&path).is_some_and(|extension| SOURCES.contains(&extension)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn extension(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

fn faults_in(path: &Path, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES && has_a_limit(path) {
        faults.push(format!("{}: {lines} lines, {MAX_LINES} are the limit", path.display()));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let put_off = PUT_OFF.into_iter().filter(|word| has_word(line, word));
        faults.extend(put_off.map(|word| format!("{}:{number}: {word}", path.display())));
    }
    faults
}

fn has_a_limit(path: &Path) -> bool {
    let is_test = path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs");
    extension(path) == Some("rs") && !is_test && !path.starts_with("xtask")
}

fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |neighbour: Option<char>| neighbour.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !part_of_word(before.chars().next_back()) && !part_of_word(after.chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_a_fault_unless_it_holds_tests() {
        let (just, long) = ("\n".repeat(MAX_LINES), "\n".repeat(MAX_LINES + 1));
        let core = Path::new("otp-core/src/limit.rs");
        assert!(faults_in(core, &just).is_empty());
        assert_eq!(faults_in(core, &long), ["otp-core/src/limit.rs: 401 lines, 400 are the limit"]);
        assert!(faults_in(Path::new("otp-core/tests/limit.rs"), &long).is_empty());
        assert!(faults_in(Path::new("otp-core/src/limit/tests.rs"), &long).is_empty());
        assert!(faults_in(Path::new("otp-core/src/plans.toml"), &long).is_empty());
    }

    #[test]
    fn what_is_put_off_is_a_fault_as_a_word_only() {
        let path = Path::new("a.rs");
        for word in PUT_OFF {
            assert_eq!(faults_in(path, &format!("fine\n // {word} later")), [format!("a.rs:2: {word}")]);
            assert!(faults_in(path, &format!("x{word}")).is_empty(), "{word}");
        }
    }

    #[test]
    fn sources_are_found_and_what_is_built_is_not() {
        let found = sources(crate::process::root()).unwrap();
        assert!(found.iter().any(|path| path.ends_with("xtask/src/tree.rs")));
        assert!(!found.iter().any(|path| path.components().any(|part| part.as_os_str() == "target")));
    }
}
