//! The flat shape of an OSArtifact: source and outputs at the top of the spec.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::artifacts::Arch;
use super::image::SecretKey;

/// All fields of [`Flat`], as they are written.
pub const FIELDS: &[&str] = &[
    "imageName",
    "baseImageName",
    "baseImageDockerfile",
    "dockerfileTemplateValuesFrom",
    "dockerfileTemplateValues",
    "arch",
    "iso",
    "cloudImage",
    "azureImage",
    "gceImage",
    "netboot",
    "netbootURL",
    "diskSize",
    "cloudConfigRef",
    "grubConfig",
    "osRelease",
    "kairosRelease",
    "bundles",
    "volumeBindings",
];

/// The fields of the flat shape. Of the sources, baseImageDockerfile goes before baseImageName, and both before imageName.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::keep_descriptions)]
pub struct Flat {
    /// Flat shape: a Kairos image that is there already; beside another source, the name of what is built.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub image_name: Option<String>,
    /// Flat shape: an image of another distribution, to be made a Kairos image.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub base_image_name: Option<String>,
    /// Flat shape: a Secret with a Dockerfile (default key: Dockerfile).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_image_dockerfile: Option<SecretKey>,
    /// Flat shape: a Secret, all of whose keys are values for the Dockerfile's template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile_template_values_from: Option<SecretKey>,
    /// Flat shape: values for the Dockerfile's template; they go before those of the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dockerfile_template_values: BTreeMap<String, String>,
    /// Flat shape: amd64 or arm64 (default: the node's that builds).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<Arch>,
    /// Flat shape: whether to build an ISO.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iso: Option<bool>,
    /// Flat shape: whether to build a raw disk image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_image: Option<bool>,
    /// Flat shape: whether to build a VHD for Azure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_image: Option<bool>,
    /// Flat shape: whether to build a disk image for GCE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gce_image: Option<bool>,
    /// Flat shape: whether to build kernel, initrd and squashfs for netboot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netboot: Option<bool>,
    /// Flat shape: where the netboot files will be served.
    #[serde(rename = "netbootURL", skip_serializing_if = "Option::is_none")]
    pub netboot_url: Option<String>,
    /// Flat shape: size of the raw disk image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_size: Option<String>,
    /// Flat shape: a Secret with a cloud-config that is built in (default key: cloud-config.yaml).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_config_ref: Option<SecretKey>,
    /// Flat shape: the ISO's grub.cfg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grub_config: Option<String>,
    /// Flat shape: content of /etc/os-release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_release: Option<String>,
    /// Flat shape: content of /etc/kairos-release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kairos_release: Option<String>,
    /// Flat shape: images that are unpacked over the system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub bundles: Vec<String>,
    /// Flat shape: what entries of `volumes` are for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_bindings: Option<VolumeBindings>,
}

/// What entries of `volumes` are for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeBindings {
    /// The volume with the build context of the Dockerfile.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub build_context: Option<String>,
    /// The volume with files that are laid over the ISO.
    #[serde(rename = "overlayISO", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub overlay_iso: Option<String>,
    /// The volume with files that are laid over the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub overlay_rootfs: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_fields_is_complete() {
        let schema = schemars::schema_for!(Flat).to_value();
        let mut fields: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut listed = FIELDS.to_vec();
        fields.sort_unstable();
        listed.sort_unstable();
        assert_eq!(fields, listed);
    }
}
