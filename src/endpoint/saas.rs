//! Audit logs of web services. They say nothing about a host, so they are told apart and refused by name.

use super::tree::View;

/// Keys that only the audit log of one service has together.
const SERVICES: &[&[&str]] = &[
    &["CreationTime", "Operation", "Workload"],
    &["CreationTime", "Operation", "RecordType"],
    &["created_by", "event_type", "source"],
    &["actor", "event_type", "involve_non_team_member"],
    &["actor", "action", "context"],
    &["actor", "action", "org"],
    &["actor", "action", "repo"],
    &["EVENT_TYPE", "ORGANIZATION_ID"],
    &["eventSource", "awsRegion", "eventName"],
    &["protoPayload", "logName"],
    &["actor", "eventType", "outcome"],
];

/// Whether a record is of such a log.
pub(super) fn is(root: View<'_>) -> bool {
    let google = root.get("kind").is_some_and(|kind| kind.is("admin#reports#activity"));
    let all = |keys: &[&str]| keys.iter().all(|key| root.get(key).is_some());
    google || SERVICES.iter().any(|keys| all(keys))
}
