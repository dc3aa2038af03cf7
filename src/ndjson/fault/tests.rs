use crate::ndjson::{Line, Refusal};
use crate::pb;

/// An event that names a truck and a driver.
const LINE: &str = r#"{"eventId":"a","revision":7,"occurredAt":"2026-01-20T14:15:00Z","facility":"CNNBO/BLCT2","parties":[{"role":"ROLE_FLEET","enterprise":"ygt:F1"}],"gateMove":{"direction":"GATE_DIRECTION_IN","tractorPlate":"浙B8QX71","driverRef":"zhangwei","visitRef":"330206"}}"#;

/// What no refusal may tell, of that line and of what is put into it.
const SECRETS: [&str; 3] = ["8QX71", "zhangwei", "330206"];

/// What stands in that line, what in its place, and what is told: the field, what was found,
/// and how that begins which was expected.
const CHANGES: &str = r#"
"zhangwei" | 330206 | gateMove.driverRef | a number | a string
"zhangwei" | null | gateMove.driverRef | null | a string
"浙B8QX71" | ["浙B8QX71"] | gateMove.tractorPlate | an array | a string
{"direction" | "zhangwei","visit":{"direction" | gateMove | text | an object
"GATE_DIRECTION_IN" | "zhangwei" | gateMove.direction | text | one of: GATE_DIRECTION_
"GATE_DIRECTION_IN" | 330206 | gateMove.direction | a number | one of: ["GATE_DIRECTION_
"ROLE_FLEET" | "zhangwei" | parties[0].role | text | one of: ROLE_
[{ | [330206,{ | parties[0] | a number | an object
[{"role":"ROLE_FLEET","enterprise":"ygt:F1"}] | "zhangwei" | parties | text | a sequence
:7, | :"zhangwei", | revision | text | a whole number
:7, | :{"zhangwei":330206}, | revision | an object | a whole number
:7, | :33020633020633020633, | revision | a number | a whole number
"2026-01-20T14:15:00Z" | "zhangwei" | occurredAt | text | a date and time with an offset
"2026-01-20T14:15:00Z" | 330206 | occurredAt | a number | a date and time with an offset
visitRef | zhangwei | gateMove | a field of another name | one of: direction, containers, tractorPlate
"facility" | "浙B8QX71" | line | a field of another name | one of: eventId, revision, retracted
visitRef | driver_ref | gateMove.driverRef | a second one | each field once
"gateMove" | "portService":{},"gateMove" | gateMove | a second one | each field once
"#;

fn read(text: &str) -> Result<pb::Event, Refusal> {
    let line = Line {
        number: 1,
        text: text.into(),
        too_long: false,
        input_bytes: text.len() as u64,
    };
    line.event()
}

fn refused(text: &str) -> Refusal {
    read(text).expect_err(text)
}

#[test]
fn json_that_is_no_event_is_told_by_the_field_and_no_value() {
    assert!(read(LINE).is_ok());
    for change in CHANGES.trim().lines() {
        let parts: Vec<_> = change.split(" | ").collect();
        let [old, new, field, found, expected] = parts[..] else {
            panic!("{change}");
        };
        assert_eq!(LINE.matches(old).count(), 1, "{old}");
        let refusal = refused(&LINE.replace(old, new));
        assert_eq!(refusal.field, field, "{change}");
        let (told, column) = refusal.found.rsplit_once(" at column ").expect(change);
        assert_eq!(told, found, "{change}");
        assert!(column.parse::<usize>().is_ok(), "{refusal}");
        assert!(refusal.expected.starts_with(expected), "{refusal}");
    }
}

#[test]
fn of_several_faults_the_first_is_told_with_its_column() {
    let refusal = refused(r#"{"revision":"zhangwei","facility":330206}"#);
    let told = (&*refusal.field, &*refusal.found);
    assert_eq!(told, ("revision", "text at column 22"));
}

#[test]
fn what_is_no_json_is_told_by_its_column() {
    for (text, field, found, said) in [
        ("zhangwei", "column 1", "no JSON", "expected value"),
        ("{\"a\":zhangwei}", "column 6", "no JSON", "expected value"),
        (
            "{\"eventId\":\"zhangwei\"",
            "column 21",
            "the end",
            "EOF while parsing an object",
        ),
        (
            "{}{\"zhangwei",
            "column 3",
            "no JSON",
            "trailing characters",
        ),
    ] {
        let refusal = refused(text);
        let told = (&*refusal.field, &*refusal.found);
        assert_eq!(told, (field, found));
        let expected = format!("an event in the proto's JSON form ({said})");
        assert_eq!(refusal.expected, expected);
    }
    for (text, found) in [("330206", "a number"), ("[]", "an array")] {
        let refusal = refused(text);
        let told = (&*refusal.field, &*refusal.expected);
        assert_eq!(told, ("line", "an object"));
        assert!(refusal.found.starts_with(found), "{refusal}");
    }
}

/// Wherever it is cut off, and whatever stands where.
#[test]
fn no_refusal_repeats_anything_of_its_line() {
    let ends = (0..LINE.len()).filter(|&end| LINE.is_char_boundary(end));
    let mut broken: Vec<String> = ends.map(|end| LINE[..end].into()).collect();
    for (at, _) in LINE.match_indices([':', ',', '{', '[']) {
        let (before, after) = LINE.split_at(at + 1);
        for secret in [
            "\"zhangwei\"",
            "330206",
            "浙B8QX71",
            "{\"zhangwei\":330206}",
        ] {
            broken.extend(["", ",", ":"].map(|then| format!("{before}{secret}{then}{after}")));
        }
    }
    let mut refusals = 0;
    for refusal in broken.iter().filter_map(|text| read(text).err()) {
        refusals += 1;
        let told = refusal.to_string();
        for secret in SECRETS {
            assert!(!told.contains(secret), "{told}");
        }
    }
    assert!(refusals > 400, "only {refusals}");
}
