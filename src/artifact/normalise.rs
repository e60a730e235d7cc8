//! Both shapes of an OSArtifact as one build plan, so that the rest knows no difference between them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvVar, Volume};

use super::api::OSArtifactSpec;
use super::api::artifacts::{Arch, Artifacts, Uki};
use super::api::embedded::Embedded;
use super::api::flat::Flat;
use super::api::image::{BuildOptions, Image, SecretKey};
use super::{check, tag};

/// The version that a converted image says it is where nothing tells another one.
const NO_VERSION: &str = "v0.0.0";

/// What is built, in which order, and from what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BuildPlan<'a> {
    /// Name of the object, of the image that is built and of the files that have no other one.
    pub name: &'a str,
    /// What is done, one after the other.
    pub stages: Vec<Stage<'a>>,
    /// How the image is built, if one is.
    pub recipe: Option<Recipe<'a>>,
    /// The name that stands in the packed image.
    pub packed_as: String,
    /// The architecture, unless it is that of the node that builds.
    pub arch: Option<&'static str>,
    /// Whether images may be pulled without TLS.
    pub insecure_pull: bool,
    /// A Secret with registry credentials, and its key.
    pub credentials: Option<KeyOf<'a>>,
    /// The user's volume that takes what is built, in the claim's place.
    pub output: Option<&'a str>,
    /// The user's volume with files that are laid over the ISO.
    pub overlay_iso: Option<&'a str>,
    /// The user's volume with files that are laid over the system.
    pub overlay_rootfs: Option<&'a str>,
    /// The user's volume with the keys that sign unified kernel images.
    pub keys: Option<&'a str>,
    /// A Secret with a cloud-config, and its key.
    pub cloud_config: Option<KeyOf<'a>>,
    /// The ISO's grub.cfg.
    pub grub_config: Option<&'a str>,
    /// Content of /etc/os-release.
    pub os_release: Option<&'a str>,
    /// Content of /etc/kairos-release.
    pub kairos_release: Option<&'a str>,
    /// Size of the raw disk image.
    pub disk_size: Option<&'a str>,
    /// Where the netboot files will be served.
    pub netboot_url: Option<&'a str>,
}

/// One thing that is done, in one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage<'a> {
    /// The Dockerfile is rendered.
    Render,
    /// The image is built from it.
    Build,
    /// An image that is there already is unpacked; and packed at once, as it is, if asked for.
    Pull {
        /// The image.
        image: &'a str,
        /// Whether it is packed.
        pack: bool,
    },
    /// The image that was built is unpacked.
    Extract,
    /// Another image is unpacked over the system.
    Bundle {
        /// Which of them.
        index: usize,
        /// The image.
        image: &'a str,
    },
    /// /etc/os-release is written.
    OsRelease,
    /// /etc/kairos-release is written.
    KairosRelease,
    /// A unified kernel image.
    Uki(UkiKind),
    /// An ISO.
    Iso,
    /// Kernel, initrd and squashfs, from the ISO.
    Netboot,
    /// A raw disk image.
    CloudImage,
    /// A VHD.
    AzureImage,
    /// A disk image for GCE.
    GceImage,
    /// The system, as it is by then, is packed.
    Pack,
}

/// A form of unified kernel image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UkiKind {
    /// An ISO that boots it.
    Iso,
    /// A container image that holds it.
    Container,
    /// The plain EFI file.
    Efi,
}

/// A key of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyOf<'a> {
    /// Name of the Secret.
    pub secret: &'a str,
    /// The key.
    pub key: &'a str,
}

/// From what an image is built.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipe<'a> {
    /// The volume that holds the Dockerfile; the two shapes reserve different names.
    pub volume: &'static str,
    /// The user's Dockerfile; None: Rounds' own alone.
    pub template: Option<KeyOf<'a>>,
    /// A Secret with values for it.
    pub values_from: Option<&'a str>,
    /// Values for it that go before those.
    pub values: BTreeMap<&'a str, &'a str>,
    /// Whether kairos-init is run around it.
    pub converts: bool,
    /// Build arguments, in order.
    pub arguments: Vec<(&'static str, String)>,
    /// The user's volume with the build context.
    pub context: Option<&'a str>,
    /// Further environment.
    pub environment: &'a [Embedded<EnvVar>],
    /// The user's volume with certificates of registries.
    pub certificates: Option<&'a str>,
    /// The image that is pushed, if it is.
    pub push_to: Option<String>,
    /// Whether it may be pushed without TLS.
    pub insecure_push: bool,
}

/// The plan of a specification.
///
/// # Errors
/// What cannot be carried out: field, value and what would be right.
pub fn normalise<'a>(name: &'a str, spec: &'a OSArtifactSpec) -> Result<BuildPlan<'a>, String> {
    check::shape(spec)?;
    let plan = match &spec.image {
        Some(image) => nested(name, image, spec.artifacts.as_ref())?,
        None => flat(name, &spec.flat),
    };
    check::volumes(spec, &plan)?;
    check::values(spec, &plan)?;
    check::embedded(spec)?;
    Ok(plan)
}

fn nested<'a>(name: &'a str, image: &'a Image, artifacts: Option<&'a Artifacts>) -> Result<BuildPlan<'a>, String> {
    let mut plan = BuildPlan {
        name,
        packed_as: name.to_string(),
        insecure_pull: image.pull_insecure_registry.unwrap_or(false),
        credentials: key_of(image.image_credentials_secret_ref.as_ref(), ".dockerconfigjson"),
        ..BuildPlan::default()
    };
    match filled(image.reference.as_deref()) {
        Some(image) => plan.stages.push(Stage::Pull { image, pack: true }),
        None => {
            let recipe = recipe(image)?;
            plan.stages.extend(recipe.template.map(|_| Stage::Render));
            plan.stages.push(Stage::Build);
            plan.stages.extend(artifacts.map(|_| Stage::Extract));
            plan.recipe = Some(recipe);
        }
    }
    let Some(artifacts) = artifacts else { return Ok(plan) };
    plan.arch = artifacts.arch.map(arch);
    plan.output = filled(artifacts.volume.as_deref());
    plan.overlay_iso = filled(artifacts.overlay_iso_volume.as_deref());
    plan.overlay_rootfs = filled(artifacts.overlay_rootfs_volume.as_deref());
    plan.cloud_config = key_of(artifacts.cloud_config_ref.as_ref(), CLOUD_CONFIG);
    plan.grub_config = filled(artifacts.grub_config.as_deref());
    plan.os_release = filled(artifacts.os_release.as_deref());
    plan.kairos_release = filled(artifacts.kairos_release.as_deref());
    plan.disk_size = filled(artifacts.disk_size.as_deref());
    plan.netboot_url = filled(artifacts.netboot_url.as_deref());
    plan.over_the_system(&artifacts.bundles);
    if let Some(uki) = &artifacts.uki {
        plan.keys = filled(uki.keys_volume.as_deref());
        plan.stages.extend(ukis(uki));
    }
    plan.outputs([artifacts.iso, artifacts.netboot, artifacts.cloud_image, artifacts.azure_image, artifacts.gce_image]);
    Ok(plan)
}

/// The flat shape always packs the system at last, whatever else it makes of it.
fn flat<'a>(name: &'a str, flat: &'a Flat) -> BuildPlan<'a> {
    let image = filled(flat.image_name.as_deref());
    let mut plan = BuildPlan {
        name,
        packed_as: image.unwrap_or(name).to_string(),
        arch: flat.arch.map(arch),
        cloud_config: key_of(flat.cloud_config_ref.as_ref(), CLOUD_CONFIG),
        grub_config: filled(flat.grub_config.as_deref()),
        os_release: filled(flat.os_release.as_deref()),
        kairos_release: filled(flat.kairos_release.as_deref()),
        disk_size: filled(flat.disk_size.as_deref()),
        netboot_url: filled(flat.netboot_url.as_deref()),
        ..BuildPlan::default()
    };
    if let Some(bindings) = &flat.volume_bindings {
        plan.overlay_iso = filled(bindings.overlay_iso.as_deref());
        plan.overlay_rootfs = filled(bindings.overlay_rootfs.as_deref());
    }
    match (key_of(flat.base_image_dockerfile.as_ref(), "Dockerfile"), filled(flat.base_image_name.as_deref()), image) {
        (None, None, Some(image)) => plan.stages.push(Stage::Pull { image, pack: false }),
        (template, base, image) => {
            plan.stages.extend(template.map(|_| Stage::Render));
            plan.stages.extend([Stage::Build, Stage::Extract]);
            plan.recipe = Some(flat_recipe(flat, template, base, image));
        }
    }
    plan.over_the_system(&flat.bundles);
    plan.outputs([flat.iso, flat.netboot, flat.cloud_image, flat.azure_image, flat.gce_image]);
    plan.stages.push(Stage::Pack);
    plan
}

/// The key of a cloud-config where none is given.
const CLOUD_CONFIG: &str = "cloud-config.yaml";

impl<'a> BuildPlan<'a> {
    fn over_the_system(&mut self, bundles: &'a [String]) {
        self.stages.extend(bundles.iter().enumerate().map(|(index, image)| Stage::Bundle { index, image }));
        self.stages.extend(self.os_release.map(|_| Stage::OsRelease));
        self.stages.extend(self.kairos_release.map(|_| Stage::KairosRelease));
    }

    /// Netboot files are taken out of an ISO, so that they need one.
    fn outputs(&mut self, wanted: [Option<bool>; 5]) {
        let [iso, netboot, cloud, azure, gce] = wanted.map(|wanted| wanted.unwrap_or(false));
        let all = [
            (iso || netboot, Stage::Iso),
            (netboot, Stage::Netboot),
            (cloud, Stage::CloudImage),
            (azure, Stage::AzureImage),
            (gce, Stage::GceImage),
        ];
        self.stages.extend(all.into_iter().filter(|(wanted, _)| *wanted).map(|(_, stage)| stage));
    }
}

fn ukis<'a>(uki: &Uki) -> impl Iterator<Item = Stage<'a>> {
    let all = [(uki.iso, UkiKind::Iso), (uki.container, UkiKind::Container), (uki.efi, UkiKind::Efi)];
    all.into_iter().filter(|(wanted, _)| wanted.unwrap_or(false)).map(|(_, kind)| Stage::Uki(kind))
}

fn recipe(image: &Image) -> Result<Recipe<'_>, String> {
    let oci = image.oci_spec.as_ref();
    let template = oci.and_then(|oci| key_of(oci.reference.as_ref(), "ociSpec"));
    let mut recipe = Recipe {
        volume: "ocispec",
        template,
        converts: image.build_options.is_some(),
        environment: &image.build_env,
        certificates: filled(image.ca_certificates_volume.as_deref()),
        insecure_push: image.push_insecure_registry.unwrap_or(false),
        ..Recipe::default()
    };
    // Without a Dockerfile of the user's, the rest of this block has nothing to be for.
    if let Some(oci) = oci.filter(|_| template.is_some()) {
        recipe.values_from = oci.template_values_from.as_ref().map(|from| from.name.as_str());
        recipe.values = values(&oci.template_values);
        recipe.context = filled(oci.build_context_volume.as_deref());
    }
    if let Some(options) = &image.build_options {
        recipe.arguments = arguments(options);
    }
    if image.push.unwrap_or(false) {
        let to = image
            .build_image
            .as_ref()
            .ok_or("spec.image.push needs to know where to: set image.buildImage with registry, repository and tag")?;
        recipe.push_to = Some(format!("{}/{}:{}", to.registry, to.repository, to.tag));
    }
    Ok(recipe)
}

/// The flat shape has no field for the version of what a plain image becomes: the tag of imageName tells it, if there is one.
fn flat_recipe<'a>(flat: &'a Flat, template: Option<KeyOf<'a>>, base: Option<&'a str>, image: Option<&str>) -> Recipe<'a> {
    let mut recipe = Recipe { volume: "dockerfile", template, ..Recipe::default() };
    if template.is_some() {
        recipe.values_from = flat.dockerfile_template_values_from.as_ref().map(|from| from.name.as_str());
        recipe.values = values(&flat.dockerfile_template_values);
        recipe.context = flat.volume_bindings.as_ref().and_then(|bindings| filled(bindings.build_context.as_deref()));
    } else if let Some(base) = base {
        let version = image.and_then(tag::version).unwrap_or_else(|| NO_VERSION.to_string());
        recipe.converts = true;
        recipe.arguments = vec![("VERSION", version), ("BASE_IMAGE", base.to_string())];
    }
    recipe
}

/// What kairos-init is told; only what differs from its Dockerfile's defaults.
fn arguments(options: &BuildOptions) -> Vec<(&'static str, String)> {
    let text = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let all = [
        ("VERSION", text(&options.version)),
        ("BASE_IMAGE", text(&options.base_image)),
        ("MODEL", text(&options.model)),
        ("KUBERNETES_DISTRO", text(&options.kubernetes_distro)),
        ("KUBERNETES_VERSION", text(&options.kubernetes_version)),
        ("KAIROS_INIT_IMAGE", text(&options.kairos_init_image)),
        ("TRUSTED_BOOT", options.trusted_boot.unwrap_or(false).then(|| "true".to_string())),
        ("FIPS", options.fips.unwrap_or(false).then(|| "fips".to_string())),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn values(values: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    values.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

fn key_of<'a>(of: Option<&'a SecretKey>, default: &'static str) -> Option<KeyOf<'a>> {
    of.map(|of| KeyOf { secret: &of.name, key: filled(of.key.as_deref()).unwrap_or(default) })
}

fn arch(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "amd64",
        Arch::Arm64 => "arm64",
    }
}

/// An empty text is none.
pub(super) fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// The user's volume of that name.
pub fn volume<'a>(spec: &'a OSArtifactSpec, name: &str) -> Option<&'a Embedded<Volume>> {
    spec.volumes.iter().find(|volume| volume.raw()["name"] == name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn of_the_flat_sources_the_dockerfile_goes_first_then_the_base_then_the_image() {
        let of = |spec: Value| -> OSArtifactSpec { serde_json::from_value(spec).unwrap() };
        let dockerfile = json!({"name": "d"});
        let spec = of(json!({"baseImageDockerfile": dockerfile, "baseImageName": "base:1", "imageName": "acme/os:v1.2.3"}));
        let plan = normalise("a", &spec).unwrap();
        assert_eq!(plan.stages, [Stage::Render, Stage::Build, Stage::Extract, Stage::Pack]);
        let recipe = plan.recipe.unwrap();
        assert_eq!(recipe.template, Some(KeyOf { secret: "d", key: "Dockerfile" }));
        assert!(!recipe.converts && recipe.arguments.is_empty(), "{recipe:?}");
        assert_eq!(plan.packed_as, "acme/os:v1.2.3");

        let spec = of(json!({"baseImageName": "base:1", "imageName": "acme/os:v1.2.3"}));
        let plan = normalise("a", &spec).unwrap();
        assert_eq!(plan.stages, [Stage::Build, Stage::Extract, Stage::Pack]);
        let arguments = [("VERSION", "v1.2.3".to_string()), ("BASE_IMAGE", "base:1".to_string())];
        assert_eq!(plan.recipe.unwrap().arguments, arguments);

        let spec = of(json!({"imageName": "acme/os:v1.2.3"}));
        let plan = normalise("a", &spec).unwrap();
        assert_eq!(plan.stages, [Stage::Pull { image: "acme/os:v1.2.3", pack: false }, Stage::Pack]);
    }
}
