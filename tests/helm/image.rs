//! The Dockerfile, as far as it can be judged without an engine: it builds with the
//! pinned Rust what the tree has, as a release is built, and the image is what the chart
//! expects.

use crate::pods::pods;
use crate::tools::{rendered, root, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

/// Instructions with what follows them, lines that go on joined.
fn instructions() -> Vec<(String, String)> {
    let file = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let split = |line: &str| {
        let (name, rest) = line.split_once(' ')?;
        Some((
            name.to_owned(),
            rest.split_whitespace().collect::<Vec<_>>().join(" "),
        ))
    };
    joined.lines().filter_map(split).collect()
}

/// What follows an instruction, each time.
fn all(name: &str) -> Vec<String> {
    let found = instructions()
        .into_iter()
        .filter(|(found, _)| found == name);
    found.map(|(_, rest)| rest).collect()
}

fn last(name: &str) -> String {
    all(name).pop().unwrap_or_else(|| panic!("no {name}"))
}

/// Variables of both stages.
fn variables() -> BTreeMap<String, String> {
    let all = all("ENV").join(" ");
    let pairs = all.split(' ').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// What a stage installs, counted from 0.
fn packages(stage: usize) -> BTreeSet<String> {
    let runs = all("RUN")
        .into_iter()
        .filter(|run| run.contains("apt-get install"));
    let run = runs.into_iter().nth(stage).expect("a stage that installs");
    let list = run.split("--no-install-recommends ").nth(1).unwrap();
    let list = list.split(" && ").next().unwrap();
    list.split(' ').map(str::to_owned).collect()
}

#[test]
fn it_is_built_with_the_pinned_rust() {
    let pinned = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let version = pinned
        .lines()
        .find_map(|line| line.strip_prefix("channel = "));
    let version = version.unwrap().trim_matches('"');
    let stages = all("FROM");
    let base = format!("rust:{version}-slim-");
    let (_, debian) = stages[0].split_once(&base).expect("the build's image");
    let debian = debian.split(' ').next().unwrap();
    assert_eq!(variables()["RUSTUP_TOOLCHAIN"], version);
    // Of one release, or the libraries that it is linked with are not there.
    assert_eq!(stages[1], format!("debian:{debian}-slim"));
}

/// With the list of crates in it, by the tool that a release has.
#[test]
fn it_is_built_as_a_release_is() {
    let script = |name: &str| fs::read_to_string(root().join("scripts").join(name)).unwrap();
    let (tools, release) = (script("install-tools"), script("release"));
    let version = tools
        .lines()
        .find_map(|line| line.strip_prefix("readonly cargo_auditable="))
        .expect("a version");
    let build = release
        .lines()
        .find_map(|line| line.strip_prefix("\"$tools/cargo-auditable\" "))
        .expect("how it is built");
    let runs = all("RUN");
    let installed = format!("cargo install --locked --version {version} cargo-auditable");
    assert_eq!(runs[1..3], [installed, format!("cargo {build}")]);
    assert!(last("COPY").starts_with("--from=build /src/target/release/quaymeter "));
}

/// Whatever the build needs of the tree gets into it: Cargo finds every target that it
/// names.
#[test]
fn what_is_sent_to_the_build_is_whole() {
    let sent = fs::read_to_string(root().join(".dockerignore")).unwrap();
    let mut lines = sent.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"));
    let place = tempfile::tempdir().unwrap();
    for name in lines.map(|line| line.strip_prefix('!').expect("an exception")) {
        let copied = Command::new("cp")
            .arg("-r")
            .arg(root().join(name))
            .arg(place.path())
            .status();
        assert!(copied.unwrap().success(), "{name}");
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]);
    let output = cargo.current_dir(place.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let targets = told["packages"][0]["targets"].as_array().unwrap();
    for target in targets {
        let path = target["src_path"].as_str().unwrap();
        assert!(fs::exists(path).unwrap(), "{path}");
    }
    let has = |kind: &str| targets.iter().any(|target| target["kind"][0] == kind);
    assert!(has("bin") && has("custom-build"), "{targets:?}");
    for needed in ["Cargo.lock", "proto"] {
        assert!(place.path().join(needed).exists(), "{needed}");
    }
}

/// The chart's pod and the image: who it runs as, what it runs, where it keeps its data,
/// and where it listens.
#[test]
fn it_is_what_the_chart_expects() {
    let pod = &pods(&rendered("{}"))[0];
    let (spec, container) = (&pod.template["spec"], pod.container());
    let user = |name: &str| spec["securityContext"][name].to_string();
    assert_eq!(
        last("USER"),
        format!("{}:{}", user("runAsUser"), user("runAsGroup"))
    );
    assert_eq!(last("ENTRYPOINT"), "[\"/usr/local/bin/quaymeter\"]");
    assert!(last("COPY").ends_with(" /usr/local/bin/quaymeter"));
    assert_eq!(last("CMD"), container["args"].to_string());
    let mounts = container["volumeMounts"].as_array().unwrap();
    let data = mounts.iter().find(|mount| mount["name"] == "data").unwrap();
    assert_eq!(last("VOLUME"), data["mountPath"]);
    let ports = container["ports"].as_array().unwrap().iter();
    let ports: Vec<String> = ports
        .map(|port| port["containerPort"].to_string())
        .collect();
    assert_eq!(last("EXPOSE"), ports.join(" "));
    let config = fs::read_to_string(
        pod.laid_out()
            .path()
            .join("etc/quaymeter/config/quaymeter.toml"),
    );
    let config = config.unwrap();
    for (variable, setting) in [
        ("QUAYMETER_LISTEN", "listen"),
        ("QUAYMETER_HTTP_LISTEN", "http_listen"),
        ("QUAYMETER_HEALTH_LISTEN", "health_listen"),
        ("QUAYMETER_DATA_DIR", "data_dir"),
    ] {
        let expected = format!("{setting} = \"{}\"", variables()[variable]);
        assert!(
            config.lines().any(|line| line == expected),
            "{expected}: {config}"
        );
    }
}

/// A volume that is mounted there takes the folder's owner over, or the user could not
/// write to it.
#[test]
fn the_data_belong_to_the_user() {
    let owner = last("USER");
    let (user, group) = owner.split_once(':').unwrap();
    let made = format!("install -d -o {user} -g {group} -m 0700 {}", last("VOLUME"));
    assert!(last("RUN").ends_with(&made), "{}", last("RUN"));
}

/// In which of Debian's packages a library is; none of what every image has.
fn package(library: &str) -> Option<&'static str> {
    match library {
        "libssl.so.3" | "libcrypto.so.3" => Some("libssl3t64"),
        "libz.so.1" => Some("zlib1g"),
        "libc.so.6" | "libm.so.6" | "libgcc_s.so.1" => None,
        loader if loader.starts_with("linux-vdso") || loader.contains("ld-linux") => None,
        other => panic!("in which package is {other}, and does the Dockerfile install it?"),
    }
}

#[test]
fn it_has_the_libraries_that_the_program_needs() {
    let output = Command::new("ldd")
        .arg(env!("CARGO_BIN_EXE_quaymeter"))
        .output()
        .unwrap();
    let listed = text(&output.stdout);
    let libraries = listed
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let needed: BTreeSet<&str> = libraries.filter_map(package).collect();
    assert!(needed.contains("libssl3t64"), "{listed}");
    let (built, run) = (packages(0), packages(1));
    for package in needed {
        assert!(run.contains(package), "{package} is not in {run:?}");
    }
    // With those, and a compiler, what comes as C is built.
    for package in ["g++", "libssl-dev", "make", "pkg-config", "zlib1g-dev"] {
        assert!(built.contains(package), "{package} is not in {built:?}");
    }
    // The brokers' certificates, unless a Secret has their authority.
    assert!(run.contains("ca-certificates"), "{run:?}");
}
