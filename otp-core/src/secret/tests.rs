use super::*;
use crate::random::{SeededRandom, SystemRandom};

fn ring(text: &str) -> Result<KeyRing, InvalidKeyRing> {
    text.parse()
}

#[test]
fn a_sealed_value_opens_only_for_its_tenant_place_and_ring() {
    let random: &dyn Random = &SeededRandom::new(1);
    let ring = KeyRing::generate(random);
    let (one, two) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
    let sealed = ring.tenant(one).seal(random, b"here", b"ann@example.org");
    assert_eq!(ring.tenant(one).open_text(b"here", &sealed).unwrap(), "ann@example.org");
    assert_eq!(ring.tenant(one).open(b"there", &sealed), Err(CannotOpen));
    assert_eq!(ring.tenant(two).open(b"here", &sealed), Err(CannotOpen));
    assert_eq!(KeyRing::generate(&SystemRandom).tenant(one).open(b"here", &sealed), Err(CannotOpen));
}

#[test]
fn a_newer_key_writes_and_the_older_still_reads() {
    let random: &dyn Random = &SeededRandom::new(1);
    let old = KeyRing::generate(random);
    let both = ring(&format!(
        "2:{},{}",
        STANDARD.encode([7u8; 31].map(|b| b).iter().chain(&[8]).copied().collect::<Vec<_>>()),
        old.export().expose()
    ))
    .unwrap();
    let tenant = TenantId::from_bytes([1; 16]);
    let sealed = old.tenant(tenant).seal(random, b"x", b"y");
    assert_eq!(&both.tenant(tenant).open(b"x", &sealed).unwrap()[..], b"y");
    assert_eq!(both.newest(), 2);
    assert_eq!(both.tenant(tenant).index(&[b"a"]), old.tenant(tenant).index(&[b"a"]));
    assert_eq!(old.tenant(tenant).open(b"x", &both.tenant(tenant).seal(random, b"x", b"y")), Err(CannotOpen));
}

#[test]
fn a_ring_that_protects_nothing_is_refused_with_the_reason() {
    assert_eq!(ring(" ").unwrap_err(), InvalidKeyRing::Empty);
    assert_eq!(ring("nonsense").unwrap_err(), InvalidKeyRing::Form(1));
    assert_eq!(ring("0:AAAA").unwrap_err(), InvalidKeyRing::Form(1));
    assert_eq!(ring("1:AAAA").unwrap_err(), InvalidKeyRing::Length { kid: 1, bytes: 3 });
    assert_eq!(ring(&format!("1:{}", STANDARD.encode([0; 32]))).unwrap_err(), InvalidKeyRing::Weak(1));
    let good = KeyRing::generate(&SystemRandom).export();
    assert_eq!(ring(&format!("{0},{0}", good.expose())).unwrap_err(), InvalidKeyRing::Twice(1));
}

#[test]
fn parts_do_not_run_into_each_other() {
    let keys = KeyRing::generate(&SystemRandom).installation();
    assert_ne!(keys.index(&[b"ab", b"c"]), keys.index(&[b"a", b"bc"]));
}
