//! Whatever is renewed, taken back or started again while callers send: nothing that was
//! acknowledged is lost or counted twice, and no stream ends that is not concerned.

mod exact;
mod port;
mod sending;
mod trucks;

use crate::place::{DAY_MS, address, until_every};
use crate::port::reason;
use crate::service::Service;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use port::{Secured, url};
use quaymeter::client::Options;
use sending::{Sending, go_on};
use std::collections::BTreeMap;
use std::time::Duration;
use tonic::Code;
use trucks::Trucks;

/// What is random is the same in every run.
const SEED: u64 = 20_261_130;

const SENDERS: [(&str, &str, char); 3] = [
    ("north", "CNNBO/BLCT2", 'A'),
    ("south", "CNNBO/BLCT3", 'B'),
    ("west", "CNZOS/YS", 'C'),
];

/// Whose key is changed.
const WEST: usize = 2;

const OPERATOR: &str =
    "[[callers]]\nname = \"operator\"\nkeys = \"all\"\nread = \"all\"\noperate = true\n";

/// Those who send, and the operator. Quotas bound how many events the audit has to recount.
fn callers() -> String {
    let sender = |(name, ..): (&str, _, _)| {
        format!(
            r#"
[[callers]]
name = "{name}"
keys = "all"
publish = {{ facilities = "all", enterprises = "all" }}
quota = {{ events_per_s = 3000 }}

"#
        )
    };
    SENDERS.map(sender).concat() + OPERATOR
}

/// One more caller, before all others.
const AUDITOR: &str = "[[callers]]\nname = \"auditor\"\nkeys = \"all\"\nread = \"all\"\n";

/// Each look is a handshake, which costs as much as some batches, and the service itself
/// looks for changed files once a second.
async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    until_every(Duration::from_millis(50), what, holds).await;
}

/// A service, those who send to it, and the key of the one whose key is changed.
struct Run {
    secured: Secured,
    service: Service,
    senders: Vec<Sending>,
    of_west: String,
    /// The day before yesterday's start, UTC: when the second key of the pseudonyms
    /// begins.
    midnight: i64,
}

fn day(at_ms: i64) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap();
    at.to_zoned(TimeZone::UTC).date().to_string()
}

impl Run {
    /// All send.
    async fn start() -> Self {
        let now = Timestamp::now().as_millisecond();
        let midnight = (now.div_euclid(DAY_MS) - 2) * DAY_MS;
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let keys = format!("1 = {one}\n2 from {} = {two}\n", day(midnight));
        let secured = Secured::new(&callers(), &keys);
        let of_all = SENDERS.map(|(sender, ..)| secured.port.key(sender));
        secured.port.operator();
        let service = secured.serve(None);
        let starting = SENDERS.iter().zip(&of_all);
        let start = |(&(sender, facility, letter), key): (&(_, _, _), &String)| {
            let trucks = Trucks {
                seed: SEED,
                sender,
                facility,
                midnight,
                letter,
            };
            let credentials = secured.credentials(secured.token(sender, key));
            let options = Options::new(&url(&service), sender, "gate");
            let options = Options {
                credentials,
                ..options
            };
            Sending::start(trucks, options)
        };
        let senders = starting.map(start).collect();
        let [.., of_west] = of_all;
        let run = Self {
            secured,
            service,
            senders,
            of_west,
            midnight,
        };
        run.goes_on(&[]).await;
        run
    }

    /// Everybody goes on, and since the start streams of the service's have ended so
    /// often, by how, and no other.
    async fn goes_on(&self, ended: &[(&str, u64)]) {
        let ended = ended.iter().map(|&(code, times)| (code.to_owned(), times));
        let ended: BTreeMap<_, _> = ended.collect();
        let lost = || self.senders.iter().map(Sending::lost).collect::<Vec<_>>();
        // Before, or else one that is always ended anew is only seen not to go on.
        let told = self.secured.ended(&self.service).await;
        let others = told
            .iter()
            .any(|(code, times)| ended.get(code) < Some(times));
        assert!(!others, "{told:?}: {:?}", lost());
        go_on(&self.senders).await;
        let told = self.secured.ended(&self.service).await;
        assert_eq!(told, ended, "{:?}", lost());
    }

    async fn certificate_is_renewed(&self) {
        let (client, grpc) = (self.secured.client(), address(&self.service));
        let renewed = self.secured.renewed(2031);
        assert_ne!(client.shown_at(&grpc).await, renewed.der());
        self.secured.server.become_that_of(&renewed);
        until("the renewed certificate is shown", async || {
            client.shown_at(&grpc).await == renewed.der()
        })
        .await;
    }

    async fn callers_are_read_again(&self) {
        let key = self.secured.port.key("auditor");
        let asked = async || self.secured.status(&self.service, &key).await;
        assert_eq!(asked().await.unwrap_err().code(), Code::Unauthenticated);
        self.secured
            .port
            .rewrite(&format!("{AUDITOR}{}", callers()));
        until("the new caller is known", async || asked().await.is_ok()).await;
    }

    /// Who may only send is refused a status for want of a right, if he is known.
    async fn refused(&self, key: &str) -> String {
        let status = self.secured.status(&self.service, key).await;
        reason(&status.unwrap_err()).0
    }

    async fn key_is_changed(&self) {
        let new = self.secured.port.key("west");
        until("the new key is known", async || {
            self.refused(&new).await == "NOT_ALLOWED"
        })
        .await;
        self.secured.token("west", &new);
        assert_eq!(self.senders[WEST].lost(), [""; 0]);
        self.secured.port.revoke(&self.of_west);
        until("the old key is not", async || {
            self.refused(&self.of_west).await == "UNAUTHENTICATED"
        })
        .await;
    }

    /// From a day on that is beyond what may be sent already.
    async fn pseudonyms_have_another_key(&self) {
        self.secured.rotate(&day(self.midnight + 14 * DAY_MS));
        until("the service has the key", async || {
            let logged = self.secured.port.place.logged();
            logged.contains("the pseudonyms' keys were loaded")
        })
        .await;
    }

    async fn service_is_started_again(&mut self) {
        let at = address(&self.service);
        self.service.signal("TERM");
        assert!(self.service.ended().success());
        self.service = self.secured.serve(Some(&at));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_renewed_taken_back_or_started_again_under_load_loses_nothing() {
    let mut run = Run::start().await;
    run.certificate_is_renewed().await;
    run.goes_on(&[]).await;
    run.callers_are_read_again().await;
    run.goes_on(&[]).await;
    run.key_is_changed().await;
    let his = [("Unauthenticated", 1)];
    run.goes_on(&his).await;
    run.pseudonyms_have_another_key().await;
    run.goes_on(&his).await;
    run.service_is_started_again().await;
    run.goes_on(&[]).await;
    run.finish_exactly().await;
}
