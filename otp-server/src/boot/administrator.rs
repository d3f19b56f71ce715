//! The platform administrator's token.

use otp_core::api_key::new_admin_token;
use otp_core::secret::Digest32;
use otp_core::{Secret, SystemRandom};

use super::database::Database;
use crate::config::{Config, Mistake, Setting};

/// The note that holds the token's SHA-256.
pub(super) const NOTE: &str = "admin_token";

/// The token, as far as it is known.
pub(super) enum AdminToken {
    /// It was configured, or made at an earlier start.
    Known(Digest32),
    /// It was made just now, and is to be shown once.
    Fresh(Secret),
}

impl AdminToken {
    /// The configured token; else the one that was made before; else a new one.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn of(config: &Config, database: &Database) -> Result<Self, Mistake> {
        if let Some(token) = &config.admin_token {
            return Ok(AdminToken::Known(digest(token)));
        }
        if let Some(noted) = database.note(NOTE).await? {
            return known(noted);
        }
        let token = new_admin_token(&SystemRandom);
        let noted = database.note_once(NOTE, &digest(&token).0).await?;
        if noted == digest(&token).0 { Ok(AdminToken::Fresh(token)) } else { known(noted) }
    }

    /// What requests are compared with.
    pub fn digest(&self) -> Digest32 {
        match self {
            AdminToken::Known(digest) => *digest,
            AdminToken::Fresh(token) => digest(token),
        }
    }

    /// The token, if it was made just now.
    pub fn fresh(&self) -> Option<&Secret> {
        match self {
            AdminToken::Known(_) => None,
            AdminToken::Fresh(token) => Some(token),
        }
    }
}

fn digest(token: &Secret) -> Digest32 {
    Digest32::of(token.expose().as_bytes())
}

fn known(noted: Vec<u8>) -> Result<AdminToken, Mistake> {
    let digest = noted.try_into().map_err(|_| {
        Mistake::of(
            Setting::AdminToken,
            "what the database holds of it is damaged; set OTP_ADMIN_TOKEN, or restore a backup",
        )
    })?;
    Ok(AdminToken::Known(Digest32(digest)))
}
