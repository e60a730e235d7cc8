//! The nested shape's `image`: where the system comes from.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::EnvVar;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::embedded::Embedded;

/// Where the system comes from: an image that is there already (`ref`), or one that is built from `buildOptions`, `ociSpec` or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.ref) || self.ref == '' || !has(self.buildImage)")
        .message("image.ref must be empty when image.buildImage is set, which names an image that is to be built: remove one of them")
        .field_path(".ref"),
    validation = Rule::new("(has(self.ref) && self.ref != '') || has(self.buildOptions) || (has(self.ociSpec) && has(self.ociSpec.ref))")
        .message("at least one of buildOptions or ociSpec must be set (ociSpec with a ref) when image.ref is not"),
    validation = Rule::new("(has(self.ref) && self.ref != '') || !has(self.push) || !self.push || has(self.buildImage)")
        .message("image.push needs to know where to: set image.buildImage with registry, repository and tag")
        .field_path(".push"),
    validation = Rule::new("(has(self.ref) && self.ref != '') || !has(self.buildOptions) || (has(self.buildOptions.version) && self.buildOptions.version != '')")
        .message("buildOptions.version is required, for example v3.6.0")
        .field_path(".buildOptions.version"),
    validation = Rule::new("(has(self.ref) && self.ref != '') || !has(self.buildOptions) || (has(self.buildOptions.baseImage) && self.buildOptions.baseImage != '')")
        .message("buildOptions.baseImage is required, for example ubuntu:24.04")
        .field_path(".buildOptions.baseImage")
)]
pub struct Image {
    /// A Kairos image that is there already. Nothing is built then, and the rest of this block is ignored.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub reference: Option<String>,
    /// Makes any distribution's image a Kairos image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_options: Option<BuildOptions>,
    /// A Dockerfile of one's own; with `buildOptions`, the part in the middle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oci_spec: Option<OciSpec>,
    /// The name of the image that is built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_image: Option<BuildImage>,
    /// Whether the image that is built is pushed, to `buildImage` (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push: Option<bool>,
    /// A Secret with registry credentials (default key: .dockerconfigjson).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_credentials_secret_ref: Option<SecretKey>,
    /// Further environment of the build.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build_env: Vec<Embedded<EnvVar>>,
    /// The entry of `volumes` with certificates of registries.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub ca_certificates_volume: Option<String>,
    /// Whether images may be pulled without TLS (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_insecure_registry: Option<bool>,
    /// Whether the image may be pushed without TLS (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_insecure_registry: Option<bool>,
}

/// How any distribution's image becomes a Kairos image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuildOptions {
    /// The version that the system will say it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub version: Option<String>,
    /// The distribution's image.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub base_image: Option<String>,
    /// The hardware's model (default generic).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whether it is built for trusted boot (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_boot: Option<bool>,
    /// k3s or k0s; unset: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes_distro: Option<String>,
    /// Version of that distribution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes_version: Option<String>,
    /// Whether FIPS-validated cryptography is installed (default false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fips: Option<bool>,
    /// The image that brings kairos-init.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kairos_init_image: Option<String>,
}

/// A Dockerfile, which may be a template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciSpec {
    /// The Secret that holds it (default key: ociSpec).
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<SecretKey>,
    /// A Secret, all of whose keys are values for the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_values_from: Option<SecretKey>,
    /// Values for the template; they go before those of the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub template_values: BTreeMap<String, String>,
    /// The entry of `volumes` with the build context.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub build_context_volume: Option<String>,
}

/// The name of the image that is built: registry/repository:tag.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.registry != '' && self.repository != '' && self.tag != ''")
    .message("image.buildImage: registry, repository, and tag are all required, for example ghcr.io, acme/kairos and v1"))]
pub struct BuildImage {
    /// For example ghcr.io.
    #[schemars(length(max = 253))]
    pub registry: String,
    /// For example acme/kairos.
    #[schemars(length(max = 1024))]
    pub repository: String,
    /// For example v1.
    #[schemars(length(max = 128))]
    pub tag: String,
}

/// A Secret of the same namespace, and a key in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key; unset: what the field's description says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = r"^[-._a-zA-Z0-9]*$"))]
    pub key: Option<String>,
}
