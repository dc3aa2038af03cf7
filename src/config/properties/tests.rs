//! What is a property, what is refused, and that no value is ever told.

use super::*;
use proptest::prelude::*;

fn read(text: &str) -> (Properties, Vec<Fault>) {
    let mut properties = Properties::default();
    let faults = properties.read(text);
    (properties, faults)
}

fn pairs(properties: &Properties) -> Vec<(&str, &str)> {
    properties.iter().collect()
}

#[test]
fn a_line_is_a_key_and_a_value_and_comments_are_passed_over() {
    let text = "# TLS\n\nsecurity.protocol = sasl_ssl\n  sasl.password=p=#1 \n\tlog_level = 3\r\n";
    let (properties, faults) = read(text);
    assert_eq!(faults, []);
    let expected = [
        ("log_level", "3"),
        ("sasl.password", "p=#1"),
        ("security.protocol", "sasl_ssl"),
    ];
    assert_eq!(pairs(&properties), expected);
}

#[test]
fn each_line_that_is_no_property_is_a_fault_that_tells_only_its_name() {
    let text =
        "hunter2\nMIIEvQIBADAN= x\nclient.rack = a\nclient.rack = b\nACKS=0\nacks = 0\n= hunter2\n";
    let (properties, faults) = read(text);
    assert_eq!(pairs(&properties), [("client.rack", "a")]);
    let told: Vec<_> = faults
        .iter()
        .map(|fault| (fault.line, &*fault.name))
        .collect();
    let expected = [
        (1, "a line"),
        (2, "a line"),
        (4, "client.rack"),
        (5, "a line"),
        (6, "acks"),
        (7, "a line"),
    ];
    assert_eq!(told, expected);
    assert_eq!(faults[4].found, "a property that is not free");
}

#[test]
fn what_the_design_fixes_is_refused() {
    for (name, instead) in FIXED {
        let refused = Properties::default().set(name, "x");
        assert_eq!(refused, Err(("a property that is not free", *instead)));
    }
    for free in ["sasl.password", "linger.ms", "client.id"] {
        assert_eq!(Properties::default().set(free, "x"), Ok(()));
    }
}

#[test]
fn those_that_come_later_win() {
    let (mut first, _) = read("client.rack = a\nlinger.ms = 3");
    first.extend(read("client.rack = b").0);
    assert_eq!(pairs(&first), [("client.rack", "b"), ("linger.ms", "3")]);
}

#[test]
fn a_value_that_is_part_of_another_leaves_nothing_of_it() {
    let (properties, _) = read("sasl.username = quay\nsasl.password = quay-secret\nlinger.ms = 5");
    let told = properties.hide("login quay/quay-secret failed after 5 ms");
    assert_eq!(told, "login (hidden)/(hidden) failed after 5 ms");
}

proptest! {
    /// In letters that none of our own words has four of.
    #[test]
    fn no_value_is_told(
        value in "[A-Z#=!/+]{4,40}",
        before in "[ -~]{0,20}",
        after in "[ -~]{0,20}",
        name in prop::sample::select(vec!["sasl.password", "ssl.key.pem", "acks", "Bad Name"]),
    ) {
        let (properties, faults) = read(&format!("{name} = {value}"));
        let debug = format!("{properties:?} {faults:?}");
        prop_assert!(!debug.contains(&value), "{debug}");
        let told = properties.hide(&format!("{before}{value}{after}"));
        prop_assert_eq!(told.contains(&value), !faults.is_empty(), "{}", told);
    }
}
