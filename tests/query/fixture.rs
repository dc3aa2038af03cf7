//! A view with cells posted by hand.

use compact_str::CompactString;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use quaymeter::event::{Classifier, Millis, Role};
use quaymeter::meter::Counts;
use quaymeter::meter::cell::{Call, Cells, Change, DAY_MS, Days, Keeping, Posting, Round};
use quaymeter::meter::figure::{Figure, Meaning};
use quaymeter::view::history::Limits;
use quaymeter::view::{Published, SourceSeen, State, View};
use std::collections::HashMap;
use std::sync::Arc;

/// One thing that counts.
#[derive(Clone, Debug)]
pub struct Post {
    pub facility: &'static str,
    pub enterprise: &'static str,
    pub role: Role,
    pub classifier: Classifier,
    pub at: Millis,
    pub figures: Vec<(Meaning, i64)>,
    pub slot_end: Option<Millis>,
    pub call: Option<(&'static str, &'static str)>,
    pub sign: i64,
}

impl Post {
    pub fn new(enterprise: &'static str, at: Millis, figures: &[(Meaning, i64)]) -> Self {
        Self {
            facility: "CNNBO/BLCT2",
            enterprise,
            role: Role::Carrier,
            classifier: Classifier::Actual,
            at,
            figures: figures.to_vec(),
            slot_end: None,
            call: None,
            sign: 1,
        }
    }

    pub fn taken_back(mut self) -> Self {
        self.sign = -1;
        self
    }
}

/// A view and who writes to it.
pub struct Port {
    pub view: Arc<View>,
    names: HashMap<CompactString, u32>,
    position: u64,
}

impl Port {
    /// Nothing yet; the log clock stands at `clock`.
    pub fn new(zone: &str, clock: &str) -> Self {
        Self::of(zone, clock, |state| state)
    }

    /// The same, whose view remembers no more of what changed than this.
    pub fn remembering(zone: &str, clock: &str, limits: Limits) -> Self {
        Self::of(zone, clock, |state| state.remembering(limits))
    }

    fn of(zone: &str, clock: &str, shaped: impl FnOnce(State) -> State) -> Self {
        let zone = TimeZone::get(zone).unwrap();
        let keeping = Keeping {
            zone,
            quarter_days: 45,
            day_days: 1095,
        };
        let state = State::new(Cells::new(keeping), 0, None, Counts::default());
        let mut port = Self {
            view: Arc::new(View::new(shaped(state))),
            names: HashMap::new(),
            position: 0,
        };
        let clock = ms(clock);
        port.publish(
            &[Change::Clock(clock.div_euclid(DAY_MS) as i32)],
            clock,
            &[],
        );
        port
    }

    /// Publishes some as one batch; the position after it.
    pub fn post(&mut self, posts: &[Post]) -> u64 {
        let mut changes = Vec::new();
        for post in posts {
            let mut name = |name: &str| {
                let next = self.names.len() as u32;
                *self.names.entry(name.into()).or_insert_with(|| {
                    changes.push(Change::Name(name.into()));
                    next
                })
            };
            let (facility, enterprise) = (name(post.facility), name(post.enterprise));
            let call = post.call.map(|(call, vessel)| {
                Arc::new(Call {
                    id: call.into(),
                    vessel: vessel.into(),
                })
            });
            let figures = post
                .figures
                .iter()
                .map(|&(m, value)| (Figure::of(m), value))
                .collect();
            changes.push(Change::Posting(Posting {
                sign: post.sign,
                facility,
                classifier: post.classifier,
                at: post.at,
                slot_end: post.slot_end,
                call,
                parties: [(post.role, enterprise)].into_iter().collect(),
                figures,
            }));
        }
        self.position += 1;
        let appended_at = self
            .view
            .read(|state| state.appended_at)
            .unwrap_or_default();
        self.publish(&changes, appended_at, &[]);
        self.position
    }

    /// Publishes changes as they are.
    pub fn publish(
        &mut self,
        changes: &[Change],
        appended_at: Millis,
        seen: &[(&str, SourceSeen)],
    ) {
        let sources: Vec<_> = seen
            .iter()
            .map(|&(name, seen)| (name.into(), seen))
            .collect();
        let counts = Counts {
            events: self.position as i64,
            ..Default::default()
        };
        let mut days = Days::of(self.view.read(|state| state.cells.keeping().zone.clone()));
        self.view.publish(Published {
            rounds: Round::cut(changes.to_vec(), &mut days),
            position: self.position,
            appended_at,
            counts,
            sources: &sources,
        });
    }
}

pub fn ms(at: &str) -> Millis {
    at.parse::<Timestamp>().unwrap().as_millisecond()
}

pub fn stamp(at: Millis) -> Option<pbjson_types::Timestamp> {
    Some(quaymeter::query::ask::message(at))
}

pub fn at(at: &str) -> Option<pbjson_types::Timestamp> {
    stamp(ms(at))
}
