//! Permissions, as the page grants them: with them everybody does his work, and nothing
//! else; without any one of them an instance says which resource it may not use.

use crate::gate::{Gate, HOUR, gate};
use crate::grants::{self, Grant};
use crate::instances::{World, a_day, assert_meant, deliver_meant};
use crate::place::{arrivals, ingest, text};
use crate::requeued::misplaced;
use crate::service::Service;
use crate::strangers::poison_in;
use quaymeter::config::{Config, Sources};
use quaymeter::log::Record;
use quaymeter::log::kafka::connection::Connection;
use quaymeter::log::kafka::polled::Read;
use quaymeter::log::kafka::sweep::Sweep;
use quaymeter::pb;
use std::fs::{File, read_to_string};
use std::sync::Arc;
use tokio::runtime::Handle;

const PARTITIONS: u32 = 2;

/// Those of the page, and what they show.
struct People {
    instance: Vec<String>,
    maker: Vec<String>,
    auditor: Vec<String>,
    mender: Vec<String>,
    warehouse: Vec<String>,
}

fn shown(gate: &Gate, who: &str) -> Vec<String> {
    gate.by_token(&gate.token_file(who, HOUR))
}

impl People {
    fn of(gate: &Gate) -> Self {
        Self {
            instance: shown(gate, "quaymeter"),
            maker: shown(gate, "quaymeter-topics"),
            auditor: shown(gate, "quaymeter-audit"),
            mender: shown(gate, "quaymeter-mender"),
            warehouse: shown(gate, "warehouse"),
        }
    }
}

/// What a command says, which must end so.
fn told(gate: &Gate, world: &World, words: &[&str], shown: &[String], status: i32) -> String {
    let mut command = gate.command(world, words, shown);
    let output = tokio::task::block_in_place(|| command.output().unwrap());
    let (told, errors) = text(&output);
    assert_eq!(
        output.status.code(),
        Some(status),
        "{words:?}: {told}{errors}"
    );
    told + &errors
}

async fn delivered(instance: &Service, events: u32) -> quaymeter::simulate::Simulation {
    let day = a_day(131, events);
    deliver_meant(instance, &day).await;
    day
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_pages_permissions_everybody_does_his_work_and_nothing_else() {
    let Some(gate) = gate() else { return };
    let world = World::bare(Arc::clone(&gate.broker), PARTITIONS);
    grants::apply(&gate, &grants::commands(&world));
    let people = People::of(&gate);
    let ask = |words: &[&str], shown, status| told(&gate, &world, words, shown, status);

    ask(&["topics", "create"], &people.maker, 0);
    ask(&["topics", "check"], &people.instance, 0);
    let instance = Service::of(gate.serving(&world, "first", &people.instance));
    let day = delivered(&instance, 800).await;
    let records: Vec<Record> = world.events().into_iter().flatten().collect();
    misplaced(&world, &records[..20]);
    let server = format!("--server={}", instance.grpc);
    let audited = ask(&["audit", "--quiet", &server], &people.auditor, 0);
    assert!(audited.contains("no figure differs"), "{audited}");
    let letters = async |count: usize| {
        let list = ["dead-letter", "list", "--format=json"];
        crate::place::until("they were put away", async || {
            ask(&list, &people.mender, 0).lines().count() == count
        })
        .await;
    };
    letters(20).await;
    ask(&["dead-letter", "requeue", "--all"], &people.mender, 0);
    assert_meant(&instance, &day, &[world.end()]).await;
    assert!(read_by(&gate, &world, &people.warehouse, "events").unwrap() > 800);

    denied(&gate, &world, &people, &server);
    instance.stop();
}

/// What nobody of them may.
fn denied(gate: &Gate, world: &World, people: &People, server: &str) {
    let ask = |words: &[&str], shown: &[String], resource: &str| {
        let told = told(gate, world, words, shown, 1);
        assert!(
            told.contains(resource),
            "{words:?} tells of no {resource}: {told}"
        );
        assert!(told.contains("uthorization"), "{told}");
    };
    let topic = |name| world.topic(name);
    let (events, cells, letters) = (topic("events"), topic("cells"), topic("dead-letter"));
    let (list, audit) = (["dead-letter", "list"], ["audit", "-q", server]);
    let requeue = ["dead-letter", "requeue", "--all"];
    let other = World::bare(Arc::clone(&gate.broker), PARTITIONS);
    for who in [&people.instance, &people.maker] {
        let told = told(gate, &other, &["topics", "create"], who, 1);
        assert!(
            told.contains(&other.topic("events")) && told.contains("uthorization"),
            "{told}"
        );
    }
    ask(&list, &people.instance, &letters);
    ask(&list, &people.maker, &letters);
    ask(&list, &people.auditor, &letters);
    ask(&requeue, &people.auditor, &letters);
    ask(&audit, &people.maker, &events);
    ask(&audit, &people.mender, &events);
    let checked = told(gate, world, &["topics", "check"], &people.warehouse, 1);
    assert!(
        checked.contains(&events) && checked.contains("DescribeConfigs"),
        "{checked}"
    );
    for who in [&people.auditor, &people.mender] {
        let mut serve = gate.serving(world, "stranger", who);
        let output = tokio::task::block_in_place(|| serve.output().unwrap());
        let (_, errors) = text(&output);
        assert!(
            errors.contains(&cells) && errors.contains("uthorization"),
            "{errors}"
        );
    }
    for name in ["cells", "dead-letter"] {
        assert!(read_by(gate, world, &people.warehouse, name).is_err());
    }
}

/// How many records somebody reads of a topic, in a group of his own name.
fn read_by(gate: &Gate, world: &World, shown: &[String], name: &str) -> Result<usize, String> {
    let flags = shown.iter().map(|flag| flag.split_once('=').unwrap());
    let mut flags: Vec<(&'static str, String)> = flags
        .map(|(name, value)| match name {
            "--kafka-properties" => ("kafka.properties", value.to_owned()),
            _ => ("kafka.oauth_token_file", value.to_owned()),
        })
        .collect();
    flags.push(("kafka.brokers", gate.secured.clone()));
    flags.push(("kafka.prefix", "warehouse".into()));
    let config = Config::resolve(Sources {
        flags,
        ..Sources::default()
    });
    let connection = Connection::of(&config.unwrap()).unwrap();
    tokio::task::block_in_place(|| {
        let told = |failure: quaymeter::log::kafka::failure::Failure| failure.to_string();
        let sweep = Sweep::open(&connection, &world.topic(name), PARTITIONS);
        let mut sweep = sweep.map_err(told)?;
        sweep.begin(&[0; PARTITIONS as usize]).map_err(told)?;
        let mut count = 0;
        while sweep.next(|_: Read<'_>| ()).map_err(told)?.is_some() {
            count += 1;
        }
        Ok(count)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_one_permission_an_instance_says_what_it_may_not_use() {
    let Some(gate) = gate() else { return };
    let world = World::bare(Arc::clone(&gate.broker), PARTITIONS);
    let of_instance = |command: &Vec<String>| command.contains(&"User:quaymeter".to_owned());
    let mut commands = grants::commands(&world);
    commands.retain(of_instance);
    grants::apply(&gate, &commands);
    let all = grants::of(&gate, "User:quaymeter");
    let grants: Vec<Grant> = all
        .into_iter()
        .filter(|grant| grant.resource.starts_with(&world.prefix))
        .collect();
    assert_eq!(grants.len(), 10, "{grants:?}");
    let mut cases = tokio::task::JoinSet::new();
    for lacking in 0..grants.len() {
        let (gate, prefix, grants) = (Arc::clone(&gate), world.prefix.clone(), grants.clone());
        cases.spawn_blocking(move || without(&gate, &prefix, &grants, lacking));
    }
    for outcome in cases.join_all().await {
        println!("{outcome}");
    }
}

/// Starts an instance that has all of these permissions but one, on topics of its own, and
/// waits until it says what it may not use.
fn without(gate: &Gate, prefix: &str, grants: &[Grant], lacking: usize) -> String {
    let who = format!("without-{lacking}");
    let world = World::of(Arc::clone(&gate.broker), PARTITIONS);
    let mut grants = grants.to_vec();
    for grant in &mut grants {
        grant.resource = grant.resource.replace(prefix, &world.prefix);
    }
    let lacks = grants.remove(lacking);
    grants::give(gate, &format!("User:{who}"), &grants);
    // Something that is to be counted, and put away.
    poison_in(&world, PARTITIONS);
    let log = gate.path("log");
    let mut serve = gate.serving(&world, "first", &shown(gate, &who));
    serve.stderr(File::create(&log).unwrap());
    let events = lacks.resource.ends_with(".events");
    let status = Service::start_or_end(serve).map(|mut instance| {
        match events && lacks.is_to_write() {
            // It goes on without that.
            true => refuses(&instance),
            false => assert_eq!(instance.ended().code(), Some(1), "{lacks:?}"),
        }
    });
    if let Err((status, _)) = status {
        assert_eq!(status.code(), Some(1), "{lacks:?}");
    }
    let said = read_to_string(&log).unwrap();
    let told = said.lines().rfind(|line| line.contains(&lacks.named()));
    let told = told.unwrap_or_else(|| panic!("{lacks:?}: {said}"));
    // Who ends says it last.
    let is_last = said.lines().last() == Some(told);
    assert!(
        is_last || events && lacks.is_to_write(),
        "{lacks:?}: {said}"
    );
    format!("{lacks:?}: {told}")
}

/// Refuses events.
fn refuses(instance: &Service) {
    let request = pb::PublishEventsRequest {
        source: "tos".into(),
        events: arrivals(0..1),
        ..Default::default()
    };
    let publish = async { ingest(&instance.grpc).await.publish_events(request).await };
    let refused = Handle::current().block_on(publish).unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused}");
}
