//! An issuer of JWTs, and a server that gives its keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

pub const ISSUER: &str = "https://login.example/port";

/// Who signs with one key.
pub struct Signer {
    kid: String,
    key: KeyPair,
}

impl Signer {
    pub fn new(kid: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let kid = kid.into();
        Self { kid, key }
    }

    /// Its key set.
    pub fn jwks(&self) -> String {
        let point = self.key.public_key_raw();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (x, y) = (part(&point[1..33]), part(&point[33..]));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": self.kid, "x": x, "y": y}]})
            .to_string()
    }

    /// What a token for a subject claims: it is good for an hour.
    pub fn claims(subject: &str) -> Value {
        let exp = Timestamp::now().as_second() + 3600;
        json!({"iss": ISSUER, "aud": "quaymeter", "sub": subject, "exp": exp})
    }

    /// A token for a subject.
    pub fn token(&self, subject: &str) -> String {
        self.sign(&Self::claims(subject))
    }

    /// A token that claims this.
    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        let key = EncodingKey::from_ec_der(&self.key.serialize_der());
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }

    /// A token that is signed with the public key, as if it were a secret.
    pub fn confused(&self, subject: &str) -> String {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(self.kid.clone());
        let key = EncodingKey::from_secret(self.key.public_key_pem().as_bytes());
        jsonwebtoken::encode(&header, &Self::claims(subject), &key).unwrap()
    }

    /// A token that nobody has signed.
    pub fn unsigned(&self, subject: &str) -> String {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(json!({"alg": "none", "kid": self.kid}));
        format!("{header}.{}.", part(Self::claims(subject)))
    }
}

/// Gives a key set at a URL, until the test ends.
pub struct KeyServer {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Mutex<(u16, String)>,
    asked: AtomicUsize,
}

impl Shared {
    /// Answers one question, if there is one.
    fn answer_on(&self, stream: impl Read + Write) {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if !stream.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                return;
            }
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (status, body) = self.answer.lock().unwrap().clone();
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n");
        // Who asks may be gone.
        let _ = stream
            .get_mut()
            .write_all(format!("{head}{body}").as_bytes());
    }
}

impl KeyServer {
    pub fn new(jwks: String) -> Self {
        Self::of(jwks, "http", |socket, shared| shared.answer_on(&socket))
    }

    /// One that is known by a certificate, of which these PEM files hold the chain and
    /// the key.
    pub fn secure(jwks: String, chain: &Path, key: &Path) -> Self {
        let chain = CertificateDer::pem_file_iter(chain).unwrap();
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_no_client_auth();
        let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
        Self::of(jwks, "https", move |socket, shared| {
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            let stream = StreamOwned::new(tls, socket);
            shared.answer_on(stream);
        })
    }

    fn of(jwks: String, scheme: &str, serve: impl Fn(TcpStream, &Shared) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://{}/keys", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            answer: Mutex::new((200, jwks)),
            asked: AtomicUsize::new(0),
        });
        let held = Arc::clone(&shared);
        std::thread::spawn(move || {
            let sockets = listener.incoming().map_while(Result::ok);
            sockets.for_each(|socket| serve(socket, &held));
        });
        Self { url, shared }
    }

    /// Gives another answer from now on.
    pub fn answer(&self, status: u16, body: String) {
        *self.shared.answer.lock().unwrap() = (status, body);
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }
}
