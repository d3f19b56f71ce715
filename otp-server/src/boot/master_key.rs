//! The master key's file.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use otp_core::{KeyRing, Random, Secret};

use crate::config::{Mistake, Setting};

/// Where the key ring is unless it is configured.
pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("master.key")
}

/// The ring in the file; `None` if there is no file.
pub(super) fn load(path: &Path) -> Result<Option<KeyRing>, Mistake> {
    let refuse = |words: String| Mistake::of(Setting::MasterKey, format_args!("{}: {words}", path.display()));
    let text = match fs::read_to_string(path) {
        Ok(text) => Secret::from(text),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refuse(format!("it cannot be read: {error}; let this user read it"))),
    };
    check_mode(path)?;
    let ring = text.expose().trim().parse();
    let fix = "put it back from its copy";
    ring.map(Some).map_err(|error| refuse(format!("{error}; {fix}")))
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), Mistake> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map_or(0, |data| data.permissions().mode()) & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let path = path.display();
    let words = format!("{path} has mode {mode:04o}, others than its owner could read it; run `chmod 600 {path}`");
    Err(Mistake::of(Setting::MasterKey, words))
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> Result<(), Mistake> {
    Ok(())
}

/// Makes the file with a fresh ring. If another process was faster, gives the ring it made.
pub(super) fn create(path: &Path, random: &dyn Random) -> Result<KeyRing, Mistake> {
    let ring = KeyRing::generate(random);
    let written = write(path, &ring, random);
    match written {
        Ok(()) => Ok(ring),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => load(path)?.ok_or_else(|| cannot_write(path, &error)),
        Err(error) => Err(cannot_write(path, &error)),
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Mistake {
    let words =
        format!("{} cannot be written: {error}; let this user write there, or set OTP_MASTER_KEY", path.display());
    Mistake::of(Setting::DataDir, words)
}

/// Under another name first, so that nobody ever reads half a key, and the name is given once.
fn write(path: &Path, ring: &KeyRing, random: &dyn Random) -> std::io::Result<()> {
    let unfinished = path.with_extension(format!("key.{:016x}", u64::from_be_bytes(random.bytes())));
    let outcome = write_whole(&unfinished, ring).and_then(|()| fs::hard_link(&unfinished, path));
    let _ = fs::remove_file(&unfinished); // the first error is the one to be told
    outcome?;
    sync_directory(path)
}

fn write_whole(path: &Path, ring: &KeyRing) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{}", ring.export().expose())?;
    file.sync_all()
}

/// Makes the new name durable: data must never be older than the key that opens it.
fn sync_directory(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}
