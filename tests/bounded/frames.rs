//! HTTP/2 by the byte: a client that is held to no rule at all.

use crate::place::DEADLINE;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames.
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RESET: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
const GO_AWAY: u8 = 7;
pub const WINDOW: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// Flags of a frame with headers.
pub const END_HEADERS: u8 = 4;

/// What a connection is closed with by who has had enough.
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// Bytes of a frame's head.
const HEAD_BYTES: usize = 9;

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A text of HPACK, not compressed.
fn text(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if bytes.len() < 127 {
        out.push(bytes.len() as u8);
    } else {
        out.push(127);
        let mut rest = bytes.len() - 127;
        while rest >= 128 {
            out.push(128 | (rest % 128) as u8);
            rest /= 128;
        }
        out.push(rest as u8);
    }
    out.extend(bytes);
    out
}

/// A header that is kept in no table.
pub fn header(name: &str, value: &[u8]) -> Vec<u8> {
    [&[0], &text(name.as_bytes())[..], &text(value)].concat()
}

/// A header that is kept: from now on the byte [`KEPT`] stands for it.
pub fn kept_header(name: &str, value: &[u8]) -> Vec<u8> {
    [&[0x40], &text(name.as_bytes())[..], &text(value)].concat()
}

/// The header that was kept last.
pub const KEPT: u8 = 0x80 | 62;

/// The headers of a call.
pub fn call(path: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86, 0x04];
    block.extend(text(path.as_bytes()));
    block.push(0x01);
    block.extend(text(b"localhost"));
    block.extend(header("content-type", b"application/grpc"));
    block.extend(header("te", b"trailers"));
    block
}

/// A connection: what is written goes out as it is, what comes is read at once.
pub struct Line {
    write: OwnedWriteHalf,
    said: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<()>,
}

impl Line {
    /// Connects, and begins as HTTP/2 does.
    pub async fn begin(address: &str) -> Self {
        let mut line = Self::connect(address).await;
        line.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat())
            .await;
        line
    }

    /// Connects, and says nothing.
    pub async fn connect(address: &str) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (mut read, write) = socket.into_split();
        let said = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&said);
        let reading = tokio::spawn(async move {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(some @ 1..) = read.read(&mut buffer).await {
                into.lock().await.extend_from_slice(&buffer[..some]);
            }
        });
        Self {
            write,
            said,
            reading,
        }
    }

    /// Writes; false once the service takes no more.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = timeout(DEADLINE, self.write.write_all(bytes)).await;
        sent.expect("it takes nothing, and stays open").is_ok()
    }

    /// Whether the service has closed it.
    pub fn is_closed(&self) -> bool {
        self.reading.is_finished()
    }

    /// Waits until the service has closed it; with what code, if it said one.
    pub async fn closed(self) -> Option<u32> {
        let ended = timeout(DEADLINE, self.reading).await;
        ended.expect("it stays open").unwrap();
        let said = self.said.lock().await;
        frames(&said).find_map(|(kind, payload)| {
            let code = payload.get(4..8).filter(|_| kind == GO_AWAY)?;
            Some(u32::from_be_bytes(code.try_into().ok()?))
        })
    }

    /// How many frames of a kind have come.
    pub async fn heard(&self, kind: u8) -> usize {
        let said = self.said.lock().await;
        frames(&said).filter(|(of, _)| *of == kind).count()
    }
}

/// The kinds and payloads of what was said.
fn frames(mut said: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let head = said.get(..HEAD_BYTES)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = said.get(HEAD_BYTES..HEAD_BYTES + length)?;
        said = &said[HEAD_BYTES + length..];
        Some((head[3], payload))
    })
}
