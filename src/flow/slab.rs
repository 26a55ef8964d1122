//! The cold halves of flows by number: in chunks that never move, without an allocation per flow.

use super::record::Cold;

/// Flows in one chunk.
const CHUNK: usize = 1 << SHIFT;
const SHIFT: u32 = 9;

/// See the module.
#[derive(Default)]
pub(super) struct Slab {
    chunks: Vec<Vec<Option<Cold>>>,
    free: Vec<u32>,
    /// Numbers given out so far.
    used: u32,
}

impl Slab {
    /// Keeps `cold` and gives its number.
    pub(super) fn insert(&mut self, cold: Cold) -> u32 {
        if let Some(number) = self.free.pop()
            && let Some(place) = self.place(number)
        {
            *place = Some(cold);
            return number;
        }
        let number = self.used;
        self.used += 1;
        if self.chunks.last().is_none_or(|c| c.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(Some(cold));
        }
        number
    }

    /// Takes a cold half out; its number may be given again.
    pub(super) fn remove(&mut self, number: u32) -> Option<Cold> {
        let cold = self.place(number)?.take()?;
        self.free.push(number);
        Some(cold)
    }

    pub(super) fn get(&self, number: u32) -> Option<&Cold> {
        self.chunks.get((number >> SHIFT) as usize)?.get(number as usize % CHUNK)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Cold> {
        self.place(number)?.as_mut()
    }

    #[inline]
    fn place(&mut self, number: u32) -> Option<&mut Option<Cold>> {
        self.chunks.get_mut((number >> SHIFT) as usize)?.get_mut(number as usize % CHUNK)
    }
}
