//! TLS of the gRPC port and of the metrics: one certificate, loaded again when its
//! files change. Files that cannot be used leave everything as it was. Open connections
//! go on, but what they show is judged by the clients' authorities of now.

pub mod files;
pub mod stream;

pub use files::Error;

use crate::auth::peer::{Authorities, Verifier};
use crate::config;
use crate::metrics::Metrics;
use crate::trail::Trail;
use crate::trail::note::{Call, Refusal};
use crate::trail::record::Change;
use files::{Assembled, Files, Stamp};
use parking_lot::{Mutex, RwLock};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use stream::Shaken;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, CertificateError, ServerConfig};

/// How often the files are looked at. Polled, because a notification misses what
/// happens on a network's disk or behind a replaced link.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// As a handshake is named in the audit trail.
const HANDSHAKE: &str = "handshake";

/// Which of the two ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// HTTP/2.
    Grpc,
    /// HTTP/1.1.
    Http,
}

/// TLS as it is set now.
pub struct Tls {
    settings: config::Tls,
    metrics: Arc<Metrics>,
    trail: Trail,
    now: RwLock<Configs>,
    verifier: watch::Sender<Verifier>,
    seen: Mutex<Seen>,
}

/// Shakes hands by what was set when it was asked for.
pub struct Acceptor {
    acceptor: TlsAcceptor,
    authorities: Authorities,
}

impl Acceptor {
    /// Shakes hands.
    ///
    /// # Errors
    /// As the connection fails, or the one side does not trust the other.
    pub async fn accept(self, stream: TcpStream) -> io::Result<Shaken> {
        let stream = self.acceptor.accept(stream).await?;
        Ok((stream, self.authorities))
    }
}

/// By port: they differ in the protocol that is agreed on.
struct Configs {
    grpc: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
}

/// The files' contents, or why they cannot be read.
type State = Result<Stamp, String>;

struct Seen {
    /// At the last look.
    looked: State,
    /// At the last attempt to load them.
    tried: State,
}

impl Tls {
    /// TLS by these settings; none if they name no certificate.
    ///
    /// # Errors
    /// Files that cannot be used: a service does not start without its certificate.
    pub fn open(
        settings: &config::Tls,
        metrics: Arc<Metrics>,
        trail: Trail,
    ) -> Result<Option<Arc<Self>>, Error> {
        let Some(files) = Files::read(settings)? else {
            return Ok(None);
        };
        let assembled = files.assemble()?;
        tell(&assembled, &metrics, &trail);
        Ok(Some(Arc::new(Self {
            settings: settings.clone(),
            now: RwLock::new(Configs::of(&assembled)),
            verifier: watch::Sender::new(assembled.verifier),
            seen: Mutex::new(Seen {
                looked: Ok(files.stamp()),
                tried: Ok(files.stamp()),
            }),
            metrics,
            trail,
        })))
    }

    /// Whether the files can be used.
    ///
    /// # Errors
    /// Why not.
    pub fn check(settings: &config::Tls) -> Result<(), Error> {
        if let Some(files) = Files::read(settings)? {
            files.assemble()?;
        }
        Ok(())
    }

    /// Loads the files whenever they have changed. Ends never.
    pub async fn follow(self: Arc<Self>) {
        let mut beat = tokio::time::interval(LOOK_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            let tls = Arc::clone(&self);
            // A disk may take its time. It does not panic; if the runtime is ending,
            // so are we.
            let _ = tokio::task::spawn_blocking(move || tls.look()).await;
        }
    }

    /// For the next handshake on a port.
    pub fn acceptor(&self, port: Port) -> Acceptor {
        // Before the configuration: who shakes hands by an older one hears of the change.
        let authorities = self.verifier.subscribe();
        let now = self.now.read();
        let config = match port {
            Port::Grpc => &now.grpc,
            Port::Http => &now.http,
        };
        let acceptor = TlsAcceptor::from(Arc::clone(config));
        Acceptor {
            acceptor,
            authorities,
        }
    }

    /// A handshake came to nothing. Where it was for the client's certificate, he was
    /// refused.
    pub(super) fn failed(&self, port: Port, peer: Option<SocketAddr>, error: &io::Error) {
        let name = match port {
            Port::Grpc => "grpc",
            Port::Http => "http",
        };
        self.metrics.tls_failures.with([name]).increment(1);
        tracing::debug!(%error, port = name, "TLS handshake");
        let Some(cause) = unfit(error) else { return };
        let call = Call {
            caller: None,
            peer: peer.map(|peer| peer.ip().to_canonical()),
            method: HANDSHAKE,
        };
        let refusal = Refusal {
            code: "Unauthenticated".into(),
            reason: String::new(),
            cause: Some(cause.into()),
        };
        self.trail.refused(call, refusal);
    }

    /// One was ended to keep within limits.
    pub(super) fn cut_short(&self, limit: &str) {
        self.metrics.limit(limit).increment(1);
    }

    /// Loads files that have changed, once two looks found them the same: a certificate
    /// and its key are seldom written at once.
    fn look(&self) {
        let read = Files::read(&self.settings);
        let state = match &read {
            Ok(Some(files)) => Ok(files.stamp()),
            // The settings do not change.
            Ok(None) => return,
            Err(error) => Err(format!("{error:?}")),
        };
        let mut seen = self.seen.lock();
        let settled = seen.looked == state;
        let changed = seen.tried != state;
        seen.looked.clone_from(&state);
        if !(settled && changed) {
            return;
        }
        seen.tried = state;
        drop(seen);
        let assembled = match read {
            Ok(Some(files)) => files.assemble(),
            Ok(None) => return,
            Err(error) => Err(error),
        };
        match assembled {
            Ok(assembled) => {
                *self.now.write() = Configs::of(&assembled);
                tell(&assembled, &self.metrics, &self.trail);
                self.verifier.send_replace(assembled.verifier);
            }
            Err(error) => {
                self.metrics.tls_load_failures.increment(1);
                let fault: &dyn std::error::Error = &error;
                let failed = Change::new("certificate", "fail").with("fault", fault);
                self.trail.changed(failed);
                tracing::error!(
                    fault,
                    "the certificate cannot be loaded: TLS stays as it was"
                );
            }
        }
    }
}

/// What was wrong with a client's certificate, if that ended a handshake.
fn unfit(error: &io::Error) -> Option<&'static str> {
    let error = error.get_ref()?.downcast_ref()?;
    match error {
        rustls::Error::NoCertificatesPresented => Some("certificate_missing"),
        rustls::Error::InvalidCertificate(fault) => Some(match fault {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "certificate_expired"
            }
            CertificateError::UnknownIssuer => "certificate_of_unknown_issuer",
            _ => "certificate_invalid",
        }),
        _ => None,
    }
}

impl Configs {
    fn of(assembled: &Assembled) -> Self {
        let speaking = |protocol: &[u8]| {
            let mut config = assembled.config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        Self {
            grpc: speaking(b"h2"),
            http: speaking(b"http/1.1"),
        }
    }
}

fn tell(assembled: &Assembled, metrics: &Metrics, trail: &Trail) {
    let until_s = assembled.expires_s;
    metrics.tls_loads.increment(1);
    metrics.tls_expiry.set(until_s as f64);
    let until = jiff::Timestamp::from_second(until_s).map_or_else(
        |_| format!("{until_s} s since 1970"),
        |until| until.to_string(),
    );
    // A renewal of ours is told from another authority that vouches for clients.
    let client_ca = assembled.client_ca_sha256.as_deref();
    let loaded = Change::new("certificate", "load")
        .with("until", &until)
        .with("cert_sha256", &assembled.cert_sha256)
        .with("client_ca_sha256", client_ca.unwrap_or("none"));
    trail.changed(loaded);
    if until_s <= jiff::Timestamp::now().as_second() {
        tracing::warn!(until, "the certificate was loaded, but its time is over");
    } else {
        tracing::info!(until, "the certificate was loaded");
    }
}
