//! Two services, over the real binary: one was sent the events only of those whom a
//! caller may see, the other also those of many more. He cannot tell which is which.

use crate::grid::whole::{assert_told_apart, assert_whole};
use crate::grid::{self, Asked, Client, Grid, Shown, assert_equal, at};
use crate::place::{DAY_MS, QUARTER_MS};
use crate::port::{Bearer, Port, ingest};
use crate::service::Service;
use quaymeter::pb::event::Detail;
use quaymeter::pb::{self, AppointmentStage, Dimension, Event, Role};
use std::time::Duration;

/// Events in a batch: as many as whoever is known may send.
const BATCH: usize = 250;

const CALLERS: &str = r#"
[[callers]]
name = "tos"
keys = "all"
publish = { facilities = "all", enterprises = "all", vessel_calls = true }

[[callers]]
name = "limited"
keys = "all"
read = [
  { enterprise = "smdg:COS", roles = ["carrier"] },
  { enterprise = "ygt:seen", roles = "all" },
  { enterprise = "ygt:absent", roles = "all" },
]

[[callers]]
name = "operator"
keys = "all"
read = "all"
operate = true
"#;

const REGISTRY: &str = "id,name_zh,name_en,roles\n\
                        smdg:COS,中远海运,COSCO,CARRIER|FLEET\n\
                        ygt:hidden,隐藏,Hidden Ltd,FLEET\n\
                        ygt:registered,登记,Registered Ltd,FLEET\n";

/// A service, and the keys of its callers.
struct World {
    _port: Port,
    service: Service,
    tos: String,
    limited: String,
    operator: String,
}

impl World {
    /// One that was sent these events, in batches.
    async fn start(batches: Vec<Vec<Event>>) -> Self {
        let port = Port::new(CALLERS);
        let [tos, limited, operator] = ["tos", "limited", "operator"].map(|name| port.key(name));
        let registry = port.place.path("registry.csv");
        std::fs::write(&registry, REGISTRY).unwrap();
        let service = port.serve(&["--registry", registry.to_str().unwrap()]);
        let world = Self {
            _port: port,
            service,
            tos,
            limited,
            operator,
        };
        for batch in batches {
            world.send(batch).await;
        }
        world
    }

    /// Sends events, and waits until who may see only some is answered of them: what one
    /// caller sent, another one waits for.
    async fn send(&self, events: Vec<Event>) {
        let mut sending = ingest(&self.service, Bearer::of(&self.tos)).await;
        let mut at_least = String::new();
        for events in events.chunks(BATCH) {
            let request = pb::PublishEventsRequest {
                source: "tos".into(),
                events: events.to_vec(),
                ..Default::default()
            };
            let answer = sending.publish_events(request).await.unwrap().into_inner();
            let count = events.len() as u32;
            assert_eq!(answer.accepted, count, "{:?}", answer.results);
            at_least = answer.position;
        }
        let question = pb::GetStatusRequest { at_least };
        let mut asking = self.client(&self.limited).await;
        asking.get_status(question).await.unwrap();
    }

    async fn client(&self, key: &str) -> Client {
        let shown = Shown(Some(format!("Bearer {key}").parse().unwrap()));
        grid::client(&self.service.grpc, shown).await
    }

    async fn asked(&self, key: &str, day: i64) -> Vec<Asked> {
        over(day).ask(&mut self.client(key).await).await
    }
}

fn over(day: i64) -> Grid {
    Grid {
        day,
        enterprises: vec![
            vec![],
            vec!["ygt:hidden"],
            vec!["ygt:nobody"],
            vec!["ygt:hidden", "ygt:seen", "smdg:COS", "smdg:MSC"],
        ],
        facilities: vec![vec![], vec!["CNNBO/BLCT2"], vec!["CNNBO/HIDE"]],
        contains: vec!["", "hid", "隐", "Ltd", "CO"],
    }
}

/// The start of yesterday in the reporting zone, so that no event lies ahead.
fn yesterday() -> i64 {
    let now = jiff::Timestamp::now().as_millisecond();
    let offset = 8 * 3_600_000;
    (now + offset).div_euclid(DAY_MS) * DAY_MS - offset - DAY_MS
}

/// One that counts for these, at a quarter-hour of a day.
fn event(id: String, at_ms: i64, parties: &[(Role, &str)], detail: Detail) -> Event {
    let party = |&(role, enterprise): &(Role, &str)| pb::Party {
        role: role.into(),
        enterprise: enterprise.into(),
    };
    Event {
        event_id: id,
        occurred_at: at(at_ms),
        facility: "CNNBO/BLCT2".into(),
        parties: parties.iter().map(party).collect(),
        detail: Some(detail),
        ..Event::default()
    }
}

fn load(box_number: i64, call: &str) -> Detail {
    Detail::QuayMove(pb::QuayMove {
        direction: pb::QuayDirection::Load.into(),
        container: Some(pb::Container {
            number: format!("CSQU{box_number:07}"),
            size_type: "22G1".into(),
            fullness: pb::Fullness::Laden.into(),
            gross_mass_kg: Some(20_000),
        }),
        call_id: call.into(),
        vessel_imo: "9321483".into(),
        ..Default::default()
    })
}

fn passes(direction: pb::GateDirection, plate: &str) -> Detail {
    Detail::GateMove(pb::GateMove {
        direction: direction.into(),
        tractor_plate: plate.into(),
        ..Default::default()
    })
}

fn confirmed(id: String, slot: i64) -> Detail {
    Detail::AppointmentStep(pb::AppointmentStep {
        appointment_id: id,
        stage: AppointmentStage::Confirmed.into(),
        slot_start: at(slot),
        slot_end: at(slot + QUARTER_MS),
    })
}

/// What those do whom he may see. With others, their loads are those of others too:
/// one event, counted for each of its parties.
fn seen(day: i64, others: bool) -> Vec<Event> {
    let mut carriers = vec![(Role::Carrier, "smdg:COS")];
    if others {
        carriers.push((Role::Forwarder, "ygt:hidden"));
        carriers.push((Role::Terminal, "ygt:hidden"));
    }
    let fleet = &[(Role::Fleet, "ygt:seen")];
    let mut events = Vec::new();
    for n in [0, 2, 3, 30, 60] {
        let (start, plate) = (day + n * QUARTER_MS, format!("浙B{n:05}"));
        let (comes, goes) = (pb::GateDirection::In, pb::GateDirection::Out);
        events.extend([
            event(format!("load-{n}"), start, &carriers, load(n, "C1")),
            event(format!("in-{n}"), start, fleet, passes(comes, &plate)),
            event(
                format!("out-{n}"),
                start + 600_000,
                fleet,
                passes(goes, &plate),
            ),
            event(
                format!("slot-{n}"),
                start,
                fleet,
                confirmed(format!("s{n}"), start),
            ),
        ]);
        events.push(Event {
            facility: "CNZOS/YS".into(),
            ..event(format!("far-{n}"), start, fleet, passes(comes, &plate))
        });
    }
    events
}

/// What the others do: more of everything, before, meanwhile and later, in the same
/// call and slots, with a box and a truck of theirs afterwards.
fn unseen(day: i64) -> Vec<Event> {
    let hidden = &[(Role::Carrier, "ygt:hidden"), (Role::Fleet, "ygt:hidden")];
    // Whom he sees as a carrier is a fleet too.
    let as_fleet = &[(Role::Fleet, "smdg:COS"), (Role::Carrier, "smdg:MSC")];
    let mut events = Vec::new();
    for n in -90..95 {
        let start = day + n * QUARTER_MS;
        let truck = passes(pb::GateDirection::In, &format!("浙C{:05}", n + 100));
        events.extend([
            event(format!("h-{n}"), start, hidden, load(1000 + n, "C1")),
            event(format!("f-{n}"), start, as_fleet, load(2000 + n, "C2")),
            event(format!("t-{n}"), start, hidden, truck.clone()),
            event(
                format!("a-{n}"),
                start,
                hidden,
                confirmed(format!("h{n}"), start),
            ),
        ]);
        events.push(Event {
            facility: "CNNBO/HIDE".into(),
            ..event(format!("e-{n}"), start, hidden, truck)
        });
    }
    let (late, plate) = (day + 95 * QUARTER_MS, "浙B00060");
    let again = passes(pb::GateDirection::In, plate);
    events.push(event("again".into(), late, hidden, again));
    events.push(event("same-box".into(), late, hidden, load(60, "C1")));
    events
}

async fn worlds(day: i64) -> [World; 2] {
    let alone = World::start(vec![seen(day, false)]).await;
    let (mut before, after) = (unseen(day), unseen(day));
    before.truncate(400);
    let among = World::start(vec![before, seen(day, true), after]).await;
    [alone, among]
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_see_others_cannot_tell_whether_there_are_any() {
    let day = yesterday();
    let [alone, among] = worlds(day).await;
    let of_alone = alone.asked(&alone.limited, day).await;
    let of_among = among.asked(&among.limited, day).await;
    assert_equal(&of_alone, &of_among);
    assert_whole(&of_among);
    let all: String = of_among
        .iter()
        .flat_map(|one| one.answers.clone())
        .collect();
    for hidden in ["hidden", "Hidden", "隐藏", "registered", "smdg:MSC", "HIDE"] {
        assert!(!all.contains(hidden), "{hidden} is told");
    }
    for shown in ["ygt:seen", "COSCO", "CNZOS/YS", "boxes: 5", "TruckTurn"] {
        assert!(all.contains(shown), "{shown} is not told");
    }
    // Who may see all finds the difference with each method, so this test can fail.
    let of_alone = alone.asked(&alone.operator, day).await;
    let of_among = among.asked(&among.operator, day).await;
    assert_told_apart(&of_alone, &of_among);
    alone.service.stop();
    among.service.stop();
}

/// What his watch hears while trucks of his come, and before each perhaps others do
/// something.
async fn heard(world: &World, day: i64, others: bool) -> Vec<String> {
    let mut client = world.client(&world.limited).await;
    let request = pb::WatchThroughputRequest {
        query: Some(pb::GetThroughputRequest {
            from: at(day),
            to: at(day + DAY_MS),
            grain: pb::Grain::Day.into(),
            group_by: vec![Dimension::Facility.into()],
            ..Default::default()
        }),
        interval: Some(Duration::from_millis(100).into()),
        resume_token: String::new(),
    };
    let mut stream = client.watch_throughput(request).await.unwrap().into_inner();
    let mut told = Vec::new();
    for n in 0..4 {
        let message = stream.message().await.unwrap().unwrap();
        told.push(grid::masked(message, |message| {
            message.resume_token = format!("{} characters", message.resume_token.len());
            grid::fresh(&mut message.freshness);
        }));
        if others {
            let hidden = unseen(day).into_iter().take(50).map(|event| Event {
                event_id: format!("{}-{n}", event.event_id),
                ..event
            });
            world.send(hidden.collect()).await;
        }
        let truck = passes(pb::GateDirection::In, &format!("浙D{n:05}"));
        let fleet = &[(Role::Fleet, "ygt:seen")];
        let comes = event(format!("comes-{n}"), day, fleet, truck);
        world.send(vec![comes]).await;
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_does_not_tell_that_others_are_busy() {
    let day = yesterday();
    let [alone, among] = worlds(day).await;
    let of_alone = heard(&alone, day, false).await;
    let of_among = heard(&among, day, true).await;
    assert_eq!(of_alone, of_among);
    assert!(of_alone[1].contains("trucks_in"), "{}", of_alone[1]);
    alone.service.stop();
    among.service.stop();
}
