//! Sentences, word by word. What Rounds and Kubernetes themselves say stays; every other word becomes a hash. So a sentence
//! that a decision would write anew, with the hashed names in it, comes out as the one that stands there.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::dictionary::Class;
use super::walk::Visit;
use crate::reason::Reason;

/// Up to so many characters, a word tells nothing.
const SHORT: usize = 3;

/// The words of our own messages, and the reasons, phases and kinds of Kubernetes that stand in statuses.
const KNOWN: &str = "
    acts admitted after again allows alone already annotations another anything apply as recorded asked asks attempts away back
    backoffLimit before beginning behind being belongs between blocked bring budget cancelled changed code command completed conditions
    confirmation container controller cordon cordoned could created data definition deleted digit digits disruption does done
    drain drained drainOptions.deleteEmptyDirData drainOptions.force drainOptions.timeoutSeconds earlier edit else empty emptyDir ended
    ending ends evicted evictions evicts example existing exit expire failed false field finalizer first flight follows force
    force-conflicts found from further give given goes gone happened have held here hold holder holds host image installed install into
    itself keeps kind know known kubectl label labels last least leaving left letter letters lifted listed lock locked longer looked
    looking lost made maintenance make manager matches message more move must name named names namespace namespaces needs never newer
    next nobody node nodeSelector nodes none not-requested note nothing object older once only open opens operation operator optionally
    other others otherwise over pending place plural policy pods preflight program progress reached read ready reason reboot rebooted
    rebooting recorded related released remove removed result rollout rollout.drainMode rollout.nodeTimeoutSeconds rollout.suspend round
    rounds runner running runs same saying schema seconds seen selector server-side settled several slots somebody something spec
    spec.command spec.nodeSelector.matchExpressions spec.nodeSelector.matchLabels spec.rebootOnSuccess spec.rollout.windows
    spec.unschedulable specified start started starts status stays still stopOnFailure succeeded successfully superseded support
    supported suspend suspended take taken takes tell than that their them then there they this time times token took tried true type
    under underway until update upgrade value values verdict version versions wait waiting waits were what when where whether
    which while whom window windows with within without word would write written
    AlwaysAllow been booted counted healthy lets since unhealthyPodEvictionPolicy wants
    Berlin Europe IANA Strict absolute boot come concurrency control-plane date duration each early hostMountPath path proven
    rollout.reboot.timeoutSeconds says selected shown status.nodeInfo.bootID stay telling tells terminating told tolerates uncordon
    whatever zone
    Active active been blanks cannot checked delete downgrade downgraded instead own since later makes passive reboots recovery reference rename set spec.image spec.upgradeActive spec.upgradeRecovery speaks system upgraded upgrades
    asks asked bring brought came carried channel credentials github-releases http https install k3OS Kairos knows newest no offered older
    owner parked passed password polled server spec.minAge spec.pollInterval rollout.allowDowngrade slots spec.concurrency spec.image spec.url spec.version spec.versionConstraint
    stands started than that the there updates updating url user wants way ways
    add artifact artifacts base below build builds built called choose claim combined correct edited entry every export exported exporter
    exporters flat job nested own pushed read-only registry repository required reserved shape source specification such tag two v3.6.0
    volume volumes buildOptions image.buildImage image.ref imageName baseImageDockerfile baseImageName ociSpec ref ubuntu 24.04
    spec.artifacts spec.baseImageName spec.exporters spec.image.buildOptions.baseImage spec.image.buildOptions.version spec.image.push
    spec.volumes spec.volumeBindings.overlayISO spec.volumeBindings.overlayRootfs spec.volumeBindings.buildContext
    spec.artifacts.overlayISOVolume spec.artifacts.overlayRootfsVolume spec.artifacts.volume spec.artifacts.uki.keysVolume
    spec.image.ociSpec.buildContextVolume spec.image.caCertificatesVolume template.spec.containers
    buildah-build build-iso build-netboot build-cloud-image build-azure-cloud-image build-gce-cloud-image build-uki-iso
    build-uki-container build-uki-uki create-image digest image-extractor kairos-release os-release pull-image-baseimage render
    DNS Job Pod an and any are at be but by do end for go has id in is it its key let new no not now of off on one or pod
    ran run so the to too up was why yet
    nodeops.operator.kairos.io kairos.io/managed operator.kairos.io/rerun operator.kairos.io/retry-failed rounds-status
    CustomResourceDefinition CronJob DaemonSet Deployment Event Job Node NodeOp NodeOpUpgrade OSArtifact Pod PodDisruptionBudget
    ReplicaSet ReplicationController StatefulSet UpdateChannel
    those Polled Answered NothingSuitable NotFound Rejected RateLimited Refused TooLarge TimedOut Malformed ServerError Unreachable TooManyRedirects Unauthorized
    Cancelling Completed Draining Failed Locking Normal Pending Preflight Ready Reconciling Releasing Running Skipped Stalled Starting
    Succeeded Unknown Warning True False
    BackOff BackoffLimitExceeded ContainerCannotRun ContainerCreating CrashLoopBackOff CreateContainerConfigError CreateContainerError
    DNSConfigForming DeadlineExceeded ErrImageNeverPull ErrImagePull Error Evicted Exists DoesNotExist FailedCreate
    FailedCreatePodSandBox FailedMount FailedScheduling FailedToRetrieveImagePullSecret ImageInspectError ImagePullBackOff
    InvalidImageName MissingClusterDNS NodeAffinity NodeLost NodeShutdown OOMKilled OutOfcpu OutOfmemory OutOfpods PodFailurePolicy
    PodInitializing Preempted Preempting RunContainerError StartError Terminated TerminationByKubelet Unhealthy
    UnexpectedAdmissionError";

static VOCABULARY: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let reasons = Reason::ALL.iter().map(|reason| reason.code());
    KNOWN.split_whitespace().chain(reasons).collect()
});

/// Visits the words of a sentence that are not known to everybody.
pub fn text(text: &mut String, visit: &mut Visit<'_>) {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let end = rest.find(|c| !is_inside(c)).unwrap_or(rest.len());
        // A full stop ends a sentence more often than a word.
        let word = rest[..end].trim_end_matches(['.', '-', '_']);
        let mut said = word.to_string();
        if !VOCABULARY.contains(word) && !is_small_number(word) {
            visit(Class::Word, &mut said);
        }
        shown.push_str(&said);
        let after = rest[end..].chars().next().map_or(0, char::len_utf8);
        shown.push_str(&rest[word.len()..end + after]);
        rest = &rest[end + after..];
    }
    *text = shown;
}

/// Whether a word that names nothing in the snapshot tells something: all do but short ones, numbers and dates.
pub fn is_telling(word: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let date = || {
        let day = word.split_once('T').map_or(word, |(day, hour)| if digits(hour) { day } else { word });
        day.len() == 10 && day.split('-').map(str::len).eq([4, 2, 2]) && day.split('-').all(digits)
    };
    word.chars().count() > SHORT && !(word.len() <= 6 && digits(word)) && !date()
}

/// Counts stay as they are even where a label has the same value.
fn is_small_number(word: &str) -> bool {
    word.len() <= SHORT && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_inside(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(said: &str) -> String {
        let mut said = said.to_string();
        text(&mut said, &mut |_, word| {
            if word == "n1" || is_telling(word) {
                *word = format!("<{word}>");
            }
        });
        said
    }

    #[test]
    fn our_own_words_numbers_and_dates_stay_and_everything_else_goes() {
        for (said, expected) in [
            ("node n1: the lock is being taken", "node <n1>: the lock is being taken"),
            ("Job failed: exit code 3: Panic in acme-tool.", "Job failed: exit code 3: <Panic> in <acme-tool>."),
            ("dial tcp 10.0.3.7:443", "<dial> tcp <10.0.3.7>:443"),
            ("the next one opens at 2026-11-28T22:00:00Z", "the next one opens at 2026-11-28T22:00:00Z"),
            ("ip 10-0-12-34, [fd00::1a2b] (3600 seconds) ünïcödé", "ip <10-0-12-34>, [<fd00>::<1a2b>] (3600 seconds) <ünïcödé>"),
            ("", ""),
        ] {
            assert_eq!(shown(said), expected);
        }
    }
}
