//! The configuration: its file, and values as variables and flags give them.
//!
//! The first byte says which: a file; a file of librdkafka's properties; or the value
//! of a setting, which the next byte chooses, as a variable or as a flag.

use crate::memory;
use quaymeter::config::{Config, Error, Origin, Sources};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use tempfile::TempDir;

pub const WORDS: &[&str] = &[
    "[limits]\n", "[log]\n", "[kafka]\n", "[tls]\n", "streams = ", "listen = ", "\"127.0.0.1:0\"",
    "kind = \"kafka\"", "brokers = ", "\"a:1,b:2\"", "reporting_zone = ", "\"Asia/Shanghai\"", "UTC",
    "0x10", "1_000", "-1", "9223372036854775808", "1e3", "true", "\"", "'''", "#", "=", "\0",
    "horizon_days = 400", "day_days = 3", "sasl.password=", "bootstrap.servers=",
];

/// Of the last resort: a value of any type.
const NAMES: [&str; 12] = [
    "listen", "reporting_zone", "teu_45ft_milli", "horizon_days", "strict", "log.level",
    "log.kind", "kafka.brokers", "kafka.prefix", "metrics.enterprise_figures", "traces.sample",
    "traces.otlp_endpoint",
];

thread_local! {
    static FOLDER: TempDir = tempfile::tempdir().unwrap();
}

pub fn seeds() -> Vec<Vec<u8>> {
    let whole = Config::resolve(Sources::default()).unwrap().to_toml();
    let short: String = whole
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| [line, "\n"])
        .collect();
    let parts = short.split("\n\n").map(str::to_owned);
    let mut seeds: Vec<Vec<u8>> = parts
        .chain([whole.clone(), "[log]\nkind = \"kafka\"\n".into()])
        .map(|text| [&[0], text.as_bytes()].concat())
        .collect();
    seeds.push(b"\x01# a comment\nsasl.username = u\nsasl.password = p\n".to_vec());
    let values = ["127.0.0.1:7", "UTC", "2250", "35", "true", "info,h2=off", "kafka", "a:1"];
    for (number, value) in values.iter().enumerate() {
        let number = number as u8;
        seeds.push([&[2, number], value.as_bytes()].concat());
        seeds.push([&[3, number], value.as_bytes()].concat());
    }
    seeds
}

pub fn judge(input: &[u8]) {
    let Some((&kind, rest)) = input.split_first() else {
        return;
    };
    FOLDER.with(|folder| {
        let sources = match kind % 4 {
            0 => file(folder.path(), "quaymeter.toml", rest),
            1 => properties(folder.path(), rest),
            how => match rest.split_first() {
                Some((&number, value)) => said(how == 2, number, value),
                None => return,
            },
        };
        let room = (512 << 10) + 512 * input.len();
        let resolved = memory::within(room, || Config::resolve(sources));
        match resolved {
            Ok(config) => comes_back(folder.path(), &config),
            Err(error) => hold(&error),
        }
    });
}

fn file(folder: &Path, name: &str, text: &[u8]) -> Sources {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    Sources {
        file: Some(path),
        ..Sources::default()
    }
}

fn properties(folder: &Path, text: &[u8]) -> Sources {
    let path = folder.join("properties");
    fs::write(&path, text).unwrap();
    Sources {
        flags: vec![("kafka.properties", path.to_str().unwrap().into())],
        ..Sources::default()
    }
}

fn said(as_variable: bool, number: u8, value: &[u8]) -> Sources {
    let name = NAMES[usize::from(number) % NAMES.len()];
    if as_variable {
        let variable = format!("QUAYMETER_{}", name.replace('.', "_").to_uppercase());
        return Sources {
            environment: vec![(variable.into(), OsString::from_vec(value.to_vec()))],
            ..Sources::default()
        };
    }
    Sources {
        flags: vec![(name, String::from_utf8_lossy(value).into_owned())],
        ..Sources::default()
    }
}

/// What is printed of it is a file that means the same.
fn comes_back(folder: &Path, config: &Config) {
    let text = config.to_toml();
    let again = Config::resolve(file(folder, "again.toml", text.as_bytes()));
    let again = again.unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(again.to_toml(), text);
}

/// Every fault says where it is, what was found and what was expected.
fn hold(error: &Error) {
    assert!(!error.faults.is_empty());
    for fault in &error.faults {
        assert!(!fault.setting.is_empty(), "{fault}");
        assert!(!fault.expected.is_empty(), "{fault}");
        assert!(!fault.found.is_empty(), "{fault}");
        assert_ne!(fault.origin, Origin::Default, "{fault}");
    }
}
