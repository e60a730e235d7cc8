//! The nested shape's `artifacts`: what to make of the system, and the settings by output.

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::embedded::Embedded;
use super::image::SecretKey;

/// What to make of the system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::keep_descriptions)]
#[x_kube(validation = Rule::new("(has(self.iso) && self.iso) || (has(self.cloudImage) && self.cloudImage) || (has(self.azureImage) && self.azureImage) \
    || (has(self.gceImage) && self.gceImage) || (has(self.netboot) && self.netboot) || (has(self.uki) && ((has(self.uki.iso) && self.uki.iso) \
    || (has(self.uki.container) && self.uki.container) || (has(self.uki.efi) && self.uki.efi)))")
    .message("artifacts must ask for something: set one of iso, cloudImage, azureImage, gceImage, netboot, uki.iso, uki.container and uki.efi to true"))]
pub struct Artifacts {
    /// amd64 or arm64 (default: the node's that builds).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<Arch>,
    /// Whether to build an ISO.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iso: Option<bool>,
    /// Whether to build a raw disk image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_image: Option<bool>,
    /// Size of the raw disk image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_size: Option<String>,
    /// Whether to build a VHD for Azure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_image: Option<bool>,
    /// Whether to build a disk image for GCE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gce_image: Option<bool>,
    /// Whether to build kernel, initrd and squashfs for netboot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netboot: Option<bool>,
    /// Where the netboot files will be served.
    #[serde(rename = "netbootURL", skip_serializing_if = "Option::is_none")]
    pub netboot_url: Option<String>,
    /// A Secret with a cloud-config that is built in (default key: cloud-config.yaml).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_config_ref: Option<SecretKey>,
    /// The ISO's grub.cfg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grub_config: Option<String>,
    /// Images that are unpacked over the system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub bundles: Vec<String>,
    /// Content of /etc/os-release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_release: Option<String>,
    /// Content of /etc/kairos-release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kairos_release: Option<String>,
    /// The entry of `volumes` with files that are laid over the ISO.
    #[serde(rename = "overlayISOVolume", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub overlay_iso_volume: Option<String>,
    /// The entry of `volumes` with files that are laid over the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub overlay_rootfs_volume: Option<String>,
    /// Unified kernel images, for trusted boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uki: Option<Uki>,
    /// The entry of `volumes` that takes what is built, in the claim's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub volume: Option<String>,
}

/// A processor architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit x86.
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

/// Unified kernel images, for trusted boot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.keysVolume) && self.keysVolume != '') || (!(has(self.iso) && self.iso) \
    && !(has(self.container) && self.container) && !(has(self.efi) && self.efi))")
    .message("uki.keysVolume is required when uki.iso, uki.container or uki.efi is true: the name of an entry of volumes that holds the keys")
    .field_path(".keysVolume"))]
pub struct Uki {
    /// Whether to build an ISO that boots it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iso: Option<bool>,
    /// Whether to build a container image that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<bool>,
    /// Whether to build the plain EFI file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub efi: Option<bool>,
    /// The entry of `volumes` with the keys that sign it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub keys_volume: Option<String>,
}

/// What the build's containers, by output, and its pod may use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// The container that builds the ISO.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iso: Option<Embedded<ResourceRequirements>>,
    /// The container that builds the raw disk image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_image: Option<Embedded<ResourceRequirements>>,
    /// The container that builds the VHD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_image: Option<Embedded<ResourceRequirements>>,
    /// The container that builds the disk image for GCE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gce_image: Option<Embedded<ResourceRequirements>>,
    /// The container that builds the netboot files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netboot: Option<Embedded<ResourceRequirements>>,
    /// The containers that build unified kernel images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uki: Option<Embedded<ResourceRequirements>>,
    /// The pod as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Embedded<ResourceRequirements>>,
}

/// Names of the files that are built, by output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NameOverride {
    /// The ISO.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = file_name())]
    pub iso: Option<String>,
    /// The raw disk image.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = file_name())]
    pub cloud_image: Option<String>,
    /// The VHD.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = file_name())]
    pub azure_image: Option<String>,
    /// The disk image for GCE.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = file_name())]
    pub gce_image: Option<String>,
    /// The netboot files.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = file_name())]
    pub netboot: Option<String>,
    /// Unified kernel images.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = file_name())]
    pub uki: Option<String>,
}

/// A name that is one everywhere: on disks, in URLs, in registries.
fn file_name() -> kube::core::Rule {
    kube::core::Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')")
        .message("a name in nameOverride must be lower-case letters, digits and '-', beginning and ending with a letter or digit")
}
