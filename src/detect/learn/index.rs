//! Where the entry of a host and a destination is: places only, their keys are read off the entries themselves.

use super::entry::Entry;
use crate::state::Rows;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    table: HashTable<u32>,
    seeds: RandomState,
}

impl Index {
    /// Entries in it.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The places, in no order.
    pub(super) fn places(&self) -> impl Iterator<Item = u32> {
        self.table.iter().copied()
    }

    fn hash(&self, host: u32, target: u32) -> u64 {
        self.seeds.hash_one(u64::from(host) << 32 | u64::from(target))
    }

    /// The place of an entry.
    pub(super) fn get(&self, host: u32, target: u32, entries: &Rows<Entry>) -> Option<u32> {
        let is = |id: &u32| is_of(&entries[*id as usize], host, target);
        self.table.find(self.hash(host, target), is).copied()
    }

    /// Takes up the entry at a place. It must not be in it yet.
    pub(super) fn insert(&mut self, id: u32, entries: &Rows<Entry>) {
        let entry = &entries[id as usize];
        let seeds = &self.seeds;
        let hash = |id: &u32| {
            let entry = &entries[*id as usize];
            seeds.hash_one(u64::from(entry.host) << 32 | u64::from(entry.target))
        };
        self.table.insert_unique(self.hash(entry.host, entry.target), id, hash);
    }

    /// Leaves out an entry.
    pub(super) fn remove(&mut self, host: u32, target: u32, entries: &Rows<Entry>) {
        let hash = self.hash(host, target);
        let is = |id: &u32| is_of(&entries[*id as usize], host, target);
        if let Ok(found) = self.table.find_entry(hash, is) {
            found.remove();
        }
    }
}

const fn is_of(entry: &Entry, host: u32, target: u32) -> bool {
    entry.host == host && entry.target == target
}
