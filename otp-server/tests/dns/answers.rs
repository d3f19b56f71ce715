//! What the name server says, and what is made of it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use otp_core::domain::{Lookup, Resolver};
use otp_server::dns::Dns;

use crate::named::Named;

fn found(values: &[&str]) -> Lookup {
    Lookup::Found(values.iter().map(|value| (*value).to_owned()).collect())
}

/// The answer with its values sorted: servers turn them round.
async fn ask(dns: &Dns, name: &str) -> Lookup {
    match dns.txt(name).await {
        Lookup::Found(mut values) => {
            values.sort();
            Lookup::Found(values)
        }
        other => other,
    }
}

fn failed(lookup: Lookup) -> String {
    let Lookup::Failed { reason } = lookup else { panic!("{lookup:?}") };
    reason
}

#[tokio::test]
#[ignore = "needs a DNS server: run cargo xtask test"]
async fn records_are_found_with_their_strings_joined() {
    let named = Named::start();
    let dns = Dns::of(Some(named.address)).unwrap();
    let long = format!("{}{}c", "a".repeat(255), "b".repeat(255));
    for (name, values) in [
        ("acme.test", &[long.as_str()][..]),
        ("one.acme.test", &["first string, second"]),
        ("ONE.Acme.Test", &["first string, second"]),
        ("two.acme.test", &["a", "b"]),
        ("alias.acme.test", &["a", "b"]),
        ("chain.acme.test", &["a", "b"]),
        ("elsewhere.acme.test", &["proof"]),
        ("bytes.acme.test", &["\u{fffd}\0"]),
    ] {
        assert_eq!(ask(&dns, name).await, found(values), "{name}");
    }
}

#[tokio::test]
#[ignore = "needs a DNS server: run cargo xtask test"]
async fn what_does_not_fit_in_a_packet_comes_by_tcp() {
    let named = Named::start();
    let dns = Dns::of(Some(named.address)).unwrap();
    let Lookup::Found(values) = ask(&dns, "many.acme.test").await else { panic!() };
    assert_eq!(values.len(), 40);
    assert!(values.iter().all(|value| value.len() > 200));
}

#[tokio::test]
#[ignore = "needs a DNS server: run cargo xtask test"]
async fn no_name_and_no_record_are_not_found_and_a_failure_is_none_of_both() {
    let named = Named::start();
    let dns = Dns::of(Some(named.address)).unwrap();
    for name in ["nobody.acme.test", "nothing.acme.test", "astray.acme.test", "_otpauth-verify.acme.test"] {
        assert_eq!(ask(&dns, name).await, Lookup::NotFound, "{name}");
    }
    for (name, why) in
        [("x.broken.test", "Server Failure"), ("dead.acme.test", "Server Failure"), ("not-its-own.net", "Refused")]
    {
        let reason = failed(ask(&dns, name).await);
        assert!(reason.contains(why), "{name}: {reason}");
    }
    // Nothing of a dead zone or a failure before stays.
    named.update(&["add fresh.acme.test 600 TXT now".to_owned()]);
    assert_eq!(ask(&dns, "fresh.acme.test").await, found(&["now"]));
    named.update(&["delete fresh.acme.test TXT".to_owned()]);
    assert_eq!(ask(&dns, "fresh.acme.test").await, Lookup::NotFound, "although it might be kept for ten minutes");
}

/// It takes four seconds: two tries of two seconds each, in which the question is sent again when packets seem to be lost.
#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let dns = Dns::of(Some(silent.local_addr().unwrap())).unwrap();
    let reason = failed(ask(&dns, "acme.test").await);
    assert_eq!(reason, "no name server answered in time");
    silent.set_nonblocking(true).unwrap();
    let packets = std::iter::from_fn(|| silent.recv(&mut [0; 512]).ok()).count();
    assert!((2..=10).contains(&packets), "{packets}");
}

#[tokio::test]
async fn nobody_at_the_address_is_a_failure_too() {
    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    assert!(Dns::of(Some(nobody)).unwrap().check().await.is_err());
}

#[tokio::test]
async fn a_name_that_is_none_is_a_failure_and_no_panic() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let dns = Dns::of(Some(silent.local_addr().unwrap())).unwrap();
    for name in ["a..b", &"a".repeat(64), &"a.".repeat(200)] {
        failed(ask(&dns, name).await);
    }
}
