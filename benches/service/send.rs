//! The three ways in which events are sent as fast as they are taken: batches
//! over streams, batches by single calls, and one event at a time.

use crate::codec::{Encoded, Message};
use crate::lane::{Lane, Opening, connect};
use crate::supply::Supply;
use anyhow::bail;
use quaymeter::pb::PublishEventsResponse;
use quaymeter::simulate::SOURCES;
use std::sync::Arc;
use tokio::task::JoinSet;
use tonic::Request;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;

/// How events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// `StreamEvents` in batches of 500.
    Batches,
    /// `PublishEvents` in batches of 100.
    Calls,
    /// `StreamEvents`, one event a batch, the next after the acknowledgement.
    Singles,
}

/// For each source.
const BATCH_STREAMS: usize = 2;
const BATCH_EVENTS: u32 = 500;
const CALLERS: usize = 32;
const CALL_EVENTS: u32 = 100;
/// In all, over so many connections.
const SINGLE_STREAMS: usize = 1_000;
const SINGLE_CONNECTIONS: usize = 10;

/// What became of all that was sent.
#[derive(Default)]
pub struct Sent {
    /// Events acknowledged as accepted.
    pub accepted: u64,
    /// Positions that include them all.
    pub positions: Vec<String>,
}

/// Sends everything that a supply has, until all of it is acknowledged.
pub async fn send(url: &str, supply: &Arc<Supply>, manner: Manner) -> anyhow::Result<Sent> {
    let mut senders = match manner {
        Manner::Batches => streams(url, supply, SOURCES.len() * BATCH_STREAMS).await?,
        Manner::Calls => callers(url, supply).await?,
        Manner::Singles => singles(url, supply).await?,
    };
    let mut sent = Sent::default();
    while let Some(ended) = senders.join_next().await {
        let (accepted, position) = ended??;
        sent.accepted += accepted;
        if !position.is_empty() {
            sent.positions.push(position);
        }
    }
    Ok(sent)
}

type Senders = JoinSet<anyhow::Result<(u64, String)>>;

/// Streams of batches, each over a connection of its own.
async fn streams(url: &str, supply: &Arc<Supply>, count: usize) -> anyhow::Result<Senders> {
    let mut senders = Senders::new();
    for number in 0..count {
        let lane = open(connect(url).await?, number, u64::MAX).await?;
        senders.spawn(pump(lane, Arc::clone(supply), number, BATCH_EVENTS));
    }
    Ok(senders)
}

async fn singles(url: &str, supply: &Arc<Supply>) -> anyhow::Result<Senders> {
    let mut senders = Senders::new();
    let mut channels = Vec::new();
    for _ in 0..SINGLE_CONNECTIONS {
        channels.push(connect(url).await?);
    }
    for number in 0..SINGLE_STREAMS {
        let channel = channels[number % channels.len()].clone();
        let lane = open(channel, number, 1).await?;
        senders.spawn(pump(lane, Arc::clone(supply), number, 1));
    }
    Ok(senders)
}

async fn open(channel: Channel, number: usize, window: u64) -> anyhow::Result<Lane> {
    let opening = Opening {
        source: number % SOURCES.len(),
        number,
        window: window.min(1 << 20),
        token: None,
    };
    Lane::open(channel, &opening).await
}

async fn pump(
    mut lane: Lane,
    supply: Arc<Supply>,
    number: usize,
    events: u32,
) -> anyhow::Result<(u64, String)> {
    while let Some(chunk) = supply.take(number % SOURCES.len(), events).await {
        if !lane.send(chunk, None).await {
            break;
        }
    }
    let heard = lane.finish().await?;
    Ok((heard.accepted, heard.position))
}

/// Callers that wait for each answer.
async fn callers(url: &str, supply: &Arc<Supply>) -> anyhow::Result<Senders> {
    let mut senders = Senders::new();
    for source in 0..SOURCES.len() {
        for _ in 0..BATCH_STREAMS {
            let channel = connect(url).await?;
            for _ in 0..CALLERS / BATCH_STREAMS {
                senders.spawn(call(channel.clone(), Arc::clone(supply), source));
            }
        }
    }
    Ok(senders)
}

async fn call(
    channel: Channel,
    supply: Arc<Supply>,
    source: usize,
) -> anyhow::Result<(u64, String)> {
    let mut grpc = Grpc::new(channel);
    let path = PathAndQuery::from_static("/quaymeter.v1.IngestService/PublishEvents");
    let (mut accepted, mut position) = (0, String::new());
    while let Some(chunk) = supply.take(source, CALL_EVENTS).await {
        let request = Request::new(Message::publish(SOURCES[source], chunk.bytes));
        grpc.ready().await?;
        let codec = Encoded::<PublishEventsResponse>::default();
        let answer = grpc.unary(request, path.clone(), codec).await?.into_inner();
        if answer.refused > 0 {
            bail!(
                "{} events were refused: {:?}",
                answer.refused,
                answer.results
            );
        }
        accepted += u64::from(answer.accepted);
        position = answer.position;
    }
    Ok((accepted, position))
}
