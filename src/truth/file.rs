//! A truth as a file: one JSON object a line, cells, then calls, then slots,
//! each in order. Equal truths are equal bytes.

use super::{Call, CallKey, Figures, Grain, Key, Slot, SlotKey, Truth};
use crate::pb;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Write};

/// Why a truth cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file.
    #[error("reading or writing the truth")]
    Io(#[from] io::Error),
    /// An instant beyond representable time.
    #[error("writing the truth: an instant out of range")]
    Instant(#[from] jiff::Error),
    /// A line that is not a cell, call or slot.
    #[error("reading the truth: line {line}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase", deny_unknown_fields)]
enum Line {
    Cell {
        grain: Grain,
        start: Timestamp,
        facility: CompactString,
        enterprise: CompactString,
        role: pb::Role,
        classifier: pb::Classifier,
        figures: Figures,
    },
    Call {
        facility: CompactString,
        call_id: CompactString,
        classifier: pb::Classifier,
        figures: Call,
    },
    Slot {
        slot_start: Timestamp,
        slot_end: Timestamp,
        facility: CompactString,
        enterprise: CompactString,
        role: pb::Role,
        classifier: pb::Classifier,
        figures: Slot,
    },
}

impl Truth {
    /// Writes it as NDJSON.
    ///
    /// # Errors
    ///
    /// What the writer says, and an instant beyond representable time.
    pub fn write(&self, out: &mut impl Write) -> Result<(), Error> {
        for (key, figures) in &self.cells {
            put(out, &cell_line(key, figures)?)?;
        }
        for (
            CallKey {
                facility,
                call_id,
                classifier,
            },
            &figures,
        ) in &self.calls
        {
            let (facility, call_id) = (facility.clone(), call_id.clone());
            put(
                out,
                &Line::Call {
                    facility,
                    call_id,
                    classifier: *classifier,
                    figures,
                },
            )?;
        }
        for (key, &figures) in &self.slots {
            put(out, &slot_line(key, figures)?)?;
        }
        Ok(())
    }

    /// Reads what [`Truth::write`] wrote.
    ///
    /// # Errors
    ///
    /// What the reader says, and the first line that is not of a truth.
    pub fn read(input: impl BufRead) -> Result<Self, Error> {
        let mut truth = Self::default();
        for (index, line) in input.lines().enumerate() {
            let parsed = serde_json::from_str(&line?).map_err(|source| Error::Line {
                line: index + 1,
                source,
            })?;
            truth.take(parsed);
        }
        Ok(truth)
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Cell {
                grain,
                start,
                facility,
                enterprise,
                role,
                classifier,
                figures,
            } => {
                let start_ms = start.as_millisecond();
                let key = Key {
                    grain,
                    facility,
                    enterprise,
                    role,
                    classifier,
                    start_ms,
                };
                self.cells.insert(key, figures);
            }
            Line::Call {
                facility,
                call_id,
                classifier,
                figures,
            } => {
                self.calls.insert(
                    CallKey {
                        facility,
                        call_id,
                        classifier,
                    },
                    figures,
                );
            }
            Line::Slot {
                slot_start,
                slot_end,
                facility,
                enterprise,
                role,
                classifier,
                figures,
            } => {
                let key = SlotKey {
                    slot_start_ms: slot_start.as_millisecond(),
                    slot_end_ms: slot_end.as_millisecond(),
                    facility,
                    enterprise,
                    role,
                    classifier,
                };
                self.slots.insert(key, figures);
            }
        }
    }
}

fn cell_line(key: &Key, figures: &Figures) -> Result<Line, Error> {
    Ok(Line::Cell {
        grain: key.grain,
        start: Timestamp::from_millisecond(key.start_ms)?,
        facility: key.facility.clone(),
        enterprise: key.enterprise.clone(),
        role: key.role,
        classifier: key.classifier,
        figures: figures.clone(),
    })
}

fn slot_line(key: &SlotKey, figures: Slot) -> Result<Line, Error> {
    Ok(Line::Slot {
        slot_start: Timestamp::from_millisecond(key.slot_start_ms)?,
        slot_end: Timestamp::from_millisecond(key.slot_end_ms)?,
        facility: key.facility.clone(),
        enterprise: key.enterprise.clone(),
        role: key.role,
        classifier: key.classifier,
        figures,
    })
}

fn put(out: &mut impl Write, line: &Line) -> Result<(), Error> {
    serde_json::to_writer(&mut *out, line).map_err(io::Error::from)?;
    Ok(out.write_all(b"\n")?)
}
