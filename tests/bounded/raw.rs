//! gRPC by hand: a client that may break every rule above HTTP/2's frames, and
//! decides what it reads and when.

use crate::place::DEADLINE;
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

pub const PUBLISH: &str = "/quaymeter.v1.IngestService/PublishEvents";
pub const STREAM: &str = "/quaymeter.v1.IngestService/StreamEvents";
pub const THROUGHPUT: &str = "/quaymeter.v1.ThroughputService/GetThroughput";
pub const WATCH: &str = "/quaymeter.v1.ThroughputService/WatchThroughput";

/// A connection.
pub struct Raw {
    send: SendRequest<Bytes>,
    driving: JoinHandle<Result<(), h2::Error>>,
}

/// What a client takes unread of a stream and of a connection.
#[derive(Clone, Copy)]
pub struct Windows(pub u32, pub u32);

/// Much more than any answer here has.
pub const WIDE: Windows = Windows(16 << 20, 64 << 20);

/// Nothing.
pub const SHUT: Windows = Windows(0, 64 << 10);

impl Raw {
    pub async fn connect(url: &str, windows: Windows) -> Self {
        let address = url.strip_prefix("http://").unwrap();
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let handshake = h2::client::Builder::new()
            .initial_window_size(windows.0)
            .initial_connection_window_size(windows.1)
            .initial_max_send_streams(512)
            .handshake(socket);
        let (send, connection) = timeout(DEADLINE, handshake).await.unwrap().unwrap();
        let driving = tokio::spawn(connection);
        Self { send, driving }
    }

    /// Begins a call.
    pub async fn call(&mut self, path: &str) -> Call {
        self.call_with(path, &[]).await.unwrap()
    }

    /// Begins a call with other headers than usual beside or instead of these.
    pub async fn call_with(
        &mut self,
        path: &str,
        headers: &[(&str, &[u8])],
    ) -> Result<Call, h2::Error> {
        let mut send = self.send.clone();
        send = timeout(DEADLINE, send.ready()).await.unwrap()?;
        let mut request = Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            if let Some(all) = request.headers_mut() {
                all.remove(*name);
            }
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        let (answer, say) = send.send_request(request, false)?;
        Ok(Call { say, answer })
    }

    /// Whether the connection is still there.
    pub fn is_open(&self) -> bool {
        !self.driving.is_finished()
    }

    /// Waits until the service has closed it.
    pub async fn closed(self) {
        // How it was closed does not matter.
        let _ = timeout(DEADLINE, self.driving)
            .await
            .expect("it stays open");
    }
}

/// A call.
pub struct Call {
    pub say: SendStream<Bytes>,
    pub answer: ResponseFuture,
}

impl Call {
    /// Sends bytes as they find room; false if the service takes no more.
    pub async fn send(&mut self, mut bytes: Bytes, end: bool) -> bool {
        let sending = async {
            while !bytes.is_empty() {
                self.say.reserve_capacity(bytes.len());
                let room = std::future::poll_fn(|cx| self.say.poll_capacity(cx)).await;
                let Some(Ok(room)) = room else { return false };
                let piece = bytes.split_to(room.min(bytes.len()));
                if self.say.send_data(piece, end && bytes.is_empty()).is_err() {
                    return false;
                }
            }
            true
        };
        timeout(DEADLINE, sending).await.expect("no room came")
    }

    /// Sends one message and ends the request.
    pub async fn say(&mut self, message: &[u8]) -> bool {
        self.send(framed(0, message), true).await
    }

    /// Reads all of the answer: how the call ended.
    pub async fn ends(self) -> Status {
        let reading = async {
            let answer = match self.answer.await {
                Ok(answer) => answer,
                Err(error) => return Status::from_error(Box::new(error)),
            };
            if let Some(status) = Status::from_header_map(answer.headers()) {
                return status;
            }
            match read(answer.into_body()).await {
                Ok((_, trailers)) => Status::from_header_map(&trailers)
                    .unwrap_or_else(|| Status::unknown("no status")),
                Err(error) => Status::from_error(Box::new(error)),
            }
        };
        timeout(DEADLINE, reading).await.expect("it hangs")
    }
}

/// Reads a body: its bytes and trailers.
pub async fn read(mut body: RecvStream) -> Result<(Bytes, HeaderMap), h2::Error> {
    let mut bytes = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        bytes.put(data);
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    Ok((bytes.freeze(), trailers))
}

/// A message of gRPC.
pub fn framed(flag: u8, message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(5 + message.len());
    bytes.put_u8(flag);
    bytes.put_u32(message.len() as u32);
    bytes.put_slice(message);
    bytes.freeze()
}

/// The status says that it is worth trying again, and when, and which limit it
/// was.
#[track_caller]
pub fn assert_overloaded(status: &Status, limit: &str) {
    assert_eq!(told(status), (Code::ResourceExhausted, "OVERLOADED".into()));
    let details = status.get_error_details();
    let delay = details.retry_info().and_then(|info| info.retry_delay);
    assert!(delay.is_some_and(|delay| !delay.is_zero()), "{details:?}");
    assert_eq!(limit_of(status), limit);
}

/// The status says that it is never worth trying again, and which limit it was.
#[track_caller]
pub fn assert_too_large(status: &Status, limit: &str) {
    assert_eq!(told(status), (Code::ResourceExhausted, "TOO_LARGE".into()));
    assert!(status.get_details_retry_info().is_none());
    assert_eq!(limit_of(status), limit);
}

/// Code and stable reason.
#[track_caller]
pub fn told(status: &Status) -> (Code, String) {
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "quaymeter");
    (status.code(), info.reason)
}

fn limit_of(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.and_then(|info| info.metadata.get("limit").cloned())
        .unwrap_or_default()
}

/// A sample of the metrics page; 0 if there is none.
pub fn metric(http: &str, name: &str) -> u64 {
    let (_, page) = crate::place::get(http, "/metrics");
    let sample = page.lines().find_map(|line| {
        let (found, value) = line.rsplit_once(' ')?;
        (found == name).then_some(value)
    });
    // All that are asked for here are whole.
    sample.map_or(0, |value| value.parse::<f64>().unwrap() as u64)
}

/// How much was discarded for a limit.
pub fn discarded(http: &str, limit: &str) -> u64 {
    metric(
        http,
        &format!("quaymeter_discarded_total{{reason=\"{limit}\"}}"),
    )
}
