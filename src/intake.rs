//! Requests on their way in, bounded before anything is decoded: by the size
//! that a message declares, by the time it takes to arrive, and by what all
//! unfinished messages of the process hold together. What exceeds a limit is
//! refused at once; nothing is left unread, because small frames that nobody
//! reads kill an HTTP/2 connection.

pub mod codec;
mod framing;

use crate::budget::{Budget, Held};
use crate::status;
use crate::turns::{Share, Shares};
use bytes::Bytes;
use framing::Framing;
use http::HeaderMap;
use http_body::{Body as _, Frame};
use parking_lot::Mutex;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

/// When to come back after there was no room.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// A stream's reader keeps buffers of its largest message until it is dropped.
/// After a larger one than this, or a compressed one, it should be.
const KEPT_BYTES_MAX: usize = 256 << 10;

/// What bounds the messages of a request.
#[derive(Clone)]
pub struct Limits {
    /// What all messages on their way in may hold.
    pub budget: Arc<Budget>,
    /// Of whose share it is what does not come in one piece, if he is known.
    pub share: Option<(Arc<Shares>, Arc<str>)>,
    /// One message.
    pub message_bytes: usize,
    /// How long one may take from its first byte to its last, and a whole request
    /// that is one message.
    pub within: Duration,
}

/// How the messages of a request come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// One: it is handed over once the request has ended, so that nothing waits
    /// decoded for its end.
    Unary,
    /// Any number, each handed over when it is complete. The next one may take
    /// as long to come as the first.
    Dialogue,
    /// The same, but between two messages time does not matter here.
    Stream,
}

/// The body of a request within its limits. Clones share it, and each goes on
/// where another stopped: a frame never reaches over the end of a message.
#[derive(Clone)]
pub struct Inflow(Arc<Mutex<Inner>>);

struct Inner {
    body: Body,
    limits: Limits,
    manner: Manner,
    framing: Framing,
    part: Held,
    share: Option<Share>,
    /// What has arrived and was not handed over.
    arrived: Bytes,
    /// The whole message of a unary request but what was handed over.
    last: Option<Bytes>,
    trailers: Option<HeaderMap>,
    ended: bool,
    /// Set while bytes are waited for.
    deadline: Option<Pin<Box<Sleep>>>,
    worn: bool,
    /// Of all messages.
    received: u64,
    /// Whether any of them was compressed.
    compressed: bool,
    /// Whether a unary request was handed over, and nobody has said that it was decoded.
    undecoded: bool,
}

type Given = Option<Result<Frame<Bytes>, Status>>;

impl Inflow {
    /// The body of a request, within limits.
    pub fn new(body: Body, limits: Limits, manner: Manner) -> Self {
        let part = limits.budget.part();
        Self(Arc::new(Mutex::new(Inner {
            body,
            limits,
            manner,
            framing: Framing::default(),
            part,
            share: None,
            arrived: Bytes::new(),
            last: None,
            trailers: None,
            ended: false,
            deadline: None,
            worn: false,
            received: 0,
            compressed: false,
            undecoded: false,
        })))
    }

    /// The most bytes of a message.
    pub fn message_bytes(&self) -> usize {
        self.0.lock().limits.message_bytes
    }

    /// The bytes of the messages that were decoded, as they came, and whether any of them
    /// was compressed. Whoever asks has decoded what was handed over.
    pub fn decoded(&self) -> (u64, bool) {
        let mut inner = self.0.lock();
        inner.undecoded = false;
        if inner.framing.between() {
            inner.part.shrink(0);
        }
        (inner.received, inner.compressed)
    }

    /// Whether a unary request was handed over to be decoded, and nothing came of it.
    pub fn undecoded(&self) -> bool {
        self.0.lock().undecoded
    }

    /// Whether whoever decodes it keeps large buffers now, and had better be
    /// made anew. Only to be asked between two messages; it is told once.
    pub fn worn(&self) -> bool {
        std::mem::take(&mut self.0.lock().worn)
    }
}

impl http_body::Body for Inflow {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Given> {
        self.0.lock().poll(cx)
    }
}

impl Inner {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Given> {
        if self.framing.between() && self.manner != Manner::Unary {
            // Who asks for more has decoded what was handed over.
            self.part.shrink(0);
        }
        loop {
            if !self.arrived.is_empty() {
                match self.piece() {
                    Ok(Some(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                    Ok(None) => continue,
                    Err(refused) => return Poll::Ready(Some(Err(self.refuse(refused)))),
                }
            }
            if self.ended {
                return Poll::Ready(self.rest());
            }
            match self.receive(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(self.refuse(error)))),
                Poll::Pending => return self.wait(cx),
            }
        }
    }

    /// Takes in the next frame, or that there is none.
    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            None => self.ended = true,
            Some(frame) => match frame?.into_data() {
                Ok(data) => self.arrived = data,
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            },
        }
        Poll::Ready(Ok(()))
    }

    /// As much of what has arrived as belongs to one message; none if it is kept
    /// until the request ends.
    fn piece(&mut self) -> Result<Option<Bytes>, Status> {
        let length = self.framing.advance(&self.arrived);
        let piece = self.arrived.split_to(length);
        self.received += length as u64;
        let Framing {
            declared, received, ..
        } = self.framing;
        if declared > self.limits.message_bytes {
            let advice = "send smaller batches, or ask for less at once";
            let limit = self.limits.message_bytes;
            return Err(status::too_large("bytes of a message", limit, advice));
        }
        if self.last.is_some() {
            let expected = "one message";
            return Err(status::invalid(
                "request",
                "more than one message",
                expected,
            ));
        }
        self.part
            .resize(received as u64, declared.max(received) as u64)
            .map_err(|_| status::overloaded("bytes of requests", RETRY_AFTER))?;
        if !self.framing.between() {
            self.take_share(declared)?;
            return Ok(Some(piece));
        }
        self.share = None;
        self.compressed |= self.framing.compressed;
        if self.manner != Manner::Unary {
            self.deadline = None;
        }
        self.worn |= declared > KEPT_BYTES_MAX || self.framing.compressed;
        if self.manner == Manner::Unary {
            self.last = Some(piece);
            return Ok(None);
        }
        Ok(Some(piece))
    }

    /// Of what its caller may have on its way in: whoever never ends his messages leaves
    /// room to others.
    fn take_share(&mut self, declared: usize) -> Result<(), Status> {
        let Some((shares, name)) = self.limits.share.as_ref().filter(|_| declared > 0) else {
            return Ok(());
        };
        if self.share.is_none() {
            let share = shares.take(name, declared);
            let what = "bytes of requests of one caller";
            let share = share.ok_or_else(|| status::overloaded(what, RETRY_AFTER))?;
            self.share = Some(share);
        }
        Ok(())
    }

    /// What was kept for the end.
    fn rest(&mut self) -> Given {
        let last = self.last.take().map(Frame::data);
        self.undecoded |= last.is_some();
        let trailers = || self.trailers.take().map(Frame::trailers);
        last.or_else(trailers).map(Ok)
    }

    /// Nothing more is read, and nothing is kept.
    fn refuse(&mut self, refused: Status) -> Status {
        self.ended = true;
        (self.arrived, self.last) = (Bytes::new(), None);
        self.body = Body::empty();
        self.part.shrink(0);
        self.share = None;
        refused
    }

    /// Waits for bytes: not for ever, while a message is not complete.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Given> {
        if self.framing.between() && self.manner == Manner::Stream {
            return Poll::Pending;
        }
        let within = self.limits.within;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(within)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(
            self.refuse(status::too_slow("a request to arrive", within))
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::SizeHint;
    use tonic::Code;

    /// What arrives of a request, and then nothing for ever.
    struct Arriving(Option<Bytes>);

    impl http_body::Body for Arriving {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Given> {
            match self.0.take() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => Poll::Pending,
            }
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::default()
        }
    }

    /// A request that says that it has a thousand bytes, and has so many.
    async fn arriving(caller: &str, shares: &Arc<Shares>, bytes: u8) -> (Inflow, Option<Status>) {
        let mut message = vec![0, 0, 0, 3, 232];
        message.resize(5 + usize::from(bytes), 0);
        let limits = Limits {
            budget: Budget::new(1 << 20),
            share: Some((Arc::clone(shares), caller.into())),
            message_bytes: 8 << 10,
            within: Duration::from_secs(60),
        };
        let body = Body::new(Arriving(Some(message.into())));
        let mut inflow = Inflow::new(body, limits, Manner::Stream);
        let first = std::future::poll_fn(|cx| Pin::new(&mut inflow).poll_frame(cx)).await;
        (inflow, first.and_then(Result::err))
    }

    #[tokio::test]
    async fn who_never_ends_his_messages_leaves_room_to_others() {
        let shares = Arc::new(Shares::new(8_000));
        let mut open = Vec::new();
        let refused = loop {
            match arriving("one", &shares, 10).await {
                (inflow, None) => open.push(inflow),
                (_, Some(refused)) => break refused,
            }
        };
        assert_eq!(open.len(), 6);
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let limit = status::limit_of(&refused);
        assert_eq!(limit.as_deref(), Some("bytes of requests of one caller"));
        assert!(arriving("other", &shares, 10).await.1.is_none());
        // What is given up is given back.
        open.pop();
        assert!(arriving("one", &shares, 10).await.1.is_none());
    }
}
