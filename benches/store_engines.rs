//! Which engine keeps the checkpoints: fjall or redb, under the store's own
//! pattern. Run it by `cargo bench --bench store_engines`.
//!
//! A million keys of 20 bytes with values of 30 to 150 bytes, over four tables,
//! are written once and overwritten five times in random order, in atomic
//! batches that are fsynced at their end. Then the process dies without closing
//! anything, and a second one opens what is there and reads all of it in order,
//! as a restart does. It prints one row per engine and batch size. Each phase is
//! a process of its own, so that processor time, bytes written and peak memory
//! belong to it alone; the first two say more than the clock on a busy machine.
//!
//! Settings by environment: `KEYS` (1000000), `BATCHES` (20000,200000),
//! `ENGINES` (fjall,redb,redb quick-repair).

use rand::{Rng as _, RngCore as _, SeedableRng as _, seq::SliceRandom as _};
use rand_chacha::ChaCha8Rng;
use redb::{ReadableDatabase as _, ReadableTable as _};
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const TABLES: [&str; 4] = ["ledger", "cells", "calls", "totals"];
const CACHE_BYTES: usize = 32 << 20;
const OVERWRITES: u64 = 5;

type Fallible<T> = Result<T, Box<dyn Error>>;

/// A put: table, key, value.
type Put = (usize, [u8; 20], Vec<u8>);

/// What both engines must do.
trait Engine {
    fn write(&self, batch: Vec<Put>) -> Fallible<()>;
    /// Entries and bytes of all tables, read in key order.
    fn scan(&self) -> Fallible<(u64, u64)>;
}

struct Fjall {
    database: fjall::Database,
    tables: Vec<fjall::Keyspace>,
}

impl Fjall {
    fn open(dir: &Path) -> Fallible<Self> {
        let database = fjall::Database::builder(dir)
            .cache_size(CACHE_BYTES as u64)
            .max_journaling_size(128 << 20)
            .open()?;
        let tables = TABLES
            .iter()
            .map(|name| {
                database.keyspace(name, || {
                    fjall::KeyspaceCreateOptions::default().max_memtable_size(16 << 20)
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { database, tables })
    }
}

impl Engine for Fjall {
    fn write(&self, batch: Vec<Put>) -> Fallible<()> {
        let mut out = self
            .database
            .batch()
            .durability(Some(fjall::PersistMode::SyncAll));
        for (table, key, value) in batch {
            out.insert(&self.tables[table], key, value);
        }
        Ok(out.commit()?)
    }

    fn scan(&self) -> Fallible<(u64, u64)> {
        let mut sum = (0, 0);
        for table in &self.tables {
            for entry in table.iter() {
                let (key, value) = entry.into_inner()?;
                sum = (sum.0 + 1, sum.1 + (key.len() + value.len()) as u64);
            }
        }
        Ok(sum)
    }
}

struct Redb {
    database: redb::Database,
    quick_repair: bool,
}

impl Redb {
    fn open(dir: &Path, quick_repair: bool) -> Fallible<Self> {
        let database = redb::Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create(dir.join("store.redb"))?;
        Ok(Self {
            database,
            quick_repair,
        })
    }

    fn table(index: usize) -> redb::TableDefinition<'static, &'static [u8], &'static [u8]> {
        redb::TableDefinition::new(TABLES[index])
    }
}

impl Engine for Redb {
    fn write(&self, mut batch: Vec<Put>) -> Fallible<()> {
        batch.sort_unstable_by_key(|put| (put.0, put.1));
        let mut transaction = self.database.begin_write()?;
        transaction.set_quick_repair(self.quick_repair);
        for index in 0..TABLES.len() {
            let mut table = transaction.open_table(Self::table(index))?;
            for (_, key, value) in batch.iter().filter(|put| put.0 == index) {
                table.insert(&key[..], &value[..])?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn scan(&self) -> Fallible<(u64, u64)> {
        let transaction = self.database.begin_read()?;
        let mut sum = (0, 0);
        for index in 0..TABLES.len() {
            for entry in transaction.open_table(Self::table(index))?.iter()? {
                let (key, value) = entry?;
                let bytes = (key.value().len() + value.value().len()) as u64;
                sum = (sum.0 + 1, sum.1 + bytes);
            }
        }
        Ok(sum)
    }
}

fn open(engine: &str, dir: &Path) -> Fallible<Box<dyn Engine>> {
    Ok(match engine {
        "fjall" => Box::new(Fjall::open(dir)?),
        "redb" => Box::new(Redb::open(dir, false)?),
        "redb quick-repair" => Box::new(Redb::open(dir, true)?),
        other => return Err(format!("no engine {other}").into()),
    })
}

/// A key as the cells have it: day and names in front, so neighbours are alike.
fn key(number: u64) -> (usize, [u8; 20]) {
    let mut key = [0; 20];
    key[..4].copy_from_slice(&((number / 25_000) as u32).to_be_bytes());
    key[4..8].copy_from_slice(&((number % 151) as u32).to_be_bytes());
    key[12..].copy_from_slice(&number.to_be_bytes());
    ((number % TABLES.len() as u64) as usize, key)
}

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn write_phase(engine: &str, dir: &Path, keys: u64, batch: usize) -> Fallible<String> {
    let store = open(engine, dir)?;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut numbers: Vec<u64> = (0..keys).collect();
    let mut took = Vec::new();
    for _ in 0..=OVERWRITES {
        numbers.shuffle(&mut random);
        for chunk in numbers.chunks(batch) {
            let puts = chunk.iter().map(|&number| {
                let (table, key) = key(number);
                let mut value = vec![0; random.random_range(30..=150)];
                random.fill_bytes(&mut value);
                (table, key, value)
            });
            let puts = puts.collect();
            let start = Instant::now();
            store.write(puts)?;
            took.push(start.elapsed().as_secs_f64());
        }
    }
    let total: f64 = took.iter().sum();
    took.sort_by(f64::total_cmp);
    let row = format!(
        "{:.0} | {:.0} | {:.0} | {:.1} | {} | {} | {:.0}",
        (keys * (OVERWRITES + 1)) as f64 / total / 1e3,
        took[took.len() / 2] * 1e3,
        took[took.len() - 1] * 1e3,
        cpu_s()?,
        of_process("io", "write_bytes:")? >> 20,
        of_process("status", "VmHWM:")? >> 10,
        disk_bytes(dir)? as f64 / (1 << 20) as f64,
    );
    std::mem::forget(store);
    Ok(row)
}

fn scan_phase(engine: &str, dir: &Path, keys: u64) -> Fallible<String> {
    let start = Instant::now();
    let store = open(engine, dir)?;
    let opened = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let (entries, bytes) = store.scan()?;
    if entries != keys {
        return Err(format!("{entries} entries instead of {keys}").into());
    }
    Ok(format!(
        "{opened:.2} | {:.2} | {} | {:.0}",
        start.elapsed().as_secs_f64(),
        of_process("status", "VmHWM:")? >> 10,
        bytes as f64 / (1 << 20) as f64,
    ))
}

/// A number that the kernel tells of this process.
fn of_process(file: &str, name: &str) -> Fallible<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/{file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    Ok(number.ok_or("not told")?.parse()?)
}

/// Processor time of this process so far.
fn cpu_s() -> Fallible<f64> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = text.rsplit_once(')').ok_or("not told")?;
    // User and system time are the 14th and 15th field, in hundredths.
    let ticks = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}

/// Allocated bytes, not lengths: files with holes count as what they take.
fn disk_bytes(dir: &Path) -> Fallible<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        sum += match entry.metadata()? {
            found if found.is_dir() => disk_bytes(&entry.path())?,
            found => found.blocks() * 512,
        };
    }
    Ok(sum)
}

/// Runs one phase in a process of its own; it ends without closing anything.
fn phase(phase: &str, engine: &str, dir: &Path, batch: usize) -> Fallible<String> {
    let out = Command::new(std::env::current_exe()?)
        .env("PHASE", phase)
        .env("ENGINE", engine)
        .env("DIR", dir)
        .env("BATCH", batch.to_string())
        .output()?;
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).into());
    }
    Ok(String::from_utf8(out.stdout)?)
}

fn main() -> Fallible<()> {
    let keys = setting("KEYS", "1000000").parse()?;
    if let Ok(phase) = std::env::var("PHASE") {
        let engine = std::env::var("ENGINE")?;
        let dir = std::env::var("DIR")?;
        let row = match phase.as_str() {
            "write" => write_phase(&engine, dir.as_ref(), keys, setting("BATCH", "").parse()?)?,
            _ => scan_phase(&engine, dir.as_ref(), keys)?,
        };
        print!("{row}");
        return Ok(());
    }
    println!(
        "engine | batch | 1000 puts/s | median ms | longest ms | CPU s | written MiB | peak MiB \
         | disk MiB | open s | scan s | peak MiB | live MiB"
    );
    for batch in setting("BATCHES", "20000,200000").split(',') {
        let batch = batch.parse()?;
        for engine in setting("ENGINES", "fjall,redb,redb quick-repair").split(',') {
            let dir = tempfile::tempdir_in(".")?;
            let write = phase("write", engine, dir.path(), batch)?;
            let scan = phase("scan", engine, dir.path(), batch)?;
            println!("{engine} | {batch} | {write} | {scan}");
        }
    }
    Ok(())
}
