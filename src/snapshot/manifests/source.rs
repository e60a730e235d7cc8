//! From paths to texts.

use std::path::{Path, PathBuf};

/// A text and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its path, for messages.
    pub path: String,
    /// The text.
    pub text: String,
}

/// Reads files, and folders with all manifests (`*.yaml`, `*.yml`, `*.json`) below them; `-` is stdin.
///
/// # Errors
/// One line for every file that cannot be read.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Source>, Vec<String>> {
    let mut errors = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        collect(path, true, &mut files, &mut errors);
    }
    let mut sources = Vec::new();
    for file in files {
        let stdin = file == Path::new("-");
        let text = if stdin { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(&file) };
        let path = if stdin { "stdin".to_string() } else { file.display().to_string() };
        match text {
            Ok(text) => sources.push(Source { path, text }),
            Err(error) => errors.push(format!("{path}: {error}")),
        }
    }
    if errors.is_empty() { Ok(sources) } else { Err(errors) }
}

/// The files below a path, in a fixed order. A file that was named is read whatever it is called; hidden ones that were
/// not are passed over.
fn collect(path: &Path, named: bool, files: &mut Vec<PathBuf>, errors: &mut Vec<String>) {
    let hidden = || path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    if !named && hidden() {
        return;
    }
    if !path.is_dir() {
        let is_manifest = path.extension().is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending == *known));
        if named || is_manifest {
            files.push(path.to_path_buf());
        }
        return;
    }
    match std::fs::read_dir(path) {
        Ok(entries) => {
            let mut entries: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            entries.sort();
            for entry in entries {
                collect(&entry, false, files, errors);
            }
        }
        Err(error) => errors.push(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_in_order_and_what_cannot_be_read_is_named() {
        let folder = std::env::temp_dir().join(format!("rounds-source-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("b/.git")).unwrap();
        for (name, text) in [("c.yaml", "c"), ("a.json", "a"), ("b/x.yml", "x"), ("b/README.md", "no"), ("b/.git/y.yaml", "no")] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let texts = |paths: &[PathBuf]| read(paths).map(|sources| sources.into_iter().map(|source| source.text).collect::<Vec<_>>());
        assert_eq!(texts(std::slice::from_ref(&folder)).unwrap(), ["a", "x", "c"]);
        assert_eq!(texts(&[folder.join("b/README.md")]).unwrap(), ["no"], "what is named is read");
        let errors = texts(&[folder.join("none"), folder.join("c.yaml"), folder.join("nor")]).unwrap_err();
        assert_eq!(errors.len(), 2, "{errors:?}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
