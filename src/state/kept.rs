//! Rows that know which of them have changed since they were last written down.
//!
//! A checkpoint must show one moment, and must not stop whoever works. So [`Rows::freeze`] only notes which rows are
//! due; [`Rows::hand_over`] then gives some of them at a time; and a row that is about to change before its turn has
//! come is put aside first, as it was. Reading costs nothing, writing one look at a byte.

use crate::detect::Map;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::hash::Hash;
use std::ops::{Index, IndexMut};

/// What people see of a row, besides its bytes.
#[derive(Clone, PartialEq, Debug)]
pub enum Cell {
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
}

/// What rows of a table are.
pub trait Kept: Serialize + DeserializeOwned {
    /// The table they stand in.
    const TABLE: &'static super::Table;

    /// The cells that people see, in the order of the table's columns.
    fn shown(&self) -> Vec<Cell>;
}

/// What identifies a row.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Id {
    /// By number.
    Number(i64),
    /// By bytes.
    Bytes(Vec<u8>),
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|b| write!(f, "{b:02x}")),
        }
    }
}

/// A row to be written, or to be removed.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// Its table.
    pub table: &'static super::Table,
    /// Which row.
    pub id: Id,
    /// What is to stand there: cells and bytes; `None`: nothing any more.
    pub value: Option<(Vec<Cell>, Vec<u8>)>,
}

impl Row {
    /// A row with this value. What cannot be written as bytes does not exist: all types here can.
    pub fn put<T: Kept>(id: Id, value: &T) -> Self {
        let bytes = encode(value);
        Self { table: T::TABLE, id, value: Some((value.shown(), bytes)) }
    }
}

/// A value as bytes.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    // Only a sequence of unknown length or a failing writer could fail here, and there is neither.
    postcard::to_stdvec(value).unwrap_or_default()
}

/// A value from bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::from_bytes(bytes).ok()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mark {
    Clean,
    /// Has changed.
    Dirty,
    /// Had changed when the rows were frozen, and waits for its turn.
    Due,
}

/// Rows by place. See the module.
#[derive(Clone, Debug)]
pub struct Rows<T> {
    items: Vec<T>,
    marks: Vec<Mark>,
    dirty: Vec<u32>,
    due: Vec<u32>,
    aside: Vec<Row>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { items: Vec::new(), marks: Vec::new(), dirty: Vec::new(), due: Vec::new(), aside: Vec::new() }
    }
}

impl<T> Rows<T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// A new row at the end.
    pub fn push(&mut self, item: T) {
        self.dirty.push(self.items.len() as u32);
        self.items.push(item);
        self.marks.push(Mark::Dirty);
    }

    /// A row that is written down already.
    pub fn push_known(&mut self, item: T) {
        self.items.push(item);
        self.marks.push(Mark::Clean);
    }

    /// A row, to be read.
    pub fn get(&self, at: usize) -> Option<&T> {
        self.items.get(at)
    }

    /// All rows, to be read.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }
}

impl<T: Kept> Rows<T> {
    /// A row, to be changed.
    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.touch(at);
        self.items.get_mut(at)
    }

    /// All rows, to be changed.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        (0..self.items.len()).for_each(|at| self.touch(at));
        self.items.iter_mut()
    }

    #[inline]
    fn touch(&mut self, at: usize) {
        match self.marks.get_mut(at) {
            None | Some(Mark::Dirty) => return,
            Some(mark) => {
                if *mark == Mark::Due
                    && let Some(item) = self.items.get(at)
                {
                    self.aside.push(Row::put(Id::Number(at as i64), item));
                }
                *mark = Mark::Dirty;
            }
        }
        self.dirty.push(at as u32);
    }

    /// What has changed so far is due; what changes from now on is not part of it.
    pub fn freeze(&mut self) {
        debug_assert!(self.due.is_empty(), "the last checkpoint was not handed over");
        self.due = std::mem::take(&mut self.dirty);
        for at in &self.due {
            if let Some(mark) = self.marks.get_mut(*at as usize) {
                *mark = Mark::Due;
            }
        }
    }

    /// Hands over at most `most` rows and takes what it gave from `most`. Nothing is left when some of it is.
    pub fn hand_over(&mut self, most: &mut usize, out: &mut Vec<Row>) {
        out.append(&mut self.aside);
        while *most > 0 {
            let Some(at) = self.due.pop() else { return };
            let (Some(mark), Some(item)) = (self.marks.get_mut(at as usize), self.items.get(at as usize))
            else {
                continue;
            };
            // What changed meanwhile was put aside.
            if *mark == Mark::Due {
                *mark = Mark::Clean;
                out.push(Row::put(Id::Number(i64::from(at)), item));
                *most -= 1;
            }
        }
    }
}

impl<T> Index<usize> for Rows<T> {
    type Output = T;

    fn index(&self, at: usize) -> &T {
        &self.items[at]
    }
}

impl<T: Kept> IndexMut<usize> for Rows<T> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        self.touch(at);
        &mut self.items[at]
    }
}

impl<'r, T> IntoIterator for &'r Rows<T> {
    type Item = &'r T;
    type IntoIter = std::slice::Iter<'r, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<'r, T: Kept> IntoIterator for &'r mut Rows<T> {
    type Item = &'r mut T;
    type IntoIter = std::slice::IterMut<'r, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

#[derive(Clone, Debug)]
struct Slot<V> {
    value: V,
    mark: Mark,
}

/// Rows by key. Changes are followed from [`Shelf::follow`] on. See the module.
#[derive(Clone, Debug)]
pub struct Shelf<K, V> {
    slots: Map<K, Slot<V>>,
    followed: bool,
    dirty: Vec<K>,
    gone: Vec<K>,
    due: Vec<K>,
    aside: Vec<Row>,
}

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self {
            slots: Map::default(),
            followed: false,
            dirty: Vec::new(),
            gone: Vec::new(),
            due: Vec::new(),
            aside: Vec::new(),
        }
    }
}

/// A key as what identifies its row.
pub trait Key: Copy + Eq + Hash {
    /// The row.
    fn id(&self) -> Id;
}

impl<K: Key, V: Kept> Shelf<K, V> {
    /// Follows changes from now on. `all`: everything there is counts as changed.
    pub fn follow(&mut self, all: bool) {
        self.followed = true;
        if all {
            self.dirty = self.slots.keys().copied().collect();
            self.slots.values_mut().for_each(|slot| slot.mark = Mark::Dirty);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// There is one with this key.
    pub fn contains_key(&self, key: &K) -> bool {
        self.slots.contains_key(key)
    }

    /// A value, to be read.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.slots.get(key).map(|slot| &slot.value)
    }

    /// All, to be read.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.slots.iter().map(|(key, slot)| (key, &slot.value))
    }

    /// A value, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let slot = self.slots.get_mut(key)?;
        if self.followed {
            touch(*key, slot, &mut self.dirty, &mut self.aside);
        }
        Some(&mut slot.value)
    }

    /// The value with this key, made when there is none, to be changed.
    pub fn or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let followed = self.followed;
        let mut new = false;
        let slot = self.slots.entry(key).or_insert_with(|| {
            new = true;
            Slot { value: make(), mark: if followed { Mark::Dirty } else { Mark::Clean } }
        });
        if followed && new {
            self.dirty.push(key);
        } else if followed {
            touch(key, slot, &mut self.dirty, &mut self.aside);
        }
        &mut slot.value
    }

    /// A value that is written down already.
    pub fn put_known(&mut self, key: K, value: V) {
        self.slots.insert(key, Slot { value, mark: Mark::Clean });
    }

    /// Takes one out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let slot = self.slots.remove(key)?;
        if self.followed {
            if slot.mark == Mark::Due {
                self.aside.push(Row::put(key.id(), &slot.value));
            }
            self.gone.push(*key);
        }
        Some(slot.value)
    }

    /// Leaves those that `stays` wants.
    pub fn retain(&mut self, mut stays: impl FnMut(&K, &V) -> bool) {
        let going: Vec<K> =
            self.slots.iter().filter(|(key, slot)| !stays(key, &slot.value)).map(|(key, _)| *key).collect();
        for key in going {
            self.remove(&key);
        }
    }

    /// As [`Rows::freeze`].
    pub fn freeze(&mut self) {
        for key in std::mem::take(&mut self.gone) {
            if !self.slots.contains_key(&key) {
                self.aside.push(Row { table: V::TABLE, id: key.id(), value: None });
            }
        }
        self.due = std::mem::take(&mut self.dirty);
        for key in &self.due {
            if let Some(slot) = self.slots.get_mut(key) {
                slot.mark = Mark::Due;
            }
        }
    }

    /// As [`Rows::hand_over`].
    pub fn hand_over(&mut self, most: &mut usize, out: &mut Vec<Row>) {
        out.append(&mut self.aside);
        while *most > 0 {
            let Some(key) = self.due.pop() else { return };
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            if slot.mark == Mark::Due {
                slot.mark = Mark::Clean;
                out.push(Row::put(key.id(), &slot.value));
                *most -= 1;
            }
        }
    }
}

fn touch<K: Key, V: Kept>(key: K, slot: &mut Slot<V>, dirty: &mut Vec<K>, aside: &mut Vec<Row>) {
    match slot.mark {
        Mark::Dirty => return,
        Mark::Due => aside.push(Row::put(key.id(), &slot.value)),
        Mark::Clean => {}
    }
    slot.mark = Mark::Dirty;
    dirty.push(key);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    static TABLE: super::super::Table = super::super::Table { name: "number", columns: &["value"] };

    impl Kept for u64 {
        const TABLE: &'static super::super::Table = &TABLE;

        fn shown(&self) -> Vec<Cell> {
            vec![Cell::Int(*self as i64)]
        }
    }

    impl Key for u32 {
        fn id(&self) -> Id {
            Id::Number(i64::from(*self))
        }
    }

    fn apply(rows: Vec<Row>, disk: &mut BTreeMap<i64, u64>) {
        for row in rows {
            let Id::Number(id) = row.id else { continue };
            match row.value {
                Some((_, bytes)) => drop(disk.insert(id, decode(&bytes).expect("a number"))),
                None => drop(disk.remove(&id)),
            }
        }
    }

    proptest! {
        /// Whatever is changed while rows are handed over, what arrives is the moment of the freeze.
        #[test]
        fn a_checkpoint_shows_one_moment(steps in proptest::collection::vec((0u8..6, 0u32..12), 0..200)) {
            let (mut rows, mut shelf) = (Rows::<u64>::default(), Shelf::<u32, u64>::default());
            shelf.follow(false);
            let (mut disk, mut shelved) = (BTreeMap::new(), BTreeMap::new());
            let (mut out, mut out2) = (Vec::new(), Vec::new());
            let mut frozen: Option<(Vec<u64>, BTreeMap<i64, u64>)> = None;
            for (turn, (what, at)) in steps.into_iter().enumerate() {
                let turn = turn as u64;
                match what {
                    0 => rows.push(turn),
                    1 if (at as usize) < rows.len() => rows[at as usize] = turn,
                    2 => *shelf.or_insert_with(at, || 0) = turn,
                    3 => drop(shelf.remove(&at)),
                    4 if frozen.is_none() => {
                        rows.freeze();
                        shelf.freeze();
                        let now = shelf.iter().map(|(k, v)| (i64::from(*k), *v)).collect();
                        frozen = Some((rows.iter().copied().collect(), now));
                    }
                    _ => {
                        rows.hand_over(&mut 2, &mut out);
                        shelf.hand_over(&mut 2, &mut out2);
                    }
                }
                if what == 5 && frozen.is_some() {
                    let mut most = usize::MAX;
                    rows.hand_over(&mut most, &mut out);
                    shelf.hand_over(&mut most, &mut out2);
                    apply(std::mem::take(&mut out), &mut disk);
                    apply(std::mem::take(&mut out2), &mut shelved);
                    let (list, map) = frozen.take().expect("frozen");
                    prop_assert_eq!(disk.values().copied().collect::<Vec<_>>(), list);
                    prop_assert_eq!(&shelved, &map);
                }
            }
        }
    }
}
