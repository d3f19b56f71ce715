//! One file a mail, for development and for programs that pick mail up from a folder.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use otp_core::Clock;
use otp_core::message::{Mailer, Outgoing, Receipt, SendError};
use tempfile::NamedTempFile;

use super::{MailFrom, MailSetupError, mime};

/// Writes each mail to `<message id>.eml` in a folder: whole or not at all, readable by the owner only.
pub struct FileMailer {
    folder: PathBuf,
    from: MailFrom,
    clock: Arc<dyn Clock>,
}

impl FileMailer {
    /// A mailer into `folder`, which is made if there is none.
    ///
    /// # Errors
    /// When the folder cannot be made or written to.
    pub fn new(folder: PathBuf, from: MailFrom, clock: Arc<dyn Clock>) -> Result<Self, MailSetupError> {
        let usable = fs::create_dir_all(&folder).and_then(|()| NamedTempFile::new_in(&folder));
        match usable {
            Ok(_) => Ok(Self { folder, from, clock }),
            Err(source) => Err(MailSetupError::Folder { path: folder, source }),
        }
    }

    /// Writes a file and removes it.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub async fn check(&self) -> Result<(), MailSetupError> {
        let folder = self.folder.clone();
        let written = blocking(move || NamedTempFile::new_in(folder).map(drop)).await;
        written.map_err(|source| MailSetupError::Folder { path: self.folder.clone(), source })
    }
}

#[async_trait]
impl Mailer for FileMailer {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        let mail = mime::mail(message, &self.from, self.clock.now())?.formatted();
        let path = self.folder.join(format!("{}.eml", message.id));
        blocking(move || write(&path, &mail)).await.map_err(|error| SendError::Temporary {
            reason: format!("the mail's file cannot be written: {}", error.kind()),
            retry_after: None,
        })?;
        Ok(Receipt::default())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn write(path: &Path, mail: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(mail)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
