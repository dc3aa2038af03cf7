//! Why a request's credentials were not accepted: for the operator, never for who
//! called.

/// Why it is not known who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// There are no credentials at all.
    Missing,
    /// There are several `authorization` headers.
    Several,
    /// The header is longer than any key or token.
    TooLong,
    /// The header is no bearer token, or its token is neither a key nor a JWT.
    Malformed,
    /// A key with a typing error: its check characters do not fit.
    KeyMistyped,
    /// No key has this id.
    KeyUnknown,
    /// The key of this id has another secret.
    KeyWrong,
    /// The key's time is over.
    KeyExpired,
    /// The key was taken back.
    KeyRevoked,
    /// The key is good, but the callers' file gives it to nobody.
    KeyUnassigned,
    /// The JWT cannot be read.
    TokenMalformed,
    /// Its issuer is none of those that are trusted.
    TokenIssuer,
    /// Its algorithm is none of those that are pinned for its issuer.
    TokenAlgorithm,
    /// Its issuer has no such key, or is not known to have it yet.
    TokenKeyUnknown,
    /// Its signature is not its issuer's.
    TokenSignature,
    /// Its time is over, or it has no end.
    TokenExpired,
    /// Its time has not come.
    TokenEarly,
    /// It is meant for others.
    TokenAudience,
    /// It is good, but its holder is no caller.
    TokenUnassigned,
    /// It is good, and its holder is more than one caller.
    TokenAmbiguous,
    /// The client's certificate cannot be read.
    CertificateMalformed,
    /// The client's certificate is past its end, or before its beginning.
    CertificateExpired,
    /// The client's certificate is of an authority that is none of ours any more.
    CertificateUntrusted,
    /// The client's certificate is nobody's.
    CertificateUnassigned,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Missing,
        Self::Several,
        Self::TooLong,
        Self::Malformed,
        Self::KeyMistyped,
        Self::KeyUnknown,
        Self::KeyWrong,
        Self::KeyExpired,
        Self::KeyRevoked,
        Self::KeyUnassigned,
        Self::TokenMalformed,
        Self::TokenIssuer,
        Self::TokenAlgorithm,
        Self::TokenKeyUnknown,
        Self::TokenSignature,
        Self::TokenExpired,
        Self::TokenEarly,
        Self::TokenAudience,
        Self::TokenUnassigned,
        Self::TokenAmbiguous,
        Self::CertificateMalformed,
        Self::CertificateExpired,
        Self::CertificateUntrusted,
        Self::CertificateUnassigned,
    ];

    /// Its name in metrics, logs and the audit trail.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Several => "several",
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::KeyMistyped => "key_mistyped",
            Self::KeyUnknown => "key_unknown",
            Self::KeyWrong => "key_wrong",
            Self::KeyExpired => "key_expired",
            Self::KeyRevoked => "key_revoked",
            Self::KeyUnassigned => "key_unassigned",
            Self::TokenMalformed => "token_malformed",
            Self::TokenIssuer => "token_issuer",
            Self::TokenAlgorithm => "token_algorithm",
            Self::TokenKeyUnknown => "token_key_unknown",
            Self::TokenSignature => "token_signature",
            Self::TokenExpired => "token_expired",
            Self::TokenEarly => "token_early",
            Self::TokenAudience => "token_audience",
            Self::TokenUnassigned => "token_unassigned",
            Self::TokenAmbiguous => "token_ambiguous",
            Self::CertificateMalformed => "certificate_malformed",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateUntrusted => "certificate_untrusted",
            Self::CertificateUnassigned => "certificate_unassigned",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_cause_has_a_name_of_its_own() {
        let names: HashSet<_> = Cause::ALL.map(Cause::name).into_iter().collect();
        assert_eq!(names.len(), Cause::ALL.len());
    }
}
