//! Makes the Dockerfile of a build from its template, in the builder's own pod: there Secrets are mounted, which the runner
//! cannot read.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::NodeError;
use crate::gotemplate::{MAX_TEMPLATE, Values, render};
use crate::text;

/// How many keys are named in place of one that is missing: the kubelet keeps only the end of a long message.
const MAX_KEYS: usize = 10;

/// What the container is told.
#[derive(Clone, Debug)]
pub struct Render {
    /// The template; without one the header and the footer are all.
    pub template: Option<Template>,
    /// Values from a Secret.
    pub values: Option<ValuesFrom>,
    /// Values before those.
    pub inline: Values,
    /// What comes before the rendered text.
    pub header: Option<String>,
    /// What comes after it.
    pub footer: Option<String>,
    /// The file to write.
    pub output: PathBuf,
    /// The file that the kubelet reads as the termination message.
    pub message: PathBuf,
}

/// A key of a Secret.
#[derive(Clone, Debug)]
pub struct Template {
    /// Where it is mounted.
    pub file: PathBuf,
    /// The name of the Secret.
    pub secret: String,
    /// The key.
    pub key: String,
}

/// A Secret with values.
#[derive(Clone, Debug)]
pub struct ValuesFrom {
    /// Where it is mounted.
    pub folder: PathBuf,
    /// Its name.
    pub secret: String,
}

impl Render {
    /// Writes the Dockerfile, or why there is none as the termination message.
    ///
    /// # Errors
    /// When the template or its values are missing, the template is wrong, or a file cannot be read or written.
    pub fn run(&self) -> Result<(), NodeError> {
        self.dockerfile().and_then(|dockerfile| self.write(&dockerfile)).inspect_err(|error| {
            // The exit code tells that it failed; where this cannot be written, the log still has it.
            let _ = fs::write(&self.message, text::one_line(&error.to_string()));
        })
    }

    fn dockerfile(&self) -> Result<Vec<u8>, NodeError> {
        let header = self.header.clone().map(String::into_bytes);
        let rendered = self.template.as_ref().map(|template| self.rendered(template)).transpose()?;
        let footer = self.footer.clone().map(String::into_bytes);
        Ok([header, rendered, footer].into_iter().flatten().collect::<Vec<_>>().join(&b'\n'))
    }

    fn rendered(&self, template: &Template) -> Result<Vec<u8>, NodeError> {
        let mut values = self.values.as_ref().map(ValuesFrom::read).transpose()?.unwrap_or_default();
        values.extend(self.inline.clone());
        render(&template.read()?, &values).map_err(|error| template.wrong(&error))
    }

    fn write(&self, dockerfile: &[u8]) -> Result<(), NodeError> {
        fs::write(&self.output, dockerfile).map_err(NodeError::file(&self.output))?;
        // Whoever the builder runs as, it must be able to read this.
        fs::set_permissions(&self.output, fs::Permissions::from_mode(0o644)).map_err(NodeError::file(&self.output))
    }
}

impl Template {
    fn read(&self) -> Result<String, NodeError> {
        match fs::metadata(&self.file) {
            Ok(metadata) if metadata.len() > MAX_TEMPLATE as u64 => {
                return Err(self.wrong(&format!("it has {} bytes, at most {MAX_TEMPLATE} are taken", metadata.len())));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.missing()),
            _ => {}
        }
        let bytes = fs::read(&self.file).map_err(NodeError::file(&self.file))?;
        String::from_utf8(bytes).map_err(|error| self.wrong(&format!("byte {} is no UTF-8", error.utf8_error().valid_up_to() + 1)))
    }

    /// An optional Secret that is not there is mounted as an empty folder.
    fn missing(&self) -> NodeError {
        let Self { secret, key, .. } = self;
        let others = self.file.parent().and_then(|folder| keys(folder).ok()).unwrap_or_default();
        if others.is_empty() {
            return NodeError::Missing(format!("the Secret {secret} is missing, or has no key {key}"));
        }
        let shown: Vec<&str> = others.iter().take(MAX_KEYS).map(|(key, _)| key.as_str()).collect();
        let more = others.len() - shown.len();
        let and_more = if more > 0 { format!(" and {more} more") } else { String::new() };
        NodeError::Missing(format!("the Secret {secret} has no key {key}; it has {}{and_more}", shown.join(", ")))
    }

    fn wrong(&self, message: &dyn std::fmt::Display) -> NodeError {
        NodeError::Template { secret: self.secret.clone(), key: self.key.clone(), message: message.to_string() }
    }
}

impl ValuesFrom {
    fn read(&self) -> Result<Values, NodeError> {
        let keys = match keys(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            keys => keys.map_err(NodeError::file(&self.folder))?,
        };
        if keys.is_empty() {
            return Err(NodeError::Missing(format!("the Secret {} with the template's values is missing, or empty", self.secret)));
        }
        keys.into_iter().map(|(key, path)| Ok((key, fs::read(&path).map_err(NodeError::file(&path))?))).collect()
    }
}

/// The keys of a mounted Secret and their files, in order. The kubelet keeps its own things beside them, as `..data`.
fn keys(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut keys = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with("..") && path.is_file() {
            keys.push((name, path));
        }
    }
    keys.sort();
    Ok(keys)
}
