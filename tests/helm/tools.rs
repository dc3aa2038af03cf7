//! Helm, Python and the program, and what they make of the chart.

use serde_json::Value;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn chart() -> PathBuf {
    root().join("helm/quaymeter")
}

pub fn helm_path() -> PathBuf {
    tool("QUAYMETER_TEST_HELM", "target/tools/bin/helm")
}

fn tool(variable: &str, made: &str) -> PathBuf {
    let path = env::var_os(variable).map_or_else(|| root().join(made), PathBuf::from);
    assert!(
        path.exists(),
        "{} is missing: run `make tools`",
        path.display()
    );
    path
}

/// Helm, whatever whoever runs the tests has set up for himself.
pub fn helm() -> Command {
    let mut helm = Command::new(helm_path());
    let nowhere = root().join("target/tools/no-helm-home");
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        helm.env(variable, &nowhere);
    }
    helm
}

pub fn python(script: &str) -> Command {
    let mut python = Command::new(tool(
        "QUAYMETER_TEST_PYTHON",
        "target/tools/python/bin/python",
    ));
    python
        .arg(root().join(script))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    python
}

/// The program, with nothing of ours in its environment.
pub fn quaymeter() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_quaymeter"));
    program.env_clear();
    program
}

/// What a command says when it is given this to read.
pub fn told(command: &mut Command, input: &str) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // Who fails early does not read; then its words tell why.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The manifests of a chart with these values, or why there are none. Values that do not
/// say who may call say that it does not matter.
pub fn template(chart: &Path, values: &str) -> Result<String, String> {
    let mut helm = helm();
    helm.args(["template", "test", "--namespace", "port"]);
    let said = ["insecureIKnow", "existingSecret"];
    if !said.iter().any(|name| values.contains(name)) {
        helm.args(["--set", "insecureIKnow=true"]);
    }
    helm.args(["--values", "-"]);
    let output = told(helm.arg(chart), values);
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// Objects of a text of YAML.
pub fn objects(yaml: &str) -> Vec<Value> {
    let output = told(python("tests/helm/manifests.py").arg("show"), yaml);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a list")
}

/// Objects that the chart makes of these values.
pub fn rendered(values: &str) -> Vec<Value> {
    objects(&template(&chart(), values).unwrap_or_else(|why| panic!("{values}\n{why}")))
}

/// The one of a kind whose name ends so.
pub fn one<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| {
        object["kind"] == kind && object["metadata"]["name"].as_str().unwrap().ends_with(name)
    });
    let first = found.next();
    assert!(found.next().is_none(), "several {kind}s");
    first.unwrap_or_else(|| panic!("no {kind} …{name}"))
}

/// Values by the names of their files: those of `ci` and of the examples.
pub fn all_values() -> BTreeMap<String, String> {
    let examples = folders(&chart().join("examples"));
    let examples = examples
        .into_iter()
        .map(|folder| folder.join("values.yaml"));
    let files = folders(&chart().join("ci")).into_iter().chain(examples);
    let all: BTreeMap<_, _> = files
        .map(|path| {
            (
                path.display().to_string(),
                fs::read_to_string(path).unwrap(),
            )
        })
        .collect();
    assert!(all.len() >= 7, "{:?}", all.keys());
    all
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).expect("a folder");
    entries.map(|entry| entry.unwrap().path()).collect()
}
