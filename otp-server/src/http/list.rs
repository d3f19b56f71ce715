//! Pages of lists.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::Problem;

/// A query that does not read.
pub type BadQuery = QueryRejection;

const USUAL: usize = 50;
const MOST: usize = 200;

/// What part of a list is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Entries of a page, 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

impl PageQuery {
    /// How many entries, and behind what.
    pub fn read(query: Result<Query<Self>, BadQuery>) -> Result<(usize, Option<String>), Problem> {
        let Query(Self { limit, cursor }) = query.map_err(|_| bad_limit())?;
        Ok((page_limit(limit)?, cursor))
    }
}

/// The entries of a page.
pub fn page_limit(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(USUAL);
    if (1..=MOST).contains(&limit) { Ok(limit) } else { Err(bad_limit()) }
}

/// Says which limits there are.
pub fn bad_limit() -> Problem {
    Problem::field("invalid_field", "limit", format!("use a number from 1 to {MOST}"))
}
