use super::chain::Head;
use super::files::{Error, Found, Limits, Writer};
use super::note::{Call, Refusal};
use super::record::{Change, Record};
use super::verify::{lines, verify};
use super::{Batch, COMMANDS, Counts, SERVICE, Trail};
use crate::pb::Reason;
use metrics::Counter;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const LIMITS: Limits = Limits {
    file_bytes: 2000,
    days: 10,
    bytes_max: 1 << 20,
};

fn open(directory: &Path) -> (Writer, Found) {
    Writer::open(directory, SERVICE, LIMITS).unwrap()
}

fn change(number: usize) -> Record {
    Record::Changed(Change::new("api_key", "create").with("id", number))
}

/// A chain of so many records but for those that open files, over a few files.
fn written(records: usize) -> (TempDir, Vec<PathBuf>) {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, found) = open(directory.path());
    assert_eq!(found, Found::Nothing);
    for number in 0..records {
        writer.append(&[change(number)]).unwrap();
    }
    drop(writer);
    let files = files(directory.path());
    (directory, files)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let files = super::files::list(directory, SERVICE).unwrap();
    files.into_iter().map(|(_, path)| path).collect()
}

fn faults(directory: &Path, heads: &[Head]) -> Vec<String> {
    verify(directory, SERVICE, heads).unwrap().unwrap().faults
}

fn kinds(directory: &Path) -> Vec<String> {
    let mut kinds = Vec::new();
    lines(directory, SERVICE, |_, line| kinds.push(line.kind.clone())).unwrap();
    kinds
}

#[test]
fn a_chain_goes_on_over_files_and_openings() {
    let (directory, first) = written(30);
    assert!(first.len() > 2, "{first:?}");
    let head = verify(directory.path(), SERVICE, &[])
        .unwrap()
        .unwrap()
        .head;
    let (mut writer, found) = open(directory.path());
    assert_eq!(found, Found::Whole { stopped: false });
    assert_eq!(writer.head(), head);
    writer.append(&[change(30), Record::Stopped]).unwrap();
    let last = writer.head();
    drop(writer);
    let report = verify(directory.path(), SERVICE, &[head, last])
        .unwrap()
        .unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    assert_eq!((report.before, report.head), (Head::START, last));
    assert_eq!(report.records, last.seq);
    assert_eq!(report.files, files(directory.path()).len());
    let (_, found) = open(directory.path());
    assert!(found.is_clean());
}

#[test]
fn a_chain_has_one_writer_and_commands_have_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let _writer = open(directory.path());
    let second = Writer::open(directory.path(), SERVICE, LIMITS);
    assert!(matches!(second, Err(Error::InUse { .. })));
    let (mut other, _) = Writer::open_in_turn(directory.path(), COMMANDS, LIMITS).unwrap();
    other.append(&[change(1)]).unwrap();
    assert!(
        verify(directory.path(), COMMANDS, &[])
            .unwrap()
            .unwrap()
            .faults
            .is_empty()
    );
}

#[test]
fn what_a_crash_left_half_written_is_cut_off_and_told() {
    let (directory, files) = written(30);
    let last = files.last().unwrap();
    let before = fs::read(last).unwrap();
    for part in [&b"{\"seq\":3"[..], b"\xff\xfe", b"{}"] {
        let mut file = File::options().append(true).open(last).unwrap();
        file.write_all(part).unwrap();
        assert!(!faults(directory.path(), &[]).is_empty());
        let (_, found) = open(directory.path());
        let bytes = part.len() as u64;
        assert_eq!(found, Found::Cut { bytes });
        assert_eq!(fs::read(last).unwrap(), before);
    }
    assert_eq!(faults(directory.path(), &[]), [""; 0]);
}

#[test]
fn a_file_that_has_no_whole_record_was_never_begun() {
    let (directory, files) = written(30);
    let next = directory.path().join("service-00000099.ndjson");
    for bytes in [&b""[..], b"{\"seq\":"] {
        fs::write(&next, bytes).unwrap();
        let (writer, found) = open(directory.path());
        assert_eq!(found, Found::Whole { stopped: false });
        assert_eq!(writer.current.path, *files.last().unwrap());
    }
    assert_eq!(faults(directory.path(), &[]), [""; 0]);
}

#[test]
fn a_write_that_failed_leaves_nothing() {
    let (directory, _) = written(0);
    let (mut writer, _) = open(directory.path());
    writer.append(&[change(1)]).unwrap();
    // As a write leaves it that came to no end.
    writer.current.file.write_all(b"{\"seq\":3").unwrap();
    writer.current.torn = true;
    writer.append(&[change(2)]).unwrap();
    assert_eq!(faults(directory.path(), &[]), [""; 0]);
    assert_eq!(kinds(directory.path()), ["opened", "changed", "changed"]);
}

#[test]
fn whatever_byte_is_changed_is_found_and_the_file_stays_as_it_is() {
    let (directory, files) = written(12);
    for path in &files {
        let bytes = fs::read(path).unwrap();
        for at in (0..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(path, &changed).unwrap();
            assert!(!faults(directory.path(), &[]).is_empty(), "byte {at}");
        }
        fs::write(path, &bytes).unwrap();
    }
    let last = files.last().unwrap();
    let changed = fs::read_to_string(last)
        .unwrap()
        .replacen("create", "revoke", 1);
    fs::write(last, &changed).unwrap();
    let (mut writer, found) = open(directory.path());
    assert!(
        matches!(&found, Found::Damaged { line: 2.., .. }),
        "{found:?}"
    );
    assert!(!found.is_clean());
    let told: Vec<Record> = found.into_record().into_iter().collect();
    writer.append(&told).unwrap();
    assert_eq!(fs::read_to_string(last).unwrap(), changed);
    // No fault but the one.
    assert_eq!(faults(directory.path(), &[]).len(), 1);
    assert_eq!(kinds(directory.path()).last().unwrap(), "damaged");
}

#[test]
fn a_file_that_is_gone_is_missed() {
    for gone in 0..2 {
        let (directory, files) = written(30);
        let head = verify(directory.path(), SERVICE, &[])
            .unwrap()
            .unwrap()
            .head;
        fs::remove_file(&files[gone]).unwrap();
        assert_eq!(faults(directory.path(), &[]).len(), 1);
        assert_eq!(faults(directory.path(), &[head]).len(), 1);
    }
    let (directory, files) = written(30);
    let head = verify(directory.path(), SERVICE, &[])
        .unwrap()
        .unwrap()
        .head;
    fs::remove_file(files.last().unwrap()).unwrap();
    // A chain without its end is whole: only a head that was noted tells.
    assert_eq!(faults(directory.path(), &[]), [""; 0]);
    assert_eq!(faults(directory.path(), &[head]).len(), 1);
}

#[test]
fn each_head_that_was_noted_must_be_met() {
    let (directory, _) = written(5);
    let report = verify(directory.path(), SERVICE, &[]).unwrap().unwrap();
    let good = report.head;
    let forged = Head {
        hash: [7; 32],
        ..good
    };
    assert_eq!(faults(directory.path(), &[good, good]), [""; 0]);
    for heads in [[good, forged], [forged, good]] {
        let told = format!("{forged} is none of its records");
        assert_eq!(faults(directory.path(), &heads), [told]);
    }
}

#[test]
fn the_oldest_files_go_when_there_are_too_many_and_a_record_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let few = Limits {
        bytes_max: 5000,
        ..LIMITS
    };
    let (mut writer, _) = Writer::open(directory.path(), SERVICE, few).unwrap();
    for number in 0..200 {
        writer.append(&[change(number)]).unwrap();
    }
    let kept = files(directory.path());
    let bytes: u64 = kept
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    assert!((4000..8000).contains(&bytes), "{bytes}");
    let report = verify(directory.path(), SERVICE, &[]).unwrap().unwrap();
    assert!(report.before.seq > 0);
    assert_eq!(report.faults, [""; 0]);
    fs::remove_file(&kept[0]).unwrap();
    let missing = faults(directory.path(), &[]);
    assert!(
        missing[0].contains("are missing, and no record says"),
        "{missing:?}"
    );
}

#[test]
fn a_file_goes_when_it_is_too_old() {
    let (directory, first) = written(30);
    let (mut writer, _) = open(directory.path());
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(11 * 86_400);
    let file = File::options().append(true).open(&first[0]).unwrap();
    file.set_modified(old).unwrap();
    for number in 0..20 {
        writer.append(&[change(number)]).unwrap();
    }
    assert!(!first[0].exists() && first[1].exists());
    assert_eq!(faults(directory.path(), &[]), [""; 0]);
}

fn counts() -> Counts {
    Counts {
        written: Counter::noop(),
        lost: Counter::noop(),
        damaged: Counter::noop(),
    }
}

#[test]
fn a_service_writes_down_what_it_is_told_before_it_stops() {
    let directory = tempfile::tempdir().unwrap();
    let trail = Trail::start_in(directory.path(), LIMITS, counts()).unwrap();
    let call = Call {
        caller: Some("line-a".into()),
        peer: Some([192, 0, 2, 7].into()),
        method: "GetThroughput",
    };
    for _ in 0..3 {
        trail.read(call.clone(), Some("{\"enterprises\":[\"E1\"]}".into()));
    }
    let refusal = Refusal {
        code: "Unauthenticated".into(),
        reason: "UNAUTHENTICATED".into(),
        cause: Some("key_revoked".into()),
    };
    trail.refused(call, refusal);
    let batch = Batch {
        accepted: 4,
        refused: 1,
        durable: true,
        reasons: &[(Reason::ContainerCheckDigit, 1)],
    };
    trail.sent("tos", &batch);
    trail.changed(Change::new("callers", "load").with("callers", 3));
    trail.stop();
    assert_eq!(faults(directory.path(), &[]), [""; 0]);
    let mut records = Vec::new();
    lines(directory.path(), SERVICE, |text, _| {
        records.push(serde_json::from_str::<Value>(text).unwrap());
    })
    .unwrap();
    let of = |kind: &str| {
        records
            .iter()
            .find(|record| record["kind"] == kind)
            .unwrap()
    };
    assert_eq!(of("started")["clean"], true);
    assert_eq!(of("read")["times"], 3);
    assert_eq!(of("read")["asked"], "{\"enterprises\":[\"E1\"]}");
    assert_eq!(of("refused")["cause"], "key_revoked");
    assert_eq!(of("refused")["peer"], "192.0.2.7");
    assert_eq!(of("sent")["accepted"], 4);
    assert_eq!(of("sent")["reasons"]["REASON_CONTAINER_CHECK_DIGIT"], 1);
    assert_eq!(of("changed")["callers"], "3");
    assert_eq!(records.last().unwrap()["kind"], "stopped");
}
