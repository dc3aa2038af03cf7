//! The protobuf message → the event: what all kinds have in common, and the
//! rules for single fields.

use super::allowed::Allowed;
use super::judge::{Accepted, Judge, millis};
use crate::event::fault::{Fault, Path, excerpt, length};
use crate::event::{Classifier, Event, Millis, Party, Role, Statement};
use crate::event::{enterprise, facility, truck, vessel};
use crate::pb::{self, Reason};
use crate::pseudonym::{InForce, Kind, is_pseudonym};
use compact_str::{CompactString, ToCompactString, format_compact};
use pbjson_types::Timestamp;
use smallvec::SmallVec;

const EVENT_ID_BYTES_MAX: usize = 128;
const PARTIES_MAX: usize = 8;

/// Reads one event, with a judge for what reporters send and without one for
/// what is in the log.
pub(super) struct Reader<'a> {
    judge: Option<&'a Judge<'a>>,
    /// Once the instant is known, with a judge.
    keys: Option<InForce<'a>>,
    allowed: Allowed<'a>,
    warnings: Vec<Fault>,
}

impl<'a> Reader<'a> {
    /// Judges, warns, and makes pseudonyms, of what is allowed.
    pub(super) fn accepting(judge: &'a Judge<'a>, allowed: Allowed<'a>) -> Self {
        Self {
            judge: Some(judge),
            keys: None,
            allowed,
            warnings: Vec::new(),
        }
    }

    /// Takes what was accepted once.
    pub(super) fn replaying() -> Self {
        Self {
            judge: None,
            keys: None,
            allowed: Allowed::default(),
            warnings: Vec::new(),
        }
    }

    /// The event, with its warnings.
    pub(super) fn read(mut self, event: pb::Event) -> Result<Accepted, Fault> {
        let event = self.event(event)?;
        Ok(Accepted {
            event,
            warnings: self.warnings,
        })
    }

    fn event(&mut self, event: pb::Event) -> Result<Event, Fault> {
        let event_id = event_id(event.event_id)?;
        let revision = revision(event.revision)?;
        if event.retracted {
            let facility = self.facility(&event.facility)?;
            return Ok(Event {
                event_id,
                revision,
                facility,
                statement: None,
            });
        }
        let classifier = classifier(event.classifier)?;
        let occurred_at = millis(event.occurred_at, "occurred_at")?;
        if let Some(judge) = self.judge {
            judge.occurred(occurred_at, classifier)?;
            self.keys = Some(judge.keys(classifier, occurred_at));
        }
        let facility = self.facility(&event.facility)?;
        let parties = parties(event.parties, self.allowed)?;
        let Some(detail) = event.detail else {
            return Err(Fault::missing("detail", "one of the kinds of event"));
        };
        let detail = self.detail(detail)?;
        let statement = Statement {
            classifier,
            occurred_at,
            parties,
            detail,
        };
        Ok(Event {
            event_id,
            revision,
            facility,
            statement: Some(statement),
        })
    }

    /// Keeps a warning; without a judge nothing is odd.
    pub(super) fn warn_unless(
        &mut self,
        fine: impl FnOnce() -> bool,
        fault: impl FnOnce() -> Fault,
    ) {
        if self.judge.is_some() && !fine() {
            self.warnings.push(fault());
        }
    }

    fn facility(&mut self, text: &str) -> Result<CompactString, Fault> {
        let expected = "UN/LOCODE, /, and 1 to 16 characters A-Z 0-9 _ -";
        if text.is_empty() {
            return Err(Fault::missing("facility", expected));
        }
        let Some(facility) = facility::normalise(text) else {
            return Err(if text.chars().count() > facility::CHARS_MAX {
                Fault::too_long("facility", text, expected)
            } else {
                Fault::malformed("facility", text, expected)
            });
        };
        self.allowed.facility(&facility)?;
        self.warn_unless(
            || !facility::is_suspect(&facility),
            || {
                let expected = "CNZOS for Zhoushan or CNNBO for Zhenhai, if it was meant";
                Fault::new(
                    Reason::SuspectLocode,
                    "facility",
                    facility.clone(),
                    expected,
                )
            },
        );
        Ok(facility)
    }

    /// What the sender may speak of.
    pub(super) fn allowed(&self) -> Allowed<'_> {
        self.allowed
    }

    /// A slot's start and end.
    pub(super) fn slot(
        &self,
        start: Option<Timestamp>,
        end: Option<Timestamp>,
    ) -> Result<(Millis, Millis), Fault> {
        let start = millis(start, "appointment_step.slot_start")?;
        let end = millis(end, "appointment_step.slot_end")?;
        if let Some(judge) = self.judge {
            judge.slot(start, end)?;
        }
        if end <= start {
            let found = format_compact!("{} ms after its start", end - start);
            let expected = "an end after its start";
            return Err(Fault::new(
                Reason::SlotOrder,
                "appointment_step.slot_end",
                found,
                expected,
            ));
        }
        Ok((start, end))
    }

    /// A plate's pseudonym; empty without a plate.
    pub(super) fn plate(
        &mut self,
        plate: String,
        path: impl Into<Path>,
    ) -> Result<CompactString, Fault> {
        let [plate, _] = self.plates(plate, path)?;
        Ok(plate)
    }

    /// A plate's pseudonym, and on the first day of a key that under the key before.
    pub(super) fn plates(
        &mut self,
        plate: String,
        path: impl Into<Path>,
    ) -> Result<[CompactString; 2], Fault> {
        let path = path.into();
        let Some(keys) = self.keys else {
            return Ok([pseudonym(plate, path)?, CompactString::default()]);
        };
        let of = |plate: &str| {
            let own = keys.key.pseudonym(Kind::Plate, plate);
            let before = keys.before.map(|key| key.pseudonym(Kind::Plate, plate));
            [own, before.unwrap_or_default()]
        };
        if !is_private_text(
            &plate,
            path,
            truck::PLATE_CHARS_MAX,
            "a plate of at most 32 characters",
        )? {
            return Ok([const { CompactString::const_new("") }; 2]);
        }
        if truck::is_plate(&plate) {
            return Ok(of(&plate));
        }
        let normalised = truck::normalise_plate(&plate);
        if normalised.is_empty() {
            return Err(Fault::new(
                Reason::Malformed,
                path,
                length(&plate),
                "a plate",
            ));
        }
        let found = length(&plate);
        self.warnings.push(Fault::new(
            Reason::PlateShape,
            path,
            found,
            "the shape of a plate",
        ));
        Ok(of(&normalised))
    }

    /// The tractor's pseudonym under the key before: made here, never sent.
    pub(super) fn before(
        &self,
        sent: String,
        tractor: &str,
        made: CompactString,
    ) -> Result<CompactString, Fault> {
        let path = Path::from("gate_move.tractor_plate_before");
        let wrong = |sent: &str, path, expected| {
            Err(Fault::new(Reason::Malformed, path, length(sent), expected))
        };
        if self.keys.is_some() {
            return match sent.is_empty() {
                true => Ok(made),
                false => wrong(&sent, path, "nothing: only records in the log have it"),
            };
        }
        if !sent.is_empty() && (tractor.is_empty() || *sent == *tractor) {
            return wrong(&sent, path, "another pseudonym of the tractor");
        }
        pseudonym(sent, path)
    }

    /// A driver's pseudonym; empty without a driver. References are the
    /// reporter's own, so they are not normalised.
    pub(super) fn driver(
        &self,
        driver: String,
        path: impl Into<Path>,
    ) -> Result<CompactString, Fault> {
        let path = path.into();
        let Some(keys) = self.keys else {
            return pseudonym(driver, path);
        };
        let expected = "a reference of at most 64 characters";
        if !is_private_text(&driver, path, truck::DRIVER_CHARS_MAX, expected)? {
            return Ok(CompactString::default());
        }
        Ok(keys.key.pseudonym(Kind::Driver, &driver))
    }

    /// A vessel's IMO number and call sign; one of them is required.
    pub(super) fn vessel(
        &mut self,
        imo: &str,
        sign: String,
        stem: [&'static str; 2],
    ) -> Result<[CompactString; 2], Fault> {
        if imo.is_empty() {
            let sign = text(sign, stem[1], 16)?;
            if sign.is_empty() {
                return Err(Fault::missing(stem[0], "an IMO number or a call sign"));
            }
            return Ok([CompactString::default(), sign]);
        }
        let Some(number) = vessel::normalise_imo(imo) else {
            return Err(Fault::malformed(stem[0], imo, "7 digits, not all 0"));
        };
        self.warn_unless(
            || vessel::has_imo_check_digit(&number),
            || {
                Fault::new(
                    Reason::ImoCheckDigit,
                    stem[0],
                    number.clone(),
                    "a right check digit",
                )
            },
        );
        Ok([number, text(sign, stem[1], 16)?])
    }
}

fn event_id(id: String) -> Result<CompactString, Fault> {
    let expected = "1 to 128 bytes without control characters";
    if id.is_empty() {
        return Err(Fault::missing("event_id", expected));
    }
    if id.len() > EVENT_ID_BYTES_MAX {
        let found = format_compact!("{} bytes", id.len());
        return Err(Fault::new(Reason::TooLong, "event_id", found, expected));
    }
    if has_control(&id) {
        return Err(Fault::malformed("event_id", &id, expected));
    }
    Ok(id.into())
}

fn revision(revision: i64) -> Result<i64, Fault> {
    if revision < 0 {
        let found = revision.to_compact_string();
        return Err(Fault::new(
            Reason::OutOfRange,
            "revision",
            found,
            "0 or more",
        ));
    }
    Ok(revision)
}

fn classifier(value: i32) -> Result<Classifier, Fault> {
    if value == Classifier::Unspecified as i32 {
        return Ok(Classifier::Actual);
    }
    choice(value, "classifier", "a classifier")
}

/// The parties, sorted.
fn parties(sent: Vec<pb::Party>, allowed: Allowed<'_>) -> Result<SmallVec<[Party; 4]>, Fault> {
    let expected = "1 to 8 parties";
    if sent.is_empty() {
        return Err(Fault::missing("parties", expected));
    }
    if sent.len() > PARTIES_MAX {
        let found = format_compact!("{} parties", sent.len());
        return Err(Fault::new(Reason::TooMany, "parties", found, expected));
    }
    let mut parties = SmallVec::<[Party; 4]>::with_capacity(sent.len());
    for (i, party) in sent.into_iter().enumerate() {
        let path = Path::from("parties").at(i);
        let role: Role = choice(party.role, path.field("role"), "a role")?;
        let enterprise = enterprise(party.enterprise, path.field("enterprise"))?;
        allowed.enterprise(&enterprise, path.field("enterprise"))?;
        let party = Party { role, enterprise };
        if parties.contains(&party) {
            let found = excerpt(&party.enterprise);
            let expected = "each enterprise once in a role";
            return Err(Fault::new(Reason::DuplicateParty, path, found, expected));
        }
        parties.push(party);
    }
    parties.sort_unstable();
    Ok(parties)
}

fn enterprise(id: String, path: Path) -> Result<CompactString, Fault> {
    use enterprise::Wrong;
    let expected = "uscc:, smdg:, nmfta: or ygt: and a code of its form";
    match enterprise::judge(&id) {
        Ok(()) => Ok(id.into()),
        Err(Wrong::Form) if id.is_empty() => Err(Fault::missing(path, expected)),
        Err(Wrong::Form) => Err(Fault::malformed(path, &id, expected)),
        Err(Wrong::TooLong) => Err(Fault::too_long(
            path,
            &id,
            "a code of at most 64 characters",
        )),
        Err(Wrong::CheckCharacter) => {
            let expected = "a right check character (GB 32100)";
            Err(Fault::new(
                Reason::UsccCheckCharacter,
                path,
                excerpt(&id),
                expected,
            ))
        }
    }
}

/// A value of a closed list; 0 is none.
pub(super) fn choice<E: TryFrom<i32>>(
    value: i32,
    path: impl Into<Path>,
    expected: &'static str,
) -> Result<E, Fault> {
    if value == 0 {
        return Err(Fault::missing(path, expected));
    }
    E::try_from(value).map_err(|_| Fault::malformed(path, &value.to_compact_string(), expected))
}

/// A text that is required.
pub(super) fn required(
    value: String,
    path: impl Into<Path>,
    chars_max: usize,
) -> Result<CompactString, Fault> {
    let path = path.into();
    if value.is_empty() {
        return Err(Fault::missing(path, limit(chars_max)));
    }
    text(value, path, chars_max)
}

/// A text that may be empty.
pub(super) fn text(
    value: String,
    path: impl Into<Path>,
    chars_max: usize,
) -> Result<CompactString, Fault> {
    // A text never has more characters than bytes.
    if value.len() > chars_max && value.chars().count() > chars_max {
        return Err(Fault::too_long(path, &value, limit(chars_max)));
    }
    if has_control(&value) {
        return Err(Fault::malformed(path, &value, limit(chars_max)));
    }
    Ok(value.into())
}

fn limit(chars_max: usize) -> &'static str {
    match chars_max {
        10 => "at most 10 characters, no control characters",
        16 => "at most 16 characters, no control characters",
        32 => "at most 32 characters, no control characters",
        _ => "at most 64 characters, no control characters",
    }
}

/// Whether there is any text; it is judged without being told.
fn is_private_text(
    value: &str,
    path: Path,
    chars_max: usize,
    expected: &'static str,
) -> Result<bool, Fault> {
    if value.len() > chars_max && value.chars().count() > chars_max {
        return Err(Fault::too_long(path, value, expected));
    }
    if has_control(value) {
        return Err(Fault::new(Reason::Malformed, path, length(value), expected));
    }
    Ok(!value.is_empty())
}

/// What the log holds of a plate or driver.
fn pseudonym(value: String, path: Path) -> Result<CompactString, Fault> {
    if value.is_empty() || is_pseudonym(&value) {
        return Ok(value.into());
    }
    Err(Fault::new(
        Reason::Malformed,
        path,
        length(&value),
        "a pseudonym",
    ))
}

/// Whether there is a control character. Most texts are ASCII, where it is seen
/// without decoding; looking at every byte is faster than stopping early.
fn has_control(value: &str) -> bool {
    let odd = |found, b| found | !(b' '..0x7f).contains(&b);
    value.bytes().fold(false, odd) && value.chars().any(char::is_control)
}
