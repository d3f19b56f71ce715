//! E-mail addresses.

use std::fmt;
use std::str::FromStr;

use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{UnicodeNormalization, is_nfc, is_nfkc};

const MAX_BYTES: usize = 254;
const MAX_LOCAL_BYTES: usize = 64;
const LOCAL_SYMBOLS: &str = "!#$%&'*+-/=?^_`{|}~";
const GMAIL: [&str; 2] = ["gmail.com", "googlemail.com"];

/// An e-mail address whose identity is [`canonical`](Self::canonical): that alone is compared.
#[derive(Clone)]
pub struct EmailAddress {
    display: String,
    canonical: String,
    at: usize,
}

/// Why a text is no e-mail address that we send to, and what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    /// There is not exactly one `@`.
    #[error("write the address as name@example.org, with one @")]
    Form,
    /// The whole, or the part before the `@`, is too long.
    #[error("use an address of at most {MAX_BYTES} bytes, with at most {MAX_LOCAL_BYTES} before the @")]
    TooLong,
    /// The part before the `@` is empty, has a dot out of place or a character that is not allowed there.
    #[error("before the @ use letters, digits and {LOCAL_SYMBOLS}, with single dots between them")]
    Local,
    /// A character could be taken for a plain letter or digit, and the address for someone else's.
    #[error("write the address with plain characters: one of them is a variant that could pass for another")]
    Lookalike,
    /// The part after the `@` is no domain name: a single word, an IP address, or not valid under IDNA.
    #[error("after the @ write a full domain name, such as example.org")]
    Domain,
}

impl EmailAddress {
    /// The spelling it was parsed from, trimmed and in Unicode form NFC.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// The identity: local part lower-cased, domain as lower-case A-labels. Tags and dots stay.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The part after the `@`: lower-case A-labels.
    pub fn domain(&self) -> &str {
        self.halves().1
    }

    /// What rate limits count under: without `+tag`, for Gmail also without dots and under one domain. Never an
    /// identity.
    pub fn bucket(&self) -> String {
        let (local, domain) = self.halves();
        let mailbox = local.split('+').next().unwrap_or(local);
        if GMAIL.contains(&domain) {
            return format!("{}@{}", mailbox.replace('.', ""), GMAIL[0]);
        }
        format!("{mailbox}@{domain}")
    }

    /// The first character and the domain: `a***@example.org`.
    pub fn masked(&self) -> String {
        let (local, domain) = self.halves();
        let first = local.chars().next().unwrap_or('*');
        format!("{first}***@{domain}")
    }

    fn halves(&self) -> (&str, &str) {
        (&self.canonical[..self.at], &self.canonical[self.at + 1..])
    }
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for EmailAddress {}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let typed = text.trim();
        if typed.len() > MAX_BYTES {
            return Err(InvalidEmail::TooLong);
        }
        let (local, domain) = typed.split_once('@').ok_or(InvalidEmail::Form)?;
        if domain.contains('@') {
            return Err(InvalidEmail::Form);
        }
        let domain = canonical_domain(domain)?;
        let local = canonical_local(local)?;
        let display = composed(typed);
        let canonical = format!("{local}@{domain}");
        if display.len().max(canonical.len()) > MAX_BYTES {
            return Err(InvalidEmail::TooLong);
        }
        Ok(Self { display, canonical, at: local.len() })
    }
}

/// The text in Unicode form NFC.
fn composed(text: &str) -> String {
    if is_nfc(text) { text.to_owned() } else { text.nfc().collect() }
}

/// Whether a compatibility mapping, as some mail systems apply it, makes ASCII of it.
fn stands_for_ascii(c: char) -> bool {
    !c.is_ascii() && std::iter::once(c).nfkc().any(|mapped| mapped.is_ascii())
}

/// Whether a change of case makes ASCII of it: dotless i, sharp s.
fn folds_to_ascii(c: char) -> bool {
    !c.is_ascii() && c.to_uppercase().chain(c.to_lowercase()).any(|folded| folded.is_ascii())
}

fn canonical_local(typed: &str) -> Result<String, InvalidEmail> {
    check_local(typed)?;
    if typed.is_ascii() {
        return Ok(typed.to_ascii_lowercase());
    }
    // Before NFC, which itself turns the Kelvin sign into a K.
    if typed.chars().any(stands_for_ascii) {
        return Err(InvalidEmail::Lookalike);
    }
    let local = composed(typed);
    let canonical = composed(&local.to_lowercase());
    // The lower-case form is parsed again when an account is looked up by it, so it has to pass as well.
    for form in [&local, &canonical] {
        check_local(form)?;
        if !is_nfkc(form) || form.chars().any(folds_to_ascii) {
            return Err(InvalidEmail::Lookalike);
        }
    }
    Ok(canonical)
}

fn check_local(local: &str) -> Result<(), InvalidEmail> {
    if local.len() > MAX_LOCAL_BYTES {
        return Err(InvalidEmail::TooLong);
    }
    let good = |atom: &str| !atom.is_empty() && !atom.starts_with(is_combining_mark) && atom.chars().all(is_atext);
    if local.split('.').all(good) { Ok(()) } else { Err(InvalidEmail::Local) }
}

fn is_atext(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || LOCAL_SYMBOLS.contains(c);
    }
    (c.is_alphanumeric() || is_combining_mark(c)) && !is_blank(c)
}

/// Letters and marks that show nothing, by which two names could look the same.
fn is_blank(c: char) -> bool {
    matches!(c, '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
}

/// The domain as lower-case A-labels.
pub(crate) fn canonical_domain(typed: &str) -> Result<String, InvalidEmail> {
    let ascii = idna::domain_to_ascii_strict(typed).map_err(|_| InvalidEmail::Domain)?;
    let (_, last_label) = ascii.rsplit_once('.').ok_or(InvalidEmail::Domain)?;
    // No top-level domain starts with a digit, but an IPv4 address ends in a number, also in a hexadecimal one.
    if !last_label.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(InvalidEmail::Domain);
    }
    if typed.is_ascii() || is_only_lower_cased(typed, &ascii) { Ok(ascii) } else { Err(InvalidEmail::Lookalike) }
}

/// Whether UTS 46 changed nothing but case: it also drops invisible characters and reads other signs as dots or
/// letters.
fn is_only_lower_cased(typed: &str, ascii: &str) -> bool {
    let (unicode, _) = idna::domain_to_unicode(ascii);
    let composed = composed(typed);
    let same =
        |(typed, label): (&str, &str)| typed.is_ascii() || typed.chars().flat_map(char::to_lowercase).eq(label.chars());
    !typed.chars().any(stands_for_ascii)
        && composed.split('.').count() == unicode.split('.').count()
        && composed.split('.').zip(unicode.split('.')).all(same)
}
