//! Answers as a table, CSV or JSON.

use super::super::digits::grouped;
use anyhow::Result;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::Write;

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns; those that hold only zeros are left out.
    Table,
    /// The messages themselves, one a line, in the proto's JSON form.
    Json,
    /// Columns as in the table, with a header.
    Csv,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// As it is.
    Text(String),
    /// A count.
    Count(i64),
    /// Thousandths: of TEU, or kg as tonnes.
    Milli(i64),
    /// A number with one decimal, if there is one.
    Number(Option<f64>),
}

impl Cell {
    fn is_zero(&self) -> bool {
        matches!(self, Self::Count(0) | Self::Milli(0) | Self::Number(None))
    }

    /// For people: digits in groups of three.
    fn shown(&self) -> String {
        match self {
            Self::Count(count) => grouped(&count.to_string()),
            Self::Milli(milli) => grouped(&format!("{:.1}", *milli as f64 / 1000.0)),
            Self::Number(Some(number)) => grouped(&format!("{number:.1}")),
            Self::Number(None) => "–".into(),
            Self::Text(text) => text.clone(),
        }
    }

    /// For programs: exact, ungrouped.
    fn plain(&self) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            Self::Milli(milli) => {
                let sign = if *milli < 0 { "-" } else { "" };
                format!(
                    "{sign}{}.{:03}",
                    milli.unsigned_abs() / 1000,
                    milli.unsigned_abs() % 1000
                )
            }
            Self::Number(number) => number.map_or_else(String::new, |number| number.to_string()),
            Self::Text(text) => text.clone(),
        }
    }
}

/// Where rows go. Tables are printed at the end, all else as it comes.
pub struct Output<W: Write> {
    format: Format,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    to: W,
}

impl<W: Write> Output<W> {
    /// An output of rows with these columns.
    pub fn new(format: Format, columns: Vec<&'static str>, mut to: W) -> Result<Self> {
        if format == Format::Csv {
            write_csv(&mut to, &columns)?;
        }
        Ok(Self {
            format,
            columns,
            rows: Vec::new(),
            to,
        })
    }

    /// Prints a row, which is `message` in JSON and `cells` otherwise.
    pub fn row(&mut self, message: &impl Serialize, cells: Vec<Cell>) -> Result<()> {
        match self.format {
            Format::Table => self.rows.push(cells),
            Format::Csv => {
                let plain: Vec<String> = cells.iter().map(Cell::plain).collect();
                write_csv(&mut self.to, &plain)?;
            }
            Format::Json => {
                serde_json::to_writer(&mut self.to, message)?;
                writeln!(self.to)?;
            }
        }
        Ok(())
    }

    /// Prints what is left.
    pub fn finish(mut self) -> Result<()> {
        if self.format == Format::Table {
            let table = table(&self.columns, &self.rows);
            writeln!(
                self.to,
                "{}",
                if self.rows.is_empty() {
                    "nothing".into()
                } else {
                    table
                }
            )?;
        }
        Ok(self.to.flush()?)
    }
}

fn write_csv<T: AsRef<[u8]>>(to: &mut impl Write, fields: &[T]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(to);
    writer.write_record(fields)?;
    Ok(writer.flush()?)
}

fn table(columns: &[&str], rows: &[Vec<Cell>]) -> String {
    let kept: Vec<usize> = (0..columns.len())
        .filter(|&at| rows.iter().any(|row| !row[at].is_zero()))
        .collect();
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(kept.iter().map(|&at| columns[at]));
    for row in rows {
        table.add_row(kept.iter().map(|&at| row[at].shown()));
    }
    for (column, &at) in kept.iter().enumerate() {
        let text = rows.iter().all(|row| matches!(row[at], Cell::Text(_)));
        if let Some(column) = table.column_mut(column).filter(|_| !text) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(format: Format, rows: &[Vec<Cell>]) -> String {
        let mut bytes = Vec::new();
        let mut output =
            Output::new(format, vec!["who", "boxes", "TEU", "none"], &mut bytes).unwrap();
        for row in rows {
            output
                .row(
                    &crate::pb::BoxFigure {
                        boxes: 7,
                        ..Default::default()
                    },
                    row.clone(),
                )
                .unwrap();
        }
        output.finish().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn rows() -> Vec<Vec<Cell>> {
        let row = |who: &str, boxes, teu| {
            vec![
                Cell::Text(who.into()),
                Cell::Count(boxes),
                Cell::Milli(teu),
                Cell::Number(None),
            ]
        };
        vec![row("a, b", 1_234_567, 2_250), row("c", 5, -1)]
    }

    #[test]
    fn a_table_aligns_numbers_groups_digits_and_leaves_out_zeros() {
        let table = printed(Format::Table, &rows());
        assert!(
            table.contains("1,234,567") && table.contains("        5 "),
            "{table}"
        );
        assert!(table.contains("TEU") && !table.contains("none"), "{table}");
        assert_eq!(printed(Format::Table, &[]), "nothing\n");
    }

    #[test]
    fn csv_is_exact_and_json_is_the_message() {
        let csv = printed(Format::Csv, &rows());
        assert_eq!(
            csv,
            "who,boxes,TEU,none\n\"a, b\",1234567,2.250,\nc,5,-0.001,\n"
        );
        assert_eq!(
            printed(Format::Json, &rows()),
            "{\"boxes\":\"7\"}\n".repeat(2)
        );
    }
}
