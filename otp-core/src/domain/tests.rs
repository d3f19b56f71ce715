use super::*;
use crate::random::SeededRandom;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

#[test]
fn what_nobody_can_own_or_prove_is_refused_with_the_reason() {
    let long = |bytes: usize| format!("{}com", format!("{}.", "a".repeat(60)).repeat(4))[247 - bytes..].to_owned();
    let (fits, too_long) = (long(237), long(238));
    assert_eq!((fits.len(), too_long.len()), (237, 238));
    for (text, why) in [
        ("", InvalidDomain::Form),
        ("https://acme.com", InvalidDomain::Form),
        ("acme.com/", InvalidDomain::Form),
        ("acme.com:25", InvalidDomain::Form),
        ("ann@acme.com", InvalidDomain::Form),
        ("acme.com.", InvalidDomain::Form),
        ("*.acme.com", InvalidDomain::Form),
        ("acme .com", InvalidDomain::Form),
        ("acme.com\nevil.com", InvalidDomain::Form),
        ("192.0.2.1", InvalidDomain::Address),
        ("0x7f.1", InvalidDomain::Address),
        ("127.1", InvalidDomain::Address),
        ("::1", InvalidDomain::Address),
        ("[2001:db8::1]", InvalidDomain::Address),
        ("localhost", InvalidDomain::SingleLabel),
        ("com", InvalidDomain::SingleLabel),
        ("dev.localhost", InvalidDomain::NotInDns),
        ("printer.local", InvalidDomain::NotInDns),
        ("abc.onion", InvalidDomain::NotInDns),
        ("co.uk", InvalidDomain::PublicSuffix),
        ("CO.UK", InvalidDomain::PublicSuffix),
        ("com.br", InvalidDomain::PublicSuffix),
        ("foo.ck", InvalidDomain::PublicSuffix),
        ("github.io", InvalidDomain::PublicSuffix),
        ("公司.cn", InvalidDomain::PublicSuffix),
        ("xn--55qx5d.cn", InvalidDomain::PublicSuffix),
        ("_dmarc.acme.com", InvalidDomain::Label),
        ("acme_mail.com", InvalidDomain::Label),
        ("-acme.com", InvalidDomain::Label),
        ("acme-.com", InvalidDomain::Label),
        ("acme..com", InvalidDomain::Label),
        (".acme.com", InvalidDomain::Label),
        ("acme.1", InvalidDomain::Label),
        ("xn--a.com", InvalidDomain::Label),
        ("ａｃｍｅ.com", InvalidDomain::Lookalike),
        ("acme。com", InvalidDomain::SingleLabel),
        ("mail.acme。com", InvalidDomain::Lookalike),
        ("ac\u{ad}me.com", InvalidDomain::Lookalike),
        (&too_long, InvalidDomain::TooLong),
        (&"a".repeat(10_000), InvalidDomain::TooLong),
        (&format!("{}.com", "a".repeat(64)), InvalidDomain::Label),
        (&format!("{}.com", "ü".repeat(70)), InvalidDomain::Label),
    ] {
        assert_eq!(text.parse::<DomainName>(), Err(why), "{text}");
    }
    for (text, name) in [
        (" Acme.COM ", "acme.com"),
        ("mail.acme.co.uk", "mail.acme.co.uk"),
        ("www.ck", "www.ck"), // the list's exception to *.ck
        ("acme.github.io", "acme.github.io"),
        ("acme.internal", "acme.internal"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("i❤.ws", "xn--i-7iq.ws"),
        (&fits, &fits),
    ] {
        assert_eq!(text.parse::<DomainName>().map(|name| name.to_string()).as_deref(), Ok(name), "{text}");
    }
}

fn domain(name: &str, state: DomainState) -> Domain {
    let tenant = TenantId::from_bytes([1; 16]);
    Domain { state, ..Domain::new(tenant, name.parse().unwrap(), NOW, &SeededRandom::new(1)) }
}

#[test]
fn a_verified_domain_covers_itself_and_what_is_below() {
    let acme = domain("acme.com", DomainState::Verified { at: NOW });
    for (address, covered) in [
        ("noreply@acme.com", true),
        ("noreply@ACME.com", true),
        ("noreply@mail.acme.com", true),
        ("noreply@a.b.acme.com", true),
        ("noreply@evilacme.com", false),
        ("noreply@acme.com.evil.com", false),
        ("noreply@com.com", false),
    ] {
        let address: EmailAddress = address.parse().unwrap();
        assert_eq!(acme.covers(&address, NOW), covered, "{address:?}");
        let is_read = Domain::reads_for(acme.tenant, &address).contains(&Read::Record(acme.key()));
        assert_eq!(is_read, covered, "{address:?}");
        assert!(!domain("acme.com", DomainState::Pending).covers(&address, NOW));
    }
    let address = "noreply@acme.com".parse().unwrap();
    let lost = domain("acme.com", DomainState::Lost { verified_at: NOW, at: NOW });
    assert!(lost.covers(&address, NOW + WEEK - Duration::from_millis(1)));
    assert!(!lost.covers(&address, NOW + WEEK));
    assert!(!domain("mail.acme.com", DomainState::Verified { at: NOW }).covers(&address, NOW));
}

#[test]
fn what_a_domain_is_after_a_look_up() {
    let verified_at = NOW;
    let later = NOW + HOUR;
    let verified = DomainState::Verified { at: NOW };
    let lost = DomainState::Lost { verified_at, at: NOW };
    let other = Finding::Other { values: vec!["x".to_owned()] };
    let failed = Finding::Failed { reason: "SERVFAIL".to_owned() };
    let newly_lost = DomainState::Lost { verified_at, at: later };
    let newly_verified = DomainState::Verified { at: later };
    for (before, finding, after, next) in [
        (DomainState::Pending, Finding::Published, newly_verified, DAY),
        (DomainState::Pending, Finding::Nothing, DomainState::Pending, HOUR),
        (DomainState::Pending, other.clone(), DomainState::Pending, HOUR),
        (DomainState::Pending, failed.clone(), DomainState::Pending, HOUR),
        (verified, Finding::Published, verified, DAY),
        (verified, Finding::Nothing, newly_lost, HOUR),
        (verified, other.clone(), newly_lost, HOUR),
        (verified, failed.clone(), verified, HOUR),
        (lost, Finding::Published, verified, DAY),
        (lost, Finding::Nothing, lost, HOUR),
        (lost, other, lost, HOUR),
        (lost, failed, lost, HOUR),
    ] {
        let seen = domain("acme.com", before).after(finding.clone(), later);
        assert_eq!((seen.state, seen.due.at), (after, Some(later + next)), "{before:?} {finding:?}");
        assert_eq!((seen.finding, seen.checked_at), (Some(finding), Some(later)));
    }
    for state in [DomainState::Pending, lost] {
        let seen = domain("acme.com", state).after(Finding::Published, NOW + WEEK);
        assert_eq!((seen.state, seen.due.at), (state, None), "what has expired stays expired");
    }
}

#[test]
fn the_value_is_found_among_others_and_compared_whole() {
    let found = |values: &[&str]| Lookup::Found(values.iter().map(|value| (*value).to_owned()).collect());
    let is_published = |values: &[&str]| Finding::of(&found(values), "otpauth-verify=ab") == Finding::Published;
    assert!(is_published(&["otpauth-verify=ab"]) && is_published(&["x", " otpauth-verify=ab "]));
    for other in ["otpauth-verify=abc", "otpauth-verify=a", "OTPAUTH-VERIFY=AB", "x otpauth-verify=ab", ""] {
        assert!(!is_published(&[other]), "{other}");
    }
    let long = "é".repeat(1_000);
    let Finding::Other { values } = Finding::of(&found(&[long.as_str(); 20]), "x") else { panic!() };
    assert!(values.len() == MOST_VALUES && values.iter().all(|value| value.chars().count() == LONGEST_VALUE));
}
