//! The service over real sockets.

use crate::fixture::{Port, Post, at, ms, stamp};
use quaymeter::auth::caller::Caller;
use quaymeter::budget::Budget;
use quaymeter::event::Role;
use quaymeter::meter::figure::Meaning;
use quaymeter::pb::throughput_service_client::ThroughputServiceClient;
use quaymeter::pb::throughput_service_server::ThroughputServiceServer;
use quaymeter::pb::{self, Fullness, Movement};
use quaymeter::query::enterprises::Directory;
use quaymeter::query::{Service, Settings};
use quaymeter::status::limit_of;
use quaymeter::view::SourceSeen;
use quaymeter::view::position::Position;
use quaymeter::view::token::Tokens;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

const NOW: &str = "2026-11-23T04:00:00Z";

/// A service on a port of its own.
pub struct Running {
    pub stop: watch::Sender<bool>,
    pub settings: Settings,
    pub address: String,
}

struct Names;

impl Directory for Names {
    fn find(&self, id: &str) -> Option<pb::Enterprise> {
        let known = [
            (
                "smdg:COS",
                "中远海运",
                "COSCO",
                &[Role::Carrier, Role::Yard][..],
            ),
            ("ygt:quiet", "安静", "Quiet Ltd", &[Role::Carrier]),
        ];
        let (id, name_zh, name_en, roles) = known.into_iter().find(|known| known.0 == id)?;
        let (id, name_zh, name_en) = (id.into(), name_zh.into(), name_en.into());
        Some(pb::Enterprise {
            id,
            name_zh,
            name_en,
            roles: roles.iter().map(|&role| role.into()).collect(),
        })
    }

    fn each(&self, give: &mut dyn FnMut(pb::Enterprise)) {
        ["smdg:COS", "ygt:quiet"]
            .iter()
            .filter_map(|id| self.find(id))
            .for_each(give);
    }
}

impl Running {
    pub async fn start(port: &Port) -> Self {
        let settings = Settings {
            watches_max: 3,
            ..Default::default()
        };
        Self::with(port, settings).await
    }

    pub async fn with(port: &Port, settings: Settings) -> Self {
        Self::of(port, settings, Caller::anyone()).await
    }

    /// One that takes whoever calls for this caller.
    pub async fn of(port: &Port, settings: Settings, caller: Caller) -> Self {
        let (stop, service) = asked(port, settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let known = move |mut request: Request<()>| {
            request.extensions_mut().insert(caller.clone());
            Ok(request)
        };
        let server = tonic::transport::Server::builder()
            .add_service(ThroughputServiceServer::with_interceptor(service, known))
            .serve_with_incoming(incoming);
        tokio::spawn(server);
        Self {
            stop,
            settings,
            address,
        }
    }

    pub async fn client(&self) -> ThroughputServiceClient<Channel> {
        ThroughputServiceClient::connect(self.address.clone())
            .await
            .unwrap()
    }
}

/// A service without its sockets, and what stops it.
pub fn asked(port: &Port, settings: Settings) -> (watch::Sender<bool>, Service) {
    let (stop, stopped) = watch::channel(false);
    let clock = Arc::new(|| ms(NOW));
    let answers = Budget::new(256 << 20);
    let (view, names) = (port.view.clone(), Arc::new(Names));
    let service = Service::new(view, names, clock, stopped, settings, answers, tokens());
    (stop, service)
}

/// The limit is told, and whether it is worth trying again.
#[track_caller]
pub fn assert_limited(refused: &Status, limit: &str, later: bool) {
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(limit_of(refused).as_deref(), Some(limit));
    let details = refused.get_error_details();
    let delay = details.retry_info().and_then(|info| info.retry_delay);
    assert_eq!(delay.is_some(), later, "{details:?}");
}

/// Of every service here.
pub fn tokens() -> Tokens {
    Tokens::new(&[7; 32])
}

pub fn figures_of(row: &pb::ThroughputRow) -> pb::Figures {
    row.figures.clone().unwrap()
}

pub fn loaded(enterprise: &'static str, boxes: i64) -> Post {
    let meaning = Meaning::Boxes(Movement::Loaded, Fullness::Laden);
    Post::new(enterprise, ms("2026-11-23T01:00:00Z"), &[(meaning, boxes)])
}

pub fn port() -> Port {
    Port::new("Asia/Shanghai", NOW)
}

fn day(grain: pb::Grain) -> pb::GetThroughputRequest {
    pb::GetThroughputRequest {
        from: at("2026-11-22T16:00:00Z"),
        to: at("2026-11-23T16:00:00Z"),
        grain: grain.into(),
        group_by: vec![pb::Dimension::Enterprise.into()],
        ..Default::default()
    }
}

pub fn reason(status: &Status) -> (Code, String, Vec<String>) {
    let details = status.get_error_details();
    let reason = details
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default();
    let fields = details
        .bad_request()
        .map(|bad| bad.field_violations.clone())
        .unwrap_or_default();
    (
        status.code(),
        reason,
        fields
            .into_iter()
            .map(|violation| violation.field)
            .collect(),
    )
}

pub fn invalid(field: &str) -> (Code, String, Vec<String>) {
    (
        Code::InvalidArgument,
        "INVALID_FIELD".into(),
        vec![field.into()],
    )
}

#[tokio::test]
async fn an_answer_carries_its_position_and_freshness() {
    let mut port = port();
    let position = port.post(&[loaded("smdg:COS", 2)]);
    let seen = SourceSeen {
        last_active: ms(NOW),
        latest_actual: Some(ms("2026-11-23T03:50:00Z")),
    };
    port.publish(&[], ms(NOW), &[("tos", seen)]);
    let running = Running::start(&port).await;
    let answer = running
        .client()
        .await
        .get_throughput(day(pb::Grain::Day))
        .await
        .unwrap()
        .into_inner();
    let [row] = &answer.rows[..] else {
        panic!("one row: {answer:?}")
    };
    assert_eq!(
        (&*row.enterprise, row.role(), &*row.facility),
        ("smdg:COS", Role::Carrier, "")
    );
    assert_eq!(row.start, at("2026-11-22T16:00:00Z"));
    assert_eq!(figures_of(row).boxes[0].boxes, 2);
    let freshness = answer.freshness.unwrap();
    assert_eq!(
        Position::decode(&freshness.position, &tokens()),
        Some(Position::embedded(position))
    );
    let reach = [pb::PartitionReach {
        partition: 0,
        offset: position,
    }];
    assert_eq!(freshness.reach, reach);
    assert_eq!(freshness.appended_at, at(NOW));
    assert_eq!(freshness.complete_through, at("2026-11-23T03:50:00Z"));
}

#[tokio::test]
async fn a_question_waits_for_the_position_it_asks_for() {
    let mut port = port();
    let running = Running::start(&port).await;
    let mut client = running.client().await;
    let wanted = pb::GetThroughputRequest {
        at_least: Position::embedded(1).encode(&tokens()),
        ..day(pb::Grain::Day)
    };
    let mut hurried = Request::new(wanted.clone());
    hurried.set_timeout(Duration::from_secs(1));
    let late = client.get_throughput(hurried).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    let answer = tokio::spawn(async move { client.get_throughput(wanted).await });
    assert_eq!(port.post(&[loaded("smdg:COS", 2)]), 1);
    let answer = answer.await.unwrap().unwrap().into_inner();
    assert_eq!(answer.rows.len(), 1);
    let garbage = pb::GetThroughputRequest {
        at_least: "garbage".into(),
        ..day(pb::Grain::Day)
    };
    let refused = running
        .client()
        .await
        .get_throughput(garbage)
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), invalid("at_least"));
}

#[tokio::test]
async fn page_tokens_lead_through_all_rows_of_their_own_request_only() {
    let mut port = port();
    port.post(&["smdg:COS", "smdg:MSC", "smdg:ONE", "ygt:a", "ygt:b"].map(|id| loaded(id, 1)));
    let running = Running::start(&port).await;
    let mut client = running.client().await;
    let mut request = pb::GetThroughputRequest {
        page_size: 2,
        ..day(pb::Grain::Hour)
    };
    let mut ids = Vec::new();
    let mut given = Vec::new();
    loop {
        let page = client
            .get_throughput(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert!(page.rows.len() <= 2);
        ids.extend(page.rows.into_iter().map(|row| row.enterprise));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
        given.push(request.page_token.clone());
    }
    assert_eq!(ids, ["smdg:COS", "smdg:MSC", "smdg:ONE", "ygt:a", "ygt:b"]);
    let token = given[0].clone();
    let sized = pb::GetThroughputRequest {
        page_size: 10,
        page_token: token.clone(),
        ..day(pb::Grain::Hour)
    };
    assert_eq!(
        client
            .get_throughput(sized)
            .await
            .unwrap()
            .into_inner()
            .rows
            .len(),
        3
    );
    let mut flipped = token.clone();
    flipped.replace_range(5..6, if &token[5..6] == "A" { "B" } else { "A" });
    let position = Position::embedded(1).encode(&tokens());
    for (grain, token) in [
        (pb::Grain::Quarter, token.clone()),
        (pb::Grain::Hour, flipped),
        (pb::Grain::Hour, position),
        (pb::Grain::Hour, "garbage".into()),
    ] {
        let misused = pb::GetThroughputRequest {
            page_token: token.clone(),
            ..day(grain)
        };
        let refused = client.get_throughput(misused).await.unwrap_err();
        assert_eq!(reason(&refused), invalid("page_token"), "{token}");
    }
    let other = pb::ListEnterprisesRequest {
        page_token: token,
        ..Default::default()
    };
    let refused = client.list_enterprises(other).await.unwrap_err();
    assert_eq!(reason(&refused), invalid("page_token"));
}

#[tokio::test]
async fn a_wrong_question_names_the_field() {
    let running = Running::start(&port()).await;
    let mut client = running.client().await;
    let good = day(pb::Grain::Day);
    let from = |at: &str| pb::GetThroughputRequest {
        from: stamp(ms(at)),
        ..good.clone()
    };
    let cases = [
        (
            pb::GetThroughputRequest {
                from: None,
                ..good.clone()
            },
            "from",
        ),
        (from("2026-11-22T16:15:00Z"), "from"),
        (from("2026-11-23T16:00:00Z"), "to"),
        (
            pb::GetThroughputRequest {
                to: stamp(ms("2040-01-01T16:00:00Z")),
                ..good.clone()
            },
            "to",
        ),
        (
            pb::GetThroughputRequest {
                grain: 0,
                ..good.clone()
            },
            "grain",
        ),
        (
            pb::GetThroughputRequest {
                grain: 99,
                ..good.clone()
            },
            "grain",
        ),
        (
            pb::GetThroughputRequest {
                zone: "Mars/Olympus".into(),
                ..good.clone()
            },
            "zone",
        ),
        (
            pb::GetThroughputRequest {
                group_by: vec![1, 1],
                ..good.clone()
            },
            "group_by[1]",
        ),
        (
            pb::GetThroughputRequest {
                page_size: 10_001,
                ..good.clone()
            },
            "page_size",
        ),
    ];
    for (request, field) in cases {
        let refused = client.get_throughput(request).await.unwrap_err();
        assert_eq!(reason(&refused), invalid(field), "{}", refused.message());
    }
}

fn of(grain: pb::Grain, zone: &str, from: &str, to: &str) -> pb::GetThroughputRequest {
    pb::GetThroughputRequest {
        from: at(from),
        to: at(to),
        grain: grain.into(),
        zone: zone.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn beyond_the_reach_of_a_grain_is_refused_never_empty() {
    use pb::Grain::{Day, Hour};
    let running = Running::start(&port()).await;
    let mut client = running.client().await;
    for request in [
        of(Hour, "", "2026-09-01T00:00:00Z", "2026-09-01T01:00:00Z"),
        // Days of another zone are summed from quarter-hours.
        of(Day, "UTC", "2026-09-01T00:00:00Z", "2026-09-02T00:00:00Z"),
        of(Day, "", "2020-08-31T16:00:00Z", "2020-09-01T16:00:00Z"),
    ] {
        let refused = client.get_throughput(request).await.unwrap_err();
        let beyond = (Code::OutOfRange, "BEYOND_RETENTION".into(), vec![]);
        assert_eq!(reason(&refused), beyond);
        let details = refused.get_error_details();
        let earliest = &details.error_info().unwrap().metadata["earliest"];
        assert!(refused.message().contains(&**earliest));
        assert!(ms(earliest) > ms("2020-09-02T00:00:00Z"));
    }
}

#[tokio::test]
async fn whole_days_of_the_reporting_zone_reach_further_than_quarters() {
    use pb::Grain::{Day, Total};
    let running = Running::start(&port()).await;
    let mut client = running.client().await;
    let (from, to) = ("2026-08-31T16:00:00Z", "2026-09-01T16:00:00Z");
    for request in [
        of(Day, "", from, to),
        of(Total, "", from, "2026-11-23T16:00:00Z"),
        // Singapore's days are Shanghai's.
        of(Day, "Asia/Singapore", from, to),
    ] {
        let answer = client.get_throughput(request).await.unwrap().into_inner();
        assert_eq!(answer.rows, []);
    }
}
