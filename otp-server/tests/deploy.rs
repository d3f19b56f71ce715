//! What is in `deploy/` is what its tools expect.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn python() -> Command {
    let python = std::env::var_os("OTP_TEST_PYTHON").expect("OTP_TEST_PYTHON is set by `cargo xtask test`");
    Command::new(python)
}

fn compose(file: &Path) -> Output {
    python().arg(repository().join("xtask/peers/compose.py")).arg(file).output().unwrap()
}

fn kubernetes(file: &Path) -> Output {
    python().args(["-m", "kubernetes_validate", "--strict", "-k", "1.37"]).arg(file).output().unwrap()
}

fn promtool(check: &str, file: &Path) -> Output {
    let promtool = std::env::var_os("OTP_TEST_PROMTOOL").expect("OTP_TEST_PROMTOOL is set by `cargo xtask test`");
    Command::new(promtool).args([check, "rules"]).arg(file).output().unwrap()
}

/// The file with one word changed, which its tool must refuse.
fn broken(folder: &Path, file: &Path, from: &str, to: &str) -> PathBuf {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{} lacks {from}", file.display());
    let broken = folder.join("broken.yaml");
    fs::write(&broken, text.replace(from, to)).unwrap();
    broken
}

#[test]
#[ignore = "needs compose-spec: run `cargo xtask test`"]
fn the_compose_file_follows_the_specification() {
    let file = repository().join("deploy/compose.yaml");
    let checked = compose(&file);
    assert!(checked.status.success(), "{checked:?}");
    assert_eq!(String::from_utf8(checked.stdout).unwrap().trim(), "database, first, second");
    let folder = tempfile::tempdir().unwrap();
    let checked = compose(&broken(folder.path(), &file, "read_only: true", "read_only: [1]"));
    assert!(!checked.status.success(), "{checked:?}");
}

#[test]
#[ignore = "needs kubernetes-validate: run `cargo xtask test`"]
fn the_kubernetes_set_follows_the_schemas() {
    let folder = tempfile::tempdir().unwrap();
    let mut kinds = Vec::new();
    for entry in fs::read_dir(repository().join("deploy/kubernetes")).unwrap() {
        let file = entry.unwrap().path();
        let checked = kubernetes(&file);
        assert!(checked.status.success(), "{checked:?}");
        let text = fs::read_to_string(&file).unwrap();
        kinds.extend(text.lines().find_map(|line| line.strip_prefix("kind: ")).map(str::to_owned));
        let checked = kubernetes(&broken(folder.path(), &file, "metadata:", "metadatas:"));
        assert!(!checked.status.success(), "{checked:?}");
    }
    kinds.sort();
    assert_eq!(kinds, ["Deployment", "Ingress", "PodDisruptionBudget", "Secret", "Service"]);
}

#[test]
#[ignore = "needs promtool: run `cargo xtask test`"]
fn the_rules_of_prometheus_raise_the_alerts_they_should() {
    let folder = tempfile::tempdir().unwrap();
    let [rules, tests] = ["otp-auth.rules.yml", "otp-auth.test.yml"].map(|name| {
        let (file, copy) = (repository().join("deploy/prometheus").join(name), folder.path().join(name));
        fs::copy(&file, &copy).unwrap();
        copy
    });
    let checked = [promtool("check", &rules), promtool("test", &tests)];
    assert!(checked.iter().all(|checked| checked.status.success()), "{checked:?}");
    // Every rule is looked at by a test that raises it.
    let [rules_text, tests_text] = [&rules, &tests].map(|file| fs::read_to_string(file).unwrap());
    let names: Vec<&str> = rules_text.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(names.len(), 13);
    for name in names {
        let raised = format!("alertname: {name}\n        exp_alerts:");
        assert!(tests_text.contains(&raised), "{name}");
        let missing = rules_text.replace(&format!("- alert: {name}\n"), "- alert: Other\n");
        fs::write(&rules, missing).unwrap();
        let checked = promtool("test", &tests);
        assert!(!checked.status.success(), "{name} {checked:?}");
    }
    let broken = broken(folder.path(), &repository().join("deploy/prometheus/otp-auth.rules.yml"), "rate(", "rated(");
    let checked = promtool("check", &broken);
    assert!(!checked.status.success(), "{checked:?}");
}

/// Every setting that the files name is one of the server's.
#[test]
fn the_settings_that_are_named_exist() {
    let known = fs::read_to_string(repository().join("otp-server/src/config/setting.rs")).unwrap();
    let deploy = repository().join("deploy");
    let files = ["compose.yaml", ".env.example", "otp-server.service", "Dockerfile"].map(|name| deploy.join(name));
    let manifests = fs::read_dir(deploy.join("kubernetes")).unwrap().map(|entry| entry.unwrap().path());
    let mut named = 0;
    for file in files.into_iter().chain(manifests) {
        let text = fs::read_to_string(&file).unwrap();
        let words = text.split(|c: char| !c.is_ascii_uppercase() && c != '_');
        for setting in words.filter(|word| word.starts_with("OTP_") && *word != "OTP_DATABASE_PASSWORD") {
            assert!(known.contains(&format!("\"{setting}\"")), "{} names {setting}", file.display());
            named += 1;
        }
    }
    assert!(named > 20, "{named}");
}

#[test]
#[ignore = "needs systemd-analyze: run `cargo xtask test`"]
fn the_unit_is_understood_by_systemd() {
    let verify = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let unit = folder.path().join("otp-server.service");
        fs::write(&unit, text).unwrap();
        Command::new("systemd-analyze").arg("verify").arg(&unit).output().expect("systemd-analyze, of Debian's systemd")
    };
    let unit = fs::read_to_string(repository().join("deploy/otp-server.service")).unwrap();
    // It looks for the program, which is not installed here.
    let unit = unit.replace("/usr/local/bin/otp-server", env!("CARGO_BIN_EXE_otp-server"));
    let checked = verify(&unit);
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && !said.contains("otp-server.service:"), "{said}");
    let checked = verify(&unit.replace("Restart=on-failure", "Restart=perhaps"));
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(said.contains("perhaps"), "{said}");
}
