//! What is noted about the installation itself.

use tokio_postgres::Row;

use crate::error::Broken;
use crate::session::{Param, Session, Step};
use crate::statements::Query;

pub(crate) async fn noted(session: &mut Session, name: String) -> Result<Option<Vec<u8>>, Broken> {
    value(&session.look(vec![look(name)]).await?.concat())
}

pub(crate) async fn note_once(session: &mut Session, name: String, value: Vec<u8>) -> Result<Vec<u8>, Broken> {
    let params: Vec<Param> = vec![Box::new(name.clone()), Box::new(value.clone())];
    let steps = vec![Step::Call(Query::Note, params), look(name)];
    let rows = session.write_alone(steps).await?.concat();
    Ok(self::value(&rows)?.unwrap_or(value))
}

fn look(name: String) -> Step {
    Step::Call(Query::Noted, vec![Box::new(name)])
}

fn value(rows: &[Row]) -> Result<Option<Vec<u8>>, Broken> {
    rows.first().map(|row| row.try_get(0).map_err(Broken::corrupt)).transpose()
}
