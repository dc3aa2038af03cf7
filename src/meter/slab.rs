//! Places that are given, taken back and given again. They are kept in pages, so
//! that growing copies nothing and wastes at most one page.

use std::ops::{Index, IndexMut};

const PAGE: usize = 1 << 15;

/// Values by place.
pub struct Slab<T> {
    pages: Vec<Vec<T>>,
    free: Vec<u32>,
    vacant: T,
}

impl<T: Copy> Slab<T> {
    /// None yet; `vacant` stands where there is none.
    pub fn new(vacant: T) -> Self {
        Self {
            pages: Vec::new(),
            free: Vec::new(),
            vacant,
        }
    }

    /// Gives a value a place.
    pub fn insert(&mut self, value: T) -> u32 {
        if let Some(place) = self.free.pop() {
            self[place] = value;
            return place;
        }
        if self.pages.last().is_none_or(|page| page.len() == PAGE) {
            self.pages.push(Vec::with_capacity(PAGE));
        }
        let last = self.pages.len() - 1;
        self.pages[last].push(value);
        (last * PAGE + self.pages[last].len() - 1) as u32
    }

    /// Takes a place back.
    pub fn remove(&mut self, place: u32) {
        self[place] = self.vacant;
        self.free.push(place);
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        let given: usize = self.pages.iter().map(Vec::len).sum();
        given - self.free.len()
    }

    /// All places with what stands there, vacant ones included.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(self.pages.iter().flatten())
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, place: u32) -> &T {
        &self.pages[place as usize / PAGE][place as usize % PAGE]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, place: u32) -> &mut T {
        &mut self.pages[place as usize / PAGE][place as usize % PAGE]
    }
}
