//! A service by a clock that a test sets, and what is sent to it.

use crate::clock::Clocked;
use crate::place::{self, Place, queries, retraction};
use quaymeter::answers::instant;
use quaymeter::pb::event::Detail;
use quaymeter::pb::{self, Event, GateDirection, RecordFate};
use tonic::Status;

pub const FACILITY: &str = "CNNBO/BLCT2";
pub const MINUTE_MS: i64 = 60_000;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// 2027-06-15T04:00Z, noon in Shanghai.
pub const NOON: i64 = 1_813_032_000_000;

/// Midnight in Shanghai before that.
pub const DAY_START: i64 = NOON - 12 * HOUR_MS;

/// Midnight UTC before that.
pub const UTC_DAY: i64 = NOON - 4 * HOUR_MS;

/// How many days an identity is remembered.
pub const HORIZON_DAYS: i64 = 35;

pub struct World {
    _place: Place,
    pub service: Clocked,
}

impl World {
    pub async fn at_noon() -> Self {
        let place = Place::new();
        let service = Clocked::start(&place.data(), NOON, &[]).await;
        Self {
            _place: place,
            service,
        }
    }

    pub fn url(&self) -> &str {
        &self.service.url
    }

    /// Sends a batch of `tos` and waits until it is counted.
    pub async fn send(&self, events: Vec<Event>) {
        place::published(self.url(), events).await;
    }

    /// Sends one event.
    pub async fn one(&self, event: Event) {
        self.send(vec![event]).await;
    }

    /// Lets days go by; a record tells the log.
    pub async fn pass(&self, days: i64) {
        self.service.set(NOON + days * DAY_MS);
        self.one(retraction("tick", days)).await;
    }

    pub async fn lookup(&self, id: &str) -> pb::LookupEventResponse {
        self.ask(FACILITY, "tos", id).await.unwrap()
    }

    pub async fn ask(
        &self,
        facility: &str,
        source: &str,
        event_id: &str,
    ) -> Result<pb::LookupEventResponse, Status> {
        let request = pb::LookupEventRequest {
            facility: facility.into(),
            source: source.into(),
            event_id: event_id.into(),
            at_least: String::new(),
        };
        let mut client = queries(self.url()).await;
        Ok(client.lookup_event(request).await?.into_inner())
    }

    /// All parts of the list of what makes up F1's cell as a fleet.
    pub async fn cell(
        &self,
        from: i64,
        to: i64,
    ) -> Result<Vec<pb::ListCellEventsResponse>, Status> {
        self.list(request(from, to)).await
    }

    pub async fn list(
        &self,
        request: pb::ListCellEventsRequest,
    ) -> Result<Vec<pb::ListCellEventsResponse>, Status> {
        let mut client = queries(self.url()).await;
        let mut stream = client.list_cell_events(request).await?.into_inner();
        let mut parts = Vec::new();
        while let Some(part) = stream.message().await? {
            parts.push(part);
        }
        Ok(parts)
    }
}

/// F1's cell as a fleet at Beilun.
pub fn request(from: i64, to: i64) -> pb::ListCellEventsRequest {
    pb::ListCellEventsRequest {
        facility: FACILITY.into(),
        enterprise: "ygt:F1".into(),
        role: pb::Role::Fleet.into(),
        classifier: pb::Classifier::Unspecified.into(),
        from: Some(instant(from)),
        to: Some(instant(to)),
        at_least: String::new(),
    }
}

/// The truck 浙B12345 passes the gate.
pub fn gate(id: &str, at: i64, direction: GateDirection) -> Event {
    place::passage(id, at, direction, "浙B12345")
}

pub fn comes(id: &str, at: i64) -> Event {
    gate(id, at, GateDirection::In)
}

pub fn leaves(id: &str, at: i64) -> Event {
    gate(id, at, GateDirection::Out)
}

pub fn revised(mut event: Event, revision: i64) -> Event {
    event.revision = revision;
    event
}

/// The same for a fleet of another name.
pub fn of_fleet(mut event: Event, fleet: &str) -> Event {
    event.parties[0].enterprise = fleet.into();
    event
}

pub fn appointment(id: &str, at: i64, slot: (i64, i64)) -> Event {
    let step = pb::AppointmentStep {
        appointment_id: "A1".into(),
        stage: pb::AppointmentStage::Confirmed.into(),
        slot_start: Some(instant(slot.0)),
        slot_end: Some(instant(slot.1)),
    };
    place::event(id, at, Detail::AppointmentStep(step))
}

/// Of each record: its fate, and whether it holds.
pub fn fates(answer: &pb::LookupEventResponse) -> Vec<(RecordFate, bool)> {
    let records = answer.records.iter();
    records.map(|one| (one.fate(), one.holds)).collect()
}

/// The only life.
#[track_caller]
pub fn life(answer: &pb::LookupEventResponse) -> &pb::EventLife {
    let [life] = &answer.lives[..] else {
        panic!("{answer:?}");
    };
    life
}

/// Of each duration: the partner's id, whether it ends with the event, ms.
pub fn pairs(life: &pb::EventLife) -> Vec<(&str, bool, i64)> {
    let pairs = life.pairs.iter();
    pairs
        .map(|pair| {
            let id = pair.partner.as_ref().map_or("", |of| &of.event_id);
            (id, pair.is_end, pair.duration_ms)
        })
        .collect()
}
