//! `promtool`, out of Debian's package of Prometheus. It is not installed: that would start a server, which no test asks for.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::{apt_get, empty, on_path};
use crate::process::{self, command};

/// Where it is, once it is there.
pub fn find(peers: &Path) -> Result<PathBuf> {
    if on_path("promtool") {
        return Ok("promtool".into());
    }
    let folder = peers.join("prometheus");
    let program = folder.join("usr/bin/promtool");
    if !program.exists() {
        let advice = "missing: promtool; it is in Debian's package `prometheus` and in Prometheus' own releases";
        unpack(&folder).context(advice)?;
    }
    Ok(program)
}

fn unpack(folder: &Path) -> Result<()> {
    ensure!(on_path("apt-get") && on_path("dpkg-deb"), "there is no apt-get here");
    println!("unpacking promtool");
    let unfinished = folder.with_extension("unfinished");
    empty(&unfinished)?;
    if download(&unfinished).is_err() {
        process::run(apt_get(&["update"])?)?;
        download(&unfinished)?;
    }
    let mut entries = fs::read_dir(&unfinished)?;
    let package = entries.next().context("apt-get brought no package")??.path();
    let mut extract = command("dpkg-deb");
    extract.arg("--extract").args([&package, &unfinished]);
    process::run(extract)?;
    fs::remove_file(package)?;
    let _ = fs::remove_dir_all(folder);
    fs::rename(unfinished, folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn download(folder: &Path) -> Result<()> {
    let mut download = command("apt-get");
    download.args(["-q", "download", "prometheus"]).current_dir(folder);
    process::run(download)
}
