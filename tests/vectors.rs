//! Every published test vector of an identifier, valid and invalid, on the text
//! as it is.

use quaymeter::event::{container, enterprise, facility, truck, vessel};
use serde_json::Value;

/// The texts of one list of a file of vectors, with the entry they come from.
fn vectors(file: &str, list: &str) -> Vec<(String, Value)> {
    let path = format!(
        "{}/tests/fixtures/vectors/{file}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).expect("the fixture is there");
    let all: Value = serde_json::from_str(&text).expect("the fixture is JSON");
    let entries = all[list].as_array().expect("the list is there");
    assert!(!entries.is_empty());
    entries
        .iter()
        .map(|entry| (entry["n"].as_str().unwrap().to_owned(), entry.clone()))
        .collect()
}

fn check(file: &str, is_valid: impl Fn(&str) -> bool) {
    for (text, entry) in vectors(file, "valid") {
        assert!(is_valid(&text), "{file}: {entry} is valid");
    }
    for (text, entry) in vectors(file, "invalid") {
        assert!(!is_valid(&text), "{file}: {entry} is invalid");
    }
}

#[test]
fn container_numbers() {
    check("iso6346", container::is_number);
}

#[test]
fn container_numbers_with_separators_are_valid_once_normalised() {
    let number = container::normalise_number("CSQU 305438 3").unwrap();
    assert!(container::is_number(&number));
}

#[test]
fn invalid_container_numbers_are_refused_for_form_and_warned_for_the_check_digit() {
    for (text, entry) in vectors("iso6346", "invalid") {
        let why = entry["why"].as_str().unwrap();
        match container::normalise_number(&text) {
            None => assert!(
                why.contains("format") || why.contains("homoglyph"),
                "{entry}"
            ),
            Some(number) => {
                let wrong = !container::has_check_digit(&number);
                assert_eq!(wrong, why.starts_with("checksum"), "{entry}");
            }
        }
    }
}

#[test]
fn size_and_type_codes() {
    check("size_type", container::is_size_type);
}

#[test]
fn teu_of_valid_size_and_type_codes() {
    for (code, entry) in vectors("size_type", "valid") {
        let teu = container::teu_milli(&code, 2250).map(|milli| f64::from(milli) / 1000.0);
        assert_eq!(teu, entry["teu"].as_f64(), "{entry}");
    }
}

#[test]
fn teu_of_invalid_size_and_type_codes_follow_from_the_first_of_four_characters() {
    let expected = [None, None, Some(1000), None, Some(2000), Some(2000)];
    let found: Vec<_> = vectors("size_type", "invalid")
        .iter()
        .map(|(code, _)| container::teu_milli(code, 2250))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn imo_numbers() {
    check("imo", vessel::is_imo);
    assert!(!vessel::is_imo("0000000"));
}

#[test]
fn social_credit_codes() {
    check("uscc", |code| enterprise::judge_uscc(code).is_ok());
}

#[test]
fn social_credit_codes_with_a_wrong_check_character_say_so() {
    for (code, entry) in vectors("uscc", "invalid") {
        let said = enterprise::judge_uscc(&code) == Err(enterprise::Wrong::CheckCharacter);
        assert_eq!(
            said,
            entry["why"].as_str().unwrap().starts_with("check char"),
            "{entry}"
        );
    }
}

#[test]
fn plates() {
    check("cn_plate", truck::is_plate);
}

#[test]
fn locodes() {
    check("unlocode", |code| {
        facility::is_unlocode(code) && !facility::is_suspect(code)
    });
    assert!(facility::is_unlocode("CNZSN"));
}
