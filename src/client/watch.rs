//! Watches figures: after a lost connection it goes on from the token of the
//! last message, so that its reader hears only what changed meanwhile.

use super::link::{self, Break};
use super::reach::{Credentials, Reach};
use super::{Cause, jittered};
use crate::pb;
use crate::pb::throughput_service_client::ThroughputServiceClient;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Streaming;

/// The largest message that is taken. The service sends 3 MiB at most.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// The first pause before connecting again; it doubles with each …
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// … up to this.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long a service may take to say that it watches.
const OPEN_AT_MOST: Duration = Duration::from_secs(20);

/// What a watch hears.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A message of the service.
    Told(Box<pb::WatchThroughputResponse>),
    /// The connection was lost; it is tried again after the pause, by the next
    /// call.
    Interrupted {
        /// What happened.
        why: String,
        /// How long it will wait.
        pause: Duration,
    },
}

/// A watch that survives its connections.
pub struct Watch {
    reach: Reach,
    request: pb::WatchThroughputRequest,
    stream: Option<Streaming<pb::WatchThroughputResponse>>,
    /// When to connect again.
    after: Instant,
    failures: u32,
}

impl Watch {
    /// A watch of the service at a URL, for whoever calls; it connects when it is first
    /// asked.
    ///
    /// # Errors
    /// What is no URL of a service.
    pub fn new(url: &str, request: pb::WatchThroughputRequest) -> Result<Self, Cause> {
        let reach = Reach::new(url, Credentials::default())?;
        Ok(Self::over(reach, request))
    }

    /// A watch of a service that is reached so.
    pub fn over(reach: Reach, request: pb::WatchThroughputRequest) -> Self {
        Self {
            reach,
            request,
            stream: None,
            after: Instant::now(),
            failures: 0,
        }
    }

    /// What comes next. May be given up at any time and asked again.
    ///
    /// # Errors
    /// What the service refuses for good. A lost connection is none.
    pub async fn next(&mut self) -> Result<Heard, Cause> {
        match self.message().await {
            Ok(message) => {
                self.failures = 0;
                self.request.resume_token.clone_from(&message.resume_token);
                Ok(Heard::Told(Box::new(message)))
            }
            Err(Break::Fatal(cause)) => Err(cause),
            Err(Break::Lost { why, after }) => {
                self.stream = None;
                let doubled = PAUSE_MIN.saturating_mul(1 << self.failures.min(16));
                let pause = jittered(doubled.min(PAUSE_MAX)).max(after);
                self.failures += 1;
                self.after = Instant::now() + pause;
                Ok(Heard::Interrupted { why, pause })
            }
        }
    }

    /// Cuts the connection, as a fault of the network would.
    pub fn cut(&mut self) {
        self.stream = None;
    }

    async fn message(&mut self) -> Result<pb::WatchThroughputResponse, Break> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                tokio::time::sleep_until(self.after).await;
                let opened = tokio::time::timeout(OPEN_AT_MOST, self.open()).await;
                let late = || Break::lost("the service did not begin to watch in time");
                let opened = opened.map_err(|_| late())??;
                self.stream.insert(opened)
            }
        };
        let message = stream.message().await.map_err(link::judge)?;
        message.ok_or_else(|| Break::lost("the service ended the watch"))
    }

    async fn open(&self) -> Result<Streaming<pb::WatchThroughputResponse>, Break> {
        let line = self.reach.try_connect().await?;
        let client = ThroughputServiceClient::new(line);
        let mut client = client.max_decoding_message_size(MESSAGE_BYTES_MAX);
        let opened = client.watch_throughput(self.request.clone()).await;
        Ok(opened.map_err(link::judge)?.into_inner())
    }
}
