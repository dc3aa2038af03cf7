//! An answer on its way out: in pieces, so that the connection never takes more
//! than its client has room for, and not for ever.

use super::{Line, Places};
use crate::budget::Held;
use crate::server::line::Waiting;
use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;

/// What is given to the connection at once: the size of a DATA frame. HTTP/2 takes
/// a piece whole as soon as its client has room for one byte.
const PIECE_BYTES: usize = 16 << 10;

/// The body of a bounded answer.
pub struct Answer {
    body: Body,
    /// What of the body's present frame was not given yet.
    rest: Bytes,
    held: Option<Held>,
    /// While there is something that the client may take.
    waiting: Option<Waiting>,
    line: Line,
    /// Bytes given to the connection.
    given: usize,
    ended: bool,
    _places: Places,
}

impl Answer {
    /// A response that keeps its places and its part of the answers' budget until
    /// it has been taken.
    pub fn new(
        response: Response<Body>,
        held: Option<Held>,
        places: Places,
        line: Line,
    ) -> Response<Self> {
        response.map(|body| Self {
            waiting: Some(line.wait()),
            body,
            rest: Bytes::new(),
            held,
            line,
            given: 0,
            ended: false,
            _places: places,
        })
    }

    fn piece(&mut self) -> Frame<Bytes> {
        let piece = self.rest.split_to(self.rest.len().min(PIECE_BYTES));
        self.line.gave(piece.len());
        self.given += piece.len();
        Frame::data(piece)
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.piece())));
        }
        // All that was given before has been taken.
        self.waiting = None;
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(None) => {
                self.ended = true;
                return Poll::Ready(None);
            }
            other => return other,
        };
        match frame.into_data() {
            Ok(data) if !data.is_empty() => {
                self.waiting = Some(self.line.wait());
                if let Some(held) = &mut self.held {
                    // The message itself is gone, its bytes are left.
                    held.shrink(data.len() as u64);
                }
                self.rest = data;
                Poll::Ready(Some(Ok(self.piece())))
            }
            Ok(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            // Trailers are the last thing.
            Err(frame) => {
                self.ended = true;
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.ended {
            // Its stream was reset: what of it was not written never will be.
            self.line.wrote(self.given);
        } else if let Some(held) = self.held.take() {
            self.line.keep(held);
        }
    }
}
