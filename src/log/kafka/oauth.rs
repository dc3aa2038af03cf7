//! The token by which brokers know this process (SASL OAUTHBEARER): a JWT in a file that
//! somebody else renews, as Kubernetes does with a service account's.

pub mod hand;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;
use serde::Deserialize;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// For how long a token is used at most until the file is looked at again, whatever the
/// token says: one that was replaced may have been revoked. The client library asks anew
/// after four fifths of it.
const LOOKED_AT: Duration = Duration::from_secs(300);

/// Where the token is.
#[derive(Clone, Debug)]
pub struct Tokens {
    file: PathBuf,
}

/// Why there is none. What the file holds is never told.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file cannot be read.
    #[error("read the brokers' token in {}: {source}", file.display())]
    Unread {
        /// Which.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds no token.
    #[error("read the brokers' token in {}: {what}", file.display())]
    NoToken {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The token is over, and nobody has renewed it.
    #[error("use the brokers' token in {}: it was good until {} s ago", file.display(), since.as_secs())]
    Over {
        /// Which.
        file: PathBuf,
        /// For how long.
        since: Duration,
    },
}

/// What of a token's claims is needed: brokers look at the rest.
#[derive(Debug, Deserialize, PartialEq)]
struct Claims {
    /// Seconds since 1970-01-01T00:00Z, and their fractions.
    exp: f64,
    #[serde(default)]
    sub: String,
}

impl Tokens {
    /// Those that this file holds, one after the other.
    pub fn of(file: PathBuf) -> Self {
        Self { file }
    }

    /// The one that it holds now, which is so many ms after 1970-01-01T00:00Z.
    ///
    /// # Errors
    /// There is none, or it is over.
    pub fn token(&self, now_ms: i64) -> Result<OAuthToken, Fault> {
        let file = || self.file.clone();
        let text = std::fs::read_to_string(&self.file).map_err(|source| Fault::Unread {
            file: file(),
            source,
        })?;
        let token = text.trim();
        let claims = claims(token).map_err(|what| Fault::NoToken { file: file(), what })?;
        let ends_ms = (claims.exp * 1000.0) as i64;
        if ends_ms <= now_ms {
            let since = Duration::from_millis(now_ms.abs_diff(ends_ms));
            let file = file();
            return Err(Fault::Over { file, since });
        }
        Ok(OAuthToken {
            token: token.into(),
            principal_name: claims.sub.replace('\0', ""),
            lifetime_ms: ends_ms.min(now_ms + LOOKED_AT.as_millis() as i64),
        })
    }
}

/// What a JWT claims. Whether it is signed by the right one is the brokers' to judge.
fn claims(token: &str) -> Result<Claims, &'static str> {
    const NO_JWT: &str = "it holds no JWT";
    let parts: Vec<&str> = token.split('.').collect();
    let [_, claims, _] = parts[..] else {
        return Err(NO_JWT);
    };
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| NO_JWT)?;
    serde_json::from_slice(&claims).map_err(|_| "it holds a JWT that does not say when it ends")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW_MS: i64 = 1_800_000_000_000;

    fn jwt(claims: &serde_json::Value) -> String {
        let part = |text: String| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.c2ln", part("{}".into()), part(claims.to_string()))
    }

    /// What becomes of a file with this text.
    fn token(text: &str) -> Result<OAuthToken, Fault> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, text).unwrap();
        Tokens::of(file).token(NOW_MS)
    }

    fn told(text: &str) -> String {
        token(text).err().unwrap().to_string()
    }

    #[test]
    fn a_token_is_used_until_it_ends_and_not_for_long_without_a_look_at_the_file() {
        let until = |seconds: f64| {
            let exp = NOW_MS as f64 / 1000.0 + seconds;
            token(&format!("{}\n", jwt(&json!({"exp": exp, "sub": "meter"})))).unwrap()
        };
        assert_eq!(until(2.5).lifetime_ms, NOW_MS + 2_500);
        assert_eq!(until(3600.0).lifetime_ms, NOW_MS + 300_000);
        assert_eq!(until(1.0).principal_name, "meter");
        assert!(!until(1.0).token.ends_with('\n'));
    }

    #[test]
    fn what_is_no_token_is_told_without_what_it_is() {
        let over = jwt(&json!({"exp": NOW_MS / 1000 - 7, "sub": "hunter22"}));
        let endless = jwt(&json!({"sub": "hunter22"}));
        for (text, why) in [
            ("hunter22", "it holds no JWT"),
            ("", "it holds no JWT"),
            ("a.hunter22!.c", "it holds no JWT"),
            (&endless, "it holds a JWT that does not say when it ends"),
            (&over, "it was good until 7 s ago"),
        ] {
            let told = told(text);
            assert!(told.ends_with(why), "{told}");
            assert!(!told.contains("hunter22"), "{told}");
        }
        let missing = Tokens::of("/nowhere/token".into()).token(NOW_MS);
        let told = missing.err().unwrap().to_string();
        assert!(told.contains("/nowhere/token: No such file"), "{told}");
    }
}
