//! Connections, as many as are allowed: for one more, a stranger's makes way, or it is
//! closed at once. One that says nothing, or whose client does not take its answers, is
//! closed too.

use super::descriptors;
use super::door::Door;
use super::guests::{Entry, Guest, Guests, Place};
use super::line::Line;
use super::tls::stream::Stream as Bytes;
use super::tls::{Port, Tls};
use crate::auth::peer::PeerCertificate;
use crate::config::Limits;
use crate::metrics::Metrics;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::time::Sleep;
use tokio_stream::Stream;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// After a failed accept.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// How long a client may take for the beginning of HTTP/2.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);

/// The preface of HTTP/2 and the head of a frame.
const BEGINNING_BYTES: usize = 24 + 9;

/// What a connection may read before others get their turn. A frame takes at least
/// ten bytes and its stream's handler must have read it before some 130,000 more
/// have come, or HTTP/2 ends the connection. That is twenty turns: a handler may lie with
/// a thread that the machine lets wait.
const TURN_BYTES: usize = 64 << 10;

/// Accepts connections on a listener, over TLS if there is any, within these limits. A
/// handshake takes a place too. Where nobody can be known (`asks` is false) none makes way
/// for another.
pub fn connections(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    limits: &Limits,
    asks: bool,
    metrics: Arc<Metrics>,
) -> impl Stream<Item = io::Result<Connection>> + use<> {
    let guests = Guests::new(descriptors::connections(limits.connections));
    let taking = Duration::from_millis(limits.answer_taking_ms);
    let door = Door::new(listener, tls, Port::Grpc);
    let state = (door, guests, metrics);
    futures_util::stream::unfold(state, move |(mut door, guests, metrics)| async move {
        let admit = || {
            let admitted = guests.admit();
            let limit = match &admitted {
                None => Some("connections"),
                Some((_, Entry::MadeWay)) => Some("connections of strangers"),
                Some((_, Entry::Free)) => None,
            };
            if let Some(limit) = limit {
                metrics.limit(limit).increment(1);
            }
            let (place, _) = admitted?;
            if !asks {
                place.guest().stays();
            }
            Some(place)
        };
        let connection = match door.next(admit).await {
            Ok((stream, place)) => Ok(Connection::new(stream, place, taking, Arc::clone(&metrics))),
            Err(error) => {
                // Most often for want of descriptors: it stays so for a while.
                tokio::time::sleep(ACCEPT_AGAIN).await;
                Err(error)
            }
        };
        Some((connection, (door, guests, metrics)))
    })
}

/// A connection that holds its place while it is open.
pub struct Connection {
    stream: Bytes,
    line: Line,
    /// Bytes of its beginning that are still to come.
    beginning: usize,
    /// Bytes it has read in its turn.
    turn: usize,
    /// How long its client may let a message wait.
    taking: Duration,
    beat: Pin<Box<Sleep>>,
    metrics: Arc<Metrics>,
    place: Place,
}

impl Connection {
    fn new(stream: Bytes, place: Place, taking: Duration, metrics: Arc<Metrics>) -> Self {
        metrics.connections.increment(1.0);
        Self {
            stream,
            line: Line::default(),
            beginning: BEGINNING_BYTES,
            turn: 0,
            taking,
            beat: Box::pin(tokio::time::sleep(BEGIN_WITHIN)),
            metrics,
            place,
        }
    }

    /// Fails once it has to make way, has said nothing or was stuck for too long.
    fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.place.is_to_go(cx) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        while self.beat.as_mut().poll(cx).is_ready() {
            self.line.settle(self.taking);
            let waited = self.line.waited().unwrap_or_default();
            let limit = if self.beginning > 0 {
                "connections that say nothing"
            } else if waited >= self.taking {
                "answers to be taken"
            } else {
                let again = self.taking - waited;
                self.beat
                    .as_mut()
                    .reset(tokio::time::Instant::now() + again);
                continue;
            };
            self.metrics.limit(limit).increment(1);
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.line.wrote(bytes);
        }
        written
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.metrics.connections.decrement(1.0);
    }
}

/// What a call knows of its connection.
#[derive(Clone)]
pub struct Peer {
    /// How it stands with its answers.
    pub line: Line,
    /// Its place.
    pub guest: Guest,
    /// Who is at its other end.
    pub ends: TcpConnectInfo,
    /// The certificate that it showed.
    pub certificate: Option<PeerCertificate>,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer {
            line: self.line.clone(),
            guest: self.place.guest().clone(),
            ends: self.stream.socket().connect_info(),
            certificate: self.stream.certificate(),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.watch(cx)?;
        if self.turn >= TURN_BYTES {
            self.turn = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) else {
            self.turn = 0;
            return Poll::Pending;
        };
        read?;
        let bytes = buf.filled().len() - before;
        self.beginning = self.beginning.saturating_sub(bytes);
        self.turn += bytes;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.watch(cx)?;
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.watch(cx)?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
