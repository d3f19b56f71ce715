//! Tables as CSV (RFC 4180).

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// What a table may be asked for as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Csv,
}

impl Format {
    /// Reads the `format` of a query; JSON if there is none.
    pub fn parse(text: Option<&str>) -> Result<Self, super::Problem> {
        match text {
            None | Some("json") => Ok(Self::Json),
            Some("csv") => Ok(Self::Csv),
            Some(_) => Err(super::Problem::field("invalid_field", "format", "use json or csv")),
        }
    }
}

/// A table with a heading.
pub struct Table(String);

impl Table {
    pub fn new(heading: &[&str]) -> Self {
        let mut table = Self(String::new());
        table.row(heading.iter().copied());
        table
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        for (column, cell) in cells.into_iter().enumerate() {
            if column > 0 {
                self.0.push(',');
            }
            self.0.push_str(&written(cell.as_ref()));
        }
        self.0.push_str("\r\n");
    }
}

impl IntoResponse for Table {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], self.0).into_response()
    }
}

/// A spreadsheet takes a cell that begins like a formula for one: a quotation mark before it makes it a text.
fn written(cell: &str) -> String {
    let is_number = cell.parse::<f64>().is_ok();
    let is_formula = !is_number && cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_is_never_a_formula() {
        for (cell, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("a \"b\"\r\nc", "\"a \"\"b\"\"\r\nc\""),
            ("=1+1", "'=1+1"),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("-1.5", "-1.5"),
            ("-1+cmd", "'-1+cmd"),
            ("@SUM(1,2)", "\"'@SUM(1,2)\""),
            ("\tx", "'\tx"),
        ] {
            assert_eq!(written(cell), expected);
        }
    }

    #[test]
    fn lines_end_as_the_standard_says() {
        let mut table = Table::new(&["date", "count"]);
        table.row(["2026-01-31", "7"]);
        table.row(["2026-02-01", ""]);
        assert_eq!(table.0, "date,count\r\n2026-01-31,7\r\n2026-02-01,\r\n");
    }
}
