//! Permissions, as the page grants them: with them everybody does his work, and nothing
//! else; without any one of them he does not, and says which resource he may not use.

use crate::gate::{Gate, HOUR, gate};
use crate::grants::{self, Grant};
use crate::instances::{DEADLINE, World, a_day, assert_meant, deliver_meant, ended_within};
use crate::place::{arrivals, ingest, text};
use crate::requeued::misplaced;
use crate::service::Service;
use crate::strangers::poison_in;
use quaymeter::config::{Config, Sources};
use quaymeter::log::Record;
use quaymeter::log::kafka::connection::{Connection, Context};
use quaymeter::log::kafka::failure::Failure;
use quaymeter::pb;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use std::collections::BTreeSet;
use std::fs::{File, read_to_string};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
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
async fn with_the_pages_permissions_and_none_less_everybody_does_his_work_and_nothing_else() {
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
    // Here, because each of the page's commands is a Java of its own.
    tokio::task::block_in_place(|| each_is_needed(&gate, &world, &server));
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

/// How many records somebody reads of a topic as a warehouse does, in a group that he joins,
/// and in which he says how far he is.
fn read_by(gate: &Gate, world: &World, shown: &[String], name: &str) -> KafkaResult<usize> {
    let flags = shown.iter().map(|flag| flag.split_once('=').unwrap());
    let mut flags: Vec<(&'static str, String)> = flags
        .map(|(name, value)| match name {
            "--kafka-properties" => ("kafka.properties", value.to_owned()),
            _ => ("kafka.oauth_token_file", value.to_owned()),
        })
        .collect();
    flags.push(("kafka.brokers", gate.secured.clone()));
    let config = Config::resolve(Sources {
        flags,
        ..Sources::default()
    });
    let connection = Connection::of(&config.unwrap()).unwrap();
    let mut client = connection.client();
    client
        .set(
            "group.id",
            format!("warehouse-{:016x}", rand::random::<u64>()),
        )
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true");
    tokio::task::block_in_place(|| {
        let consumer: BaseConsumer<Context> = connection.make(&client, connection.context())?;
        consumer.subscribe(&[&world.topic(name)])?;
        let (started, mut count, mut ended) = (Instant::now(), 0, BTreeSet::new());
        while ended.len() < PARTITIONS as usize {
            assert!(started.elapsed() < DEADLINE, "{name}: {count}, {ended:?}");
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(_)) => count += 1,
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ended.insert(partition);
                }
                Some(Err(error)) if is_denial(&error) => return Err(error),
                // The client goes on trying.
                Some(Err(_)) | None => {}
            }
        }
        consumer.commit_consumer_state(CommitMode::Sync)?;
        Ok(count)
    })
}

fn is_denial(error: &KafkaError) -> bool {
    Failure::of("read topic")(error.clone()).is_denied()
}

/// What somebody is granted: so many permissions.
fn granted(gate: &Gate, who: &str, count: usize) -> Vec<Grant> {
    let grants = grants::of(gate, &format!("User:{who}"));
    assert_eq!(grants.len(), count, "{who}: {grants:?}");
    grants
}

/// What shows somebody new who has these permissions.
fn having(gate: &Gate, grants: &[Grant]) -> Vec<String> {
    let who = format!("{:016x}", rand::random::<u64>());
    grants::give(gate, &format!("User:{who}"), grants);
    shown(gate, &who)
}

/// These permissions, about another world than that of this prefix.
fn about(grants: &[Grant], prefix: &str, other: &World) -> Vec<Grant> {
    let mut grants = grants.to_vec();
    for grant in &mut grants {
        grant.resource = grant.resource.replace(prefix, &other.prefix);
    }
    grants
}

/// So many of a role are tried at once: whom no settings are told asks for some seconds,
/// because the topic may have been made just now; but an instance gives four dumps at once.
const AT_ONCE: usize = 3;

/// Without any one of his permissions nobody of those who are no instances does his work.
fn each_is_needed(gate: &Gate, world: &World, server: &str) {
    let create = ["topics", "create"];
    let audit = ["audit", "-q", server];
    // It takes all that listing them does.
    let requeue = ["dead-letter", "requeue", "--all"];
    let commands = [
        ("quaymeter-topics", 9, &create[..]),
        ("quaymeter-audit", 7, &audit[..]),
        ("quaymeter-mender", 7, &requeue[..]),
    ];
    thread::scope(|scope| {
        for (who, count, words) in commands {
            let all = granted(gate, who, count);
            for first in 0..AT_ONCE {
                let all = all.clone();
                scope.spawn(move || {
                    for lacking in (first..count).step_by(AT_ONCE) {
                        let refused = is_refused(gate, world, all.clone(), lacking, words)
                            || words == create && makes_none(gate, &world.prefix, &all, lacking);
                        // Who is not let ask for the group's coordinator may be through before
                        // the client hears of it: it reads without that, and then fails or not.
                        let may_pass = all[lacking].named().starts_with("as group ");
                        assert!(refused || may_pass, "{who} needs no {:?}", all[lacking]);
                    }
                });
            }
        }
        let all = granted(gate, "warehouse", 2);
        for lacking in 0..all.len() {
            let all = all.clone();
            scope.spawn(move || reads_nothing(gate, world, all, lacking));
        }
    });
}

/// Whether a command fails of somebody who has all of these permissions but one; then it
/// names what he may not use.
fn is_refused(
    gate: &Gate,
    world: &World,
    mut grants: Vec<Grant>,
    lacking: usize,
    words: &[&str],
) -> bool {
    let lacks = grants.remove(lacking);
    let command = gate.command(world, words, &having(gate, &grants));
    let output = ended_within(DEADLINE, command);
    let output = output.unwrap_or_else(|said| panic!("{words:?} without {lacks:?}: {said:?}"));
    if output.status.success() {
        return false;
    }
    let (told, errors) = text(&output);
    let named = lacks.named();
    // Of settings the client library passes on nothing, so the command itself says why.
    let is_why = |line: &str| line.contains("uthorization") || line.contains("DescribeConfigs");
    let is_told = errors
        .lines()
        .any(|line| line.contains(&named) && is_why(line));
    assert!(
        is_told && output.status.code() == Some(1),
        "{words:?} without {lacks:?}: {told}{errors}"
    );
    println!("{words:?} without {lacks:?}: {errors}");
    true
}

/// The same of who makes topics, where there are none: if all are there, it takes no
/// permission to make them.
fn makes_none(gate: &Gate, prefix: &str, all: &[Grant], lacking: usize) -> bool {
    let bare = World::bare(Arc::clone(&gate.broker), PARTITIONS);
    let grants = about(all, prefix, &bare);
    is_refused(gate, &bare, grants, lacking, &["topics", "create"])
}

/// Without one of these permissions nothing is read in a group.
fn reads_nothing(gate: &Gate, world: &World, mut grants: Vec<Grant>, lacking: usize) {
    let lacks = grants.remove(lacking);
    let refused = read_by(gate, world, &having(gate, &grants), "events").unwrap_err();
    let expected = match lacks.resource == world.topic("events") {
        true => RDKafkaErrorCode::TopicAuthorizationFailed,
        false => RDKafkaErrorCode::GroupAuthorizationFailed,
    };
    let found = refused.rdkafka_error_code();
    assert_eq!(found, Some(expected), "without {lacks:?}: {refused}");
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
    let world = World::of(Arc::clone(&gate.broker), PARTITIONS);
    let mut grants = about(grants, prefix, &world);
    let lacks = grants.remove(lacking);
    let known_as = having(gate, &grants);
    // Something that is to be counted, and put away.
    poison_in(&world, PARTITIONS);
    let log = gate.path("log");
    let mut serve = gate.serving(&world, "first", &known_as);
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
