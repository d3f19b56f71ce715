//! `cargo xtask setup`: brings in what the peer tests need and the machine lacks.
//!
//! - programs by `apt-get`, as root or by a `sudo` that asks for no password;
//! - `promtool`, and what services say of themselves in OpenAPI, under `target/peers`;
//! - the Python packages of `peers/requirements.txt`, in a virtual environment under `target/peers`;
//! - the npm packages of `peers/package-lock.json`, under `target/peers/node`.

mod promtool;
mod specifications;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::postgres;
use crate::process::{self, command, root, succeeds};

/// Programs that the tests start, each with the Debian package that brings it.
const PROGRAMS: [(&str, &str); 11] = [
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("nsupdate", "bind9-dnsutils"),
    ("oathtool", "oathtool"),
    ("openssl", "openssl"),
    ("python3", "python3"),
    ("rsvg-convert", "librsvg2-bin"),
    ("systemd-analyze", "systemd"),
    ("zbarimg", "zbar-tools"),
];
/// Where Debian puts the name server, off the path of users.
const NAMED: &str = "/usr/sbin/named";
/// The first that `import`s and `require`s alike, which the JavaScript peers take for granted.
const OLDEST_NODE: u32 = 20;

/// Where the peers are.
pub struct Peers {
    /// An interpreter that finds the packages of `requirements.txt`.
    pub python: PathBuf,
    /// The `node_modules` folder that holds the packages of `package.json`.
    pub node_modules: PathBuf,
    /// What checks the rules of Prometheus.
    pub promtool: PathBuf,
    /// The folder of the services' OpenAPI documents.
    pub specifications: PathBuf,
}

/// Installs what is missing.
///
/// # Errors
/// When something is missing and cannot be installed; the error names it.
pub fn run() -> Result<Peers> {
    let peers = root().join("target/peers");
    programs(&peers)?;
    Ok(Peers {
        python: python(&peers)?,
        node_modules: node(&peers)?,
        promtool: promtool::find(&peers)?,
        specifications: specifications::find(&peers)?,
    })
}

fn programs(peers: &Path) -> Result<()> {
    let mut packages: Vec<_> = missing_programs().map(|(_, package)| package).collect();
    if !peers.join("venv").exists() && !python3(&["-c", "import ensurepip, venv"]) {
        packages.push("python3-venv");
    }
    if packages.is_empty() {
        return Ok(());
    }
    let installed = apt_get_install(&packages);
    let missing: Vec<_> = missing_programs().map(|(program, _)| program).collect();
    if missing.is_empty() {
        return Ok(()); // python3-venv alone can be done without
    }
    let why = installed.err().unwrap_or_else(|| anyhow!("the packages are installed, but do not bring it"));
    let packages = packages.join(" ");
    Err(why.context(format!("missing: {}; on Debian `apt-get install {packages}` brings it", missing.join(", "))))
}

fn missing_programs() -> impl Iterator<Item = (&'static str, &'static str)> {
    // Debian keeps the programs of servers off the path.
    let server = postgres::binaries().is_none().then_some(("postgres", "postgresql"));
    let named = (!on_path("named") && !Path::new(NAMED).exists()).then_some(("named", "bind9"));
    PROGRAMS.into_iter().filter(|(program, _)| !on_path(program)).chain(server).chain(named)
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn apt_get_install(packages: &[&str]) -> Result<()> {
    ensure!(on_path("apt-get"), "there is no apt-get here");
    println!("installing {}", packages.join(", "));
    process::run(apt_get(&["update"])?)?;
    let mut install = apt_get(&["install", "--no-install-recommends"])?;
    install.args(packages);
    process::run(install)
}

fn apt_get(args: &[&str]) -> Result<Command> {
    let mut apt_get = match is_root() {
        true => command("env"),
        false if on_path("sudo") => {
            let mut sudo = command("sudo");
            sudo.args(["-n", "env"]);
            sudo
        }
        false => bail!("apt-get needs root, and there is no sudo"),
    };
    apt_get.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qy", "-o", "DPkg::Lock::Timeout=300"]).args(args);
    Ok(apt_get)
}

fn is_root() -> bool {
    command("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

fn python(peers: &Path) -> Result<PathBuf> {
    let folder = peers.join("venv");
    let requirements = root().join("xtask/peers/requirements.txt");
    let python = folder.join("bin/python");
    let installed = Installed::of(&folder, &requirements)?;
    if installed.is_current() && python.exists() {
        return Ok(python);
    }
    println!("installing the Python packages of {}", requirements.display());
    empty(&folder)?;
    if python3(&["-m", "venv", &folder.to_string_lossy()]) {
        pip_install(&python, &[], &requirements)?;
    } else {
        empty(&folder)?;
        python_beside(&folder, &python, &requirements)?;
    }
    installed.record()?;
    Ok(python)
}

/// The way for a Python that cannot make virtual environments: packages in a folder, and a script that points at it.
fn python_beside(folder: &Path, script: &Path, requirements: &Path) -> Result<()> {
    let packages = folder.join("site-packages");
    pip_install(Path::new("python3"), &["--target".as_ref(), packages.as_os_str()], requirements)?;
    fs::create_dir(folder.join("bin"))?;
    fs::write(script, format!("#!/bin/sh\nPYTHONPATH='{}' exec python3 \"$@\"\n", packages.display()))?;
    fs::set_permissions(script, PermissionsExt::from_mode(0o755))?;
    Ok(())
}

fn pip_install(python: &Path, to: &[&OsStr], requirements: &Path) -> Result<()> {
    let mut pip = command(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.args(to).arg("-r").arg(requirements);
    process::run(pip).context("the Python packages of the peer tests cannot be installed")
}

fn python3(args: &[&str]) -> bool {
    let mut python = command("python3");
    python.args(args);
    succeeds(python)
}

fn node(peers: &Path) -> Result<PathBuf> {
    let folder = peers.join("node");
    let lock = root().join("xtask/peers/package-lock.json");
    let modules = folder.join("node_modules");
    let installed = Installed::of(&folder, &lock)?;
    if installed.is_current() && modules.exists() {
        return Ok(modules);
    }
    let version = node_version()?;
    ensure!(version >= OLDEST_NODE, "Node.js is of version {version}, the peer tests need {OLDEST_NODE} or newer");
    println!("installing the npm packages of {}", lock.display());
    empty(&folder)?;
    fs::copy(lock.with_file_name("package.json"), folder.join("package.json"))?;
    fs::copy(&lock, folder.join("package-lock.json"))?;
    let mut npm = command("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&folder);
    process::run(npm).context("the npm packages of the peer tests cannot be installed")?;
    installed.record()?;
    Ok(modules)
}

fn node_version() -> Result<u32> {
    let version = command("node").arg("--version").output().context("`node` could not be started")?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    major.with_context(|| format!("`node --version` says {version:?}"))
}

fn empty(folder: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// The mark in a folder that a list of packages is installed there: a copy of the list, written when all of it is.
struct Installed {
    mark: PathBuf,
    list: String,
}

impl Installed {
    fn of(folder: &Path, list: &Path) -> Result<Self> {
        let list = fs::read_to_string(list).with_context(|| format!("cannot read {}", list.display()))?;
        Ok(Self { mark: folder.join("installed"), list })
    }

    fn is_current(&self) -> bool {
        fs::read_to_string(&self.mark).is_ok_and(|list| list == self.list)
    }

    fn record(&self) -> Result<()> {
        fs::write(&self.mark, &self.list).with_context(|| format!("cannot write {}", self.mark.display()))
    }
}
