//! What the server checks across the fields of an OSArtifact, as CEL. Rules within one block stand at that block.

use kube::core::{Message, Rule};

use super::flat::FIELDS;

/// No UKI is asked for, so that its keys do not matter.
pub const NO_UKI: &str = "!(has(self.artifacts.uki.iso) && self.artifacts.uki.iso) \
    && !(has(self.artifacts.uki.container) && self.artifacts.uki.container) && !(has(self.artifacts.uki.efi) && self.artifacts.uki.efi)";

/// The two shapes are never mixed.
pub fn one_shape() -> Rule {
    let flat: Vec<String> = FIELDS.iter().map(|field| format!("has(self.{field})")).collect();
    Rule::new(format!("!(has(self.image) || has(self.artifacts)) || !({})", flat.join(" || "))).message(
        "image and artifacts cannot be mixed with the flat fields (imageName, iso, arch and the like): move those below image and artifacts",
    )
}

/// Without a source there is nothing to build. An empty name is none.
pub fn some_source() -> Rule {
    Rule::new(
        "has(self.image) || has(self.baseImageDockerfile) || (has(self.imageName) && self.imageName != '') \
         || (has(self.baseImageName) && self.baseImageName != '')",
    )
    .message("a source must be given: image, or one of imageName, baseImageName and baseImageDockerfile")
}

/// An image that is there already is only worth an object if something is made of it.
pub fn artifacts_of_ref() -> Rule {
    Rule::new("!has(self.image) || !has(self.image.ref) || self.image.ref == '' || has(self.artifacts)")
        .message("artifacts must be given when image.ref is set, for example artifacts: {iso: true}")
        .field_path(".artifacts")
}

/// Names of the build's own volumes; the two shapes differ in one of them.
pub fn volume_names() -> Rule {
    Rule::new(
        "!has(self.volumes) || self.volumes.all(v, !(v.name in ['artifacts', 'rootfs', 'config', 'cloudconfig']) \
         && v.name != (has(self.image) ? 'ocispec' : 'dockerfile') \
         && !(v.name == 'image-credentials' && has(self.image) && has(self.image.imageCredentialsSecretRef)))",
    )
    .message(
        "a name in volumes is reserved for the build (artifacts, rootfs, config, cloudconfig, with image also ocispec and image-credentials, \
         else also dockerfile): choose another one",
    )
    .field_path(".volumes")
}

/// The field at `path`, unless it is absent, empty or excused, must name one of `volumes`.
pub fn is_volume(path: &str, excused: &str) -> Rule {
    let steps: Vec<&str> = path.split('.').collect();
    let absent: Vec<String> = (1..=steps.len()).map(|count| format!("!has(self.{})", steps[..count].join("."))).collect();
    Rule::new(format!(
        "{} || self.{path} == '' || ({excused}) || (has(self.volumes) && self.volumes.exists(v, v.name == self.{path}))",
        absent.join(" || ")
    ))
    .message(Message::Message(format!("{path} must be the name of an entry of volumes: add that volume, or correct the name")))
    .field_path(format!(".{path}"))
}
