//! The image that is built: its Dockerfile, which may be a template of the user's with Rounds' own around it, and the
//! containers that render and build it.

use serde_json::{Value, json};

use super::command::{Line, literal, quoted};
use super::containers::{mount, read_only, runner_security, script_container};
use super::normalise::{BuildPlan, Recipe};
use super::volumes;
use crate::names;
use crate::settings::Settings;

/// What makes any distribution's image a Kairos image: what comes before the user's own lines.
pub const HEADER: &str = include_str!("header.dockerfile");
/// And what comes after them.
pub const FOOTER: &str = include_str!("footer.dockerfile");

/// Where the Dockerfile is, and what it is called.
const FOLDER: &str = "/ocispec";
/// The file of the Dockerfile in its folder, and its key in the ConfigMap.
pub const FILE: &str = "ociSpec";

/// The whole Dockerfile, if there is nothing in it of the user's.
pub fn own(recipe: &Recipe<'_>) -> Option<String> {
    (recipe.template.is_none() && recipe.converts).then(|| format!("{HEADER}\n{FOOTER}"))
}

/// The container that renders the user's Dockerfile. What it needs of Secrets is mounted there, and nowhere else.
pub(super) fn render_container(plan: &BuildPlan<'_>, settings: &Settings) -> Value {
    let recipe = plan.recipe.clone().unwrap_or_default();
    let (secret, key) = recipe.template.map_or(("", ""), |of| (of.secret, of.key));
    let mut command: Vec<String> = [names::PROGRAM, "node", "render", "--template"].map(String::from).into();
    command.push(format!("{TEMPLATE}/{key}"));
    let mut mounts = vec![read_only(mount(volumes::RENDERED_BY, TEMPLATE)), mount(recipe.volume, FOLDER)];
    if let Some(secret) = recipe.values_from {
        command.extend(["--values", VALUES, "--values-secret", secret].map(String::from));
        mounts.push(read_only(mount(volumes::VALUES, VALUES)));
    }
    command.extend(recipe.values.iter().map(|(key, value)| format!("--set={}={}", literal(key), literal(value))));
    command.extend(["--secret", secret, "--key", key].map(String::from));
    if recipe.converts {
        command.extend([format!("--header={HEADER}"), format!("--footer={FOOTER}")]);
    }
    command.extend(["--output".to_string(), format!("{FOLDER}/{FILE}")]);
    json!({
        "name": names::CONTAINER_RENDER,
        "image": settings.runner_image,
        "command": command,
        "securityContext": runner_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    })
}

/// Where the Secret with the template is mounted.
const TEMPLATE: &str = "/template";
/// Where the Secret with its values is mounted.
const VALUES: &str = "/values";

/// The container that builds the image, puts it beside the other files, and pushes it if asked to.
pub(super) fn build_container(plan: &BuildPlan<'_>, settings: &Settings) -> Value {
    let recipe = plan.recipe.clone().unwrap_or_default();
    let mut mounts = vec![read_only(mount(recipe.volume, FOLDER)), mount("artifacts", "/artifacts")];
    mounts.extend(recipe.context.map(|name| read_only(mount(name, "/workspace"))));
    mounts.extend(recipe.certificates.map(|name| read_only(mount(name, CERTIFICATES))));
    let mut environment = vec![json!({"name": "BUILDAH_ISOLATION", "value": "chroot"}), json!({"name": "STORAGE_DRIVER", "value": "vfs"})];
    if plan.credentials.is_some() {
        mounts.push(volumes::credentials_mount());
        environment.push(json!({"name": "DOCKER_CONFIG", "value": "/root/.docker"}));
    }
    environment.extend(recipe.environment.iter().map(|one| one.raw().clone()));
    let mut container = script_container(names::CONTAINER_BUILDAH, &settings.buildah_image, &script(plan, &recipe), mounts);
    container["env"] = environment.into();
    container["securityContext"] = json!({"allowPrivilegeEscalation": true, "capabilities": {"add": ["SETUID", "SETGID"]}});
    container
}

const CERTIFICATES: &str = "/etc/ssl/buildah/certs";

/// Image names without a registry are docker.io's: of several registries buildah would ask a terminal which one is meant. This
/// goes into a file of its own, so that what else the image says of registries stays in force.
const SHORT_NAMES: &str = "mkdir -p /etc/containers/registries.conf.d && \
    printf 'unqualified-search-registries = [\"docker.io\"]\\nshort-name-mode = \"permissive\"\\n' \
    >/etc/containers/registries.conf.d/999-rounds.conf";
/// Who sets this variable has a file that says it all.
const OWN_REGISTRIES: &str = "CONTAINERS_REGISTRIES_CONF";

fn script(plan: &BuildPlan<'_>, recipe: &Recipe<'_>) -> String {
    let registries = |line: Line| {
        let authfile = plan.credentials.map(|_| "/root/.docker/config.json");
        line.option("--authfile", authfile).option("--cert-dir", recipe.certificates.map(|_| CERTIFICATES))
    };
    let image = format!("localhost/{}:latest", plan.name);
    let build = Line::new("buildah bud --layers=false").option("-f", Some(&format!("{FOLDER}/{FILE}")));
    let build = registries(build).flag("--tls-verify=false", plan.insecure_pull).option("--arch", plan.arch);
    let build = recipe.arguments.iter().fold(build, |line, (name, value)| line.option("--build-arg", Some(&format!("{name}={value}"))));
    let build = build.option("-t", Some(&image)).word("/workspace").text();
    let file = format!("/artifacts/{}.tar", plan.name);
    // Into a file that is there already, nothing can be pushed.
    let clear = format!("rm -f {}", quoted(&file));
    let save = registries(Line::new("buildah push")).word(&image).word(&format!("docker-archive:{file}")).text();
    let own = recipe.environment.iter().any(|one| one.raw()["name"] == OWN_REGISTRIES);
    let names = (!own).then(|| SHORT_NAMES.to_string());
    let mut steps: Vec<String> = names.into_iter().chain(["mkdir -p /workspace".to_string(), build, clear, save]).collect();
    if let Some(to) = &recipe.push_to {
        let push = registries(Line::new("buildah push")).flag("--tls-verify=false", recipe.insecure_push);
        // The digest is told by the termination message.
        let push = push.option("--digestfile", Some("/dev/termination-log"));
        steps.push(push.word(&image).word(&format!("docker://{to}")).text());
    }
    steps.join(" && ")
}

#[cfg(test)]
mod tests {
    use super::super::api::OSArtifactSpec;
    use super::super::normalise::normalise;
    use super::*;

    #[test]
    fn names_without_a_registry_are_told_whose_they_are_unless_the_user_tells() {
        let script = |environment: Value| {
            let image = json!({"buildOptions": {"version": "v1.2.3", "baseImage": "ubuntu:24.04"}, "buildEnv": environment});
            let spec: OSArtifactSpec = serde_json::from_value(json!({"image": image})).unwrap();
            let plan = normalise("a", &spec).unwrap();
            build_container(&plan, &Settings::default())["args"][0].as_str().unwrap().to_string()
        };
        let told = script(json!([{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]));
        assert!(told.starts_with(&format!("{SHORT_NAMES} && mkdir -p /workspace && ")), "{told}");
        let told = script(json!([{"name": OWN_REGISTRIES, "value": "/workspace/registries.conf"}]));
        assert!(told.starts_with("mkdir -p /workspace && "), "{told}");
    }
}
