//! Handshakes that take their time, or never end.

use crate::memory::{MIB, Memory};
use crate::place::{DEADLINE, address, arrivals};
use crate::service::Service;
use crate::world::World;
use quaymeter::client::reach::Line;
use quaymeter::pb;
use quaymeter::pb::ingest_service_client::IngestServiceClient;
use quaymeter::pb::throughput_service_client::ThroughputServiceClient;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// More than may shake hands at the same time, and how many of them come before the
/// neighbour is looked at.
const CROWD: usize = 1_100;
const SOME: usize = 100;

/// Events of a neighbour's round.
const EVENTS: u32 = 10;

/// The beginning of a handshake record that is to have 512 bytes.
const BEGINNING: [u8; 9] = [22, 3, 1, 2, 0, 1, 0, 1, 252];

/// A client that keeps to every rule: it publishes and asks, on a connection that was
/// there before the others.
struct Neighbour {
    publish: IngestServiceClient<Line>,
    ask: ThroughputServiceClient<Line>,
    published: u32,
}

impl Neighbour {
    /// Moves in, and has made a first round.
    async fn at(world: &World, service: &Service) -> Self {
        let line = world.connect(service, None).await.unwrap();
        let mut neighbour = Self {
            publish: IngestServiceClient::new(line.clone()),
            ask: ThroughputServiceClient::new(line),
            published: 0,
        };
        neighbour.goes_on().await;
        neighbour
    }

    /// It makes one more round: all that it published is counted, once.
    async fn goes_on(&mut self) {
        let request = pb::PublishEventsRequest {
            source: "neighbour".into(),
            events: arrivals(self.published..self.published + EVENTS),
            ..Default::default()
        };
        let answer = timeout(DEADLINE, self.publish.publish_events(request)).await;
        let answer = answer.unwrap().unwrap().into_inner();
        assert_eq!(answer.accepted, EVENTS, "{:?}", answer.results);
        self.published += EVENTS;
        let question = pb::GetStatusRequest {
            at_least: answer.position,
        };
        let told = timeout(DEADLINE, self.ask.get_status(question)).await;
        let told = told.unwrap().unwrap().into_inner();
        assert_eq!(told.events, i64::from(self.published));
    }
}

async fn knock(address: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(&BEGINNING).await.unwrap();
    socket
}

/// Whether the other side has ended it, within the deadline.
async fn cut(mut socket: TcpStream) -> bool {
    let mut rest = Vec::new();
    let ended = timeout(DEADLINE, socket.read_to_end(&mut rest)).await;
    ended.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_handshakes_stop_nobody_and_the_oldest_are_cut() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let world = World::new();
    let service = world.serve(&[]);
    let grpc = address(&service);
    let mut neighbour = Neighbour::at(&world, &service).await;
    let memory = Memory::of(service.pid());
    let first = knock(&grpc).await;
    let mut crowd = Vec::new();
    while crowd.len() < CROWD {
        for _ in 0..SOME {
            crowd.push(knock(&grpc).await);
        }
        neighbour.goes_on().await;
    }
    // With all of them at the door, others come in.
    world.status(&service, None).await.unwrap();
    assert!(cut(first).await, "the oldest hangs");
    let discarded = "quaymeter_discarded_total{reason=\"handshakes\"}";
    assert!(world.metric(&service, discarded).await >= 1.0);
    memory.stayed_within(CROWD as u64 * 32 * 1024);
    neighbour.goes_on().await;
    drop(crowd);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_does_not_end_is_cut_on_both_ports() {
    let world = World::new();
    let service = world.serve(&[]);
    let mut neighbour = Neighbour::at(&world, &service).await;
    let memory = Memory::of(service.pid());
    let slow = [knock(&address(&service)).await, knock(&service.http).await];
    neighbour.goes_on().await;
    for socket in slow {
        assert!(cut(socket).await, "it hangs");
    }
    let discarded = "quaymeter_discarded_total{reason=\"a_handshake_to_end\"}";
    assert!(world.metric(&service, discarded).await >= 2.0);
    memory.stayed_within(MIB);
    neighbour.goes_on().await;
    service.stop();
}
