//! From an address to the service that owns it, for flows without a name. Only networks that carry one service.

use super::ServiceId;
use crate::net::{Cidr, number};
use std::net::IpAddr;

/// Disjoint address spans, sorted.
#[derive(Clone, Default, Debug)]
pub(crate) struct Ranges {
    spans: Vec<(u128, u128, ServiceId)>,
}

impl Ranges {
    /// Adds a network; returns the service whose network overlaps it, if another's does.
    pub(crate) fn add(&mut self, cidr: Cidr, service: ServiceId) -> Option<ServiceId> {
        let (start, end) = cidr.span();
        let at = self.spans.partition_point(|span| span.1 < start);
        match self.spans.get(at) {
            Some(span) if span.0 <= end => Some(span.2),
            _ => {
                self.spans.insert(at, (start, end, service));
                None
            }
        }
    }

    pub(crate) fn find(&self, ip: IpAddr) -> Option<ServiceId> {
        let at = number(ip);
        let span = self.spans.get(self.spans.partition_point(|span| span.1 < at))?;
        (span.0 <= at).then_some(span.2)
    }

    pub(crate) fn has(&self, service: ServiceId) -> bool {
        self.spans.iter().any(|span| span.2 == service)
    }
}
