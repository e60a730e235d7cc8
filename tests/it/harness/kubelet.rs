//! A node that reboots, played: kwok's pods wait where a real node's would tell of their boot, or end it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::Corner;

/// Plays the nodes of a corner while something else goes on.
pub fn beside<T>(corner: &Corner, what: impl FnOnce() -> T) -> T {
    let over = Over(AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.0.load(Ordering::SeqCst) {
                corner.list("pods").iter().for_each(|pod| {
                    play(corner, pod);
                });
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        // Also when it panics: else the scope would wait for ever.
        let _over = Ends(&over);
        what()
    })
}

struct Over(AtomicBool);

struct Ends<'a>(&'a Over);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::SeqCst);
    }
}

/// Plays one pod; whether there was something to play.
pub fn play(corner: &Corner, pod: &Value) -> bool {
    if pod["status"]["phase"] != "Running" || !pod["metadata"]["deletionTimestamp"].is_null() {
        return false;
    }
    let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    match pod["spec"]["containers"][0]["name"].as_str() {
        Some("sentinel-creator") if is_telling(pod) => tell(corner, name, &boot_id(corner, node)),
        Some("reboot") => {
            let approved = pod["metadata"]["annotations"]["kairos.io/reboot-approved"].as_str();
            let now = boot_id(corner, node);
            if approved != Some(&now) {
                return false;
            }
            let boot = format!("{now}-again");
            reboot(corner, node, name, &boot);
            if let Some(version) = installed(corner, node) {
                look_at(corner, node, &version, "active");
            }
        }
        _ => return false,
    }
    true
}

/// Whether the command of a pod has succeeded and nobody has told of it.
pub fn is_telling(pod: &Value) -> bool {
    pod["spec"]["containers"][0]["name"] == "sentinel-creator" && !pod["status"]["containerStatuses"][0]["state"]["running"].is_null()
}

/// The boot of a node, as it tells.
pub fn boot_id(corner: &Corner, node: &str) -> String {
    corner.get("node", node)["status"]["nodeInfo"]["bootID"].as_str().unwrap_or_default().to_string()
}

/// The pod tells in which boot its command succeeded, and is over.
pub fn tell(corner: &Corner, pod: &str, boot_id: &str) {
    end(corner, pod, "sentinel-creator", 0, boot_id);
}

/// The node comes up in another boot, and the pod that has ended the last one finds itself there.
pub fn reboot(corner: &Corner, node: &str, pod: &str, boot_id: &str) {
    corner.patch_status("node", node, &json!({"nodeInfo": {"bootID": boot_id}}));
    end(corner, pod, "reboot", 0, "");
}

/// The version that the last upgrade on a node has told.
fn installed(corner: &Corner, node: &str) -> Option<String> {
    let mut pods = corner.list("pods");
    pods.retain(|pod| pod["spec"]["nodeName"] == node && pod["spec"]["initContainers"][0]["command"][3] == "upgrade");
    pods.sort_by_key(|pod| pod["metadata"]["creationTimestamp"].as_str().map(String::from));
    let message = pods.last()?["status"]["initContainerStatuses"][0]["state"]["terminated"]["message"].as_str()?.to_string();
    message.strip_prefix("upgraded to ").map(String::from)
}

/// What a probe would write on a node: the version that it runs, and from which of its systems.
pub fn look_at(corner: &Corner, node: &str, version: &str, state: &str) {
    let (kairos, software) = version.split_once('-').unwrap_or((version, ""));
    let annotations = json!({"operator.kairos.io/probed-boot": boot_id(corner, node), "kairos.io/version": kairos});
    let labels = json!({"kairos.io/software-version": software, "kairos.io/boot-state": state});
    // In one write: a boot that was looked at speaks of all of them.
    let patch = json!({"metadata": {"annotations": annotations, "labels": labels}}).to_string();
    corner.kubectl(&["patch", "node", node, "--type=merge", "--field-manager=rounds-labels", "-p", &patch]);
}

/// The command of a pod ends.
pub fn finish(corner: &Corner, pod: &str, code: i32) {
    end(corner, pod, "nodeop", code, "");
}

/// A probe tells what it has found, and is over.
pub fn report(corner: &Corner, pod: &str, message: &str) {
    end(corner, pod, "probe", 0, message);
}

fn end(corner: &Corner, pod: &str, container: &str, code: i32, message: &str) {
    let (phase, reason) = if code == 0 { ("Succeeded", "Completed") } else { ("Failed", "Error") };
    let ended = json!({"exitCode": code, "reason": reason, "message": message});
    let status =
        json!({"name": container, "image": "rounds", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": ended}});
    let patch = json!({"status": {"phase": phase, "containerStatuses": [status]}}).to_string();
    let args = ["-n", &corner.name, "patch", "pod", pod, "--subresource=status", "--type=merge", "-p", &patch];
    let output = corner.kubectl_with(&args, None);
    let said = String::from_utf8_lossy(&output.stderr);
    // A round may be quicker, and have removed what nobody waits for any more.
    assert!(output.status.success() || said.contains("(NotFound)"), "pod {pod}: {said}");
}
