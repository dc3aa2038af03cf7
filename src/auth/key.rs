//! An API key as its holder has it: `qm_<id>_<secret>_<check>`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;

/// What every key begins with.
pub const PREFIX: &str = "qm_";

/// Characters of a key's id, each a hex digit in lower case.
pub const ID_CHARS: usize = 12;

const SECRET_BYTES: usize = 32;

/// 32 bytes in base64url, without padding.
const SECRET_CHARS: usize = 43;

/// The CRC-32C of what stands before it, in base64url.
const CHECK_CHARS: usize = 6;

/// Characters of a whole key.
pub const KEY_CHARS: usize = PREFIX.len() + ID_CHARS + 1 + SECRET_CHARS + 1 + CHECK_CHARS;

/// A key. Its secret is shown by [`Key::text`] alone.
#[derive(Clone)]
pub struct Key {
    id: String,
    secret: [u8; SECRET_BYTES],
}

/// Why a text is no key. Says nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It has not the form of a key.
    #[error(
        "not an API key: expected qm_, an id, a secret and check characters, {KEY_CHARS} characters in all"
    )]
    Form,
    /// It has the form, but something was mistyped.
    #[error("a mistyped API key: its check characters do not fit the rest")]
    Check,
}

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn draw() -> Result<Self, getrandom::Error> {
        let mut id = [0; ID_CHARS / 2];
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        let id = hex::encode(id);
        Ok(Self { id, secret })
    }

    /// Of these parts; none if the id is none.
    pub fn of(id: &str, secret: [u8; SECRET_BYTES]) -> Option<Self> {
        is_id(id).then(|| Self {
            id: id.into(),
            secret,
        })
    }

    /// Reads a key's text.
    ///
    /// # Errors
    /// It is none, or was mistyped.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() != KEY_CHARS || !text.is_ascii() {
            return Err(Malformed::Form);
        }
        let (signed, check) = text.split_at(KEY_CHARS - CHECK_CHARS - 1);
        let (head, secret) = signed.split_at(signed.len() - SECRET_CHARS);
        let id = head
            .strip_prefix(PREFIX)
            .and_then(|id| id.strip_suffix('_'));
        let id = id.filter(|id| is_id(id)).ok_or(Malformed::Form)?;
        let check = check.strip_prefix('_').ok_or(Malformed::Form)?;
        if check != check_of(signed) {
            return Err(Malformed::Check);
        }
        let decoded = URL_SAFE_NO_PAD.decode(secret).ok();
        let secret = decoded.and_then(|bytes| bytes.try_into().ok());
        Ok(Self {
            id: id.into(),
            secret: secret.ok_or(Malformed::Form)?,
        })
    }

    /// Its text, for its holder alone.
    pub fn text(&self) -> String {
        let secret = URL_SAFE_NO_PAD.encode(self.secret);
        let signed = format!("{PREFIX}{}_{secret}", self.id);
        let check = check_of(&signed);
        format!("{signed}_{check}")
    }

    /// What it is called by: no secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn secret(&self) -> &[u8; SECRET_BYTES] {
        &self.secret
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Whether the text has the form of a key's id.
pub fn is_id(text: &str) -> bool {
    text.len() == ID_CHARS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn check_of(signed: &str) -> String {
    URL_SAFE_NO_PAD.encode(crc32c::crc32c(signed.as_bytes()).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let key = Key::draw().unwrap();
        let text = key.text();
        assert_eq!(text.len(), KEY_CHARS);
        let read = Key::parse(&text).unwrap();
        assert_eq!((read.id(), read.secret()), (key.id(), key.secret()));
        assert_ne!(Key::draw().unwrap().text(), text);
    }

    #[test]
    fn a_key_shows_no_secret_of_itself() {
        let key = Key::draw().unwrap();
        let shown = format!("{key:?}");
        assert_eq!(shown, format!("Key {{ id: {:?}, .. }}", key.id()));
    }

    proptest! {
        /// One character is another one: whichever it is, it is told.
        #[test]
        fn a_typing_error_is_told(at in 0..KEY_CHARS, other in "[ -~]") {
            let text = Key::draw().unwrap().text();
            let mut typed = text.clone();
            typed.replace_range(at..=at, &other);
            prop_assume!(typed != text);
            prop_assert!(Key::parse(&typed).is_err());
        }

        #[test]
        fn what_is_no_key_is_refused(text in ".{0,80}") {
            prop_assert!(Key::parse(&text).is_err());
        }

        /// In the form of a key, the check characters decide.
        #[test]
        fn a_key_of_another_making_is_mistyped(
            id in "[0-9a-f]{12}", secret in "[A-Za-z0-9_-]{43}", check in "[A-Za-z0-9_-]{6}",
        ) {
            let signed = format!("qm_{id}_{secret}");
            prop_assume!(check != check_of(&signed));
            let told = Key::parse(&format!("{signed}_{check}")).unwrap_err();
            prop_assert_eq!(told, Malformed::Check);
        }
    }
}
