//! Fetches issuers' keys from their URLs: now and then, and when a token names a key that
//! is not known, but not for every such token. No call ever waits for it.

use super::held::Held;
use super::{BYTES_MAX, Jwks};
use crate::auth::callers::Source;
use crate::metrics::Metrics;
use crate::trail::Trail;
use crate::trail::record::Change;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::Body as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::body::Body;

/// How long a fetch may take.
const FETCH_WITHIN: Duration = Duration::from_secs(10);

/// Between two fetches for the sake of a key that is not known.
const WANTED_EVERY: Duration = Duration::from_secs(30);

/// The first pause after a fetch that failed; it doubles with each …
const AGAIN_MIN: Duration = Duration::from_secs(1);

/// … up to this, or how often is fetched.
const AGAIN_MAX: Duration = Duration::from_secs(300);

/// Characters of ids that are named in the audit trail: a line of it is no longer than it
/// may be, and the hash beside them says the rest.
const NAMED_CHARS_MAX: usize = 16 << 10;

/// SHA-256 of a key set, as it was fetched.
type Hash = [u8; 32];

type Https = Client<HttpsConnector<HttpConnector>, Body>;

/// Who fetches: a task for each URL.
pub struct Remotes {
    metrics: Arc<Metrics>,
    trail: Trail,
    tasks: HashMap<Source, Task>,
}

struct Task {
    held: Arc<Held>,
    running: JoinHandle<()>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Why keys could not be fetched.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("no answer within {FETCH_WITHIN:?}")]
    Late,
    #[error("the status is {0}")]
    Status(StatusCode),
    #[error("more than {BYTES_MAX} bytes")]
    TooLarge,
    #[error("read what was answered")]
    Body(#[source] hyper::Error),
    #[error("connect")]
    Connect(#[from] hyper_util::client::legacy::Error),
    #[error("ask")]
    Request(#[from] http::Error),
    #[error("trust this machine's authorities")]
    Roots(#[source] std::io::Error),
    #[error(transparent)]
    Keys(#[from] super::Error),
}

impl Remotes {
    /// None yet.
    pub fn new(metrics: Arc<Metrics>, trail: Trail) -> Self {
        Self {
            metrics,
            trail,
            tasks: HashMap::new(),
        }
    }

    /// Fetches for these from now on, and for no others.
    pub fn follow(&mut self, sources: &[(Source, Arc<Held>)]) {
        let find = |source: &Source| sources.iter().find(|(of, _)| of == source);
        self.tasks.retain(|source, task| {
            find(source).is_some_and(|(_, held)| Arc::ptr_eq(held, &task.held))
        });
        for (source, held) in sources {
            let Source::Url { url, every } = source else {
                continue;
            };
            if !self.tasks.contains_key(source) {
                let fetching = follow(
                    url.clone(),
                    *every,
                    Arc::clone(held),
                    Arc::clone(&self.metrics),
                    self.trail.clone(),
                );
                let task = Task {
                    held: Arc::clone(held),
                    running: tokio::spawn(fetching),
                };
                self.tasks.insert(source.clone(), task);
            }
        }
    }
}

/// Fetches for ever.
async fn follow(
    url: String,
    every: Duration,
    held: Arc<Held>,
    metrics: Arc<Metrics>,
    trail: Trail,
) {
    let mut again = AGAIN_MIN;
    let mut wanted_at = Instant::now();
    let mut taken: Option<Hash> = None;
    loop {
        let fetched = match timeout(FETCH_WITHIN, fetch(&url)).await {
            Ok(fetched) => fetched,
            Err(_) => Err(Error::Late),
        };
        let pause = match fetched {
            Ok((jwks, hash)) => {
                // Not by the ids: another key may come under the same one, or under none.
                if taken.replace(hash) != Some(hash) {
                    trail.changed(loaded(&url, &jwks, &hash));
                }
                held.put(jwks);
                again = AGAIN_MIN;
                every
            }
            Err(error) => {
                metrics.jwks_fetch_failures.increment(1);
                let error: &dyn std::error::Error = &error;
                tracing::warn!(
                    error,
                    url,
                    "an issuer's keys cannot be fetched: they stay as they were"
                );
                let pause = again;
                again = (again * 2).min(AGAIN_MAX).min(every);
                pause
            }
        };
        let wanted = async {
            sleep_until(wanted_at).await;
            held.wanted().await;
        };
        tokio::select! {
            () = sleep_until(Instant::now() + pause) => {}
            () = wanted => wanted_at = Instant::now() + WANTED_EVERY,
        }
    }
}

/// That keys were taken in which are not those that were fetched before.
fn loaded(url: &str, jwks: &Jwks, hash: &Hash) -> Change {
    let ids = jwks.ids().join(" ");
    let named: String = ids.chars().take(NAMED_CHARS_MAX).collect();
    Change::new("issuer_keys", "load")
        .with("url", url)
        .with("keys", named)
        .with("keys_sha256", hex::encode(hash))
}

/// A connection of its own: hours lie between two fetches.
async fn fetch(url: &str) -> Result<(Jwks, Hash), Error> {
    let request = Request::get(url)
        .header("accept", "application/json")
        .body(Body::empty())?;
    let answer = client()?.request(request).await?;
    if answer.status() != StatusCode::OK {
        return Err(Error::Status(answer.status()));
    }
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let data = frame.map_err(Error::Body)?.into_data();
        let data: Bytes = data.unwrap_or_default();
        if bytes.len() + data.len() > BYTES_MAX {
            return Err(Error::TooLarge);
        }
        bytes.extend_from_slice(&data);
    }
    Ok((Jwks::parse(&bytes)?, Sha256::digest(&bytes).into()))
}

/// Whether a URL may be `http` was judged when it was read. Redirects are not followed.
fn client() -> Result<Https, Error> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(provider)
        .map_err(Error::Roots)?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(connector))
}
