use super::*;
use crate::pseudonym::Kind;
use change::Refused;
use std::fs::{self, Permissions};

const PATH: &str = "pseudonym.keys";

fn parse(text: &str) -> Result<Pseudonyms, Error> {
    let path = Path::new(PATH);
    assemble(path, &lines(path, text)?)
}

/// A plate's pseudonym on a day.
fn plate(keys: &Pseudonyms, day: Day) -> String {
    let key = keys.in_force(day).key;
    key.pseudonym(Kind::Plate, "a").into()
}

fn fresh() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(PATH);
    (directory, path)
}

fn refused(done: Result<impl std::fmt::Debug, Error>) -> Refused {
    match done {
        Err(Error::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

const TODAY: Day = 20_786;

#[test]
fn a_made_file_is_private_and_gives_the_same_pseudonyms_again() {
    let (directory, path) = fresh();
    let first = plate(&Pseudonyms::load_or_create(&path).unwrap(), 0);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(plate(&Pseudonyms::load_or_create(&path).unwrap(), 0), first);
    let other = Pseudonyms::load_or_create(&directory.path().join("other")).unwrap();
    assert_ne!(plate(&other, 0), first);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn a_file_open_to_others_is_refused() {
    let (_directory, path) = fresh();
    Pseudonyms::load_or_create(&path).unwrap();
    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        for done in [
            Pseudonyms::load_or_create(&path).map(drop),
            rotate(&path, TODAY + 9, TODAY).map(drop),
            erase(&path, 1, TODAY, 35),
        ] {
            let error = done.unwrap_err();
            assert!(
                matches!(error, Error::Open { mode: found, .. } if found == mode),
                "{error}"
            );
        }
    }
}

#[test]
fn of_keys_without_a_day_the_highest_id_is_used() {
    let (old, new) = ("11".repeat(32), "22".repeat(32));
    let keys = parse(&format!("# c\n10 = {new}\n\n2={old}\n")).unwrap();
    assert_eq!(
        plate(&keys, 0),
        plate(&Pseudonyms::with_key(10, &[0x22; 32]), 0)
    );
    assert!(plate(&keys, TODAY).starts_with("p10:"));
    assert!(keys.knows(Pseudonyms::with_key(2, &[0x11; 32]).check()));
}

#[test]
fn malformed_lines_are_refused_by_number_and_never_printed() {
    let key = "3f".repeat(32);
    for bad in [
        format!("1 = {key}0"),
        format!("0 = {key}"),
        format!("a = {key}"),
        key.clone(),
        format!("1 = {}", "zz".repeat(32)),
        format!("1 = {key}\n1 = {key}"),
        format!("+1 = {key}"),
        format!("2 from = {key}"),
        format!("2 from 2026-13-01 = {key}"),
        format!("2 from 1969-12-31 = {key}"),
        format!("2 since 2026-12-01 = {key}"),
        format!("2 from 2026-12-01 3 = {key}"),
        format!("2 erased = {key}"),
        "2 erased = p1:AAAAAAAAAAAAAAAAAAAA".to_owned(),
    ] {
        let error = parse(&format!("# header\n{bad}")).unwrap_err();
        let Error::Malformed { line, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(line, 1 + bad.lines().count());
        assert!(!format!("{error} {error:?}").contains("3f3f"));
    }
    assert!(matches!(parse("# none\n"), Err(Error::Empty { .. })));
    let erased = "1 erased = p1:AAAAAAAAAAAAAAAAAAAA";
    assert!(matches!(parse(erased), Err(Error::Empty { .. })));
}

#[test]
fn keys_begin_in_the_order_of_their_ids() {
    let key = "3f".repeat(32);
    for (text, bad) in [
        (
            format!("1 = {key}\n3 = {key}\n2 from 2026-12-01 = {key}"),
            3,
        ),
        (
            format!("1 from 2026-12-02 = {key}\n2 from 2026-12-02 = {key}"),
            2,
        ),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(
            matches!(error, Error::Order { id, .. } if id == bad),
            "{error}"
        );
    }
}

#[test]
fn an_added_key_begins_on_its_day_and_changes_no_earlier_pseudonym() {
    let (directory, path) = fresh();
    let before = Pseudonyms::load_or_create(&path).unwrap();
    assert_eq!(rotate(&path, TODAY + 2, TODAY).unwrap(), 2);
    assert_eq!(rotate(&path, TODAY + 40, TODAY).unwrap(), 3);
    let keys = Pseudonyms::load(&path).unwrap();
    assert_eq!(plate(&keys, TODAY + 1), plate(&before, 0));
    assert!(plate(&keys, TODAY + 2).starts_with("p2:"));
    assert!(plate(&keys, TODAY + 39).starts_with("p2:"));
    assert!(plate(&keys, TODAY + 40).starts_with("p3:"));
    assert_eq!(keys.derive("tokens"), before.derive("tokens"));
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert!(fs::read_to_string(&path).unwrap().starts_with(HEADER));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_key_of_which_events_may_have_come_is_not_added() {
    let (_directory, path) = fresh();
    Pseudonyms::load_or_create(&path).unwrap();
    let text = fs::read(&path).unwrap();
    for from in [0, TODAY, TODAY + 1] {
        let (found, earliest) = (date(from), date(TODAY + 2));
        let expected = Refused::TooEarly { found, earliest };
        assert_eq!(refused(rotate(&path, from, TODAY)), expected);
    }
    assert_eq!(fs::read(&path).unwrap(), text);
    rotate(&path, TODAY + 9, TODAY).unwrap();
    let (found, earliest) = (date(TODAY + 9), date(TODAY + 10));
    assert_eq!(
        refused(rotate(&path, TODAY + 9, TODAY)),
        Refused::TooEarly { found, earliest }
    );
}

#[test]
fn a_key_is_erased_once_no_event_within_the_horizon_can_need_it() {
    let (_directory, path) = fresh();
    let first = Pseudonyms::load_or_create(&path).unwrap();
    let secret = fs::read_to_string(&path).unwrap();
    let secret = secret.lines().last().unwrap().split_once("= ").unwrap().1;
    assert_eq!(refused(erase(&path, 1, TODAY, 35)), Refused::Only { id: 1 });
    assert_eq!(
        refused(erase(&path, 7, TODAY, 35)),
        Refused::Unknown { id: 7 }
    );
    rotate(&path, TODAY + 2, TODAY).unwrap();
    assert_eq!(
        refused(erase(&path, 2, TODAY + 99, 35)),
        Refused::NotOldest { id: 2, oldest: 1 }
    );
    let day = TODAY + 2 + 35 + 2;
    let earliest = date(day);
    assert_eq!(
        refused(erase(&path, 1, day - 1, 35)),
        Refused::Needed { id: 1, earliest }
    );
    erase(&path, 1, day, 35).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains(secret));
    let keys = Pseudonyms::load(&path).unwrap();
    // The oldest that is left is in force on all earlier days, without one before.
    assert!(plate(&keys, 0).starts_with("p2:"));
    assert!(keys.in_force(TODAY + 2).before.is_none());
    // It is the same service's file still, but what came of the key is gone.
    assert_eq!(keys.check(), first.check());
    assert!(keys.knows(first.check()));
    assert_ne!(keys.derive("tokens"), first.derive("tokens"));
    assert_eq!(
        refused(erase(&path, 1, day, 35)),
        Refused::Unknown { id: 1 }
    );
    // Its id is never used again.
    assert_eq!(rotate(&path, day + 9, day).unwrap(), 3);
}

#[test]
fn days_and_dates_are_each_others() {
    for (text, of) in [("1970-01-01", 0), ("2026-11-29", 20_786)] {
        assert_eq!(day_of(text), Some(of));
        assert_eq!(date(of).to_string(), text);
    }
    assert_eq!(day_of("2026-02-30"), None);
}
