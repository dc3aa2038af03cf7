//! Every method, for every kind of caller, about his own enterprise, about another one and
//! about one that nobody has ever named.

use crate::authority::Identity;
use crate::certificates::Secured;
use crate::grid::refused;
use crate::methods::{Outcome, outcome, told};
use crate::place::DEADLINE;
use crate::port::{Bearer, Port, Shown};
use crate::rules::{Question, RULES, Rule, Whose, booked};
use crate::signer::{ISSUER, Signer};
use bytes::{Buf as _, BufMut as _};
use quaymeter::pb;
use quaymeter::pb::ingest_service_client::IngestServiceClient;
use quaymeter::pb::throughput_service_client::ThroughputServiceClient;
use std::str::FromStr as _;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};

/// His own, another's, and nobody's: they differ in nothing but three letters.
const IDS: [&str; 3] = ["ygt:own", "ygt:far", "ygt:new"];

/// A kind of caller.
struct Kind {
    name: &'static str,
    /// What his row in the callers' file gives him.
    rights: &'static str,
    /// His only right; none if he is not known.
    right: Option<&'static str>,
    /// Whether he has it for all enterprises, or for his own only.
    for_all: bool,
}

const fn kind(
    name: &'static str,
    rights: &'static str,
    right: Option<&'static str>,
    for_all: bool,
) -> Kind {
    Kind {
        name,
        rights,
        right,
        for_all,
    }
}

const KINDS: [Kind; 8] = [
    kind("nobody", "", None, false),
    kind("stranger", "", None, false),
    kind("nothing", "", Some("none"), false),
    kind(
        "truckers",
        "publish = { facilities = \"all\", enterprises = [\"ygt:own\"], vessel_calls = false }",
        Some("publish"),
        false,
    ),
    kind(
        "port",
        "publish = { facilities = \"all\", enterprises = \"all\", vessel_calls = true }",
        Some("publish"),
        true,
    ),
    kind(
        "customer",
        "read = [{ enterprise = \"ygt:own\", roles = \"all\" }]",
        Some("read"),
        false,
    ),
    kind("reader", "read = \"all\"", Some("read"), true),
    kind("operator", "operate = true", Some("operate"), true),
];

/// What a caller shows.
#[derive(Clone)]
enum Credential {
    Nothing,
    /// A key, or a token.
    Bearer(Bearer),
    Certificate(Identity),
}

/// A service behind TLS, and what a caller of each kind may show.
struct World {
    secured: Secured,
    shown: Vec<Vec<Credential>>,
}

/// Whose certificates name a kind of caller.
fn subject(name: &str) -> String {
    format!("{name}.example")
}

/// A key and a token of a kind of caller, before the service starts.
fn bearers(port: &Port, signer: &Signer, name: &str) -> Vec<Credential> {
    let shown = match name {
        "nobody" => return vec![Credential::Nothing],
        "stranger" => [
            Port::new("").key("operator"),
            Signer::new("k").token("reader"),
        ],
        name => [port.key(name), signer.token(name)],
    };
    shown.map(|of| Credential::Bearer(Bearer::of(&of))).into()
}

impl World {
    /// One that has counted for two of the enterprises.
    async fn start() -> Self {
        let (port, signer) = (Port::new(""), Signer::new("k"));
        let file = port.place.path("keys.json");
        std::fs::write(&file, signer.jwks()).unwrap();
        let mut callers = format!(
            "[[issuers]]\nissuer = \"{ISSUER}\"\naudience = \"quaymeter\"\n\
             algorithms = [\"ES256\"]\njwks_file = {file:?}\n"
        );
        for Kind { name, rights, .. } in KINDS.iter().filter(|kind| kind.right.is_some()) {
            callers += &format!(
                "[[callers]]\nname = \"{name}\"\nkeys = \"all\"\ncertificates = [{:?}]\n\
                 tokens = [{{ issuer = \"{ISSUER}\", subject = \"{name}\" }}]\n{rights}\n",
                subject(name)
            );
        }
        port.rewrite(&callers);
        let shown = KINDS.map(|kind| bearers(&port, &signer, kind.name));
        let secured = Secured::of(port);
        let mut world = Self {
            secured,
            shown: shown.into(),
        };
        for (kind, shown) in KINDS.iter().zip(&mut world.shown) {
            if kind.name != "nobody" {
                let identity = world.secured.authority.client(&subject(kind.name));
                shown.push(Credential::Certificate(identity));
            }
        }
        world.fill().await;
        world
    }

    /// A connection of somebody's, another one each time: who is not known on one waits
    /// there.
    async fn connected(&self, credential: &Credential) -> Shown {
        let (identity, bearer) = match credential.clone() {
            Credential::Nothing => (None, Bearer::none()),
            Credential::Bearer(bearer) => (None, bearer),
            Credential::Certificate(identity) => (Some(identity), Bearer::none()),
        };
        self.secured.shown(identity.as_ref(), bearer).await
    }

    /// One of a kind of caller.
    async fn of(&self, name: &str) -> Shown {
        let at = KINDS.iter().position(|kind| kind.name == name);
        self.connected(&self.shown[at.unwrap()][0]).await
    }

    async fn fill(&self) {
        let events = IDS[..2].iter().map(|id| booked(id)).collect();
        let request = pb::PublishEventsRequest {
            events,
            ..Default::default()
        };
        let mut port = IngestServiceClient::new(self.of("port").await);
        let answer = port.publish_events(request).await.unwrap().into_inner();
        assert_eq!(answer.accepted, 2, "{:?}", answer.results);
        let at_least = answer.position;
        let mut reader = ThroughputServiceClient::new(self.of("reader").await);
        let status = reader.get_status(pb::GetStatusRequest { at_least }).await;
        status.unwrap();
    }
}

/// Messages as their bytes.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).into()))
    }
}

/// The answer to the last of some messages.
async fn answered(shown: &Shown, path: &str, say: Vec<Vec<u8>>) -> Result<Vec<u8>, Status> {
    let mut grpc = tonic::client::Grpc::new(shown.clone());
    grpc.ready().await.unwrap();
    let (path, count) = (PathAndQuery::from_str(path).unwrap(), say.len());
    let said = Request::new(tokio_stream::iter(say));
    let calling = async {
        let mut answers = grpc.streaming(said, path, Raw).await?.into_inner();
        let mut last = None;
        for _ in 0..count {
            last = answers.message().await?;
        }
        Ok(last.unwrap())
    };
    tokio::time::timeout(DEADLINE, calling).await.unwrap()
}

/// What a caller hears of each enterprise: whether there is anything, and the text, in
/// which its name is none.
async fn heard(
    shown: &Shown,
    path: &str,
    question: &Question,
) -> [Result<(bool, String), (Outcome, String)>; 3] {
    let mut heard = Vec::new();
    for id in IDS {
        let answer = answered(shown, path, (question.say)(id)).await;
        let unnamed = |text: String| text.replace(id, "ID");
        heard.push(match answer {
            Ok(answer) => {
                let (is_found, text) = (question.hear)(&answer);
                Ok((is_found, unnamed(text)))
            }
            Err(status) => Err((told(&status, path), unnamed(refused(&status)))),
        });
    }
    heard.try_into().unwrap()
}

/// A caller is answered by the rule; who may not see all hears of another enterprise what
/// he hears of one that is not there, to the letter.
async fn judge(shown: &Shown, rule: &Rule, kind: &Kind) {
    let (path, expected) = (rule.path, rule.outcome(kind.right));
    let what = format!("{}: {path}", kind.name);
    let is_in = expected == Outcome::In;
    let question = match &rule.of {
        Whose::Named(question) => question,
        Whose::Unnamed => return assert_eq!(outcome(shown, path).await, expected, "{what}"),
        Whose::Everybody => {
            let refused = crate::methods::called(shown, path).await.unwrap_err();
            assert_eq!(told(&refused, path), expected, "{what}");
            let is_answered = refused.code() == Code::InvalidArgument;
            return assert_eq!(is_answered, is_in && kind.for_all, "{what}: {refused}");
        }
    };
    let [own, other, unknown] = heard(shown, path, question).await;
    if !is_in {
        let outcome = own.as_ref().map_err(|(outcome, _)| outcome);
        assert_eq!(outcome, Err(&expected), "{what}");
        assert_eq!((&own, &own), (&other, &unknown), "{what}");
        return;
    }
    // Whoever may send for all makes known whom he names.
    let may_make = kind.right == Some("publish") && kind.for_all;
    let found = [&own, &other, &unknown].map(|one| one.as_ref().unwrap().0);
    assert_eq!(found, [true, kind.for_all, may_make], "{what}");
    if !kind.for_all {
        assert_eq!(other, unknown, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_caller_is_answered_of_his_own_and_of_another_as_of_none() {
    let world = World::start().await;
    for rule in RULES {
        for (kind, shown) in KINDS.iter().zip(&world.shown) {
            for credential in shown {
                judge(&world.connected(credential).await, rule, kind).await;
            }
        }
    }
    world.secured.service.stop();
}
