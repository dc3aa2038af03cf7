//! Where connections come in: accepted, and over TLS once their handshake is done.
//! Handshakes go on beside each other and take their time at nobody's expense.

use super::crowd::Crowd;
use super::guests::Place;
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

/// A listener; each connection has its place with it from its acceptance on.
pub struct Door {
    listener: TcpListener,
    tls: Option<(Arc<Tls>, Port)>,
    /// None of those that failed.
    handshakes: Crowd<Option<(Stream, Place)>>,
}

impl Door {
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
    /// is accepted; without a place it is closed at once. May be given up at any time.
    ///
    /// # Errors
    /// Accepting failed, most often for want of descriptors.
    pub async fn next(&mut self, admit: impl Fn() -> Option<Place>) -> io::Result<(Stream, Place)> {
        loop {
            let stream = tokio::select! {
                done = self.handshakes.next() => match done {
                    Some(ready) => return Ok(ready),
                    None => continue,
                },
                accepted = self.listener.accept() => accepted?.0,
            };
            // Closed by being dropped: the client sees a refusal at once.
            let Some(place) = admit() else { continue };
            if stream.set_nodelay(true).is_err() {
                // It is gone already.
                continue;
            }
            match &self.tls {
                None => return Ok((Stream::Plain(stream), place)),
                Some((tls, port)) => {
                    let handshake = handshake(Arc::clone(tls), *port, stream, place);
                    if self.handshakes.begin(handshake) {
                        tls.cut_short("handshakes");
                    }
                }
            }
        }
    }
}

async fn handshake(
    tls: Arc<Tls>,
    port: Port,
    stream: TcpStream,
    mut place: Place,
) -> Option<(Stream, Place)> {
    let peer = stream.peer_addr().ok();
    let accepting = tls.acceptor(port).accept(stream);
    let accepted = tokio::select! {
        accepted = timeout(HANDSHAKE_WITHIN, accepting) => accepted,
        () = place.dismissed() => return None,
    };
    match accepted {
        Ok(Ok(stream)) => Some((Stream::tls(stream), place)),
        Ok(Err(error)) => {
            tls.failed(port, peer, &error);
            None
        }
        Err(_) => {
            tls.cut_short("a handshake to end");
            None
        }
    }
}
