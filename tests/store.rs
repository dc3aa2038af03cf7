//! The checkpoint store: whole batches or none, in order, and back after a kill.

use quaymeter::store::snapshot::Snapshot;
use quaymeter::store::{Batch, Error, KEY_BYTES_MAX, Store, Table};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tempfile::{TempDir, tempdir};

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn entries(store: &Store, table: Table) -> Entries {
    let found = store.scan(table).map(|entry| {
        let (key, value) = entry.unwrap();
        (key.to_vec(), value.to_vec())
    });
    found.collect()
}

#[test]
fn a_batch_is_read_back_in_key_order_after_reopening() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut batch = Batch::new();
    batch.put(Table::Cells, b"b", Some(b"2"));
    batch.put(Table::Cells, b"a\xff", Some(b""));
    batch.put(Table::Cells, b"a", Some(b"1"));
    batch.put(Table::Meta, b"a", Some(b"other table"));
    store.write(batch).unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let expected: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"a\xff", b""), (b"b", b"2")];
    let expected = expected.map(|(key, value)| (key.to_vec(), value.to_vec()));
    assert_eq!(entries(&store, Table::Cells), expected);
    assert_eq!(
        store.get(Table::Meta, b"a").unwrap().as_deref(),
        Some(&b"other table"[..])
    );
    assert_eq!(store.get(Table::Meta, b"b").unwrap(), None);
}

#[test]
fn a_put_without_a_value_removes_the_key() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut batch = Batch::new();
    batch.put(Table::Ledger, b"gone", Some(b"1"));
    batch.put(Table::Ledger, b"stays", Some(b"1"));
    store.write(batch).unwrap();
    let mut batch = Batch::new();
    batch.put(Table::Ledger, b"gone", None);
    batch.put(Table::Ledger, b"never there", None);
    store.write(batch).unwrap();
    assert_eq!(store.get(Table::Ledger, b"gone").unwrap(), None);
    assert_eq!(
        entries(&store, Table::Ledger),
        [(b"stays".to_vec(), b"1".to_vec())]
    );
}

#[test]
fn of_two_puts_of_a_key_in_a_batch_the_last_counts() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut batch = Batch::new();
    batch.put(Table::Totals, b"set", Some(b"first"));
    batch.put(Table::Totals, b"removed", Some(b"first"));
    batch.put(Table::Totals, b"removed", None);
    batch.put(Table::Totals, b"set", None);
    batch.put(Table::Totals, b"set", Some(b"last"));
    store.write(batch).unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(
        entries(&store, Table::Totals),
        [(b"set".to_vec(), b"last".to_vec())]
    );
}

#[test]
fn a_key_that_no_table_can_hold_is_refused_and_nothing_is_written() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for length in [0, KEY_BYTES_MAX + 1] {
        let mut batch = Batch::new();
        batch.put(Table::Names, b"good", Some(b"1"));
        batch.put(Table::Calls, &vec![7; length], Some(b"1"));
        let refused = store.write(batch).unwrap_err();
        assert!(matches!(refused, Error::Key { table: Table::Calls, bytes } if bytes == length));
    }
    assert_eq!(store.get(Table::Names, b"good").unwrap(), None);
    let mut batch = Batch::new();
    batch.put(Table::Calls, &vec![7; KEY_BYTES_MAX], Some(b"1"));
    store.write(batch).unwrap();
}

#[test]
fn an_open_store_is_not_opened_again() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let Err(refused) = Store::open(dir.path()) else {
        panic!("opened twice");
    };
    assert!(
        refused
            .to_string()
            .contains(&dir.path().display().to_string())
    );
    drop(store);
    Store::open(dir.path()).unwrap();
}

/// Enough that some batches are written out of the buffers meanwhile.
const KEYS: u64 = 400;
const VALUE_BYTES: usize = 4_096;
const CHILD_DIR: &str = "QUAYMETER_TEST_STORE_DIR";

/// Sets all keys of all tables to the batch's number but one key, another each
/// time, which it removes.
fn numbered(number: u64) -> Batch {
    let mut batch = Batch::new();
    for table in Table::ALL {
        for key in 0..KEYS {
            let mut value = number.to_be_bytes().to_vec();
            value.resize(VALUE_BYTES, 0);
            let value = (key != number % KEYS).then_some(&value[..]);
            batch.put(table, &key.to_be_bytes(), value);
        }
    }
    batch
}

fn write_until_killed(dir: &Path) {
    let store = Store::open(dir).unwrap();
    let mut number = last_number(&store);
    loop {
        number += 1;
        println!("writing {number}");
        store.write(numbered(number)).unwrap();
        println!("wrote {number}");
    }
}

/// The number of the last batch; 0 if there was none. All tables must agree.
fn last_number(store: &Store) -> u64 {
    let tables: BTreeMap<Table, Entries> = Table::ALL
        .into_iter()
        .map(|table| (table, entries(store, table)))
        .collect();
    let Some((_, value)) = tables[&Table::Totals].first() else {
        assert!(
            tables.values().all(Vec::is_empty),
            "half of the first batch"
        );
        return 0;
    };
    let number = u64::from_be_bytes(value[..8].try_into().unwrap());
    for (table, entries) in tables {
        assert_eq!(entries.len() as u64, KEYS - 1, "{table:?}");
        for (key, value) in entries {
            let found = u64::from_be_bytes(value[..8].try_into().unwrap());
            assert_eq!(found, number, "{table:?} {key:?}");
            assert_ne!(key, (number % KEYS).to_be_bytes(), "{table:?}");
        }
    }
    number
}

/// Runs this test in a child and kills it while it writes a batch; says which
/// batch it told of last.
fn kill_during(dir: &Path, batch: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_killed_writer_leaves_whole_batches_only",
            "--nocapture",
        ])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut begun, mut told) = (0, 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((_, number)) = line.split_once("wrote ") {
            told = number.parse().unwrap();
        }
        begun += usize::from(line.contains("writing "));
        if begun == batch {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(begun, batch, "the child ended by itself");
    told
}

#[test]
fn a_killed_writer_leaves_whole_batches_only() {
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        return write_until_killed(Path::new(&dir));
    }
    let dir = tempdir().unwrap();
    for batch in 1..=6 {
        let told = kill_during(dir.path(), batch);
        let found = last_number(&Store::open(dir.path()).unwrap());
        assert!(found >= told, "told of batch {told}, found {found}");
    }
    assert!(last_number(&Store::open(dir.path()).unwrap()) >= 15);
}

#[test]
fn a_store_that_is_read_is_opened_again_once_the_reading_is_over() {
    let dir = tempdir().unwrap();
    let store = Arc::new(Store::open(dir.path()).unwrap());
    let mut batch = Batch::new();
    batch.put(Table::Cells, b"a", Some(b"1"));
    batch.put(Table::Cells, b"b", Some(b"2"));
    store.write(batch).unwrap();
    let mut reading = store.range(Table::Cells, b"a", b"c");
    assert!(reading.next().unwrap().is_ok());
    let (tell, opened) = mpsc::channel();
    let reopening = std::thread::spawn({
        let store = Arc::clone(&store);
        move || tell.send(store.reopen())
    });
    // The engine's lock would refuse it while a reader has the engine.
    let early = opened.recv_timeout(Duration::from_millis(200));
    assert!(early.is_err(), "opened beside a reader: {early:?}");
    assert!(reading.next().unwrap().is_ok());
    drop(reading);
    opened.recv().unwrap().unwrap();
    reopening.join().unwrap().unwrap();
    assert_eq!(entries(&store, Table::Cells).len(), 2);
}

#[test]
fn a_snapshot_is_of_one_moment_and_ends_when_the_store_is_opened_again() {
    let dir = tempdir().unwrap();
    let store = Arc::new(Store::open(dir.path()).unwrap());
    let put = |value: &[u8]| {
        let mut batch = Batch::new();
        for key in [b"a", b"b"] {
            batch.put(Table::Cells, key, Some(value));
        }
        store.write(batch).unwrap();
    };
    put(b"1");
    let snapshot = store.snapshot().unwrap();
    put(b"2");
    let first = snapshot.page(Table::Cells, None, 1).unwrap();
    assert_eq!(first, [(b"a"[..].into(), b"1"[..].into())]);
    let rest = snapshot.page(Table::Cells, Some(b"a"), 1).unwrap();
    assert_eq!(rest, [(b"b"[..].into(), b"1"[..].into())]);
    // Neither who has a snapshot nor who gives one back is waited for.
    store.reopen().unwrap();
    let page = |of: &Snapshot| of.page(Table::Cells, None, usize::MAX);
    let ended = page(&snapshot).unwrap_err();
    assert!(matches!(ended, Error::Reopened { .. }), "{ended}");
    let next = store.snapshot().unwrap();
    drop(snapshot);
    put(b"3");
    assert_eq!(&*page(&next).unwrap()[0].1, b"2");
}

#[test]
fn a_snapshot_is_given_back_while_the_store_waits_to_be_opened_again() {
    let dir = tempdir().unwrap();
    let store = Arc::new(Store::open(dir.path()).unwrap());
    let snapshot = store.snapshot().unwrap();
    let reading = store.scan(Table::Cells);
    let (tell, opened) = mpsc::channel();
    let reopening = std::thread::spawn({
        let store = Arc::clone(&store);
        move || tell.send(store.reopen())
    });
    let (given, back) = mpsc::channel();
    std::thread::spawn(move || {
        drop(snapshot);
        given.send(())
    });
    back.recv_timeout(Duration::from_secs(60)).unwrap();
    drop(reading);
    opened.recv().unwrap().unwrap();
    reopening.join().unwrap().unwrap();
    assert_eq!(
        store
            .snapshot()
            .unwrap()
            .page(Table::Cells, None, 1)
            .unwrap(),
        []
    );
}

#[test]
fn a_slice_has_what_was_put_there_and_nothing_of_its_neighbours() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let slices = [0, 1, 255, 256, u16::MAX].map(|number| store.slice(number));
    for (n, slice) in slices.iter().enumerate() {
        let mut batch = Batch::new();
        for key in [&[0][..], b"key", &[u8::MAX; 9]] {
            batch.put(Table::Cells, key, Some(&[n as u8]));
        }
        batch.put(Table::Cells, b"gone", Some(b"x"));
        batch.put(Table::Cells, b"gone", None);
        slice.write_soon(batch).unwrap();
    }
    let reopened = |n: usize| {
        let value = vec![n as u8];
        let keys = [vec![0], b"key".to_vec(), vec![u8::MAX; 9]];
        keys.map(|key| (key, value.clone())).to_vec()
    };
    for (n, slice) in slices.iter().enumerate() {
        assert_eq!(entries(slice, Table::Cells), reopened(n), "slice {n}");
        assert_eq!(
            slice.get(Table::Cells, b"key").unwrap().as_deref(),
            Some(&[n as u8][..])
        );
        assert_eq!(slice.get(Table::Cells, b"gone").unwrap(), None);
        let some = slice.range(Table::Cells, b"k", b"l");
        assert_eq!(some.count(), 1);
    }
    assert_eq!(store.slice(7).scan(Table::Cells).count(), 0);
}

/// The files of a store, and what is in them; of its journals what is used.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            let mut bytes = std::fs::read(&path).unwrap();
            if path.extension().is_some_and(|of| of == "jnl") {
                let unused = bytes.iter().rev().take_while(|byte| **byte == 0).count();
                bytes.truncate(bytes.len() - unused);
            }
            all.push((path, bytes));
        }
    }
    all.sort();
    all
}

/// A copy of it with one file changed.
fn with(files: &[(PathBuf, Vec<u8>)], from: &Path, changed: &Path, bytes: &[u8]) -> TempDir {
    let copy = tempdir().unwrap();
    for (path, content) in files {
        let to = copy.path().join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        let content = if path == changed { bytes } else { content };
        std::fs::write(to, content).unwrap();
    }
    copy
}

/// A small store, closed.
fn small() -> TempDir {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for number in 0..20_u8 {
        let mut batch = Batch::new();
        for table in Table::ALL {
            batch.put(table, &[number], Some(&[number; 40]));
        }
        store.write(batch).unwrap();
    }
    drop(store);
    dir
}

/// It opens, or says what is wrong with which store.
fn opens_or_tells(dir: &Path) {
    if let Err(error) = Store::open(dir) {
        let told = error.to_string();
        assert!(told.contains(dir.to_str().unwrap()), "{told}");
        let is_damaged = matches!(error, Error::Damaged { .. });
        assert!(
            !is_damaged || told.contains("counted anew from the log"),
            "{told}"
        );
    }
}

/// Opens the store in a process of its own: whether that process lived.
fn lives_through_opening(dir: &Path) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_store_that_is_opened_elsewhere"]);
    child
        .env(OPENED_DIR, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = child.status().unwrap();
    assert_ne!(status.code(), Some(101), "it panicked");
    status.success()
}

const OPENED_DIR: &str = "QUAYMETER_TEST_STORE_OPENED";

#[test]
fn a_store_that_is_opened_elsewhere() {
    // Only as a child.
    if let Some(dir) = std::env::var_os(OPENED_DIR) {
        opens_or_tells(Path::new(&dir));
    }
}

#[test]
fn a_folder_that_is_none_of_a_store_is_told_before_the_engine_dies_of_it() {
    let dir = small();
    for stray in ["keyspaces/lost+found", "7.jnl"] {
        let stray = dir.path().join(stray);
        std::fs::create_dir(&stray).unwrap();
        let error = Store::open(dir.path()).err().expect("it opened");
        let told = error.to_string();
        assert!(matches!(error, Error::Damaged { .. }), "{told}");
        assert!(
            told.contains("none of a store") && told.contains("counted anew"),
            "{told}"
        );
        std::fs::remove_dir(&stray).unwrap();
    }
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(entries(&store, Table::Cells).len(), 20);
}

#[test]
fn a_damaged_store_opens_or_is_told_or_leaves_a_mark() {
    let dir = small();
    let files = files(dir.path());
    let journals = |path: &Path| path.extension().is_some_and(|of| of == "jnl");
    let keyspace = dir.path().join("keyspaces/1");
    let some = files.iter().filter(|(path, whole)| {
        !whole.is_empty() && (journals(path) || path.starts_with(&keyspace))
    });
    for (path, whole) in some {
        // Beginnings are dense: there are lengths and numbers.
        let dense = (0..whole.len().min(DENSE_BYTES)).step_by(DENSE_STEP);
        let rest = (DENSE_BYTES..whole.len()).step_by(whole.len() / 4 + 1);
        for at in dense.chain(rest) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            let copy = with(&files, dir.path(), path, &bytes);
            let mark = copy.path().with_extension("opening");
            let lived = lives_through_opening(copy.path());
            assert_eq!(mark.exists(), !lived, "byte {at} of {}", path.display());
            let _ = std::fs::remove_file(mark);
        }
    }
}

/// How much of a file is its beginning, and how dense it is damaged there.
const DENSE_BYTES: usize = 48;
const DENSE_STEP: usize = 6;
