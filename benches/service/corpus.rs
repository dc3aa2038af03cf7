//! The load: simulated days, one after the other, encoded ahead of time into
//! files, with what each of them truly comes to.

use crate::chunk::{CHUNK_EVENTS, Chunk};
use crate::codec::EVENTS_TAG;
use crate::totals::Totals;
use anyhow::Context as _;
use jiff::{Timestamp, tz::TimeZone};
use prost::Message as _;
use prost::bytes::{Buf as _, Bytes};
use quaymeter::simulate::{Options, Rates, SOURCES, Sent, Simulation};
use quaymeter::truth::Truth;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

pub const DAY_MS: i64 = 86_400_000;

/// The first day is this long ago: the service is started with a correction
/// horizon that reaches further back.
const DAYS_BACK: i64 = 390;

/// Most days there can be: all end before now.
pub const DAYS_MAX: usize = DAYS_BACK as usize - 1;

/// What one day was meant to come to.
pub struct Meant {
    /// Events sent, each sending counted.
    pub sent: u64,
    /// Distinct events.
    pub distinct: u64,
    /// Encoded bytes.
    pub bytes: u64,
    /// Figures.
    pub totals: Totals,
}

/// Days of load.
pub struct Corpus {
    dir: PathBuf,
    events_per_day: u32,
    start_ms: i64,
    zone: TimeZone,
    days: Vec<Meant>,
    enterprises: Vec<String>,
}

impl Corpus {
    /// No days yet.
    pub fn new(dir: &Path, events_per_day: u32) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
        let zone = TimeZone::get("Asia/Shanghai")?;
        // Days of the reporting zone, so that a question for one finds one.
        let today = Timestamp::now().to_zoned(zone.clone()).start_of_day()?;
        Ok(Self {
            dir: dir.into(),
            events_per_day,
            start_ms: today.timestamp().as_millisecond() - DAYS_BACK * DAY_MS,
            zone,
            days: Vec::new(),
            enterprises: Vec::new(),
        })
    }

    /// When the first day starts.
    pub fn start_ms(&self) -> i64 {
        self.start_ms
    }

    /// Every enterprise of the port.
    pub fn enterprises(&self) -> &[String] {
        &self.enterprises
    }

    /// What the days were meant to come to.
    pub fn days(&self) -> &[Meant] {
        &self.days
    }

    /// Encoded bytes of an event, on average.
    pub fn bytes_per_event(&self) -> f64 {
        let sum = |of: fn(&Meant) -> u64| self.days.iter().map(of).sum::<u64>() as f64;
        sum(|day| day.bytes) / sum(|day| day.sent).max(1.0)
    }

    /// How many days hold this many of something.
    pub fn days_with(&mut self, wanted: u64, of: fn(&Meant) -> u64) -> anyhow::Result<usize> {
        self.ensure(1)?;
        // Days are alike: the first tells about how many it takes.
        let about = wanted / of(&self.days[0]).max(1) + 1;
        for days in about as usize..=DAYS_MAX {
            self.ensure(days)?;
            let mut sum = 0;
            let enough = self.days.iter().position(|day| {
                sum += of(day);
                sum >= wanted
            });
            if let Some(day) = enough {
                return Ok(day + 1);
            }
        }
        anyhow::bail!("{wanted} events are more than {DAYS_MAX} days of load")
    }

    /// Simulates until there are this many days.
    pub fn ensure(&mut self, days: usize) -> anyhow::Result<()> {
        let days = days.min(DAYS_MAX);
        if days <= self.days.len() {
            return Ok(());
        }
        let (before, started) = (self.days.len(), Instant::now());
        while self.days.len() < days {
            let day = self.simulate(self.days.len())?;
            self.days.push(day);
        }
        // Else it would go to the disk while something is measured.
        rustix::fs::sync();
        eprintln!(
            "  simulated days {before} to {days} in {:.1} s",
            started.elapsed().as_secs_f64()
        );
        Ok(())
    }

    /// Removes a day that will not be read again; what it was meant to come to stays.
    pub fn forget(&self, day: usize) -> anyhow::Result<()> {
        let path = self.path(day);
        std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))
    }

    /// Reads the days that there are now.
    pub fn reader(&self) -> Reader {
        Reader {
            dir: self.dir.clone(),
            days: self.days.len(),
        }
    }

    fn path(&self, day: usize) -> PathBuf {
        path(&self.dir, day)
    }

    /// All cells of a day, but for what identifies its events.
    pub fn truth(&self, day: usize) -> anyhow::Result<Truth> {
        Ok(self.simulation(day).truth(&self.zone)?)
    }

    fn simulation(&self, day: usize) -> Simulation {
        Simulation::new(&Options {
            enterprises: Some(3_000),
            rates: Rates {
                // Some of what is to be refused is refused only if the day ends now.
                invalid: 0.0,
                ..Rates::default()
            },
            ..Options::new(1 + day as u64, self.start_ms + (day as i64 + 1) * DAY_MS)
                .with_events(self.events_per_day)
        })
    }

    fn simulate(&mut self, day: usize) -> anyhow::Result<Meant> {
        let simulation = self.simulation(day);
        let (zone, path) = (self.zone.clone(), self.path(day));
        let (truth, bytes) = std::thread::scope(|scope| {
            let truth = scope.spawn(|| simulation.truth(&zone));
            let bytes = encode(&simulation, day, &path);
            (truth.join(), bytes)
        });
        let truth = truth.map_err(|_| anyhow::anyhow!("the truth of day {day} died"))??;
        if self.enterprises.is_empty() {
            let names = truth.cells.keys().map(|key| key.enterprise.to_string());
            self.enterprises = names.collect();
            self.enterprises.sort();
            self.enterprises.dedup();
        }
        let counts = simulation.counts();
        Ok(Meant {
            sent: counts.sent,
            distinct: counts.events,
            bytes: bytes?,
            totals: Totals::of(&truth),
        })
    }
}

fn path(dir: &Path, day: usize) -> PathBuf {
    dir.join(format!("day-{day:03}"))
}

/// Reads days, wherever that is done.
pub struct Reader {
    dir: PathBuf,
    /// How many there are.
    pub days: usize,
}

impl Reader {
    /// A day, whole.
    pub fn read(&self, day: usize) -> anyhow::Result<Vec<Chunk>> {
        let path = path(&self.dir, day);
        let text = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let mut bytes = Bytes::from(text);
        let mut chunks = Vec::new();
        while bytes.has_remaining() {
            let (source, events) = (bytes.get_u8() as usize, bytes.get_u32());
            let length = bytes.get_u32() as usize;
            let encoded = bytes.split_to(length);
            chunks.push(Chunk {
                source,
                events,
                bytes: encoded,
            });
        }
        Ok(chunks)
    }
}

/// Writes a day in sending order, in chunks of one source.
fn encode(simulation: &Simulation, day: usize, path: &Path) -> anyhow::Result<u64> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut open: [(u32, Vec<u8>); SOURCES.len()] = Default::default();
    let mut bytes = 0;
    let mut flush = |source: usize, (events, encoded): &mut (u32, Vec<u8>)| {
        out.write_all(&[source as u8])?;
        out.write_all(&events.to_be_bytes())?;
        out.write_all(&(encoded.len() as u32).to_be_bytes())?;
        out.write_all(encoded)?;
        bytes += encoded.len() as u64;
        *events = 0;
        encoded.clear();
        std::io::Result::Ok(())
    };
    for Sent {
        source, mut event, ..
    } in simulation.sent()
    {
        // Another day's events have other ids.
        event.event_id.push_str(&format!(".{day:x}"));
        let at = SOURCES.iter().position(|&name| name == source);
        let source = at.context("an unknown source")?;
        let chunk = &mut open[source];
        chunk.1.push(EVENTS_TAG);
        event.encode_length_delimited(&mut chunk.1)?;
        chunk.0 += 1;
        if chunk.0 == CHUNK_EVENTS {
            flush(source, chunk)?;
        }
    }
    for (source, chunk) in open.iter_mut().enumerate() {
        if chunk.0 > 0 {
            flush(source, chunk)?;
        }
    }
    out.flush()?;
    Ok(bytes)
}
