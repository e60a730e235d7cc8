//! The workflows that people copy, step by step, as a runner of GitHub's runs them.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{root, text};
use crate::harness::Corner;

/// What a job's checkout and secrets are.
struct Job<'a> {
    corner: &'a Corner,
    checkout: &'a Path,
    kubeconfig: &'a str,
}

impl Job<'_> {
    /// Runs the scripts of a workflow but the one that installs Rounds; returns its summary page.
    fn run(&self, workflow: &str) -> String {
        let path = root().join("docs/github-actions").join(workflow);
        let workflow = rounds::yaml::documents(&std::fs::read_to_string(path).unwrap()).unwrap().remove(0);
        let summary = self.checkout.join("summary.md");
        std::fs::write(&summary, "").unwrap();
        let jobs = workflow["jobs"].as_object().unwrap().values();
        let steps: Vec<&Value> = jobs.flat_map(|job| job["steps"].as_array().unwrap()).collect();
        assert!(steps.iter().any(|step| step["run"].as_str().is_some_and(|run| run.starts_with("cargo install --locked"))), "{workflow:#}");
        let scripts = steps.iter().filter(|step| step["name"] != "Install Rounds").filter_map(|step| step["run"].as_str());
        for script in scripts {
            let folder = |program: &Path| program.parent().unwrap().display().to_string();
            let (kubectl, rounds) = (folder(self.corner.plane.kubectl_path()), folder(env!("CARGO_BIN_EXE_rounds").as_ref()));
            let mut command = Command::new("bash");
            command.args(["-e", "-c", script]).current_dir(self.checkout).env_clear();
            command.env("PATH", format!("{kubectl}:{rounds}:/usr/bin:/bin")).env("HOME", self.checkout);
            command.env("GITHUB_STEP_SUMMARY", &summary).env("KUBECONFIG_CONTENT", self.kubeconfig);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{script}{}{}", text(&output.stdout), text(&output.stderr));
        }
        std::fs::read_to_string(summary).unwrap()
    }
}

#[test]
fn a_release_is_of_one_version_everywhere() {
    let told = |tag: &str| Command::new(root().join("scripts/is-version.sh")).arg(tag).output().unwrap();
    let own = told(concat!("v", env!("CARGO_PKG_VERSION")));
    assert!(own.status.success(), "{}", text(&own.stderr));
    let other = told("v9.0.1");
    let said = text(&other.stderr);
    let files = ["Cargo.toml", "Chart.yaml", "cronjob.yaml", "deployment.yaml", "argocd", "flux", "simulate.yml", "plan.yml", "gitops.md"];
    assert!(other.status.code() == Some(1) && files.iter().all(|file| said.contains(file)), "{said}");
    let release = std::fs::read_to_string(root().join(".github/workflows/release.yml")).unwrap();
    let (checked, pushed) = (release.find("scripts/is-version.sh ${{ github.ref_name }}"), release.find("docker push"));
    assert!(checked.is_some() && checked < pushed, "nothing is pushed before that is certain");
}

/// On a control plane of its own: what a snapshot sees of other tests does not always complete.
#[test]
fn the_workflows_that_people_copy_work() {
    let corner = Corner::alone("workflows");
    corner.nodes(3, 1);
    let checkout = std::env::temp_dir().join(format!("rounds-workflows-{}", std::process::id()));
    std::fs::create_dir_all(checkout.join("nodeops")).unwrap();
    let op = corner.nodeop("op", json!({"concurrency": 1}));
    std::fs::write(checkout.join("nodeops/op.yaml"), rounds::yaml::to_string(&op).unwrap()).unwrap();
    let fleet = corner.rounds(&["snapshot"]);
    assert_eq!(fleet.code, 0, "{fleet:#?}");
    std::fs::write(checkout.join("fleet.json"), fleet.out).unwrap();

    // Whom deploy.yml asks for: one who may do rounds and write operations.
    corner.kubectl(&["apply", "-f", root().join("cronjob/rbac/people.yaml").to_str().unwrap()]);
    for role in ["rounds", "rounds-operator"] {
        corner.kubectl(&["create", "clusterrolebinding", &format!("deploys-{role}"), &format!("--clusterrole={role}"), "--user=person-07"]);
    }
    let kubeconfig = std::fs::read_to_string(corner.plane.kubeconfig_for("deploys", "token-person-07")).unwrap();
    let job = Job { corner: &corner, checkout: &checkout, kubeconfig: &kubeconfig };

    let simulated = job.run("simulate.yml");
    assert!(simulated.contains("The rollout completes") && simulated.contains("NodeOp workflows/op"), "{simulated}");
    assert!(checkout.join("rollout.svg").exists());
    let planned = job.run("plan.yml");
    assert!(planned.contains("workflows/op"), "{planned}");
    let deployed = job.run("deploy.yml");
    assert!(deployed.contains("op") && deployed.contains("Completed"), "{deployed}");
    assert_eq!(corner.status("op")["progress"], "3/3");
    std::fs::remove_dir_all(&checkout).unwrap();
}
