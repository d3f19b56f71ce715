//! Passwords of members: what is accepted as one, and what is kept of it. Recovery codes are hashed like them.
//!
//! Argon2id with the parameters of OWASP ASVS 5.0, appendix C: 19 MiB, two passes, one lane. One hash keeps a core busy for
//! some 50 ms, so the work goes through a [`PasswordHasher`], by which a server bounds it.

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::error::{Error, InvalidField};
use crate::secret::Secret;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Bytes of a password.
const LENGTH: std::ops::RangeInclusive<usize> = 12..=256;
/// Of fewer different characters a password is a pattern.
const FEWEST_CHARACTERS: usize = 5;
/// What has to be left of a password without the words that anybody would try for this account.
const LEFT_WITHOUT_KNOWN_WORDS: usize = 8;
/// Words shorter than this are in many passwords by accident.
const SHORTEST_KNOWN_WORD: usize = 4;

/// Words that say nothing about a password's owner and are in the passwords of many.
const WORN_OUT: [&str; 8] = ["password", "passw0rd", "qwerty", "welcome", "letmein", "iloveyou", "admin", "123456789"];

/// The commonest passwords that are long enough, one a line, in lower case.
///
/// Source: the password list of zxcvbn 4.5 (MIT licence, Dropbox), those of at least twelve characters.
const COMMON: &str = include_str!("password/common.txt");

/// A password that may be set. `Debug` shows nothing of it.
#[derive(Clone, Debug)]
pub struct Password(Secret);

impl Password {
    /// The text as it was typed, if it is 12 to 256 bytes long and not what anybody would try first: a common password, a
    /// pattern of few characters, or little more than one of `known`, such as the company's name.
    ///
    /// # Errors
    /// [`InvalidField`] with `invalid_password` for its length and `password_too_common` for the rest.
    pub fn parse(text: Secret, known: &[&str]) -> Result<Self, InvalidField> {
        if !LENGTH.contains(&text.expose().len()) {
            let rule = format!("use {} to {} bytes", LENGTH.start(), LENGTH.end());
            return Err(Error::invalid_field("invalid_password", "password", rule));
        }
        if is_guessable(&text.expose().to_lowercase(), known) {
            let rule = "it would be guessed; use several words that have nothing to do with each other or with you";
            return Err(Error::invalid_field("password_too_common", "password", rule));
        }
        Ok(Self(text))
    }

    /// A code that was made at random: nobody chose it, so nothing about it has to be checked.
    pub(crate) fn of_code(code: Secret) -> Self {
        Self(code)
    }

    /// The text as somebody typed it to be let in: the rules for setting one are not asked. What is too long to be one was never
    /// set, and is not worth the work.
    pub fn typed(text: Secret) -> Self {
        if text.expose().len() > *LENGTH.end() { Self(Secret::from(String::new())) } else { Self(text) }
    }

    /// Hashes it, which takes some 50 ms of a core.
    ///
    /// # Panics
    /// When there are not 19 MiB of memory.
    pub fn hash(&self, salt: [u8; 16]) -> PasswordHash {
        let params = argon2::Params::new(MEMORY_KIB, PASSES, LANES, None).expect("constants within bounds");
        let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let mut hash = [0; 32];
        argon2.hash_password_into(self.0.expose().as_bytes(), &salt, &mut hash).expect("memory to hash in");
        let [salt, hash] = [&salt[..], &hash[..]].map(|bytes| STANDARD_NO_PAD.encode(bytes));
        PasswordHash(Secret::from(format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}")))
    }
}

fn is_guessable(text: &str, known: &[&str]) -> bool {
    if COMMON.lines().any(|common| common == text) {
        return true;
    }
    let mut characters: Vec<char> = text.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    let known = known.iter().filter(|word| word.len() >= SHORTEST_KNOWN_WORD).map(|word| word.to_lowercase());
    let known = known.chain(WORN_OUT.map(str::to_owned));
    let rest = known.fold(text.to_owned(), |rest, word| rest.replace(&word, ""));
    characters.len() < FEWEST_CHARACTERS || rest.len() < LEFT_WITHOUT_KNOWN_WORDS
}

/// What is kept of a password: a PHC string with parameters, salt and hash.
#[derive(Clone, Debug)]
pub struct PasswordHash(Secret);

impl PasswordHash {
    /// The PHC string, to be sealed.
    pub fn phc(&self) -> &str {
        self.0.expose()
    }

    /// The salt that a PHC string was made with.
    pub(crate) fn salt_of(phc: &str) -> Option<[u8; 16]> {
        let salt = phc.split('$').nth(4)?;
        STANDARD_NO_PAD.decode(salt).ok()?.try_into().ok()
    }

    /// Whether it is the hash that was kept, in constant time.
    pub(crate) fn is(&self, phc: &str) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.phc().as_bytes(), phc.as_bytes()).into()
    }
}

/// Too many passwords wait to be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords wait to be hashed")]
pub struct Busy;

/// Where passwords are hashed: a server keeps that off the threads that answer, and bounds how much of it waits.
#[async_trait]
pub trait PasswordHasher: Send + Sync + 'static {
    /// [`Password::hash`], somewhere.
    ///
    /// # Errors
    /// [`Busy`] when too many wait already; nothing was done.
    async fn hash(&self, password: &Password, salt: [u8; 16]) -> Result<PasswordHash, Busy>;
}

/// On the calling thread.
pub(crate) struct InPlace;

#[async_trait]
impl PasswordHasher for InPlace {
    async fn hash(&self, password: &Password, salt: [u8; 16]) -> Result<PasswordHash, Busy> {
        Ok(password.hash(salt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, known: &[&str]) -> Option<&'static str> {
        Password::parse(Secret::from(text.to_owned()), known).err().map(|error| error.code)
    }

    #[test]
    fn length_is_counted_in_bytes() {
        assert_eq!(refused("tRee-9 kiln", &[]), Some("invalid_password"));
        assert_eq!(refused("tRee-9 kiln!", &[]), None);
        assert_eq!(refused("äöüßéè", &[]), None, "twelve bytes");
        assert_eq!(refused(&"tRee-9 kiln!abcd".repeat(16), &[]), None);
        assert_eq!(refused(&format!("{}x", "tRee-9 kiln!abcd".repeat(16)), &[]), Some("invalid_password"));
    }

    #[test]
    fn what_anybody_would_try_is_refused() {
        for text in
            ["1q2w3e4r5t6y", "FinalFantasy", "Password1234", "aaaaaaaaaaaaaaaa", "abababababababab", "111222333111"]
        {
            assert_eq!(refused(text, &[]), Some("password_too_common"), "{text}");
        }
        let known = ["Acme Rockets", "acmerockets", "ops@acme.example", "ops"];
        for text in ["Acme Rockets 1", "acmerockets2026", "ops@acme.example"] {
            assert_eq!(refused(text, &known), Some("password_too_common"), "{text}");
        }
        assert_eq!(refused("acmerockets and eleven pears", &known), None);
    }

    #[test]
    fn the_list_is_sorted_out() {
        assert!(COMMON.lines().count() > 100);
        assert!(COMMON.lines().all(|line| line.len() >= 12 && line == line.to_lowercase()));
    }

    /// The same as `argon2 -id -m …` prints: made with argon2-cffi 25.1, the reference implementation.
    #[test]
    fn a_hash_is_what_the_reference_makes_of_it() {
        let password = Password::parse(Secret::from("correct horse battery staple".to_owned()), &[]).unwrap();
        let hash = password.hash(*b"somesaltsomesalt");
        assert_eq!(hash.phc(), REFERENCE);
        assert_eq!(format!("{password:?} {hash:?}"), "Password([redacted]) PasswordHash([redacted])");
    }

    const REFERENCE: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$ISO7kkvFzh19GM8qB7patN3C3Y9HHsjlVTfEZ9T600Y";
}
