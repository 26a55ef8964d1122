//! Logs that are known and are none of a host: audit logs of web services, alerts of products, flows of the network.
//! They are refused by name, so that nobody looks for a fault in them.

use super::tally::Reason;
use super::tree::View;

/// Keys that only such a log has together.
const KNOWN: &[(&[&str], Reason)] = &[
    // Microsoft 365.
    (&["Operation", "Workload"], Reason::Saas),
    (&["Operation", "RecordType"], Reason::Saas),
    // Box.
    (&["created_by", "event_type", "source"], Reason::Saas),
    (&["created_by", "event_type", "event_id"], Reason::Saas),
    // Dropbox.
    (&["actor", "event_type", "involve_non_team_member"], Reason::Saas),
    (&["actor", "event_type", "event_category"], Reason::Saas),
    // Slack and GitHub.
    (&["actor", "action", "context"], Reason::Saas),
    (&["actor", "action", "entity"], Reason::Saas),
    (&["actor", "action", "org"], Reason::Saas),
    (&["actor", "action", "repo"], Reason::Saas),
    (&["actor", "action", "business"], Reason::Saas),
    // Salesforce.
    (&["EVENT_TYPE", "ORGANIZATION_ID"], Reason::Saas),
    (&["EVENT_TYPE", "USER"], Reason::Saas),
    (&["EVENT_TYPE", "USER_ID"], Reason::Saas),
    // AWS, Google Cloud, Okta, Kubernetes.
    (&["awsRegion", "eventTime"], Reason::Saas),
    (&["protoPayload", "logName"], Reason::Saas),
    (&["actor", "eventType", "published"], Reason::Saas),
    (&["auditID", "verb"], Reason::Saas),
    (&["ipAddress", "actor", "parameters"], Reason::Saas),
    // SentinelOne, CrowdStrike, Jamf, Carbon Black.
    (&["agentDetectionInfo", "threatInfo"], Reason::Alert),
    (&["activityType", "agentId", "accountId"], Reason::Alert),
    (&["activitytype", "agentid", "accountid"], Reason::Alert),
    (&["host", "match"], Reason::Alert),
    (&["alert_url", "backend_timestamp"], Reason::Alert),
    (&["eventId", "loginName", "orgName"], Reason::Alert),
    // Suricata, NetFlow.
    (&["flow_id", "event_type", "src_ip"], Reason::NoProcess),
    (&["sourceIPv4Address", "destinationIPv4Address"], Reason::NoProcess),
];

/// Why a record is refused, if it is of a log that is known for that.
pub(super) fn told(root: View<'_>) -> Option<Reason> {
    if root.get("kind").is_some_and(|kind| kind.is("admin#reports#activity")) {
        return Some(Reason::Saas);
    }
    if root.at(&["metadata", "customerIDString"]).is_some() {
        return Some(Reason::Alert);
    }
    let all = |keys: &[&str]| keys.iter().all(|key| root.get(key).is_some());
    KNOWN.iter().find(|(keys, _)| all(keys)).map(|(_, reason)| *reason)
}
