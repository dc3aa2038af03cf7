//! The configuration: precedence, every fault at once, and the dump.

use quaymeter::config::{
    ClientCertificates, Config, Error, LogFormat, LogKind, Origin, SETTINGS, Setting, Sources,
};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

struct Case {
    dir: TempDir,
    sources: Sources,
}

fn case(toml: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Case {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("quaymeter.toml");
    fs::write(&file, toml).unwrap();
    let owned = |&(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
    let sources = Sources {
        file: Some(file),
        environment: environment.iter().map(owned).collect(),
        flags: flags
            .iter()
            .map(|&(name, value)| (name, value.to_owned()))
            .collect(),
    };
    Case { dir, sources }
}

impl Case {
    fn config(self) -> Config {
        Config::resolve(self.sources).unwrap()
    }

    /// The faults as lines, without the directory.
    fn faults(self) -> Vec<String> {
        let prefix = format!("{}/", self.dir.path().display());
        let Error { faults } = Config::resolve(self.sources).unwrap_err();
        faults
            .iter()
            .map(|fault| fault.to_string().replace(&prefix, ""))
            .collect()
    }
}

fn faults(toml: &str) -> Vec<String> {
    case(toml, &[], &[]).faults()
}

#[test]
fn without_any_source_the_defaults_hold() {
    let config = Config::resolve(Sources::default()).unwrap();
    assert_eq!(config.listen, "127.0.0.1:7070".parse().unwrap());
    assert_eq!(config.http_listen, "127.0.0.1:7071".parse().unwrap());
    assert_eq!(config.health_listen, "127.0.0.1:7072".parse().unwrap());
    assert_eq!((config.callers, config.insecure_i_know), (None, false));
    assert_eq!(config.tls.clients, ClientCertificates::None);
    assert_eq!(config.data_dir, PathBuf::from("./quaymeter-data"));
    assert_eq!(config.reporting_zone.iana_name(), Some("Asia/Shanghai"));
    assert_eq!(
        (config.horizon_days, config.quarter_days, config.day_days),
        (35, 45, 1096)
    );
    assert_eq!((config.registry, config.strict), (None, false));
    assert_eq!(config.limits.message_bytes, 8 << 20);
    assert_eq!(config.limits.buffered_bytes, 256 << 20);
    assert_eq!(config.log.kind, LogKind::Embedded);
    assert!(config.kafka.brokers.is_empty());
    assert_eq!(config.kafka.prefix.as_str(), "quaymeter");
    assert_eq!(
        (
            config.kafka.partitions,
            config.kafka.replication,
            config.kafka.min_insync
        ),
        (12, 3, 2)
    );
    assert_eq!(
        (config.kafka.instance, config.kafka.commit_interval_ms),
        (None, 100)
    );
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!(config.log.level.as_str(), "info");
    assert!(config.metrics.per_enterprise);
    assert_eq!(config.traces.otlp_endpoint, None);
    assert!(config.traces.sample.get().abs() < f64::EPSILON);
    assert_eq!(config.traces.batches_per_second, 100);
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let toml = "horizon_days = 10\nstrict = true\n[limits]\nbatch_events = 100\nwatches = 3\n";
    let environment = [
        ("QUAYMETER_LIMITS_BATCH_EVENTS", "200"),
        ("QUAYMETER_STRICT", "false"),
        ("PATH", "/bin"),
    ];
    let config = case(toml, &environment, &[("limits.batch_events", "300")]).config();
    assert_eq!(config.limits.batch_events, 300);
    assert!(!config.strict);
    assert_eq!((config.horizon_days, config.limits.watches), (10, 3));
    assert_eq!(config.limits.streams, 40_000);
}

#[test]
fn a_bad_value_that_a_later_source_replaces_is_no_fault() {
    let config = case("horizon_days = 0\n", &[], &[("horizon_days", "7")]).config();
    assert_eq!(config.horizon_days, 7);
}

#[test]
fn the_environment_names_the_file_when_no_flag_does() {
    let Case { dir, mut sources } = case("horizon_days = 9\n", &[], &[]);
    let file = sources.file.take().unwrap();
    sources
        .environment
        .push(("QUAYMETER_CONFIG".into(), file.into()));
    assert_eq!(Config::resolve(sources.clone()).unwrap().horizon_days, 9);
    let other = dir.path().join("other.toml");
    fs::write(&other, "horizon_days = 8\n").unwrap();
    sources.file = Some(other);
    assert_eq!(Config::resolve(sources).unwrap().horizon_days, 8);
}

#[test]
fn every_fault_of_every_source_is_reported_at_once() {
    let toml = "listen = \"localhost\"\n\
                reporting_zone = \"Asia/Ningbo\"\n\
                horizon_dayz = 3\n\
                teu_45ft_milli = 2100\n\
                strict = \"yes\"\n\
                day_days = \"1096\"\n\
                [limits]\n\
                streams = 0\n\
                btach_events = 5\n\
                watches = 1.5\n\
                [checkpoints]\n\
                interval_ms = 9\n";
    let environment = [
        ("QUAYMETER_LOG_FORMAT", "xml"),
        ("QUAYMETER_LOG_LEVEL", "inof"),
        ("QUAYMETER_HORIZON", "3"),
    ];
    let flags = [("limits.stream_credit_events", "12"), ("data_dir", "")];
    let mut faults = case(toml, &environment, &flags).faults();
    faults.sort();
    let mut expected = [
        "quaymeter.toml:1: listen: found \"localhost\", expected an IP address and a port, such \
         as 127.0.0.1:7070",
        "quaymeter.toml:2: reporting_zone: found \"Asia/Ningbo\", expected the name of an IANA \
         time zone, such as Asia/Shanghai",
        "quaymeter.toml:3: horizon_dayz: found an unknown name, expected a known name; did you \
         mean horizon_days?",
        "quaymeter.toml:4: teu_45ft_milli: found 2100, expected 2250 or 2000",
        "quaymeter.toml:5: strict: found \"yes\", expected true or false",
        "quaymeter.toml:6: day_days: found \"1096\", expected a whole number from 3 to 36600",
        "quaymeter.toml:8: limits.streams: found 0, expected a whole number from 1 to 1000000",
        "quaymeter.toml:9: limits.btach_events: found an unknown name, expected a known name; \
         did you mean limits.batch_events?",
        "quaymeter.toml:10: limits.watches: found 1.5, expected a whole number from 0 to \
         100000",
        "quaymeter.toml:11: checkpoints: found an unknown name, expected a known name; see \
         quaymeter serve --help",
        "QUAYMETER_HORIZON: QUAYMETER_HORIZON: found an unknown name, expected a known name; did \
         you mean QUAYMETER_HORIZON_DAYS?",
        "QUAYMETER_LOG_FORMAT: log.format: found \"xml\", expected text or json",
        "QUAYMETER_LOG_LEVEL: log.level: found \"inof\", expected off, error, warn, info, debug \
         or trace, or directives such as info,quaymeter::log=debug",
        "--limits-stream-credit-events: limits.stream_credit_events: found \"12\", expected a \
         whole number from 10000 to 10000000",
        "--data-dir: data_dir: found \"\", expected a path",
    ];
    expected.sort_unstable();
    assert_eq!(faults, expected);
}

#[test]
fn every_line_that_is_not_toml_is_a_fault() {
    let faults = faults("horizon_days = \n[limits\nstreams = 0\n");
    let at = |line: &str| faults.iter().any(|fault| fault.starts_with(line));
    assert!(at("quaymeter.toml:1: syntax: "), "{faults:?}");
    assert!(at("quaymeter.toml:2: syntax: "), "{faults:?}");
    assert!(
        !faults
            .iter()
            .any(|fault| fault.contains(": horizon_days: ")),
        "{faults:?}"
    );
}

#[test]
fn settings_that_contradict_each_other_are_faults() {
    let toml = "horizon_days = 44\nday_days = 40\n[limits]\nmessage_bytes = 67108864\n\
                buffered_bytes = 1048576\n";
    let expected = [
        "quaymeter.toml:1: horizon_days: found quarter_days = 45 and horizon_days = 44, expected \
         quarter_days ≥ horizon_days + 2",
        "quaymeter.toml:2: day_days: found day_days = 40 and quarter_days = 45, expected day_days \
         ≥ quarter_days + 1",
        "quaymeter.toml:5: limits.buffered_bytes: found limits.buffered_bytes = 1048576 and \
         limits.message_bytes = 67108864, expected limits.buffered_bytes ≥ limits.message_bytes",
    ];
    assert_eq!(faults(toml), expected);
    let same = "listen = \"127.0.0.1:9\"\nhttp_listen = \"127.0.0.1:9\"\n";
    assert_eq!(faults(same).len(), 1);
    let any = "listen = \"127.0.0.1:0\"\nhttp_listen = \"127.0.0.1:0\"\n\
               health_listen = \"127.0.0.1:0\"\n";
    case(any, &[], &[]).config();
    case("horizon_days = 43\n", &[], &[]).config();
}

#[test]
fn what_tls_needs_and_what_is_in_vain_are_faults() {
    let path = "expected a path, because";
    let expected = |setting: &str, origin: &str, because: &str| {
        format!("{origin}: {setting}: found nothing, {path} {because}")
    };
    assert_eq!(
        faults("[tls]\nclients = \"optional\"\n"),
        [expected(
            "tls.client_ca",
            "quaymeter.toml:2",
            "tls.clients is optional"
        )]
    );
    assert_eq!(
        faults("[tls]\nkey = \"k\"\n"),
        [expected("tls.cert", "quaymeter.toml:2", "tls.key is set")]
    );
    assert_eq!(
        case("", &[], &[("tls.cert", "c")]).faults(),
        [expected("tls.key", "--tls-cert", "tls.cert is set")]
    );
    let in_vain = "[tls]\ncert = \"c\"\nkey = \"k\"\nclient_ca = \"a\"\n";
    assert_eq!(
        faults(in_vain),
        [
            "quaymeter.toml:4: tls.clients: found none, expected optional or required, because \
          tls.client_ca is set"
        ]
    );
    case(&format!("{in_vain}clients = \"required\"\n"), &[], &[]).config();
}

#[test]
fn a_table_where_a_value_belongs_and_a_value_where_a_table_does_are_faults() {
    let faults = faults("limits = 3\n[listen]\nport = 1\n");
    assert!(
        faults[0].starts_with("quaymeter.toml:1: limits: found an integer"),
        "{faults:?}"
    );
    assert!(
        faults[1].starts_with("quaymeter.toml:2: listen: found a table"),
        "{faults:?}"
    );
    assert_eq!(faults.len(), 2);
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_beside_the_others() {
    let flags = vec![("horizon_days", "0".to_owned())];
    let sources = Sources {
        file: Some("/nonexistent/q.toml".into()),
        flags,
        ..Sources::default()
    };
    let Error { faults } = Config::resolve(sources).unwrap_err();
    assert_eq!(
        faults[0].origin,
        Origin::File("/nonexistent/q.toml".into(), None)
    );
    assert_eq!(faults[1].origin, Origin::Flag("horizon-days".into()));
    assert_eq!(faults.len(), 2);
}

#[test]
fn variables_that_kubernetes_gives_every_pod_are_passed_over() {
    let environment = [
        ("QUAYMETER_SERVICE_HOST", "10.0.0.1"),
        ("QUAYMETER_SERVICE_PORT_GRPC", "7070"),
        ("QUAYMETER_PORT", "tcp://10.0.0.1:7070"),
        ("QUAYMETER_PORT_7070_TCP_ADDR", "10.0.0.1"),
        ("QUAYMETER_HEADLESS_PORT_7070_TCP", "tcp://10.0.0.1:7070"),
    ];
    case("", &environment, &[]).config();
    assert_eq!(case("", &[("QUAYMETER_PORTS", "1")], &[]).faults().len(), 1);
}

#[test]
fn a_filter_of_directives_is_a_level() {
    let flags = [("log.level", "warn,quaymeter::log=debug,h2=off")];
    let config = case("", &[], &flags).config();
    assert_eq!(
        config.log.level.as_str(),
        "warn,quaymeter::log=debug,h2=off"
    );
}

#[test]
fn the_dump_resolves_to_the_same_configuration() {
    let toml = "listen = \"[::1]:0\"\ndata_dir = \"C:\\\\wharf \\\"7\\\"\"\nregistry = \"宁波.csv\"\n\
                reporting_zone = \"Australia/Lord_Howe\"\nteu_45ft_milli = 2000\nstrict = true\n\
                [kafka]\nbrokers = \"a:1,[::1]:2\"\nprefix = \"nb\"\ninstance = \"nb-0\"\n\
                [log]\nkind = \"kafka\"\nformat = \"json\"\nlevel = \"info,h2=off\"\n[limits]\nstreams = 0x10\n\
                [traces]\notlp_endpoint = \"http://otel:4317\"\nsample = 0.015\n";
    let config = case(toml, &[], &[]).config();
    assert_eq!(case(&config.to_toml(), &[], &[]).config(), config);
    let defaults = case("", &[], &[]).config();
    assert_eq!(case(&defaults.to_toml(), &[], &[]).config(), defaults);
    assert_ne!(config, defaults);
}

#[test]
fn no_two_settings_share_a_variable_or_a_flag() {
    let variables: BTreeSet<_> = SETTINGS.iter().map(Setting::variable).collect();
    assert_eq!(variables.len(), SETTINGS.len());
    let aliases: Vec<_> = SETTINGS
        .iter()
        .filter_map(|setting| setting.alias)
        .collect();
    assert_eq!(aliases, ["log", "brokers"]);
    let flags = SETTINGS.iter().map(Setting::flag);
    let flags: BTreeSet<_> = flags.chain(aliases.into_iter().map(String::from)).collect();
    assert_eq!(flags.len(), SETTINGS.len() + 2);
}

fn quaymeter(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quaymeter"));
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied());
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn check_config_prints_ok_or_a_line_per_fault() {
    let good = quaymeter(&["check-config"], &[]);
    assert_eq!((good.status.code(), text(&good.stdout)), (Some(0), "ok\n"));
    let bad = quaymeter(
        &["check-config", "--horizon-days", "0", "--limits-streams=-1"],
        &[("QUAYMETER_DAY_DAYS", "x")],
    );
    assert_eq!((bad.status.code(), text(&bad.stdout)), (Some(1), ""));
    assert_eq!(
        text(&bad.stderr).lines().count(),
        3,
        "{}",
        text(&bad.stderr)
    );
}

#[test]
fn check_config_reads_the_registry_too() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("names.csv");
    fs::write(&file, "id,name_zh,name_en,roles\nCOS,,,CARRIER\n").unwrap();
    let bad = quaymeter(&["check-config", "--registry", file.to_str().unwrap()], &[]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(
        text(&bad.stderr).contains("line 2: id"),
        "{}",
        text(&bad.stderr)
    );
}

#[test]
fn serve_dumps_what_it_resolved_from_all_sources() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("q.toml");
    fs::write(&file, "horizon_days = 20\nday_days = 2000\n").unwrap();
    let output = quaymeter(
        &[
            "serve",
            "--config",
            file.to_str().unwrap(),
            "--strict",
            "--dump-config",
        ],
        &[("QUAYMETER_HORIZON_DAYS", "21")],
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let config = case(text(&output.stdout), &[], &[]).config();
    assert_eq!(
        (config.horizon_days, config.day_days, config.strict),
        (21, 2000, true)
    );
}

#[test]
fn serve_refuses_a_faulty_configuration_in_one_message() {
    let output = quaymeter(
        &["serve", "--horizon-days", "0"],
        &[("QUAYMETER_DAYS", "1")],
    );
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<_> = text(&output.stderr).lines().collect();
    assert_eq!(lines[0], "quaymeter: resolve the configuration");
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[test]
fn help_and_version_succeed_and_a_misused_flag_fails_with_1() {
    let help = quaymeter(&["serve", "--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    for setting in SETTINGS {
        for flag in [Some(setting.flag()), setting.alias.map(String::from)] {
            let flag = flag.map_or_else(String::new, |flag| format!("--{flag}"));
            let help = text(&help.stdout);
            assert!(help.contains(&flag), "{flag} is not in the help");
        }
    }
    let version = quaymeter(&["--version"], &[]);
    assert_eq!(
        text(&version.stdout),
        concat!("quaymeter ", env!("CARGO_PKG_VERSION"), "\n")
    );
    assert_eq!(
        quaymeter(&["serve", "--no-such-flag"], &[]).status.code(),
        Some(1)
    );
}
