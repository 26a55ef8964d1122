//! Leaf certificates that flows have in common: kept once, and so read once.

use crate::parse::Facts;
use crate::parse::certificate::Leaf;
use std::hash::BuildHasher;
use std::sync::Arc;

/// Certificates that are remembered. With at most 4 KiB each that is 4 MiB a worker.
const PLACES: usize = 1024;

/// The certificates seen last, each in the place that its hash gives.
#[derive(Debug)]
pub(super) struct Certificates {
    places: Box<[Option<Arc<Leaf>>]>,
    hash: foldhash::fast::FixedState,
}

impl Certificates {
    pub(super) fn new(seed: u64) -> Self {
        let hash = foldhash::fast::FixedState::with_seed(seed);
        Self { places: vec![None; PLACES].into(), hash }
    }

    /// Puts the one that is known in the place of one that says the same.
    pub(super) fn share(&mut self, facts: &mut Facts) {
        let Some(leaf) = facts.tls.as_mut().and_then(|tls| tls.certificate.as_mut()) else { return };
        let Some(der) = leaf.der() else { return };
        let place = self.hash.hash_one(der) as usize % PLACES;
        match self.places.get_mut(place) {
            Some(Some(known)) if known.der() == Some(der) => *leaf = Arc::clone(known),
            Some(other) => *other = Some(Arc::clone(leaf)),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::TlsFacts;

    fn facts(der: &[u8]) -> Facts {
        let certificate = Leaf::keep(der).map(Arc::new);
        Facts { tls: Some(Box::new(TlsFacts { certificate, ..TlsFacts::default() })), ..Facts::default() }
    }

    #[test]
    fn flows_share_what_is_the_same() {
        let der = include_bytes!("../parse/fixtures/leaf.der");
        let mut other = der.to_vec();
        *other.last_mut().unwrap() ^= 1;
        let mut known = Certificates::new(7);
        let mut all = [facts(der), facts(der), facts(&other), facts(der)];
        all.iter_mut().for_each(|f| known.share(f));
        let leaves = all.map(|f| f.tls.unwrap().certificate.unwrap());
        assert!(Arc::ptr_eq(&leaves[0], &leaves[1]) && Arc::ptr_eq(&leaves[0], &leaves[3]));
        assert!(!Arc::ptr_eq(&leaves[0], &leaves[2]));
        assert_eq!(leaves[0].read().subject, leaves[2].read().subject);
        assert_ne!(leaves[0].read().fingerprint, leaves[2].read().fingerprint);
    }
}
