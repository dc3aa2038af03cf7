//! The schema of the values: closed everywhere, and of the values that there are.

use crate::tools::{chart, objects};
use serde_json::{Value, json};
use std::fs;

fn schema() -> Value {
    let text = fs::read_to_string(chart().join("values.schema.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Paths of tables that take names which they do not list. What is all the user's, such
/// as labels, lists none.
fn open(at: &str, schema: &Value, found: &mut Vec<String>) {
    if schema.get("properties").is_some() && schema["additionalProperties"] != false {
        found.push(at.into());
    }
    for tables in ["properties", "$defs"] {
        let inner = schema[tables].as_object().into_iter().flatten();
        inner.for_each(|(name, inner)| open(&format!("{at}/{name}"), inner, found));
    }
    if let Some(items) = schema.get("items") {
        open(&format!("{at}/items"), items, found);
    }
}

#[test]
fn a_name_that_is_not_listed_is_refused_everywhere() {
    let mut found = Vec::new();
    open("", &schema(), &mut found);
    assert_eq!(found, Vec::<String>::new());
    let inner = json!({"items": {"properties": {}}});
    let leaky = json!({"properties": {"a": inner}, "additionalProperties": false});
    open("", &leaky, &mut found);
    assert_eq!(found, ["/a/items"]);
}

/// Paths of values that the schema has, and `values.yaml` has not.
fn untold(at: &str, schema: &Value, values: &Value, found: &mut Vec<String>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{at}.{name}");
        match values.get(name) {
            None => found.push(path),
            Some(values) => untold(&path, inner, values, found),
        }
    }
}

#[test]
fn every_value_is_in_the_file_of_values() {
    let values = fs::read_to_string(chart().join("values.yaml")).unwrap();
    let mut found = Vec::new();
    untold("", &schema(), &objects(&values)[0], &mut found);
    // The program's settings have their help there; what all charts share is Helm's.
    found.retain(|path| !path.starts_with(".config.") && path != ".global");
    let optional =
        ["kind", "name"].map(|name| format!(".autoscaling.keda.authenticationRef.{name}"));
    assert_eq!(found, optional);
}
