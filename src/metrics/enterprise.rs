//! What is exported of enterprises, written as text straight from the state. It belongs
//! to state that moves between instances, and the recorder can neither drop a series nor
//! render tens of thousands of them as fast.

mod family;
mod pages;
mod text;
mod turns;

use super::label;
use crate::config;
use crate::config::exported::Figures as Chosen;
use crate::meter::cell::Totals;
use crate::meter::figure::{Figure, Figures, Meaning};
use crate::pb::{Fullness, Role};
pub use family::{FAMILIES, Family};
use pages::Pages;
use rustc_hash::FxHashMap;
pub use turns::{NAME as TURNS, TAKEN_BACK as TURNS_TAKEN_BACK};

/// What is known of one enterprise.
#[derive(Clone, Debug, Default)]
pub struct Enterprise<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its names in the registry, Chinese and English; empty without one.
    pub names: [&'a str; 2],
    /// Its roles, each once.
    pub roles: Vec<InRole<'a>>,
}

/// One enterprise in one role, classifier ACTUAL.
#[derive(Clone, Debug)]
pub struct InRole<'a> {
    /// The role.
    pub role: Role,
    /// All that was ever added and taken back.
    pub totals: &'a Totals,
    /// Today's figures in the reporting zone.
    pub today: Figures,
}

/// A gauge of enterprises.
pub struct Gauge {
    /// Its name.
    pub name: &'static str,
    /// What it tells, in words.
    pub help: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
}

const TODAY_BOXES: usize = 0;
const TODAY_TEU: usize = 1;
const LAST_EVENT: usize = 2;
const INFO: usize = 3;

/// The gauges.
pub const GAUGES: [Gauge; 4] = [
    Gauge {
        name: "quaymeter_enterprise_today_boxes",
        help: "Containers today, in the reporting zone",
        labels: &["enterprise", "role", "movement"],
    },
    Gauge {
        name: "quaymeter_enterprise_today_teu",
        help: "TEU today, in the reporting zone",
        labels: &["enterprise", "role", "movement"],
    },
    Gauge {
        name: "quaymeter_enterprise_last_event_timestamp_seconds",
        help: "The latest instant at which an ACTUAL event of the enterprise counts or counted",
        labels: &["enterprise"],
    },
    Gauge {
        name: "quaymeter_enterprise_info",
        help: "1, with the enterprise's names in the registry",
        labels: &["enterprise", "name_zh", "name_en"],
    },
];

/// The text of all enterprises.
#[derive(Default)]
pub struct Rendered {
    /// In the Prometheus text format, in pages of whole lines.
    pub text: Vec<String>,
    /// Enterprises beyond the limit.
    pub omitted: usize,
    /// Series of the others that the settings leave out.
    pub series_omitted: usize,
}

/// The samples of one family and of its twin.
#[derive(Default)]
struct Samples {
    added: Pages,
    taken_back: Pages,
}

/// Where in a text a figure goes: its family, and what follows the owner's labels up to
/// the value. The same few dozen come with every enterprise.
type Tails = FxHashMap<Figure, Option<(usize, String)>>;

/// Takes enterprises one by one. Those beyond the limit are left out and counted, so
/// their order should be the same at every scrape.
pub struct Enterprises {
    settings: config::Metrics,
    counters: [Samples; FAMILIES.len()],
    turns: Samples,
    gauges: [Pages; GAUGES.len()],
    tails: Tails,
    today: Tails,
    buckets: turns::Buckets,
    seen: usize,
    series_omitted: usize,
}

impl Enterprises {
    /// None yet.
    pub(super) fn new(settings: &config::Metrics) -> Self {
        Self {
            settings: settings.clone(),
            counters: Default::default(),
            turns: Samples::default(),
            gauges: Default::default(),
            tails: Tails::default(),
            today: Tails::default(),
            buckets: turns::Buckets::default(),
            seen: 0,
            series_omitted: 0,
        }
    }

    /// Takes an enterprise.
    pub fn add(&mut self, of: &Enterprise<'_>) {
        self.seen += 1;
        if self.seen > self.settings.enterprises_max {
            return;
        }
        let mut labels = String::new();
        text::label(&mut labels, "enterprise", of.id);
        let latest = of.roles.iter().filter_map(|role| role.totals.latest).max();
        if let Some(latest) = latest {
            let samples = self.gauges[LAST_EVENT].line();
            *samples += GAUGES[LAST_EVENT].name;
            *samples += &labels;
            *samples += "} ";
            text::value(samples, latest, 1000);
        }
        let mut info = labels.clone();
        for (name, value) in ["name_zh", "name_en"].into_iter().zip(of.names) {
            text::label(&mut info, name, value);
        }
        let info = format!("{}{info}}} 1\n", GAUGES[INFO].name);
        self.gauges[INFO].line().push_str(&info);
        for role in &of.roles {
            let mut owner = labels.clone();
            let word = label(role.role.as_str_name(), "ROLE_");
            text::label(&mut owner, "role", &word);
            self.add_role(&owner, role);
        }
    }

    fn add_role(&mut self, owner: &str, of: &InRole<'_>) {
        let shown = self.settings.enterprise_roles.have(of.role);
        let Totals {
            added, taken_back, ..
        } = of.totals;
        match self.settings.enterprise_fullness {
            true => self.counters(shown, owner, added, taken_back),
            false => {
                let [added, taken_back] = [added, taken_back].map(whatever_fullness);
                self.counters(shown, owner, &added, &taken_back);
            }
        }
        if turns::any(added) {
            if shown && self.has(Chosen::TRUCK_TURNS) {
                let (name, buckets) = (turns::NAME, &self.buckets);
                buckets.write(&mut self.turns.added, name, owner, added);
                let (name, samples) = (turns::TAKEN_BACK, &mut self.turns.taken_back);
                buckets.write(samples, name, owner, taken_back);
            } else {
                self.series_omitted += 2 * turns::LINES;
            }
        }
        self.today(shown && self.has(Chosen::TODAY), owner, &of.today);
    }

    fn has(&self, figures: Chosen) -> bool {
        self.settings.enterprise_figures.have(figures)
    }

    /// Both counters of every figure that was ever added: a missing twin would make
    /// `added - taken_back` empty instead of the same.
    fn counters(&mut self, shown: bool, owner: &str, added: &Figures, taken_back: &Figures) {
        let fullness = self.settings.enterprise_fullness;
        for (figure, value) in added.iter() {
            let tail = self.tails.entry(figure);
            let tail = tail.or_insert_with(|| tail_of(figure, fullness));
            let Some((at, tail)) = tail.as_ref() else {
                continue;
            };
            let family = &FAMILIES[*at];
            if !(shown && self.settings.enterprise_figures.have(family.figure)) {
                self.series_omitted += 2;
                continue;
            }
            let samples = &mut self.counters[*at];
            let write = |text: &mut Pages, suffix: &str, value: i64| {
                let text = text.line();
                text.push_str(family.name);
                text.push_str(suffix);
                text.push_str(owner);
                text.push_str(tail);
                text::value(text, value, family.scale);
            };
            write(&mut samples.added, "_total", value);
            let taken_back = taken_back.get(figure);
            write(&mut samples.taken_back, "_taken_back_total", taken_back);
        }
    }

    fn today(&mut self, shown: bool, owner: &str, today: &Figures) {
        for (figure, value) in whatever_fullness(today).iter() {
            let tail = self.today.entry(figure);
            let tail = tail.or_insert_with(|| today_tail_of(figure));
            let Some((at, tail)) = tail.as_ref() else {
                continue;
            };
            if !shown {
                self.series_omitted += 1;
                continue;
            }
            let samples = self.gauges[*at].line();
            samples.push_str(GAUGES[*at].name);
            samples.push_str(owner);
            samples.push_str(tail);
            let scale = if *at == TODAY_TEU { 1000 } else { 1 };
            text::value(samples, value, scale);
        }
    }

    /// All of it as text.
    pub(super) fn finish(self) -> Rendered {
        let mut text = Vec::new();
        for (Family { name, help, .. }, samples) in FAMILIES.iter().zip(self.counters) {
            let total = (format!("{name}_total"), format!("{help}, ever added"));
            write_family(&mut text, total, "counter", samples.added);
            let twin = (format!("{name}_taken_back_total"), taken_back(help));
            write_family(&mut text, twin, "counter", samples.taken_back);
        }
        let told = |name: &str, help: String| (name.to_owned(), help);
        let turns = told(turns::NAME, format!("{TURNS_HELP}, ever added"));
        write_family(&mut text, turns, "histogram", self.turns.added);
        let twin = told(turns::TAKEN_BACK, taken_back(TURNS_HELP));
        write_family(&mut text, twin, "histogram", self.turns.taken_back);
        for (gauge, samples) in GAUGES.iter().zip(self.gauges) {
            let told = told(gauge.name, gauge.help.into());
            write_family(&mut text, told, "gauge", samples);
        }
        Rendered {
            text,
            omitted: self.seen.saturating_sub(self.settings.enterprises_max),
            series_omitted: self.series_omitted,
        }
    }
}

/// What the histograms of turns count.
pub const TURNS_HELP: &str = "Time of completed truck turns";

/// The help of what was taken back.
pub fn taken_back(help: &str) -> String {
    format!("{help}, ever taken back by corrections")
}

fn write_family(
    text: &mut Vec<String>,
    (name, help): (String, String),
    kind: &str,
    samples: Pages,
) {
    if !samples.is_empty() {
        text.push(format!("# HELP {name} {help}.\n# TYPE {name} {kind}\n"));
        text.extend(samples.into_pages());
        text.push("\n".into());
    }
}

/// The same without telling empty boxes from laden ones: all are of unknown fullness.
fn whatever_fullness(figures: &Figures) -> Figures {
    let any = Fullness::Unknown;
    let folded = |figure: Figure| match figure.meaning() {
        Some(Meaning::Boxes(movement, _)) => Figure::of(Meaning::Boxes(movement, any)),
        Some(Meaning::TeuMilli(movement, _)) => Figure::of(Meaning::TeuMilli(movement, any)),
        Some(Meaning::MassKg(movement, _)) => Figure::of(Meaning::MassKg(movement, any)),
        _ => figure,
    };
    let folded = figures
        .iter()
        .map(|(figure, value)| (folded(figure), value));
    folded.collect()
}

fn tail_of(figure: Figure, fullness: bool) -> Option<(usize, String)> {
    let (at, values) = family::family(figure.meaning()?)?;
    let names = FAMILIES[at].labels.iter();
    let labels = names
        .zip(values)
        .filter(|(name, _)| fullness || **name != "fullness");
    Some((at, tail(labels.map(|(name, value)| (*name, value)))))
}

fn today_tail_of(figure: Figure) -> Option<(usize, String)> {
    let meaning = figure.meaning()?;
    let at = match meaning {
        Meaning::Boxes(..) => TODAY_BOXES,
        Meaning::TeuMilli(..) => TODAY_TEU,
        _ => return None,
    };
    let (_, [movement, _]) = family::family(meaning)?;
    Some((at, tail([("movement", movement)].into_iter())))
}

fn tail(labels: impl Iterator<Item = (&'static str, Option<&'static str>)>) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        text += &format!(
            ",{name}=\"{}\"",
            value.unwrap_or_default().to_ascii_lowercase()
        );
    }
    text + "} "
}
