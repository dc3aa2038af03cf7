//! The rules of turns, for any sources and batches.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const AHEAD: u64 = 512 << 10;
const UNCOUNTED: u64 = 40_000;
const LARGEST: Size = Size {
    bytes: 2 << 20,
    events: 10_000,
};

fn lines() -> Lines<u64> {
    Lines::new(Limits {
        ahead_bytes: AHEAD,
        uncounted_events: UNCOUNTED,
        waiting_bytes: 1 << 30,
    })
}

/// A batch of so many events.
fn batch(events: u64) -> Size {
    Size {
        bytes: events * 190,
        events,
    }
}

/// Lines with all that was let in, in its order, and what of it is still held.
struct Table {
    lines: Lines<u64>,
    next: u64,
    admitted: Vec<(CompactString, Size, u64)>,
    held: VecDeque<(CompactString, Size)>,
}

impl Table {
    fn new() -> Self {
        Self {
            lines: lines(),
            next: 0,
            admitted: Vec::new(),
            held: VecDeque::new(),
        }
    }

    /// A batch comes; whether it was let in at once.
    fn come(&mut self, source: &str, size: Size) -> bool {
        self.next += 1;
        let entered = self.lines.enter(source, size);
        if entered {
            self.admitted.push((source.into(), size, self.next));
            self.held.push_back((source.into(), size));
        } else {
            self.lines.wait(source, size, self.next);
        }
        entered
    }

    /// The oldest that is held is durable and counted.
    fn go(&mut self) -> bool {
        let Some((source, size)) = self.held.pop_front() else {
            return false;
        };
        self.lines.give_back(&source, size);
        let from = self.admitted.len();
        self.lines.admit(|_| false, &mut self.admitted);
        let came = self.admitted[from..].iter();
        self.held
            .extend(came.map(|(source, size, _)| (source.clone(), *size)));
        true
    }

    fn bytes_of(&self, source: &str) -> u64 {
        let own = self.admitted.iter().filter(|(of, ..)| of == source);
        own.map(|(_, size, _)| size.bytes).sum()
    }
}

#[test]
fn a_newcomer_is_let_in_at_once_beside_a_flood_of_any_batches() {
    for events in [1, 100, 500] {
        let mut table = Table::new();
        for _ in 0..100_000 / events {
            table.come("flood", batch(events));
        }
        assert!(table.come("small", batch(100)), "{events} a batch");
        for _ in 0..100 {
            table.go();
            assert!(table.lines.held.bytes <= AHEAD + batch(500).bytes);
        }
        assert!(table.come("late", batch(100)), "{events} a batch");
    }
}

#[test]
fn beside_a_flood_of_the_largest_batches_it_is_the_next_one() {
    let mut table = Table::new();
    for _ in 0..10 {
        table.come("flood", LARGEST);
    }
    table.come("small", batch(100));
    table.go();
    assert!(table.admitted.iter().any(|(of, ..)| of == "small"));
}

#[test]
fn two_floods_get_the_same_bytes_whatever_their_batches() {
    let mut table = Table::new();
    for _ in 0..2_000 {
        table.come("few", batch(5_000));
    }
    for _ in 0..100_000 {
        table.come("many", batch(100));
    }
    for _ in 0..20_000 {
        table.go();
    }
    assert!(!table.lines.turns.is_empty(), "all of it went");
    let [few, many] = ["few", "many"].map(|source| table.bytes_of(source));
    let share = few as f64 / (few + many) as f64;
    assert!((0.4..0.6).contains(&share), "{few} and {many} bytes");
}

#[test]
fn who_had_more_than_his_turn_waits_although_nothing_of_his_is_under_way() {
    let mut table = Table::new();
    for _ in 0..1_000 {
        table.come("flood", batch(500));
    }
    assert!(table.come("large", LARGEST));
    while table.held.iter().any(|(of, _)| of == "large") {
        table.go();
    }
    assert!(!table.come("large", LARGEST));
    let before = table.bytes_of("large");
    while table.bytes_of("large") == before {
        table.go();
    }
    assert!(table.bytes_of("flood") >= LARGEST.bytes);
}

#[test]
fn what_is_gone_holds_nothing_and_leaves_no_line() {
    let mut table = Table::new();
    for _ in 0..1_000 {
        table.come("flood", batch(500));
    }
    let (source, size) = table.held.pop_front().unwrap();
    table.lines.give_back(&source, size);
    table.lines.admit(|_| true, &mut Vec::new());
    assert_eq!(table.lines.waiting_bytes, 0);
    while table.go() {}
    assert!(table.lines.sources.is_empty() && table.lines.turns.is_empty());
    assert!(table.lines.resting.is_empty());
    assert_eq!(table.lines.held, Size::default());
}

/// What happens: a batch of a source comes, or the oldest goes.
#[derive(Clone, Debug)]
enum Step {
    Come(u8, u64),
    Go,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u8..5, 1_u64..=10_000).prop_map(|(source, events)| Step::Come(source, events)),
        (0_u8..5, 1_u64..=200).prop_map(|(source, events)| Step::Come(source, events)),
        Just(Step::Go),
    ]
}

proptest! {
    #[test]
    fn nothing_is_lost_or_overtakes_its_own_and_room_is_never_exceeded(
        steps in vec(step(), 1..400),
    ) {
        let mut table = Table::new();
        let mut came: HashMap<String, Vec<u64>> = HashMap::new();
        for step in steps {
            match step {
                Step::Come(source, events) => {
                    let source = source.to_string();
                    table.come(&source, batch(events));
                    came.entry(source).or_default().push(table.next);
                }
                Step::Go => {
                    table.go();
                }
            }
            let held = table.lines.held;
            prop_assert!(held.bytes < AHEAD + LARGEST.bytes, "{held:?}");
            prop_assert!(held.events < UNCOUNTED + LARGEST.events, "{held:?}");
            // Nobody waits while nothing is held.
            prop_assert!(!table.held.is_empty() || table.lines.turns.is_empty());
        }
        while table.go() {}
        for (source, numbers) in came {
            let own = table.admitted.iter().filter(|(of, ..)| *of == *source);
            let own: Vec<u64> = own.map(|(_, _, number)| *number).collect();
            prop_assert_eq!(own, numbers);
        }
        prop_assert!(table.lines.sources.is_empty());
        prop_assert_eq!(table.lines.waiting_bytes, 0);
    }

    #[test]
    fn of_sources_that_always_wait_each_gets_its_share(
        batches in vec(200_u64..=10_000, 2..6),
    ) {
        const EACH: u64 = 10_000_000;
        let mut table = Table::new();
        for (source, events) in batches.iter().enumerate() {
            for _ in 0..3 * EACH / batch(*events).bytes {
                table.come(&source.to_string(), batch(*events));
            }
        }
        let (mut taken, mut got) = (0, vec![0; batches.len()]);
        while got.iter().sum::<u64>() < EACH * batches.len() as u64 {
            table.go();
            for (source, size, _) in &table.admitted[taken..] {
                got[source.parse::<usize>().unwrap()] += size.bytes;
            }
            taken = table.admitted.len();
        }
        let (least, most) = (got.iter().min().unwrap(), got.iter().max().unwrap());
        let largest = batches.iter().copied().map(|events| batch(events).bytes).max();
        // The first had its share of all room while it was alone.
        let ahead = AHEAD + 3 * largest.unwrap();
        prop_assert!(most - least <= ahead, "{got:?} of {batches:?}");
    }
}
