//! The whole way: a domain is added, published, verified, lost, and found again.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use otp_core::domain::{DomainName, DomainStatus, Fact};
use otp_core::store::MemoryStore;
use otp_core::{KeyRing, ManualClock, Mode, NewTenant, Service, SystemRandom};
use otp_server::dns::Dns;

use crate::named::Named;

const DAY: Duration = Duration::from_secs(86_400);
const PLACE: &str = "_otpauth-verify.mail.acme.test";

#[tokio::test]
#[ignore = "needs a DNS server: run cargo xtask test"]
async fn a_domain_is_verified_by_a_record_that_stays() {
    let named = Named::start();
    let clock = Arc::new(ManualClock::default());
    let service = Service::builder(MemoryStore::new(), KeyRing::generate(&SystemRandom))
        .clock(clock.clone())
        .resolver(Dns::of(Some(named.address)).unwrap())
        .build();
    let new = NewTenant { plan: Some("pro".to_owned()), ..NewTenant::named("Acme", "ops@acme.test") };
    let tenant = service.create_tenant(new).await.unwrap();
    let caller = service.program(tenant.id, Mode::Live).await.unwrap();
    let added = service.add_domain(&caller, "mail.acme.test", None).await.unwrap().value.domain;
    let name: DomainName = added.name.clone();
    let check = async || {
        clock.advance(Duration::from_secs(10));
        service.check_domain(&caller, &name).await.unwrap()
    };
    let publish = |value: &str| named.update(&[format!("add {PLACE} 600 TXT \"{value}\"")]);

    assert!(check().await.problem.unwrap().contains("no TXT record"));
    publish("otpauth-verify=mistyped");
    let wrong = check().await;
    assert!(wrong.problem.unwrap().contains("`otpauth-verify=mistyped`"));
    assert_eq!(wrong.status, DomainStatus::Pending);
    publish(&added.record_value);
    let verified = check().await;
    assert_eq!((verified.status, verified.problem), (DomainStatus::Verified, None));

    let status = async || service.domain(&caller, &name).await.unwrap().status;
    named.update(&[format!("delete {PLACE} TXT")]);
    clock.advance(DAY);
    assert_eq!(service.check_due_domains(10).await.unwrap(), 1);
    assert_eq!(status().await, DomainStatus::Lost);
    publish(&added.record_value);
    clock.advance(DAY);
    assert_eq!(service.check_due_domains(10).await.unwrap(), 1);
    assert_eq!(status().await, DomainStatus::Verified);

    named.update(&[
        "add mail.acme.test 600 TXT \"v=spf1 -all\"".to_owned(),
        "add _dmarc.acme.test 600 TXT \"v=DMARC1; p=reject\"".to_owned(),
        "add s1._domainkey.mail.acme.test 600 CNAME dead.acme.test".to_owned(),
    ]);
    let selectors = ["s1", "s2"].map(str::to_owned);
    let report = service.mail_report(&caller, &name, &selectors).await.unwrap();
    assert_eq!(report.spf, Fact::Found("v=spf1 -all".to_owned()));
    assert!(matches!(&report.dmarc, Fact::Found(dmarc) if dmarc.policy == "reject"), "{report:?}");
    let keys: Vec<_> = report.dkim.iter().map(|(_, fact)| fact).collect();
    assert!(matches!(keys[..], [Fact::Unknown { .. }, Fact::Missing]), "{report:?}");
}

#[test]
#[ignore = "needs a DNS server: run cargo xtask test"]
fn check_tells_whether_the_name_server_answers() {
    let named = Named::start();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_otp-server"));
    command.arg("check").current_dir(folder.path()).env_clear().env("OTP_DNS_SERVER", named.address.to_string());
    let said = command.output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains(&format!("ok    dns: {} answers\n", named.address)), "{said}");
}
