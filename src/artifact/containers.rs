//! From the stages of a plan to containers. They run one after the other; what they are called, and what they run, is what
//! people know from the existing operator.

use serde_json::{Value, json};

use super::api::OSArtifactSpec;
use super::api::artifacts::Resources;
use super::command::{Line, quoted};
use super::normalise::{BuildPlan, Stage, UkiKind};
use super::{dockerfile, volumes};
use crate::names;
use crate::settings::Settings;

/// A plan, and what its containers need beside it.
#[derive(Clone, Copy)]
pub struct Builder<'a> {
    /// The plan.
    pub plan: &'a BuildPlan<'a>,
    /// The specification that it comes from.
    pub spec: &'a OSArtifactSpec,
    /// What the runner was told.
    pub settings: &'a Settings,
}

/// A cloud-config, where a container has it.
const CLOUD_CONFIG: &str = "/cloud-config.yaml";
/// Below this, the ISO is given what is laid over it if a grub.cfg is among that.
const OVERLAY: &str = "/iso/iso-overlay";
/// How much a container may tell, by the kubelet's leave; and all of a pod's together.
const MESSAGE: usize = 4096;
const MESSAGES: usize = 12 * 1024;

impl<'a> Builder<'a> {
    /// The containers before the last, in order: rendering first, for it fails soonest, then the user's, then the build.
    pub fn init_containers(&self) -> Vec<Value> {
        let (first, rest): (Vec<Stage<'a>>, Vec<Stage<'a>>) = self.plan.stages.iter().partition(|stage| **stage == Stage::Render);
        let importers = self.spec.importers.iter().map(|importer| told(importer.raw().clone()));
        let stages = |stages: Vec<Stage<'a>>| stages.into_iter().map(|stage| self.container(stage)).collect::<Vec<_>>();
        stages(first).into_iter().chain(importers).chain(stages(rest)).collect()
    }

    /// The last container tells what was built.
    pub fn digest(&self, others: usize) -> Value {
        let limit = MESSAGE.min(MESSAGES / (others + 1)).to_string();
        let mut security = runner_security();
        // Files may belong to whoever the tools and importers run as.
        security["capabilities"]["add"] = json!(["DAC_OVERRIDE"]);
        json!({
            "name": names::CONTAINER_DIGEST,
            "image": self.settings.runner_image,
            "command": [names::PROGRAM, "node", "digest", "/artifacts", "--since", "/begun/uid", "--limit", limit],
            "securityContext": security,
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [read_only(mount("artifacts", "/artifacts")), read_only(mount(volumes::BEGUN, "/begun"))],
        })
    }

    fn container(&self, stage: Stage<'a>) -> Value {
        match stage {
            Stage::Render => dockerfile::render_container(self.plan, self.settings),
            Stage::Build => dockerfile::build_container(self.plan, self.settings),
            Stage::Pull { image, pack } => self.pull(image, pack),
            Stage::Extract => self.extract(),
            Stage::Bundle { index, image } => self.bundle(index, image),
            Stage::OsRelease => self.release("os-release"),
            Stage::KairosRelease => self.release("kairos-release"),
            Stage::Uki(kind) => self.uki(kind),
            Stage::Iso => self.iso(),
            Stage::Netboot => self.netboot(),
            Stage::CloudImage => self.disk(&Disk {
                name: "build-cloud-image",
                flag: "disk.raw",
                made: "*.raw",
                named: format!("{}.raw", self.override_name(|names| names.cloud_image.as_ref())),
                size: self.plan.disk_size,
                resources: |resources| resources.cloud_image.as_ref().map(|one| one.raw()),
            }),
            Stage::AzureImage => self.disk(&Disk {
                name: "build-azure-cloud-image",
                flag: "disk.vhd",
                made: "*.vhd",
                named: format!("{}.vhd", self.override_name(|names| names.azure_image.as_ref())),
                size: None,
                resources: |resources| resources.azure_image.as_ref().map(|one| one.raw()),
            }),
            Stage::GceImage => self.disk(&Disk {
                name: "build-gce-cloud-image",
                flag: "disk.gce",
                made: "*.raw.gce.tar.gz",
                named: format!("{}.gce.tar.gz", self.override_name(|names| names.gce_image.as_ref())),
                size: None,
                resources: |resources| resources.gce_image.as_ref().map(|one| one.raw()),
            }),
            Stage::Pack => self.tool("create-image", &self.pack(), vec![mount("rootfs", "/rootfs"), mount("artifacts", "/artifacts")]),
        }
    }

    /// The file name for an output: the user's, or the object's.
    fn override_name(&self, of: fn(&super::api::artifacts::NameOverride) -> Option<&String>) -> &'a str {
        self.spec.name_override.as_ref().and_then(of).filter(|name| !name.is_empty()).map_or(self.plan.name, String::as_str)
    }

    fn pull(&self, image: &str, pack: bool) -> Value {
        let mut script = self.unpack(image);
        if pack {
            script = format!("{script} && {}", self.pack());
        }
        let mut container = self.tool("pull-image-baseimage", &script, vec![mount("rootfs", "/rootfs"), mount("artifacts", "/artifacts")]);
        self.with_credentials(&mut container);
        container
    }

    fn bundle(&self, index: usize, image: &str) -> Value {
        let mut container = self.tool(&format!("pull-image-{index}"), &self.unpack(image), vec![mount("rootfs", "/rootfs")]);
        self.with_credentials(&mut container);
        container
    }

    fn unpack(&self, image: &str) -> String {
        let line = Line::new("auroraboot unpack").option("--arch", self.plan.arch);
        line.flag("--allow-insecure-registries", self.plan.insecure_pull).word(image).word("/rootfs").text()
    }

    fn extract(&self) -> Value {
        let line = Line::new("auroraboot unpack").option("--arch", self.plan.arch);
        let script = line.word(&format!("ocifile:/artifacts/{}.tar", self.plan.name)).word("/rootfs").text();
        self.tool("image-extractor", &script, vec![mount("rootfs", "/rootfs"), read_only(mount("artifacts", "/artifacts"))])
    }

    /// The system as an image in a tar file.
    fn pack(&self) -> String {
        let file = format!("{}.tar", self.plan.name);
        let pack = Line::new("luet util pack").option("--arch", self.plan.arch).option("--os", self.plan.arch.map(|_| "linux"));
        let pack = pack.word(&self.plan.packed_as).word("test.tar").word(&file).text();
        let file = quoted(&file);
        format!("tar -czvpf test.tar -C /rootfs . && {pack} && chmod +r {file} && mv -f {file} /artifacts")
    }

    fn release(&self, file: &str) -> Value {
        let mounts = vec![json!({"name": volumes::CONFIG, "mountPath": format!("/{file}"), "subPath": file}), mount("rootfs", "/rootfs")];
        self.tool(file, &format!("cp -rfv /{file} /rootfs/etc/{file}"), mounts)
    }

    fn uki(&self, kind: UkiKind) -> Value {
        let (name, output) = match kind {
            UkiKind::Iso => ("build-uki-iso", "iso"),
            UkiKind::Container => ("build-uki-container", "container"),
            UkiKind::Efi => ("build-uki-uki", "uki"),
        };
        let line =
            Line::new("auroraboot --debug build-uki").option("--name", Some(&self.uki_name())).word("--output-dir").word("/artifacts");
        let line = line.option("--output-type", Some(output)).option("--public-keys", Some("/uki-keys"));
        let line = line.option("--tpm-pcr-private-key", Some("/uki-keys/tpm2-pcr-private.pem"));
        let line = line.option("--sb-key", Some("/uki-keys/db.key")).option("--sb-cert", Some("/uki-keys/db.pem"));
        let script = line.option("--cloud-config", self.cloud_config()).word("dir:/rootfs").text();
        self.output(name, &script, |resources| resources.uki.as_ref().map(|one| one.raw()))
    }

    fn uki_name(&self) -> String {
        format!("{}-uki", self.override_name(|names| names.uki.as_ref()))
    }

    fn iso(&self) -> Value {
        let name = self.override_name(|names| names.iso.as_ref());
        let line = Line::new("auroraboot --debug build-iso").option("--override-name", Some(name)).word("--date=false");
        let line = line.option("--output", Some("/artifacts")).option("--arch", self.plan.arch);
        let line = line
            .option("--overlay-iso", self.overlay_iso())
            .option("--overlay-rootfs", self.plan.overlay_rootfs.map(|_| "/overlay-rootfs"));
        let line = line.option("--cloud-config", self.cloud_config()).word("dir:/rootfs").text();
        // A grub.cfg arrives as one of the files that are laid over the ISO, and goes before one among the user's.
        let script = match (self.plan.grub_config, self.plan.overlay_iso) {
            (Some(_), Some(_)) => format!("tar -C /overlay-iso -cf - . | tar -C {OVERLAY} --skip-old-files -xf - && {line}"),
            _ => line,
        };
        self.output("build-iso", &script, |resources| resources.iso.as_ref().map(|one| one.raw()))
    }

    fn overlay_iso(&self) -> Option<&'static str> {
        match (self.plan.grub_config, self.plan.overlay_iso) {
            (Some(_), _) => Some(OVERLAY),
            (None, Some(_)) => Some("/overlay-iso"),
            (None, None) => None,
        }
    }

    /// The netboot files come out of the ISO, whatever that is called.
    fn netboot(&self) -> Value {
        let uki = self.plan.stages.contains(&Stage::Uki(UkiKind::Iso));
        let iso = self.override_name(|names| names.iso.as_ref());
        let name = self.override_name(|names| names.netboot.as_ref());
        let name = if uki { format!("{name}-uki") } else { name.to_string() };
        let iso = if uki { self.uki_name() } else { iso.to_string() };
        let line = Line::new("auroraboot --debug netboot").word(&format!("/artifacts/{iso}.iso")).word("/artifacts").word(&name);
        let mut container = self.output("build-netboot", &line.text(), |resources| resources.netboot.as_ref().map(|one| one.raw()));
        let url = super::command::literal(self.plan.netboot_url.unwrap_or_default());
        container["env"] = json!([{"name": "URL", "value": url}]);
        container
    }

    /// A disk image. The tool chooses the file's name, so that it is looked for: of this build, not of an earlier one.
    fn disk(&self, disk: &Disk<'_>) -> Value {
        let mut line = Line::new("auroraboot --debug").option("--set", Some(&format!("{}=true", disk.flag)));
        for setting in ["disable_netboot=true", "disable_http_server=true", "state_dir=/artifacts", "container_image=dir:/rootfs"] {
            line = line.option("--set", Some(setting));
        }
        if let Some(arch) = self.plan.arch {
            line = line.option("--set", Some(&format!("arch={arch}")));
        }
        if let Some(size) = disk.size {
            line = line.option("--set", Some(&format!("disk.size={size}")));
        }
        let line = line.option("--cloud-config", self.cloud_config()).text();
        let (made, named) = (disk.made, quoted(&format!("/artifacts/{}", disk.named)));
        let find = format!("find /artifacts -maxdepth 1 -type f -name '{made}' -newer /tmp/begun");
        let rename =
            format!("made=$({find} | head -n 1) && test -n \"$made\" && {{ test \"$made\" = {named} || mv -f \"$made\" {named}; }}");
        self.output(disk.name, &format!("touch /tmp/begun && {line} && {rename}"), disk.resources)
    }

    fn cloud_config(&self) -> Option<&'static str> {
        self.plan.cloud_config.map(|_| CLOUD_CONFIG)
    }

    /// A container that makes one of the outputs: it needs loop devices, and everything that may be built in.
    fn output(&self, name: &str, script: &str, resources: fn(&Resources) -> Option<&Value>) -> Value {
        let mut mounts = vec![mount("artifacts", "/artifacts"), mount("rootfs", "/rootfs")];
        if self.plan.grub_config.is_some() {
            let path = format!("{OVERLAY}/boot/grub2/grub.cfg");
            mounts.push(json!({"name": volumes::CONFIG, "mountPath": path, "subPath": "grub.cfg"}));
        }
        let users = [(self.plan.overlay_iso, "/overlay-iso"), (self.plan.overlay_rootfs, "/overlay-rootfs"), (self.plan.keys, "/uki-keys")];
        mounts.extend(users.into_iter().filter_map(|(name, path)| Some(mount(name?, path))));
        if let Some(of) = self.plan.cloud_config {
            mounts.push(json!({"name": "cloudconfig", "mountPath": CLOUD_CONFIG, "subPath": of.key}));
        }
        let mut container = self.tool(name, script, mounts);
        container["securityContext"] = json!({"privileged": true});
        if let Some(resources) = self.spec.resources.as_ref().and_then(resources) {
            container["resources"] = resources.clone();
        }
        container
    }

    fn tool(&self, name: &str, script: &str, mounts: Vec<Value>) -> Value {
        script_container(name, &self.settings.tool_image, script, mounts)
    }

    fn with_credentials(&self, container: &mut Value) {
        if self.plan.credentials.is_some() {
            container["env"] = json!([{"name": "DOCKER_CONFIG", "value": "/root/.docker"}]);
            if let Some(mounts) = container["volumeMounts"].as_array_mut() {
                mounts.push(volumes::credentials_mount());
            }
        }
    }
}

/// A form of disk image.
struct Disk<'d> {
    name: &'static str,
    flag: &'static str,
    /// What the tool calls it.
    made: &'static str,
    /// What it is called then.
    named: String,
    size: Option<&'d str>,
    resources: fn(&Resources) -> Option<&Value>,
}

/// A container that runs a script of one line, which stops at the first command that fails and says what it does.
pub(super) fn script_container(name: &str, image: &str, script: &str, mounts: Vec<Value>) -> Value {
    json!({
        "name": name,
        "image": image,
        "imagePullPolicy": "Always",
        "command": ["/bin/bash", "-cxe"],
        "args": [script],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    })
}

/// Rounds' own container here has the user of the files that it reads, and may do nothing else.
pub(super) fn runner_security() -> Value {
    json!({
        "runAsUser": 0, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
    })
}

/// The end of a user's container's log is told when it fails.
fn told(mut container: Value) -> Value {
    if let Some(fields) = container.as_object_mut() {
        fields.entry("terminationMessagePolicy").or_insert_with(|| json!("FallbackToLogsOnError"));
    }
    container
}

pub(super) fn mount(name: &str, path: &str) -> Value {
    json!({"name": name, "mountPath": path})
}

pub(super) fn read_only(mut mount: Value) -> Value {
    mount["readOnly"] = json!(true);
    mount
}
