//! Where connections come in: accepted, and over TLS once their handshake is done.
//! Handshakes go on beside each other and take their time at nobody's expense.

use super::crowd::Crowd;
use super::tls::stream::Stream;
use super::tls::{Port, Tls};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Handshakes at the same time; with more, the oldest is cut.
const HANDSHAKES_MAX: usize = 1024;

/// How long a handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// A listener; each connection has a `G` with it from its acceptance on, for example
/// its place.
pub struct Door<G> {
    listener: TcpListener,
    tls: Option<(Arc<Tls>, Port)>,
    /// None of those that failed.
    handshakes: Crowd<Option<(Stream, G)>>,
}

impl<G: Send + 'static> Door<G> {
    /// In plain text.
    pub fn plain(listener: TcpListener) -> Self {
        Self::new(listener, None, Port::Http)
    }

    /// Over TLS, if there is any.
    pub fn new(listener: TcpListener, tls: Option<Arc<Tls>>, port: Port) -> Self {
        Self {
            listener,
            tls: tls.map(|tls| (tls, port)),
            handshakes: Crowd::new(HANDSHAKES_MAX),
        }
    }

    /// The next connection that is ready to be served. `admit` is asked as soon as one
    /// is accepted; without a `G` it is closed at once. May be given up at any time.
    ///
    /// # Errors
    /// Accepting failed, most often for want of descriptors.
    pub async fn next(&mut self, admit: impl Fn() -> Option<G>) -> io::Result<(Stream, G)> {
        loop {
            let stream = tokio::select! {
                done = self.handshakes.next() => match done {
                    Some(ready) => return Ok(ready),
                    None => continue,
                },
                accepted = self.listener.accept() => accepted?.0,
            };
            // Closed by being dropped: the client sees a refusal at once.
            let Some(guard) = admit() else { continue };
            if stream.set_nodelay(true).is_err() {
                // It is gone already.
                continue;
            }
            match &self.tls {
                None => return Ok((Stream::Plain(stream), guard)),
                Some((tls, port)) => {
                    let handshake = handshake(Arc::clone(tls), *port, stream, guard);
                    if self.handshakes.begin(handshake) {
                        tls.cut_short("handshakes");
                    }
                }
            }
        }
    }
}

async fn handshake<G>(
    tls: Arc<Tls>,
    port: Port,
    stream: TcpStream,
    guard: G,
) -> Option<(Stream, G)> {
    let accepting = tls.acceptor(port).accept(stream);
    match timeout(HANDSHAKE_WITHIN, accepting).await {
        Ok(Ok(stream)) => Some((Stream::tls(stream), guard)),
        Ok(Err(error)) => {
            tls.failed(port, &error);
            None
        }
        Err(_) => {
            tls.cut_short("a handshake to end");
            None
        }
    }
}
