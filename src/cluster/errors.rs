//! What an error of the apiserver means: for a look, what is missing and who can help; for a write, its [`Verdict`].

use kube::core::Status;

use super::call::CallError;
use super::kinds::Kind;
use crate::outcome::Verdict;

/// Why the cluster could not be observed.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The CustomResourceDefinition is not there.
    #[error("the CustomResourceDefinition {crd} is not installed")]
    NotInstalled {
        /// Its name.
        crd: String,
    },
    /// We may not do this.
    #[error("not allowed to {verb} {resource}: {message}")]
    Forbidden {
        /// The verb that is missing.
        verb: &'static str,
        /// Plural and group of the kind.
        resource: String,
        /// Plural of the kind.
        plural: &'static str,
        /// API group of the kind.
        group: &'static str,
        /// What the apiserver said.
        message: String,
    },
    /// The apiserver does not know who we are.
    #[error("the apiserver does not accept the credentials: {0}")]
    Unauthorized(String),
    /// Anything else.
    #[error("cannot {verb} {resource}: {source}")]
    Call {
        /// What was tried.
        verb: &'static str,
        /// Plural and group of the kind.
        resource: String,
        /// What happened.
        source: CallError,
    },
}

impl ObserveError {
    pub(crate) fn of(verb: &'static str, kind: Kind, error: CallError) -> Self {
        let resource = kind.qualified();
        match error {
            CallError::Refused(status) if status.code == 404 && is_ours(kind) => Self::NotInstalled { crd: resource },
            CallError::Refused(status) if status.code == 403 => {
                Self::Forbidden { verb, resource, plural: kind.plural, group: kind.group, message: status.message }
            }
            CallError::Refused(status) if status.code == 401 => Self::Unauthorized(status.message),
            source => Self::Call { verb, resource, source },
        }
    }

    /// What is wrong and what to do about it, if it is a permission that is missing.
    pub fn missing_permission(&self) -> Option<String> {
        matches!(self, Self::Forbidden { .. }).then(|| format!("{self} ({})", self.hint()))
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NotInstalled { .. } => "install it: rounds crds | kubectl apply --server-side -f -".into(),
            Self::Forbidden { verb, plural, group, .. } => {
                format!("add to the ClusterRole: {}", rule(group, plural, verb))
            }
            Self::Unauthorized(_) => "log in again, or renew the token of this context".into(),
            Self::Call { source, .. } => match source {
                CallError::NoAnswer(_) => "is the apiserver up, and reachable from here? try: kubectl get --raw /readyz".into(),
                CallError::Garbled(_) => "does the address belong to a Kubernetes apiserver? a proxy may have answered instead".into(),
                CallError::Credentials(_) => "run the credentials plugin of this context by hand; log in again".into(),
                CallError::Refused(status) if matches!(status.code, 429 | 500..) => {
                    "the apiserver is in trouble; the next round tries again".into()
                }
                CallError::Refused(_) | CallError::Unsent(_) => "this is likely a mistake in Rounds; please report it".into(),
            },
        }
    }
}

/// Whether a kind comes with a definition of ours.
fn is_ours(kind: Kind) -> bool {
    kind.group.ends_with(".kairos.io") || kind.group == "k3os.io"
}

/// What became of a write.
pub(super) fn verdict(result: Result<Vec<u8>, CallError>) -> Verdict {
    match result {
        Ok(body) if serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok() => Verdict::Done,
        Ok(_) => Verdict::Unknown("the answer cannot be understood".into()),
        Err(CallError::Refused(status)) => refused(&status),
        Err(error @ (CallError::NoAnswer(_) | CallError::Garbled(_))) => Verdict::Unknown(error.to_string()),
        Err(error @ (CallError::Credentials(_) | CallError::Unsent(_))) => Verdict::Failed(error.to_string()),
    }
}

/// What a refusal of any write means.
fn refused(status: &Status) -> Verdict {
    let message = CallError::Refused(Box::new(status.clone())).to_string();
    match status.code {
        404 | 409 => Verdict::Moved(message),
        422 if is_about_uid(status) => Verdict::Moved(message),
        429 => Verdict::Throttled(message),
        502..=504 => Verdict::Unknown(message),
        // etcd did not answer the apiserver in time; the write may be in its log all the same.
        500 if message.contains("etcdserver:") || message.contains("context deadline exceeded") => Verdict::Unknown(message),
        500 if message.contains("field not declared in schema") => Verdict::NotSetUp(format!(
            "{message} (the installed CustomResourceDefinition is not of this version: rounds crds | kubectl apply --server-side -f -)"
        )),
        403 => missing_permission(&message).map_or_else(|| Verdict::Failed(message), Verdict::NotSetUp),
        _ => Verdict::Failed(message),
    }
}

/// What the RBAC authorizer says when it misses a rule, and that rule, from its answer `User "u" cannot patch resource
/// "nodes" in API group "" …`. Other refusals with 403, of quotas or admission, name no verb.
pub(super) fn missing_permission(message: &str) -> Option<String> {
    let (_, rest) = message.split_once(" cannot ")?;
    let (verb, rest) = rest.split_once(" resource \"")?;
    let (resource, rest) = rest.split_once("\" in API group \"")?;
    let (group, _) = rest.split_once('"')?;
    Some(format!("{message} (add to the ClusterRole: {})", rule(group, resource, verb)))
}

/// A rule as it stands in a ClusterRole.
fn rule(group: &str, resource: &str, verb: &str) -> String {
    format!("- {{apiGroups: [\"{group}\"], resources: [\"{resource}\"], verbs: [\"{verb}\"]}}")
}

/// Whether an invalid write is one whose uid belongs to an object that was replaced. A Job complains about more than the
/// uid then: the uid stands in the labels of its pods as well.
fn is_about_uid(status: &Status) -> bool {
    status.details.iter().flat_map(|details| &details.causes).any(|cause| cause.field == "metadata.uid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::kinds;

    /// Real answers of kube-apiserver v1.35.4.
    const STALE: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled on nodes \"n1\": the object has been modified; please apply your changes to the latest version and try again","reason":"Conflict","details":{"name":"n1","kind":"nodes"},"code":409}"#;
    const TAKEN: &str = r#"{"kind":"Status","status":"Failure","message":"Apply failed with 1 conflict: conflict with \"rounds-a\": .metadata.annotations.operator.kairos.io/operation","reason":"Conflict","details":{"causes":[{"reason":"FieldManagerConflict","message":"conflict with \"rounds-a\"","field":".metadata.annotations.operator.kairos.io/operation"}]},"code":409}"#;
    const GHOST: &str = r#"{"kind":"Status","status":"Failure","message":"Operation cannot be fulfilled on nodes \"ghost\": uid mismatch: the provided object specified uid u, and no existing object was found","reason":"Conflict","details":{"name":"ghost","kind":"nodes"},"code":409}"#;
    const REPLACED: &str = r#"{"kind":"Status","status":"Failure","message":"Node \"n1\" is invalid: metadata.uid: Invalid value: \"other\": field is immutable","reason":"Invalid","details":{"name":"n1","kind":"Node","causes":[{"reason":"FieldValueInvalid","message":"Invalid value: \"other\": field is immutable","field":"metadata.uid"},{"reason":"FieldValueInvalid","message":"Invalid value: \"other\": field is immutable","field":"metadata.uid"}]},"code":422}"#;
    const REPLACED_JOB: &str = r#"{"kind":"Status","status":"Failure","message":"Job.batch \"j1\" is invalid: [metadata.uid: ...]","reason":"Invalid","details":{"name":"j1","group":"batch","kind":"Job","causes":[{"reason":"FieldValueInvalid","message":"field is immutable","field":"metadata.uid"},{"reason":"FieldValueInvalid","message":"must be 'other'","field":"spec.template.metadata.labels[controller-uid]"}]},"code":422}"#;
    const INVALID: &str = r#"{"kind":"Status","status":"Failure","message":"Job.batch \"j1\" is invalid: spec.template: field is immutable","reason":"Invalid","details":{"causes":[{"reason":"FieldValueInvalid","message":"field is immutable","field":"spec.template"}]},"code":422}"#;
    const SCHEMA: &str = r#"{"kind":"Status","status":"Failure","message":"failed to create typed patch object (/op; operator.kairos.io/v1alpha1, Kind=NodeOp): .status.bogus: field not declared in schema","code":500}"#;
    const BUSY: &str = r#"{"kind":"Status","status":"Failure","message":"the server has received too many requests and has asked us to try again later","reason":"TooManyRequests","details":{"retryAfterSeconds":1},"code":429}"#;
    const ETCD: &str = r#"{"kind":"Status","status":"Failure","message":"etcdserver: request timed out","code":500}"#;
    const DENIED: &str = r#"{"kind":"Status","status":"Failure","message":"nodes \"n1\" is forbidden: User \"rounds-00\" cannot patch resource \"nodes\" in API group \"\" at the cluster scope","reason":"Forbidden","code":403}"#;
    const QUOTA: &str = r#"{"kind":"Status","status":"Failure","message":"jobs.batch \"j1\" is forbidden: exceeded quota: q","reason":"Forbidden","code":403}"#;

    fn status(code: u16, body: &str) -> CallError {
        let status = Status { code, ..serde_json::from_str(body).unwrap_or_else(|_| Status::failure(body, "")) };
        CallError::Refused(Box::new(status))
    }

    #[test]
    fn a_refused_write_moved_waits_or_failed() {
        for (code, body, expected) in [
            (409, STALE, "moved"),
            (409, TAKEN, "moved"),
            (409, GHOST, "moved"),
            (422, REPLACED, "moved"),
            (422, REPLACED_JOB, "moved"),
            (404, "404 page not found", "moved"),
            (422, INVALID, "failed"),
            (500, SCHEMA, "notSetUp"),
            (403, DENIED, "notSetUp"),
            (403, QUOTA, "failed"),
            (429, BUSY, "throttled"),
            (500, ETCD, "unknown"),
            (504, "gateway timeout", "unknown"),
            (503, "", "unknown"),
        ] {
            let verdict = verdict(Err(status(code, body)));
            assert_eq!(serde_json::to_value(&verdict).unwrap()["verdict"], expected, "{code} {body}");
        }
        assert_eq!(verdict(Ok(b"{}".to_vec())), Verdict::Done);
        assert!(matches!(verdict(Ok(b"<html>".to_vec())), Verdict::Unknown(_)));
        assert!(matches!(verdict(Err(CallError::NoAnswer("connection reset".into()))), Verdict::Unknown(_)));
        assert!(matches!(verdict(Err(CallError::Unsent("no uid".into()))), Verdict::Failed(_)));
    }

    #[test]
    fn a_conflict_names_the_other_and_an_old_crd_names_the_remedy() {
        let Verdict::Moved(message) = verdict(Err(status(409, TAKEN))) else { panic!() };
        assert!(message.contains("rounds-a"));
        let Verdict::NotSetUp(message) = verdict(Err(status(500, SCHEMA))) else { panic!() };
        assert!(message.contains("rounds crds | kubectl apply --server-side -f -"), "{message}");
        let Verdict::NotSetUp(message) = verdict(Err(status(403, DENIED))) else { panic!() };
        assert!(message.contains(r#"{apiGroups: [""], resources: ["nodes"], verbs: ["patch"]}"#), "{message}");
    }

    #[test]
    fn what_a_list_needs_is_told_with_its_remedy() {
        for (kind, error, message, hint) in [
            (
                kinds::NODEOP,
                status(404, "404 page not found"),
                "the CustomResourceDefinition nodeops.operator.kairos.io is not installed",
                "rounds crds",
            ),
            (
                kinds::LEASE,
                status(403, QUOTA),
                "not allowed to list leases.coordination.k8s.io: ",
                r#"{apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["list"]}"#,
            ),
            (kinds::NODE, status(401, "Unauthorized"), "the apiserver does not accept the credentials", "log in"),
            (kinds::NODE, status(500, ETCD), "cannot list nodes: etcdserver: request timed out", "next round"),
            (kinds::POD, CallError::NoAnswer("connection refused".into()), "cannot list pods: no answer: connection refused", "/readyz"),
        ] {
            let error = ObserveError::of("list", kind, error);
            assert!(error.to_string().starts_with(message), "{error}");
            assert!(error.hint().contains(hint), "{}", error.hint());
        }
    }
}
