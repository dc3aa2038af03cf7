//! What is committed to the changelogs, by itself: each record of the log is counted in one
//! transaction, whole, and nothing had to be counted anew. Who answers might have mended
//! what was not so before anybody asked.

use crate::instances::{PARTITIONS, World};
use quaymeter::cluster::mark::{Before, KEY, Mark, Tally};
use quaymeter::log::kafka::polled::Read;
use quaymeter::log::kafka::sweep::Sweep;
use quaymeter::log::{Offset, Record};

/// A partition's transactions, as they go by.
#[derive(Clone, Copy, Debug, Default)]
struct Chain {
    to: Offset,
    tally: Tally,
    transactions: u64,
}

impl Chain {
    fn take(&mut self, record: &Read<'_>) {
        let key = record.key().unwrap();
        if key != KEY {
            // No put begins so, but what voids a changelog, or doubts it, does.
            assert!(!key.starts_with(b"__"), "{self:?}");
            return self.tally.take(key, record.value());
        }
        let mark = Mark::decode(record.value().unwrap()).unwrap();
        let (tally, place) = (std::mem::take(&mut self.tally), record.partition());
        let follows = mark.follows(Before::All(self.to), (place, PARTITIONS), tally);
        follows.unwrap_or_else(|broken| panic!("{broken}: {mark:?} after {self:?}"));
        (self.to, self.transactions) = (mark.to, self.transactions + 1);
    }
}

/// Whether that is so, once all that is in the log is counted.
pub fn assert_chained(world: &World) {
    let mut sweep = Sweep::open(&world.connection(), &world.topic("cells"), PARTITIONS).unwrap();
    sweep.begin(&[0; PARTITIONS as usize]).unwrap();
    let mut chains = [Chain::default(); PARTITIONS as usize];
    let mut take = |record: Read<'_>| chains[record.partition() as usize].take(&record);
    while sweep.next(&mut take).unwrap().is_some() {}
    let end = |records: &Vec<Record>| records.last().map_or(0, Record::end_offset);
    let ends: Vec<Offset> = world.events().iter().map(end).collect();
    assert_eq!(chains.map(|chain| chain.to).to_vec(), ends);
    let transactions: u64 = chains.iter().map(|chain| chain.transactions).sum();
    println!("{transactions} transactions follow each other");
}
