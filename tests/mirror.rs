//! What owners commit, without a broker between: the transactions of two partitions, as
//! a mirror takes them and as it loads them, and transactions that do not follow.

#[path = "support/cells.rs"]
mod wherever;

use quaymeter::cluster::mark::{self, Broken, KEY, Tally};
use quaymeter::cluster::mirror::{self, Error, Mirror};
use quaymeter::cluster::owned::{self, Counted, Owned, Terms};
use quaymeter::cluster::records::Fetch;
use quaymeter::event::{Event, Millis};
use quaymeter::log::kafka::partition::partition_of;
use quaymeter::meter::Rules;
use quaymeter::meter::cell::{Cells, Keeping};
use quaymeter::pseudonym::Pseudonyms;
use quaymeter::simulate::{Options, Simulation};
use quaymeter::store::{Bytes, Store, Table};
use quaymeter::view::{State, View};
use quaymeter::wire::{self, Judge};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

const NOW: Millis = 1_790_000_000_000;
const PARTITIONS: u32 = 2;
const DAY_MS: i64 = 86_400_000;
const EVENTS: u32 = 2_000;

/// Values of the log's records, by partition and offset.
type Records = Arc<Mutex<Vec<Vec<Vec<u8>>>>>;

struct Log(Records);

impl Fetch for Log {
    fn fetch(
        &self,
        partition: u32,
        offset: u64,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let records = self.0.lock().unwrap();
        Ok(records[partition as usize][offset as usize].clone())
    }
}

/// A record of a changelog: its partition, its key and its value.
type Change = (u32, Vec<u8>, Option<Vec<u8>>);

fn keeping() -> Keeping {
    Keeping {
        zone: jiff::tz::TimeZone::get("Asia/Shanghai").unwrap(),
        quarter_days: 45,
        day_days: 1096,
    }
}

fn terms() -> Terms {
    Terms {
        rules: Rules {
            horizon_ms: 35 * DAY_MS,
            teu_45ft_milli: 2250,
        },
        keeping: keeping(),
        shaping: Arc::from(&b"as ever"[..]),
    }
}

fn committed(partition: u32, owned: &mut Owned<Log>, settle: impl Fn()) -> Vec<Change> {
    let (mut tally, mut changes) = (Tally::default(), Vec::new());
    let settle = || {
        settle();
        Ok::<(), owned::Error>(())
    };
    for (table, key, value) in owned.cut(settle).unwrap().into_puts() {
        let key = mark::key(table, &key);
        tally.take(&key, value.as_deref());
        changes.push((partition, key, value.map(|value| value.to_vec())));
    }
    let mark = tally.mark((partition, PARTITIONS), owned.committed(), owned.position());
    changes.push((partition, KEY.to_vec(), Some(mark.encode().unwrap())));
    let outcomes = owned.is_committed();
    assert!(!outcomes.is_empty());
    changes
}

/// A mirror that is behind what is committed, by as many transactions as it may be.
struct Behind<'a> {
    mirror: &'a mut Mirror,
    view: &'a View,
    places: Vec<i64>,
    /// By partition.
    underway: Vec<VecDeque<Vec<Change>>>,
}

impl Behind<'_> {
    /// Follows until no more transactions of a partition are underway than this.
    fn follow(&mut self, partition: u32, most: usize) {
        let underway = &mut self.underway[partition as usize];
        while underway.len() > most {
            let changes = underway.pop_front().unwrap();
            follow(self.mirror, self.view, &mut self.places, &changes);
        }
    }

    fn reach(&self, partition: u32) -> u64 {
        self.mirror.reach().in_partition(partition)
    }
}

/// The transactions of a simulated day, each committed to `mirror` and shown to `view`,
/// late. Owners are restored anew from time to time, as after an abort.
fn counted(mirror: &mut Mirror, view: &View) -> Vec<Change> {
    counted_until(NOW, mirror, view, 1)
}

/// The same, with up to so many transactions underway before the next one begins, and
/// the last one months later.
fn counted_until(end: Millis, mirror: &mut Mirror, view: &View, lag: usize) -> Vec<Change> {
    let records: Records = Arc::new(Mutex::new(vec![Vec::new(); PARTITIONS as usize]));
    let slices = mirror.slices();
    let restored = |partition: u32| {
        let slice = &slices[partition as usize];
        Owned::restore((partition, 0), slice, &terms(), Log(Arc::clone(&records))).unwrap()
    };
    let mut owned: Vec<Owned<Log>> = (0..PARTITIONS).map(restored).collect();
    let behind = RefCell::new(Behind {
        mirror,
        view,
        places: vec![0; PARTITIONS as usize],
        underway: vec![VecDeque::new(); PARTITIONS as usize],
    });
    let commit = |partition: u32, of: &mut Owned<Log>| {
        behind.borrow_mut().follow(partition, lag);
        assert!(of.settled() <= behind.borrow().reach(partition));
        let settle = || behind.borrow_mut().follow(partition, 0);
        let changes = committed(partition, of, settle);
        let mut behind = behind.borrow_mut();
        behind.underway[partition as usize].push_back(changes.clone());
        changes
    };
    let mut all = Vec::new();
    for (n, (source, event)) in (0..).zip(accepted()) {
        let canonical = wire::encode(&event);
        let partition = partition_of(&event.facility, PARTITIONS);
        let of = &mut owned[partition as usize];
        records.lock().unwrap()[partition as usize].push(canonical.clone());
        let last = n + 200 >= EVENTS;
        of.count(Counted {
            offset: of.position(),
            source: &source,
            appended_at: if last { end } else { NOW },
            event: &event,
            canonical: &canonical,
        })
        .unwrap();
        if n % 97 != 0 {
            continue;
        }
        for (partition, of) in (0..).zip(&mut owned) {
            if of.is_dirty() {
                all.extend(commit(partition, of));
            }
        }
        if n % 5 == 0 {
            (0..PARTITIONS).for_each(|partition| behind.borrow_mut().follow(partition, 0));
            owned = (0..PARTITIONS).map(restored).collect();
        }
    }
    for (partition, of) in (0..).zip(&mut owned) {
        all.extend(commit(partition, of));
        behind.borrow_mut().follow(partition, 0);
    }
    all
}

/// What is taken of a simulated day, and who sent it.
fn accepted() -> Vec<(String, Event)> {
    let folder = tempfile::tempdir().unwrap();
    let pseudonyms = Pseudonyms::load_or_create(&folder.path().join("key")).unwrap();
    let judge = Judge {
        now: NOW,
        horizon_ms: 35 * DAY_MS,
        day_retention_ms: 1000 * DAY_MS,
        backfill: false,
        strict: false,
        pseudonyms: &pseudonyms,
    };
    let day = Simulation::new(&Options::new(5, NOW).with_events(EVENTS));
    let sent = day.sent();
    let accepted = sent.filter_map(|sent| {
        let accepted = wire::accept(sent.event, &judge).ok()?;
        Some((sent.source.to_owned(), accepted.event))
    });
    accepted.collect()
}

fn follow(mirror: &mut Mirror, view: &View, places: &mut [i64], changes: &[Change]) {
    for (partition, key, value) in changes {
        let place = &mut places[*partition as usize];
        if let Some(following) = mirror
            .take(*partition, *place, (key, value.as_deref()))
            .unwrap()
        {
            view.follow(following);
            mirror.keep(*partition).unwrap();
        }
        *place += 1;
    }
}

fn mirror(dir: &Path) -> Mirror {
    let clock = Arc::new(|| NOW);
    Mirror::open(&Store::open(dir).unwrap(), PARTITIONS as u16, clock).unwrap()
}

/// All cells and running totals, by names, because numbers are given as names come.
fn dump(cells: &Cells) -> BTreeMap<String, String> {
    let name = |id| cells.names.get(id);
    let mut all = BTreeMap::new();
    for ((owner, day, facility), record) in wherever::records(cells) {
        let (enterprise, role) = (name(owner.enterprise), owner.role);
        let key = format!(
            "{} {enterprise} {role:?} {:?} {day}",
            name(facility),
            owner.classifier
        );
        all.insert(key, format!("{record:?}"));
    }
    for (slot, figures) in wherever::slots(cells) {
        let (facility, enterprise) = (name(slot.facility), name(slot.owner.enterprise));
        let key = format!(
            "{facility} {enterprise} {:?} {}",
            slot.owner.role, slot.start
        );
        all.insert(key, format!("{figures:?}"));
    }
    for (call, figures) in cells.calls.iter() {
        let key = format!(
            "{} {:?} {:?}",
            name(call.facility),
            call.call,
            call.classifier
        );
        all.insert(format!("{key} {}", call.day), format!("{figures:?}"));
    }
    for (owner, totals) in cells.totals() {
        let key = format!("{} {:?} ever", name(owner.enterprise), owner.role);
        all.insert(key, format!("{totals:?}"));
    }
    all.insert("census".into(), format!("{:?}", cells.census()));
    all
}

fn dump_of(state: &State) -> (BTreeMap<String, String>, String) {
    (
        dump(&state.cells),
        format!("{:?} {:?}", state.counts, state.reach),
    )
}

#[test]
fn what_is_followed_what_is_loaded_and_what_is_left_are_the_same() {
    let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut followed = mirror(first.path());
    let view = View::new(followed.load(keeping()).unwrap());
    let changes = counted(&mut followed, &view);
    let shown = view.scan(dump_of);
    assert!(shown.0.len() > 1_000, "hardly anything was counted");

    // From the beginning, as with an empty disk.
    let mut loaded = mirror(second.path());
    let mut places = [0; PARTITIONS as usize];
    let nobody = View::new(
        mirror(tempfile::tempdir().unwrap().path())
            .load(keeping())
            .unwrap(),
    );
    follow(&mut loaded, &nobody, &mut places, &changes);
    assert_eq!(dump_of(&loaded.load(keeping()).unwrap()), shown);

    // What stands on the disk.
    let reach = followed.places();
    drop((followed, view));
    let mut left = mirror(first.path());
    assert_eq!(left.places(), reach);
    assert_eq!(dump_of(&left.load(keeping()).unwrap()), shown);

    // However many commits wrote it, little is to be read.
    for slice in left.slices() {
        let bytes = |pair: Result<_, _>| {
            let (_, chunk): (_, Bytes) = pair.unwrap();
            chunk.len()
        };
        let chunks: Vec<usize> = slice.scan(Table::Ledger).map(bytes).collect();
        let few = chunks.iter().sum::<usize>() / (64 << 10) + 16;
        assert!(chunks.len() <= few, "{chunks:?}");
    }
    drop(left);
    let store = Store::open(first.path()).unwrap();
    let is_stale = |days| mirror::is_stale(&store, PARTITIONS as u16, NOW + days * DAY_MS).unwrap();
    assert!(!is_stale(5) && is_stale(6));
    let new = Store::open(tempfile::tempdir().unwrap().path()).unwrap();
    assert!(!mirror::is_stale(&new, PARTITIONS as u16, NOW).unwrap());
}

#[test]
fn however_late_the_mirror_is_the_numbers_are_the_same() {
    let months = NOW + 2_000 * DAY_MS;
    let counted = |lag, end| {
        let dir = tempfile::tempdir().unwrap();
        let mut mirror = mirror(dir.path());
        let view = View::new(mirror.load(keeping()).unwrap());
        counted_until(end, &mut mirror, &view, lag);
        drop((mirror, view));
        // As it stands on the disk: there, what is out of retention must be gone too.
        let mut left = self::mirror(dir.path());
        let slices = left.slices();
        let cells = slices.iter().map(|slice| slice.scan(Table::Cells).count());
        let cells: usize = cells.sum();
        (cells, dump_of(&left.load(keeping()).unwrap()))
    };
    for end in [NOW, months] {
        let (prompt, late) = (counted(0, end), counted(1, end));
        assert!(late == prompt, "{} cells, not {}", late.0, prompt.0);
        assert_eq!(late.0 > 500, end == NOW, "{} cells", late.0);
    }
}

#[test]
fn a_transaction_that_is_missing_torn_or_there_twice_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut whole = mirror(dir.path());
    let view = View::new(whole.load(keeping()).unwrap());
    let changes = counted(&mut whole, &view);
    let ends: Vec<usize> = changes
        .iter()
        .enumerate()
        .filter(|(_, (partition, key, _))| *partition == 0 && key == KEY)
        .map(|(at, _)| at)
        .collect();
    let of_first = |range: std::ops::Range<usize>| {
        let some = changes[range]
            .iter()
            .filter(|(partition, ..)| *partition == 0);
        some.cloned().collect::<Vec<Change>>()
    };
    let one = of_first(0..ends[0] + 1);
    let two = of_first(ends[0] + 1..ends[1] + 1);
    let three = of_first(ends[1] + 1..ends[2] + 1);
    let broken = |changes: &[&[Change]]| {
        let dir = tempfile::tempdir().unwrap();
        let mut mirror = mirror(dir.path());
        let view = View::new(mirror.load(keeping()).unwrap());
        for (place, (partition, key, value)) in (0..).zip(changes.iter().copied().flatten()) {
            match mirror.take(*partition, place, (key, value.as_deref())) {
                Ok(Some(following)) => {
                    view.follow(following);
                    mirror.keep(*partition).unwrap();
                }
                Ok(None) => {}
                Err(Error::Broken { broken, .. }) => return Some(broken),
                Err(other) => panic!("{other}"),
            }
        }
        None
    };
    assert_eq!(broken(&[&one, &two, &three]), None);
    assert!(matches!(broken(&[&one, &three]), Some(Broken::Gap { .. })));
    assert!(matches!(
        broken(&[&one, &two, &two]),
        Some(Broken::Gap { .. })
    ));
    assert!(matches!(
        broken(&[&one, &two[1..]]),
        Some(Broken::Torn { .. })
    ));
    let mut changed = two.clone();
    changed[0].2 = Some(b"another value".to_vec());
    assert!(matches!(
        broken(&[&one, &changed]),
        Some(Broken::Torn { .. })
    ));
}

#[test]
fn a_mirror_knows_whether_it_ends_within_a_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let mut whole = mirror(dir.path());
    let view = View::new(whole.load(keeping()).unwrap());
    let changes = counted(&mut whole, &view);
    let dir = tempfile::tempdir().unwrap();
    let mut mirror = mirror(dir.path());
    let first = changes.iter().take_while(|(_, key, _)| key != KEY).count();
    assert!(first > 1 && mirror.is_whole(0));
    let of = changes[0].0;
    for (place, (partition, key, value)) in (0..).zip(&changes[..=first]) {
        mirror
            .take(*partition, place, (key, value.as_deref()))
            .unwrap();
        assert_eq!(mirror.is_whole(of), key == KEY);
    }
}

/// What the second partition alone comes to.
fn of_second(changes: &[Change]) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut mirror = mirror(folder.path());
    let view = View::new(mirror.load(keeping()).unwrap());
    let theirs: Vec<Change> = changes.iter().filter(|of| of.0 == 1).cloned().collect();
    follow(&mut mirror, &view, &mut [0; PARTITIONS as usize], &theirs);
    view.scan(|state| dump(&state.cells))
}

#[test]
fn a_partition_that_is_counted_anew_is_as_if_nothing_had_been_broken() {
    let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut followed = mirror(first.path());
    let view = View::new(followed.load(keeping()).unwrap());
    let changes = counted(&mut followed, &view);
    let shown = view.scan(dump_of);
    let mut places: Vec<i64> = followed.places();

    // Something is missing: what comes is nobody's.
    let gap = Tally::default().mark((0, PARTITIONS), 1 << 40, 1 << 41);
    let gap = (0, KEY.to_vec(), Some(gap.encode().unwrap()));
    let (key, value) = (&gap.1[..], gap.2.as_deref());
    match followed.take(0, places[0], (key, value)) {
        Err(Error::Broken {
            broken: Broken::Gap { .. },
            ..
        }) => {}
        other => panic!("{:?}", other.map(|_| ())),
    }
    followed.doubt(0, places[0]).unwrap();
    assert_eq!(followed.doubted(), [(0, places[0])]);
    places[0] += 1;
    let again: Vec<Change> = changes.iter().filter(|of| of.0 == 0).cloned().collect();
    follow(&mut followed, &view, &mut places, &again);
    assert_eq!(view.scan(dump_of), shown, "it counted on");

    // Over a restart too.
    drop((followed, view));
    let mut followed = mirror(first.path());
    let view = View::new(followed.load(keeping()).unwrap());
    assert!(followed.is_doubted(0) && !followed.is_doubted(1));
    assert_eq!(view.scan(dump_of), shown);

    let void = (0, mark::ANEW.to_vec(), Some(mark::number(0).to_vec()));
    let begin = Tally::default().mark((0, PARTITIONS), 0, 0);
    let begin = (0, KEY.to_vec(), Some(begin.encode().unwrap()));
    let anew = [&[void, begin][..], &again].concat();
    follow(&mut followed, &view, &mut places, &anew[..2]);
    assert!(!followed.is_doubted(0));
    assert_eq!(view.scan(|state| dump(&state.cells)), of_second(&changes));
    assert_eq!(view.scan(|state| state.reach.in_partition(0)), 0);
    follow(&mut followed, &view, &mut places, &anew[2..]);
    assert_eq!(view.scan(dump_of), shown);

    // A doubt about what is void is none.
    let doubt = |at: i64| (0, mark::DOUBT.to_vec(), Some(mark::number(at).to_vec()));
    follow(&mut followed, &view, &mut places, &[doubt(0)]);
    let later = doubt(places[0] - 1);
    let taken = followed.take(0, places[0], (&later.1, later.2.as_deref()));
    assert!(matches!(
        taken,
        Err(Error::Broken {
            broken: Broken::Doubted { .. },
            ..
        })
    ));

    // From the beginning, as with an empty disk.
    let mut loaded = mirror(second.path());
    let nobody = View::new(
        mirror(tempfile::tempdir().unwrap().path())
            .load(keeping())
            .unwrap(),
    );
    let all = [&changes[..], &anew].concat();
    follow(&mut loaded, &nobody, &mut [0; PARTITIONS as usize], &all);
    assert_eq!(dump_of(&loaded.load(keeping()).unwrap()), shown);
}
