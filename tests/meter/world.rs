//! A meter with its cells, told one thing after another by hand.

use crate::past::{self, Past};
use crate::wherever;
use quaymeter::event::*;
use quaymeter::meter::cell::{Cells, Change, Day, Keeping, Quarter};
use quaymeter::meter::figure::{Figure, Figures, Meaning};
use quaymeter::meter::{Meter, Outcome, Record, Rules};
use quaymeter::pb::DurationKind;

pub const MINUTE: Millis = 60_000;
pub const HOUR: Millis = 60 * MINUTE;
pub const DAY: Millis = 24 * HOUR;

/// 2026-11-01T00:00Z, 08:00 in Shanghai.
pub const T0: Millis = 1_793_491_200_000;

/// Days that an identity is remembered, that quarters and that days are kept.
pub const HORIZON_DAYS: i64 = 4;
pub const QUARTER_DAYS: i64 = 6;
pub const DAY_DAYS: i64 = 9;

/// What is told: a version of an event.
#[derive(Clone)]
pub struct Told {
    source: &'static str,
    appended_at: Millis,
    event: Event,
    content: [u8; 32],
}

/// An ACTUAL event for one carrier, revision 0, appended when it happened.
pub fn told(id: &str, at: Millis, detail: Detail) -> Told {
    let party = Party {
        role: Role::Carrier,
        enterprise: "smdg:COS".into(),
    };
    let statement = Statement {
        classifier: Classifier::Actual,
        occurred_at: at,
        parties: [party].into_iter().collect(),
        detail,
    };
    let mut told = retracted(id, at).hashed(1);
    told.event.statement = Some(statement);
    told
}

/// A retraction, revision 0.
pub fn retracted(id: &str, appended_at: Millis) -> Told {
    let event = Event {
        event_id: id.into(),
        revision: 0,
        facility: "CNNBO/BLCT2".into(),
        statement: None,
    };
    Told {
        source: "tos",
        appended_at,
        event,
        content: [0; 32],
    }
}

impl Told {
    pub fn revision(mut self, revision: i64) -> Self {
        self.event.revision = revision;
        self
    }

    pub fn by(mut self, source: &'static str) -> Self {
        self.source = source;
        self
    }

    pub fn at(mut self, facility: &str) -> Self {
        self.event.facility = facility.into();
        self
    }

    pub fn appended(mut self, at: Millis) -> Self {
        self.appended_at = at;
        self
    }

    /// With this as all of its content hash.
    pub fn hashed(mut self, byte: u8) -> Self {
        self.content = [byte; 32];
        self
    }

    pub fn classified(mut self, classifier: Classifier) -> Self {
        if let Some(statement) = &mut self.event.statement {
            statement.classifier = classifier;
        }
        self
    }

    pub fn also_for(mut self, role: Role, enterprise: &str) -> Self {
        let enterprise = enterprise.into();
        if let Some(statement) = &mut self.event.statement {
            statement.parties.push(Party { role, enterprise });
        }
        self
    }
}

pub fn container(number: &str) -> Container {
    Container {
        number: number.into(),
        size_type: "45G1".into(),
        fullness: Fullness::Laden,
        gross_mass_kg: 20_000,
    }
}

/// A truck without a container.
pub fn truck(direction: GateDirection, tractor: &str) -> Detail {
    gate(direction, tractor, &[])
}

pub fn gate(direction: GateDirection, tractor: &str, boxes: &[&str]) -> Detail {
    Detail::GateMove(GateMove {
        direction,
        containers: boxes.iter().map(|number| container(number)).collect(),
        tractor: tractor.into(),
        tractor_before: "".into(),
        trailer: "".into(),
        driver: "".into(),
        visit_ref: "".into(),
    })
}

pub fn quay(direction: QuayDirection, number: &str, restow: bool) -> Detail {
    Detail::QuayMove(QuayMove {
        direction,
        container: container(number),
        call_id: "call".into(),
        vessel_imo: "9321483".into(),
        call_sign: "".into(),
        voyage: "".into(),
        restow,
    })
}

/// What has been heard, counted.
pub struct World {
    past: Past,
    pub meter: Meter,
    pub cells: Cells,
}

impl World {
    pub fn new() -> Self {
        let rules = Rules {
            horizon_ms: HORIZON_DAYS * DAY,
            teu_45ft_milli: 2250,
        };
        let keeping = Keeping {
            zone: jiff::tz::TimeZone::get("Asia/Shanghai").unwrap(),
            quarter_days: QUARTER_DAYS as i32,
            day_days: DAY_DAYS as i32,
        };
        Self {
            past: Past::default(),
            meter: Meter::new(rules, past::fingerprints()),
            cells: Cells::new(keeping),
        }
    }

    pub fn hear(&mut self, told: &Told) -> Outcome {
        let mut changes: Vec<Change> = Vec::new();
        let record = Record {
            source: told.source,
            appended_at: told.appended_at,
            event: &told.event,
            identity: past::identity(told.source, &told.event),
            whence: self.past.keep(&told.event, told.content),
        };
        let outcome = self.meter.apply(&record, &self.past, &mut changes);
        let outcome = outcome.unwrap();
        self.cells.apply(&changes);
        outcome
    }

    /// A world that heard these in this order.
    pub fn of<const N: usize>(told: [&Told; N]) -> Self {
        let mut world = Self::new();
        for told in told {
            world.hear(told);
        }
        world
    }

    /// Whether there is no cell of any owner.
    pub fn is_bare(&self) -> bool {
        self.cells.owners().next().is_none() && wherever::records(&self.cells).is_empty()
    }

    /// One figure of all day cells, with its day.
    pub fn days(&self, meaning: Meaning) -> Vec<(Day, i64)> {
        let records = wherever::records(&self.cells).into_iter();
        sorted(records.map(|((_, day, _), record)| (day, get(&record.day, meaning))))
    }

    /// One figure of all quarter cells, with its quarter.
    pub fn quarters(&self, meaning: Meaning) -> Vec<(Quarter, i64)> {
        let records = wherever::records(&self.cells).into_iter();
        let cells = records.flat_map(|(_, record)| record.quarters.iter().collect::<Vec<_>>());
        sorted(cells.map(|(quarter, figures)| (quarter, get(&figures, meaning))))
    }

    /// One figure in all, by day cells.
    pub fn sum(&self, meaning: Meaning) -> i64 {
        self.days(meaning).into_iter().map(|(_, value)| value).sum()
    }

    /// How many durations, and their sum in ms.
    pub fn durations(&self, kind: DurationKind) -> (i64, i64) {
        let (count, sum) = (Meaning::DurationCount(kind), Meaning::DurationSumMs(kind));
        (self.sum(count), self.sum(sum))
    }

    /// How many truck turns, and their sum in ms.
    pub fn turns(&self) -> (i64, i64) {
        self.durations(DurationKind::TruckTurn)
    }

    /// What was ever added and taken back of a figure.
    pub fn ever(&self, meaning: Meaning) -> (i64, i64) {
        let totals = self.cells.totals().into_values();
        totals.fold((0, 0), |(added, back), total| {
            (
                added + get(&total.added, meaning),
                back + get(&total.taken_back, meaning),
            )
        })
    }
}

pub fn get(figures: &Figures, meaning: Meaning) -> i64 {
    figures.get(Figure::of(meaning))
}

fn sorted(values: impl Iterator<Item = (i32, i64)>) -> Vec<(i32, i64)> {
    let mut values: Vec<_> = values.filter(|&(_, value)| value != 0).collect();
    values.sort_unstable();
    values
}
