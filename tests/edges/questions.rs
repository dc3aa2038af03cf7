//! Questions that nobody would ask by mistake.

use jiff::tz::TimeZone;
use pbjson_types::Timestamp;
use quaymeter::event::{Classifier, Role};
use quaymeter::meter::cell::{Cells, Keeping, Owner, SlotKey};
use quaymeter::meter::figure::Figures;
use quaymeter::pb;
use quaymeter::query::no_shows::Question;
use quaymeter::query::page::Fingerprint;

#[test]
fn a_forged_page_token_has_no_answer_beyond_its_interval() {
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let mut request = pb::ListNoShowsRequest {
        from: at(900),
        to: at(1800),
        ..Default::default()
    };
    let key = (i64::MAX, 0i64, "", "", 0i32, 0i32);
    request.page_token = Fingerprint::of("ListNoShows", &request).token(&key);
    let keeping = Keeping {
        zone: TimeZone::UTC,
        quarter_days: 45,
        day_days: 1096,
    };
    let mut cells = Cells::new(keeping);
    let owner = Owner {
        enterprise: 0,
        role: Role::Fleet,
        classifier: Classifier::Actual,
    };
    let slot = SlotKey {
        start: 900_000,
        end: 1_800_000,
        facility: 0,
        owner,
    };
    cells.slots.insert(slot, Figures::default());
    let page = Question::parse(&request).unwrap().page(&cells, 0);
    let (rows, next) = page.unwrap();
    assert!(rows.is_empty() && next.is_empty());
}
