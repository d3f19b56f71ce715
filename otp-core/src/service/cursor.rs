//! Where a page of a list ends, as the caller is told: an id with a tag by which we know it as given out for this list.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Error;
use crate::secret::TenantKeys;
use crate::store::SmallBytes;

const TAG: usize = 9;

/// The cursor behind this entry of the owner's list.
pub(super) fn behind(keys: &TenantKeys, owner: &SmallBytes, id: impl Display) -> String {
    let id = id.to_string();
    let tag = keys.index(&[b"cursor", owner.as_slice(), id.as_bytes()]);
    format!("{id}.{}", URL_SAFE_NO_PAD.encode(&tag.0[..TAG]))
}

/// The entry that a cursor of the owner's list names. One of another list, tenant or mode is none.
pub(super) fn read<T: FromStr + Display>(
    keys: &TenantKeys,
    owner: &SmallBytes,
    cursor: Option<&str>,
) -> Result<Option<T>, Error> {
    let Some(cursor) = cursor else { return Ok(None) };
    let id = cursor.split_once('.').and_then(|(id, _)| id.parse::<T>().ok());
    let id = id.filter(|id| behind(keys, owner, id) == cursor);
    id.map(Some).ok_or_else(|| Error::invalid("invalid_cursor", "cursor", "use nextCursor as it was given"))
}
