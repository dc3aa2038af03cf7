//! What a configuration lets strangers reach: a port that is not on loopback needs TLS
//! and callers, or whoever reaches it reads, sends and does everything.

use crate::config::{ClientCertificates, Config};
use std::fmt;
use std::net::SocketAddr;

/// A port that lies open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// The setting of its address.
    pub setting: &'static str,
    /// The address.
    pub address: SocketAddr,
    /// What it lacks, each by its setting.
    pub lacks: Vec<&'static str>,
}

/// The service must not be started so.
#[derive(Debug, thiserror::Error)]
#[error(
    "listen beyond loopback, where whoever reaches a port may do everything{}; insecure_i_know (--insecure-i-know) is for a network on which nobody else is",
    lines(.0)
)]
pub struct Error(Vec<Exposed>);

/// The ports that lie open and are meant to.
///
/// # Errors
/// There are some, and `insecure_i_know` does not say that they are meant to.
pub fn judge(config: &Config) -> Result<Vec<Exposed>, Error> {
    let exposed = exposed(config);
    if exposed.is_empty() || config.insecure_i_know {
        Ok(exposed)
    } else {
        Err(Error(exposed))
    }
}

fn exposed(config: &Config) -> Vec<Exposed> {
    let tls = config.tls.cert.is_some();
    let callers = config.callers.is_some();
    let certificates = config.tls.clients == ClientCertificates::Required;
    let lacking = |needs: [(bool, &'static str); 2]| -> Vec<&'static str> {
        let missing = needs.into_iter().filter(|(is_there, _)| !is_there);
        missing.map(|(_, name)| name).collect()
    };
    let grpc = lacking([(tls, "tls.cert"), (callers, "callers")]);
    let http = lacking([
        (tls, "tls.cert"),
        (
            callers || certificates,
            "callers (or tls.clients = required)",
        ),
    ]);
    let ports = [
        ("listen", config.listen, grpc),
        ("http_listen", config.http_listen, http),
    ];
    let open = ports.into_iter().filter(|(_, address, lacks)| {
        let loopback = address.ip().to_canonical().is_loopback();
        !loopback && !lacks.is_empty()
    });
    open.map(|(setting, address, lacks)| Exposed {
        setting,
        address,
        lacks,
    })
    .collect()
}

fn lines(exposed: &[Exposed]) -> String {
    exposed.iter().map(|port| format!("\n  {port}")).collect()
}

impl fmt::Display for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lacks = self.lacks.join(" and ");
        write!(
            f,
            "{}: found {} without {lacks}, expected an address on loopback, or {lacks} set",
            self.setting, self.address
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn told(flags: &[(&'static str, &str)]) -> Vec<String> {
        let owned = |&(name, value): &(&'static str, &str)| (name, value.to_owned());
        let flags = flags.iter().map(owned).collect();
        let config = Config::resolve(Sources {
            flags,
            ..Sources::default()
        });
        let exposed = exposed(&config.unwrap());
        exposed.iter().map(ToString::to_string).collect()
    }

    const TLS: [(&str, &str); 2] = [("tls.cert", "c"), ("tls.key", "k")];
    const MUTUAL: [(&str, &str); 2] = [("tls.client_ca", "a"), ("tls.clients", "required")];

    #[test]
    fn loopback_and_the_health_port_lie_open_nowhere() {
        assert_eq!(
            told(&[("listen", "[::1]:1"), ("http_listen", "127.9.9.9:1")]),
            [""; 0]
        );
        assert_eq!(told(&[("listen", "[::ffff:127.0.0.1]:1")]), [""; 0]);
        assert_eq!(told(&[("health_listen", "0.0.0.0:7072")]), [""; 0]);
    }

    #[test]
    fn a_port_beyond_loopback_needs_tls_and_callers() {
        let listen = ("listen", "0.0.0.0:7070");
        let needs = |what: &str| {
            format!(
                "listen: found 0.0.0.0:7070 without {what}, expected an address on loopback, \
                 or {what} set"
            )
        };
        assert_eq!(told(&[listen]), [needs("tls.cert and callers")]);
        assert_eq!(told(&[listen, TLS[0], TLS[1]]), [needs("callers")]);
        assert_eq!(told(&[listen, ("callers", "f")]), [needs("tls.cert")]);
        // A certificate alone says who calls, and not what he may do.
        let mutual = [listen, TLS[0], TLS[1], MUTUAL[0], MUTUAL[1]];
        assert_eq!(told(&mutual), [needs("callers")]);
        let safe = [listen, TLS[0], TLS[1], ("callers", "f")];
        assert_eq!(told(&safe), [""; 0]);
    }

    #[test]
    fn metrics_beyond_loopback_need_tls_and_someone_known() {
        let listen = ("http_listen", "[::]:7071");
        assert_eq!(told(&[listen, TLS[0], TLS[1]]).len(), 1);
        let callers = [listen, TLS[0], TLS[1], ("callers", "f")];
        assert_eq!(told(&callers), [""; 0]);
        let mutual = [listen, TLS[0], TLS[1], MUTUAL[0], MUTUAL[1]];
        assert_eq!(told(&mutual), [""; 0]);
        let optional = [
            listen,
            TLS[0],
            TLS[1],
            MUTUAL[0],
            ("tls.clients", "optional"),
        ];
        assert_eq!(told(&optional).len(), 1);
    }
}
