//! Stands between instances and their broker, and makes of a good network a bad one:
//! late, cut off, or open in one direction alone.

use crate::broker::Broker;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

/// Far more than anything here takes: reached only when something hangs.
const DEADLINE: Duration = Duration::from_secs(240);

/// Messages that are on their way in one direction of a connection.
const UNDER_WAY: usize = 256;

/// What becomes of what goes in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// It goes on at once.
    #[default]
    Open,
    /// It takes so long.
    Late(Duration),
    /// It is held until the way is open again, as TCP does with what is lost.
    Shut,
}

/// Requests by the numbers that Kafka gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum Request {
    Produce = 0,
    Fetch = 1,
    AddOffsetsToTransaction = 25,
    EndTransaction = 26,
    CommitOffsetsOfTransaction = 28,
}

/// At which message everything is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// At this request, which the broker does not get.
    Request(Request),
    /// At the answer to it: the broker has done what was asked, and nobody hears of it.
    Answer(Request),
}

/// How the network is.
#[derive(Clone, Copy, Debug, Default)]
struct Network {
    requests: Way,
    answers: Way,
    /// Nobody is connected, and nobody gets connected.
    cut: bool,
    /// How often everybody was cut off: who was connected before is not any more, even
    /// if he learns of it later.
    cuts: u64,
    trap: Option<At>,
}

impl Network {
    fn cut_off(&mut self) {
        self.cuts += 1;
        (self.cut, self.trap) = (true, None);
    }
}

/// A proxy; dropping it ends all connections.
pub struct Proxy {
    port: u16,
    network: Arc<watch::Sender<Network>>,
    /// A thread of its own, so that it goes on when a test blocks, and what ends it.
    serving: Option<(JoinHandle<()>, oneshot::Sender<()>)>,
}

/// A broker with a proxy before it, if tests may start one. Who begins at
/// [`Proxy::bootstrap`] stays behind the proxy; who begins at the broker's address gets
/// along without.
pub fn with_broker() -> Option<(Broker, Proxy)> {
    if !Broker::may_start() {
        return None;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (broker, behind) = Broker::behind(port);
    let network = Arc::new(watch::Sender::new(Network::default()));
    let ((end, ended), state) = (oneshot::channel(), Arc::clone(&network));
    let thread = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            tokio::select! {
                failed = serve(listener, behind, state) => failed.unwrap(),
                _ = ended => {}
            }
        });
    });
    let proxy = Proxy {
        port,
        network,
        serving: Some((thread, end)),
    };
    Some((broker, proxy))
}

impl Proxy {
    /// The address to start from: `127.0.0.1:40123`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Makes each direction so.
    pub fn set(&self, requests: Way, answers: Way) {
        self.change(|network| (network.requests, network.answers) = (requests, answers));
    }

    /// Cuts everything off at the next such message, and returns when that has come.
    pub async fn cut_at(&self, at: At) {
        let mut network = self.network.subscribe();
        self.change(|network| network.trap = Some(at));
        let cut = timeout(DEADLINE, network.wait_for(|network| network.cut));
        cut.await.expect("such a message").unwrap();
    }

    /// All goes on as if nothing had been.
    pub fn heal(&self) {
        self.change(|network| {
            let cuts = network.cuts;
            *network = Network {
                cuts,
                ..Network::default()
            };
        });
    }

    fn change(&self, change: impl FnOnce(&mut Network)) {
        self.network.send_modify(change);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let Some((thread, end)) = self.serving.take() else {
            return;
        };
        // If it has failed, nobody hears this.
        let _ = end.send(());
        assert!(thread.join().is_ok() || thread::panicking());
    }
}

type State = Arc<watch::Sender<Network>>;

async fn serve(listener: TcpListener, behind: SocketAddr, state: State) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        let state = Arc::clone(&state);
        // However a connection ends, it ends for both.
        tokio::spawn(async move {
            let mut network = state.subscribe();
            let cuts = network.borrow().cuts;
            tokio::select! {
                biased;
                _ = network.wait_for(|network| network.cut || network.cuts > cuts) => Ok(()),
                ended = connect(client, behind, &state) => ended,
            }
        });
    }
}

async fn connect(client: TcpStream, behind: SocketAddr, state: &State) -> io::Result<()> {
    let broker = TcpStream::connect(behind).await?;
    for end in [&client, &broker] {
        end.set_nodelay(true)?;
    }
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    // The number of the request at whose answer everything is cut off.
    let awaited = Mutex::new(None);
    let requests = Direction {
        state,
        way: |network: &Network| network.requests,
        passes: |message: &[u8]| passes_request(message, state, &awaited),
    };
    let answers = Direction {
        state,
        way: |network: &Network| network.answers,
        passes: |message: &[u8]| passes_answer(message, state, &awaited),
    };
    tokio::try_join!(
        requests.carry(from_client, to_broker),
        answers.carry(from_broker, to_client),
    )?;
    Ok(())
}

/// Whether a request goes on; if it is the one, everything is cut off now or with its
/// answer. It begins with its length, what it asks, of which version, and its number.
fn passes_request(message: &[u8], state: &State, awaited: &Mutex<Option<[u8; 4]>>) -> bool {
    let asks = i16::from_be_bytes([message[4], message[5]]);
    let mut passes = true;
    state.send_if_modified(|network| {
        match network.trap {
            Some(At::Request(wanted)) if wanted as i16 == asks => {
                network.cut_off();
                passes = false;
            }
            Some(At::Answer(wanted)) if wanted as i16 == asks => {
                network.trap = None;
                *awaited.lock().unwrap() = message[8..12].try_into().ok();
            }
            _ => {}
        }
        network.cut
    });
    passes
}

/// The same of an answer, which begins with its length and its request's number.
fn passes_answer(message: &[u8], state: &State, awaited: &Mutex<Option<[u8; 4]>>) -> bool {
    let passes = awaited.lock().unwrap().as_ref().map(<[u8; 4]>::as_slice) != Some(&message[4..8]);
    if !passes {
        state.send_modify(Network::cut_off);
    }
    passes
}

/// One direction of a connection.
struct Direction<'a, W, P> {
    state: &'a State,
    way: W,
    passes: P,
}

impl<W: Fn(&Network) -> Way, P: Fn(&[u8]) -> bool> Direction<'_, W, P> {
    /// Carries all messages until there are no more.
    async fn carry(&self, from: OwnedReadHalf, to: OwnedWriteHalf) -> io::Result<()> {
        let (sender, under_way) = mpsc::channel(UNDER_WAY);
        tokio::try_join!(take(from, sender), self.give(under_way, to))?;
        Ok(())
    }

    async fn give(&self, mut under_way: Messages, mut to: OwnedWriteHalf) -> io::Result<()> {
        while let Some((taken, message)) = under_way.recv().await {
            self.wait(taken).await;
            if !(self.passes)(&message) {
                // All connections are being cut off, this one too.
                return std::future::pending().await;
            }
            to.write_all(&message).await?;
        }
        to.shutdown().await
    }

    /// Waits until what was taken then may go on.
    async fn wait(&self, taken: Instant) {
        let mut network = self.state.subscribe();
        loop {
            let due = match (self.way)(&network.borrow_and_update()) {
                Way::Open => return,
                Way::Late(by) => Some(taken + by),
                Way::Shut => None,
            };
            let changed = network.changed();
            match due {
                // In time or not: the way tells at the next look.
                Some(due) if due > Instant::now() => drop(timeout_at(due, changed).await),
                Some(_) => return,
                // It lives as long as the direction.
                None => changed.await.expect("a network"),
            }
        }
    }
}

type Messages = mpsc::Receiver<(Instant, Vec<u8>)>;

/// Takes whole messages until the end.
async fn take(
    mut from: OwnedReadHalf,
    under_way: mpsc::Sender<(Instant, Vec<u8>)>,
) -> io::Result<()> {
    loop {
        let mut length = [0; 4];
        match from.read_exact(&mut length).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        };
        let mut message = vec![0; 4 + u32::from_be_bytes(length) as usize];
        message[..4].copy_from_slice(&length);
        from.read_exact(&mut message[4..]).await?;
        if under_way.send((Instant::now(), message)).await.is_err() {
            return Ok(());
        }
    }
}
