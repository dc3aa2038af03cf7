//! The recount of `quaymeter audit` obeys the same law: it is held against the
//! model, which computes everything anew each day.

use crate::generate::DAYS;
use crate::model::{Cells as Dump, Rec};
use compact_str::CompactString;
use quaymeter::audit::recount::Record;
use quaymeter::audit::{Counted, Recount, Rules, utc_day};
use quaymeter::truth::{Figure, Figures, Grain};
use std::collections::BTreeMap;

const DAY_MS: i64 = 86_400_000;

fn rules() -> Rules {
    Rules {
        zone: jiff::tz::TimeZone::get("Asia/Shanghai").unwrap(),
        horizon_days: DAYS.horizon as i32,
        quarter_days: DAYS.quarters as i32,
        day_days: DAYS.days as i32,
        teu_45ft_milli: 2250,
    }
}

/// Each facility's recount of its own records, at the log clock of all.
pub fn recounted(records: &[Rec]) -> (Dump, BTreeMap<String, i64>, i64) {
    let mut recounts: BTreeMap<CompactString, Recount> = BTreeMap::new();
    let mut clock = 0;
    for rec in records {
        clock = clock.max(utc_day(rec.appended_at));
        let facility = rec.event.facility.clone();
        let fresh = || Recount::new(rules(), rec.event.facility.clone());
        recounts.entry(facility).or_insert_with(fresh).add(&Record {
            source: rec.source,
            appended_at: rec.appended_at,
            day: clock,
            event: &rec.event,
            content: rec.content,
        });
    }
    let (mut dump, mut totals, mut identities) = (Dump::new(), BTreeMap::new(), 0);
    for (facility, recount) in recounts {
        let counted = recount.count(clock);
        identities += counted.identities;
        add_totals(&counted, &mut totals);
        add(&facility, counted, &mut dump);
    }
    totals.retain(|_, value| *value != 0);
    (dump, totals, identities)
}

fn add(facility: &str, counted: Counted, dump: &mut Dump) {
    for (key, cell) in counted.cells {
        let (family, from) = match key.grain {
            Grain::Quarter => ("quarter", key.start_ms / 900_000),
            _ => ("day", (key.start_ms + 8 * 3_600_000) / DAY_MS),
        };
        let (enterprise, role) = (key.enterprise.to_string(), key.role.into());
        let classifier = key.classifier.into();
        let vessel = String::new();
        dump.insert(
            (
                family,
                facility.into(),
                enterprise,
                role,
                classifier,
                from,
                0,
                vessel,
            ),
            figures(&cell),
        );
    }
    for (key, cell) in counted.calls {
        let (call, vessel) = (key.call_id.to_string(), key.vessel.to_string());
        let (classifier, day) = (key.classifier.into(), key.day.into());
        dump.insert(
            ("call", facility.into(), call, 0, classifier, day, 0, vessel),
            figures(&cell),
        );
    }
    for (key, cell) in counted.slots {
        let (enterprise, role) = (key.enterprise.to_string(), key.role.into());
        let (start, end) = (key.slot_start_ms, key.slot_end_ms);
        let classifier = key.classifier.into();
        dump.insert(
            (
                "slot",
                facility.into(),
                enterprise,
                role,
                classifier,
                start,
                end,
                String::new(),
            ),
            figures(&cell),
        );
    }
}

fn add_totals(counted: &Counted, totals: &mut BTreeMap<String, i64>) {
    for ((enterprise, role), cell) in &counted.totals {
        for (name, value) in figures(cell) {
            let key = format!("{enterprise} {role:?} {name}");
            *totals.entry(key).or_default() += value;
        }
    }
}

/// By the names that the meter's figures have in the model.
fn figures(figures: &Figures) -> BTreeMap<String, i64> {
    let name = |figure: Figure| match figure {
        Figure::Count(kind) => format!("DurationCount({kind:?})"),
        Figure::SumMs(kind) => format!("DurationSumMs({kind:?})"),
        Figure::Bucket(kind, index) => {
            let index = index.unwrap_or(i32::MIN);
            format!("DurationBucket({kind:?}, {index})")
        }
        other => format!("{other:?}"),
    };
    figures
        .iter()
        .map(|(figure, value)| (name(figure), value))
        .collect()
}

#[test]
fn buckets_close_where_those_of_the_meter_do() {
    use quaymeter::audit::bucket;
    use quaymeter::meter::histogram;
    for index in -79..=280 {
        let bound = 1000.0 * (f64::from(index) / 8.0).exp2();
        for ms in [bound as i64 - 1, bound as i64, bound as i64 + 1] {
            if ms > 0 {
                assert_eq!(bucket(ms), Some(histogram::bucket(ms)), "{ms} ms");
            }
        }
    }
    assert_eq!(bucket(0), None);
    assert_eq!((bucket(1000), bucket(1001)), (Some(0), Some(1)));
}
