//! A shelf in memory, and cells that are put on it and taken off it again at
//! every opportunity.

use compact_str::CompactString;
use quaymeter::meter::cell::{
    Ahead, CellKey, Cells, Change, Cooling, Day, DayRecord, Days, Keeping, Merge, Owner, Packed,
    Parts, Records, Round, Shelf, SlotKey, Stored, Sweep, Unread,
};
use quaymeter::meter::figure::Figures;
use quaymeter::meter::names::{NameId, Names};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// Values as they were stored.
#[derive(Default)]
pub struct InMemory(Mutex<BTreeMap<CellKey, Vec<u8>>>);

pub fn decoded<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> T {
    postcard::from_bytes(bytes).unwrap()
}

impl InMemory {
    pub fn find<T: serde::de::DeserializeOwned>(&self, key: &CellKey) -> Option<T> {
        self.0.lock().unwrap().get(key).map(|bytes| decoded(bytes))
    }

    pub fn all<T>(&self, each: impl Fn(&CellKey, &[u8]) -> Option<T>) -> Vec<T> {
        let values = self.0.lock().unwrap();
        let values = values.iter().filter_map(|(key, bytes)| each(key, bytes));
        values.collect()
    }

    pub fn take(&self, (stored, sweeps): (Vec<Stored>, Vec<Sweep>)) {
        let mut values = self.0.lock().unwrap();
        for sweep in sweeps {
            values.retain(|key, bytes| match (sweep, key) {
                (
                    Sweep::Day(owner, day),
                    CellKey::Day(whose, of, _) | CellKey::Total(whose, of),
                ) => (owner, day) != (*whose, *of),
                (Sweep::Quarters(owner, day), CellKey::Day(whose, of, _)) => {
                    if (owner, day) == (*whose, *of) {
                        let mut record: DayRecord = decoded(bytes);
                        record.quarters.clear();
                        *bytes = postcard::to_stdvec(&record).unwrap();
                    }
                    true
                }
                (Sweep::Slots(before), CellKey::Slot(slot)) => slot.day() >= before,
                _ => true,
            });
        }
        for (key, value) in stored {
            match value {
                Some(value) => values.insert(key, value),
                None => values.remove(&key),
            };
        }
    }
}

impl Shelf for InMemory {
    fn record(
        &self,
        owner: Owner,
        day: Day,
        facility: NameId,
    ) -> Result<Option<DayRecord>, Unread> {
        Ok(self.find(&CellKey::Day(owner, day, facility)))
    }

    fn records(&self, owner: Owner, days: Range<Day>) -> Result<Records, Unread> {
        Ok(self.all(|key, bytes| match *key {
            CellKey::Day(whose, day, facility) if whose == owner && days.contains(&day) => {
                Some(((day, facility), decoded(bytes)))
            }
            _ => None,
        }))
    }

    fn slot(&self, key: &SlotKey) -> Result<Option<Figures>, Unread> {
        Ok(self.find(&CellKey::Slot(*key)))
    }

    fn slots(&self, day: Day, whose: Option<Owner>) -> Result<Vec<(SlotKey, Figures)>, Unread> {
        let is_asked =
            |of: &SlotKey| of.day() == day && whose.is_none_or(|owner| of.owner == owner);
        Ok(self.all(|key, bytes| match key {
            CellKey::Slot(slot) if is_asked(slot) => Some((*slot, decoded(bytes))),
            _ => None,
        }))
    }
}

/// Cells whose shelf is in use.
pub struct Shelved {
    pub cells: Cells,
    keeping: Keeping,
    shelf: Arc<InMemory>,
    /// What was to be stored last, and is not on the shelf yet.
    under_way: (Vec<Stored>, Vec<Sweep>),
    cooling: VecDeque<Cooling>,
    /// What was read ahead some changes ago.
    ahead: Ahead,
    days: Days,
    /// What was to be posted some changes ago, and is only now.
    merge: Option<Merge>,
    applied: usize,
}

/// Changes are applied as often before it is seen whether what was read ahead is
/// used only while it is true.
const ASKED_EVERY: usize = 3;

impl Shelved {
    pub fn new(keeping: Keeping) -> Self {
        let shelf = Arc::new(InMemory::default());
        let on = Arc::clone(&shelf) as Arc<dyn Shelf>;
        Self {
            cells: Cells::shelved(keeping.clone(), on, Parts::default()),
            days: Days::of(keeping.zone.clone()),
            merge: None,
            keeping,
            shelf,
            under_way: Default::default(),
            cooling: VecDeque::new(),
            ahead: Ahead::default(),
            applied: 0,
        }
    }

    pub fn apply(&mut self, changes: &[Change]) {
        let wanted = self.cells.wanted(changes);
        self.cells.warm(wanted.read(&*self.shelf).unwrap());
        for round in Round::cut(changes.to_vec(), &mut self.days) {
            self.cells.take(round);
        }
        self.applied += 1;
        self.post(changes);
        self.cool_part();
        if self.applied.is_multiple_of(ASKED_EVERY) {
            self.cells.post_all();
            self.ask();
        }
    }

    /// Now and then some of what is to be posted is, as a publisher and those who ask
    /// do it in any order: for one owner, or what was there a while ago.
    fn post(&mut self, changes: &[Change]) {
        let postings = changes.iter().filter_map(|change| match change {
            Change::Posting(posting) => Some(posting),
            _ => None,
        });
        let owners = postings.flat_map(|posting| {
            posting.parties.iter().map(|&(role, enterprise)| Owner {
                enterprise,
                role,
                classifier: posting.classifier,
            })
        });
        match self.applied % 5 {
            0 => self.cells.post_of(&owners.take(1).collect::<Vec<_>>()),
            1 => self.merge = Some(self.cells.to_post().merge()),
            4 => {
                if let Some(merge) = self.merge.take() {
                    merge.parts().for_each(|part| self.cells.post(&merge, part));
                    self.cells.posted(&merge);
                }
            }
            _ => {}
        }
    }

    /// Records are the same whether or not some were read ahead; what is read now is
    /// for the next time.
    fn ask(&mut self) {
        let owners: Vec<Owner> = self.cells.owners().map(|(owner, _)| owner).collect();
        for &owner in &owners {
            let (mut now, mut ahead) = (BTreeMap::new(), BTreeMap::new());
            let days = Day::MIN..Day::MAX;
            let found = self.cells.records(owner, days.clone(), |day, at, record| {
                now.insert((day, at), record.clone());
                Ok::<(), Unread>(())
            });
            found.unwrap();
            let found = (self.cells).records_ahead(&self.ahead, owner, days, |day, at, record| {
                ahead.insert((day, at), record.clone());
                Ok::<(), Unread>(())
            });
            found.unwrap();
            assert_eq!(ahead, now, "{owner:?}");
        }
        self.ask_for_slots(&owners);
        let wanted = self
            .cells
            .to_read(owners.into_iter(), Day::MIN..Day::MAX, usize::MAX);
        self.ahead = wanted.read(&*self.shelf).unwrap();
    }

    /// Some owners' slots are those of all that are theirs.
    fn ask_for_slots(&self, owners: &[Owner]) {
        let ask = |whose: Option<&[Owner]>| {
            let mut found = Vec::new();
            let each = &mut |key: &SlotKey, figures: &Figures| {
                found.push((key.day(), *key, figures.clone()));
                true
            };
            self.cells.slots(i64::MIN..i64::MAX, whose, each).unwrap();
            assert!(found.is_sorted_by_key(|(day, key, _)| (*day, *key)));
            found
        };
        let some: Vec<Owner> = owners.iter().copied().step_by(2).collect();
        let mut meant = ask(None);
        meant.retain(|(_, key, _)| some.contains(&key.owner));
        assert_eq!(ask(Some(&some)), meant);
    }

    /// As a worker does it: what was to be stored is on the shelf now, so all but a
    /// few records are left to it, bit by bit between changes, but for what has
    /// changed since.
    pub fn written(&mut self, most: usize) {
        self.shelf.take(std::mem::take(&mut self.under_way));
        self.cells.cool_slots(most);
        self.cooling = self.cells.coolable(most).into();
    }

    /// What has changed is to be stored next, once nothing is left to the shelf
    /// any more.
    pub fn store(&mut self) {
        while self.cool_part() {}
        self.under_way = stored(&mut self.cells);
    }

    /// What was stored last, and is not on the shelf yet.
    pub fn under_way(&self) -> &(Vec<Stored>, Vec<Sweep>) {
        &self.under_way
    }

    fn cool_part(&mut self) -> bool {
        let part = self.cooling.pop_front();
        part.map(|part| self.cells.cool_part(&part)).is_some()
    }

    /// What a restart makes of what was stored.
    pub fn restarted(&self) -> Self {
        let parts = Parts {
            names: copied(&self.cells.names),
            clock: self.cells.clock,
            days: self.shelf.all(|key, bytes| match *key {
                CellKey::Total(owner, day) => Some((owner, day, Packed::parse(bytes).unwrap())),
                _ => None,
            }),
            facilities: self.shelf.all(|key, bytes| match *key {
                CellKey::Facilities(owner) => Some((owner, decoded(bytes))),
                _ => None,
            }),
            calls: (self.cells.calls.iter())
                .map(|(key, figures)| (key.clone(), figures.clone()))
                .collect(),
            totals: self
                .cells
                .totals()
                .into_iter()
                .map(|(owner, of)| (owner, of.clone()))
                .collect(),
            census: self.cells.census().clone(),
        };
        let (keeping, shelf) = (self.keeping.clone(), Arc::clone(&self.shelf));
        let on = Arc::clone(&shelf) as Arc<dyn Shelf>;
        Self {
            cells: Cells::shelved(keeping.clone(), on, parts),
            days: Days::of(keeping.zone.clone()),
            merge: None,
            keeping,
            shelf,
            under_way: Default::default(),
            cooling: VecDeque::new(),
            ahead: Ahead::default(),
            applied: 0,
        }
    }
}

/// All that is to be stored, gathered at once.
pub fn stored(cells: &mut Cells) -> (Vec<Stored>, Vec<Sweep>) {
    let sweeps = cells.cut();
    let (stored, all) = cells.gather(usize::MAX).unwrap();
    assert!(all);
    (stored, sweeps)
}

fn copied(names: &Names) -> Names {
    let mut copy = Names::default();
    for id in 0..names.len() {
        let name: CompactString = names.get(id as NameId).into();
        copy.intern(&name);
    }
    copy
}
