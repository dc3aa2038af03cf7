//! An issuer of JWTs, and a server that gives its keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

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
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    answer: (u16, String),
    asked: usize,
}

impl KeyServer {
    pub fn new(jwks: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let shared = Shared {
            answer: (200, jwks),
            asked: 0,
        };
        let shared = Arc::new(Mutex::new(shared));
        let held = Arc::clone(&shared);
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(&socket).lines();
                while lines
                    .next()
                    .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
                {}
                let (status, body) = {
                    let mut shared = held.lock().unwrap();
                    shared.asked += 1;
                    shared.answer.clone()
                };
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                // Who asks may be gone.
                let _ = (&socket).write_all(format!("{head}{body}").as_bytes());
            }
        });
        Self { url, shared }
    }

    /// Gives another answer from now on.
    pub fn answer(&self, status: u16, body: String) {
        self.shared.lock().unwrap().answer = (status, body);
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.shared.lock().unwrap().asked
    }
}
