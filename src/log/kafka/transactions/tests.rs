use super::*;
use crate::config::{Config, Sources};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::Offset;
use std::error::Error as _;

type Cluster = MockCluster<'static, DefaultProducerContext>;

const GROUP: &str = "port";
const NAME: &str = "port-1";

/// Brokers of the client library's own: of real ones nobody can say which is whose
/// coordinator. The first has the records and the transactions, the second the group.
fn cluster() -> (Cluster, Connection) {
    let cluster = Cluster::new(3).unwrap();
    for topic in ["events", "cells"] {
        cluster.create_topic(topic, 1, 1).unwrap();
        cluster.partition_leader(topic, 0, Some(1)).unwrap();
    }
    let transactions = MockCoordinator::Transaction(NAME.to_owned());
    cluster.coordinator(transactions, 1).unwrap();
    coordinate(&cluster, 2);
    let brokers = cluster.bootstrap_servers();
    let config = Config::resolve(Sources {
        flags: vec![("kafka.brokers", brokers)],
        ..Sources::default()
    });
    (cluster, Connection::of(&config.unwrap()).unwrap())
}

fn coordinate(cluster: &Cluster, broker: i32) {
    let group = MockCoordinator::Group(GROUP.to_owned());
    cluster.coordinator(group, broker).unwrap();
}

fn committed(connection: &Connection, transactions: &Transactions) -> Result<(), Failure> {
    let mut member: ClientConfig = connection.client();
    member.set("group.id", GROUP);
    let member: BaseConsumer = member.create().unwrap();
    transactions.begin()?;
    let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to("cells").key(b"key");
    transactions.put(record.payload(b"value"))?;
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset("events", 0, Offset::Offset(7))
        .unwrap();
    transactions.commit(offsets, member.group_metadata().unwrap())
}

#[test]
fn a_commit_is_given_up_while_the_groups_coordinator_is_gone_and_a_new_client_goes_on() {
    let (cluster, connection) = cluster();
    let transactions = Transactions::begin_as(&connection, NAME).unwrap();
    committed(&connection, &transactions).unwrap();

    cluster.broker_down(2).unwrap();
    let failure = committed(&connection, &transactions).unwrap_err();
    let told = format!("{failure}: {}", failure.source().unwrap());
    assert_eq!(
        told,
        "commit offsets of port-1: the client has not answered for 12s"
    );
    assert_eq!(failure.kind, Kind::Fatal);

    coordinate(&cluster, 3);
    let anew = Transactions::begin_as(&connection, NAME).unwrap();
    committed(&connection, &anew).unwrap();
}
