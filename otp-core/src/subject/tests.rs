//! Good and bad addresses, and the two properties that protect accounts: no other spelling becomes someone's identity,
//! and no number of spellings multiplies a limit.

use std::collections::HashSet;

use super::*;
use crate::id::TenantId;
use crate::random::{Random, SeededRandom};
use crate::secret::KeyRing;

fn email(text: &str) -> Result<EmailAddress, InvalidEmail> {
    text.parse()
}

fn phone(text: &str) -> Result<PhoneNumber, InvalidPhone> {
    text.parse()
}

#[test]
fn good_addresses_have_one_identity_and_keep_their_spelling() {
    let long = format!("{}@example.org", "a".repeat(64));
    for (typed, display, canonical) in [
        ("mike@example.org", "mike@example.org", "mike@example.org"),
        ("  Mike@Example.ORG\r\n", "Mike@Example.ORG", "mike@example.org"),
        ("m.i.k.e+news@example.org", "m.i.k.e+news@example.org", "m.i.k.e+news@example.org"),
        (
            "o'brien!#$%&*-/=?^_`{|}~@example.org",
            "o'brien!#$%&*-/=?^_`{|}~@example.org",
            "o'brien!#$%&*-/=?^_`{|}~@example.org",
        ),
        ("1@2.example", "1@2.example", "1@2.example"),
        ("ann@BÜCHER.example", "ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("ann@bu\u{308}cher.example", "ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@XN--BCHER-KVA.example", "ann@XN--BCHER-KVA.example", "ann@xn--bcher-kva.example"),
        ("ann@straße.example", "ann@straße.example", "ann@xn--strae-oqa.example"),
        ("ann@例え.テスト", "ann@例え.テスト", "ann@xn--r8jz45g.xn--zckzah"),
        ("ann@пример.xn--p1ai", "ann@пример.xn--p1ai", "ann@xn--e1afmkfd.xn--p1ai"),
        ("Rene\u{301}@example.org", "René@example.org", "rené@example.org"),
        ("ИВАН@example.org", "ИВАН@example.org", "иван@example.org"),
        ("用户@example.org", "用户@example.org", "用户@example.org"),
        ("संपर्क@example.org", "संपर्क@example.org", "संपर्क@example.org"),
        (&long, &long, &long),
    ] {
        let address = email(typed).unwrap_or_else(|error| panic!("{typed}: {error}"));
        assert_eq!((address.display(), address.canonical()), (display, canonical));
    }
}

#[test]
fn bad_addresses_are_refused_for_the_right_reason() {
    use InvalidEmail::{Domain, Form, Local, Lookalike, TooLong};
    let (local, whole) = ("a".repeat(65) + "@example.org", format!("a@{}.example.org", "a.".repeat(125) + "a"));
    let label = format!("a@{}.org", "a".repeat(64));
    for (text, error) in [
        ("", Form),
        ("mike", Form),
        ("mike@example@org", Form),
        ("@", Domain),
        ("@example.org", Local),
        (".mike@example.org", Local),
        ("mike.@example.org", Local),
        ("mi..ke@example.org", Local),
        ("mi ke@example.org", Local),
        ("mike @example.org", Local),
        ("mi\tke@example.org", Local),
        ("mi\r\nBcc:x@example.org", Local),
        ("mi\0ke@example.org", Local),
        ("mi\u{85}ke@example.org", Local),
        ("\"mike\"@example.org", Local),
        ("mike(comment)@example.org", Local),
        ("Mike <mike@example.org>", Domain),
        ("mi,ke@example.org", Local),
        ("mi;ke@example.org", Local),
        ("mi:ke@example.org", Local),
        ("mi\\ke@example.org", Local),
        ("mi[ke]@example.org", Local),
        ("mi\u{200b}ke@example.org", Local),
        ("mi\u{200d}ke@example.org", Local),
        ("mi\u{202e}ke@example.org", Local),
        ("mi\u{ad}ke@example.org", Local),
        ("mi\u{fe0f}ke@example.org", Local),
        ("mi\u{34f}ke@example.org", Local),
        ("\u{3099}mike@example.org", Local),
        ("mi😀ke@example.org", Local),
        ("m\u{131}ke@example.org", Lookalike),
        ("m\u{130}ke@example.org", Lookalike),
        ("mi\u{212a}e@example.org", Lookalike),
        ("mi\u{ff4b}e@example.org", Lookalike),
        ("ma\u{df}@example.org", Lookalike),
        ("\u{17f}am@example.org", Lookalike),
        ("J\u{30c}@example.org", Lookalike),
        ("\u{fb01}@example.org", Lookalike),
        ("\u{ff76}@example.org", Lookalike),
        ("mi\u{a0}ke@example.org", Local),
        ("mike\u{ff20}example.org", Form),
        ("mike@example\u{3002}org", Lookalike),
        ("mike@example\u{ff0e}org", Lookalike),
        ("mike@exam\u{ad}ple.org", Lookalike),
        ("mike@exam\u{200b}ple.org", Lookalike),
        ("mike@\u{ff45}xample.org", Lookalike),
        ("mike@\u{24d4}xample.org", Lookalike),
        ("mike@", Domain),
        ("mike@localhost", Domain),
        ("mike@127.0.0.1", Domain),
        ("mike@127.0.0.0x1", Domain),
        ("mike@[127.0.0.1]", Domain),
        ("mike@[IPv6:::1]", Domain),
        ("mike@example.org.", Domain),
        ("mike@.example.org", Domain),
        ("mike@example..org", Domain),
        ("mike@-example.org", Domain),
        ("mike@example-.org", Domain),
        ("mike@exa_mple.org", Domain),
        ("mike@exa mple.org", Domain),
        ("mike@example.org:25", Domain),
        ("mike@example.org\r\nBcc: x", Domain),
        ("mike@example.123", Domain),
        ("mike@xn--a.example", Domain),
        ("mike@xn--.example", Domain),
        (&label, Domain),
        (&local, TooLong),
        (&whole, TooLong),
    ] {
        assert_eq!(email(text), Err(error), "{text:?}");
    }
}

#[test]
fn each_refusal_says_what_to_change() {
    assert_eq!(
        InvalidEmail::Local.to_string(),
        "before the @ use letters, digits and !#$%&'*+-/=?^_`{|}~, with single dots between them"
    );
    assert_eq!(InvalidEmail::TooLong.to_string(), "use an address of at most 254 bytes, with at most 64 before the @");
    assert_eq!(InvalidPhone::Length(3).to_string(), "write 8 to 15 digits after the +; these are 3");
}

/// Every Unicode scalar but Han, Hangul, private and unassigned ones: those have no case, compose with no mark and stand for
/// no other.
fn scalars() -> impl Iterator<Item = char> {
    let tags = '\u{e0000}'..='\u{e01ef}';
    let compatible = '\u{2f800}'..='\u{2fa1f}';
    ('\0'..='\u{33ff}')
        .chain('\u{a000}'..='\u{abff}')
        .chain('\u{f900}'..='\u{1fbff}')
        .chain(compatible)
        .chain(tags)
        .chain(['\u{4e00}', '\u{ac00}', '\u{e000}', '\u{40000}', char::MAX])
}

/// Puts every scalar at every place of a victim's address.
#[test]
fn no_scalar_makes_the_address_of_another() {
    const VICTIM: &str = "mike@example.org";
    std::thread::scope(|scope| {
        for place in 0..VICTIM.len() {
            scope.spawn(move || {
                let mut text = VICTIM.to_owned();
                let own = VICTIM.chars().nth(place).unwrap();
                for scalar in scalars().filter(|scalar| !scalar.eq_ignore_ascii_case(&own)) {
                    text.truncate(place);
                    text.push(scalar);
                    text.push_str(&VICTIM[place + 1..]);
                    let Ok(address) = email(&text) else { continue };
                    assert_ne!(address.canonical(), VICTIM, "{scalar:?} at {place}");
                }
            });
        }
    });
}

#[test]
fn every_accepted_spelling_parses_to_itself_again() {
    let mut accepted = 0;
    for scalar in scalars() {
        let texts =
            [format!("a{scalar}@example.org"), format!("{scalar}\u{30c}@example.org"), format!("a@b{scalar}.org")];
        for text in texts {
            let Ok(address) = email(&text) else { continue };
            accepted += 1;
            for form in [address.display(), address.canonical()].into_iter().filter(|form| *form != text) {
                assert_eq!(email(form).as_ref(), Ok(&address), "{text:?} became {form:?}");
            }
        }
    }
    assert!(accepted > 50_000, "{accepted} were accepted");
}

/// One of the spellings of `ann.lee@gmail.com`.
fn alias(number: usize, random: &dyn Random) -> String {
    let [dots, upper, domain, space]: [u8; 4] = random.bytes();
    let mut local = String::new();
    for (index, letter) in "annlee".chars().enumerate() {
        if index > 0 && dots >> index & 1 == 1 {
            local.push('.');
        }
        local.push(if upper >> index & 1 == 1 { letter.to_ascii_uppercase() } else { letter });
    }
    let domain = ["gmail.com", "googlemail.com", "GMail.com", "GOOGLEMAIL.COM"][usize::from(domain % 4)];
    let space = ["", " ", "\t", "\u{3000}"][usize::from(space % 4)];
    format!("{space}{local}+{number}@{domain}{space}")
}

#[test]
fn ten_thousand_aliases_share_one_bucket_and_stay_distinct() {
    let keys = KeyRing::generate(&SeededRandom::new(1)).tenant(TenantId::from_bytes([1; 16]));
    let aliases: Vec<_> = (0..10_000)
        .map(|number| Address::Email(alias(number, &SeededRandom::new(number as u64)).parse().unwrap()))
        .collect();
    let subjects: HashSet<_> = aliases.iter().map(|alias| SubjectKey::of(&keys, 0, alias)).collect();
    let buckets: HashSet<_> = aliases.iter().map(|alias| BucketKey::of(&keys, 0, alias)).collect();
    assert_eq!((subjects.len(), buckets.len()), (10_000, 1));
    assert_eq!(aliases[0].bucket(), "annlee@gmail.com");
}

#[test]
fn only_gmail_ignores_dots() {
    assert_eq!(email("Ann.Lee+a+b@example.org").unwrap().bucket(), "ann.lee@example.org");
    assert_ne!(email("annlee@example.org").unwrap().bucket(), email("ann.lee@example.org").unwrap().bucket());
    assert_ne!(email("a@gmail.com.example.org").unwrap().bucket(), email("a@gmail.com").unwrap().bucket());
}

#[test]
fn good_numbers_become_e164() {
    for (typed, canonical) in [
        ("+4930123456", "+4930123456"),
        (" +49 (30) 123-456 ", "+4930123456"),
        ("+1.202.555.0123", "+12025550123"),
        ("+49\u{a0}30\u{a0}123456", "+4930123456"),
        ("+29012345", "+29012345"),
        ("+123456789012345", "+123456789012345"),
    ] {
        assert_eq!(phone(typed).unwrap().canonical(), canonical);
    }
}

#[test]
fn bad_numbers_are_refused_for_the_right_reason() {
    use InvalidPhone::{Character, CountryCode, Length, TrunkPrefix};
    for (text, error) in [
        ("", CountryCode),
        ("030 123456", CountryCode),
        ("004930123456", CountryCode),
        ("4930123456", CountryCode),
        ("\u{ff0b}4930123456", CountryCode),
        ("+04930123456", CountryCode),
        ("+0012025550123", CountryCode),
        ("++4930123456", Character),
        ("+49+30123456", Character),
        ("+49 30 123456 ext 7", Character),
        ("+49 30 123456\n7", Character),
        ("+49 30 12345\u{0666}", Character),
        ("+49 30 12345\u{ff16}", Character),
        ("+1-800-FLOWERS", Character),
        ("+49 30/123456", Character),
        ("+44 (0)20 7946 0958", TrunkPrefix),
        ("+", Length(0)),
        ("+1234567", Length(7)),
        ("+1234567890123456", Length(16)),
    ] {
        assert_eq!(phone(text), Err(error), "{text:?}");
    }
}

#[test]
fn addresses_are_masked_wherever_they_could_be_printed() {
    let (mail, number) = (email("Jane@Example.org").unwrap(), phone("+4915112345642").unwrap());
    assert_eq!((format!("{mail:?}"), mail.masked()), ("j***@example.org".into(), "j***@example.org".into()));
    assert_eq!((format!("{number:?}"), number.masked()), ("+49***42".into(), "+49***42".into()));
    assert_eq!(email("j@example.org").unwrap().masked(), "j***@example.org");
    assert_eq!(format!("{:?}", [Address::Email(mail), Address::Phone(number)]), "[j***@example.org, +49***42]");
}

#[test]
fn digests_differ_by_tenant_mode_kind_and_use_and_not_by_spelling() {
    let ring = KeyRing::generate(&SeededRandom::new(1));
    let [one, two] = [1, 2].map(|tenant| ring.tenant(TenantId::from_bytes([tenant; 16])));
    let ann = Address::Email(email("ann@example.org").unwrap());
    let number = Address::Phone(phone("+4930123456").unwrap());
    let keys = [
        SubjectKey::of(&one, 0, &ann),
        SubjectKey::of(&one, 1, &ann),
        SubjectKey::of(&two, 0, &ann),
        SubjectKey::of(&one, 0, &number),
        SubjectKey::from_bytes(*BucketKey::of(&one, 0, &ann).as_bytes()),
        SubjectKey::from_bytes(*BucketKey::of(&one, 0, &number).as_bytes()),
    ];
    assert_eq!(HashSet::from(keys).len(), keys.len());
    let shouted = Address::Email(email("ANN@EXAMPLE.ORG").unwrap());
    assert_eq!((SubjectKey::of(&one, 0, &shouted), &shouted), (keys[0], &ann));
    let stored = serde_json::to_string(&keys[0]).unwrap();
    assert_eq!(serde_json::from_str::<SubjectKey>(&stored).unwrap(), keys[0]);
}
