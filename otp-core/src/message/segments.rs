//! How many parts a text message travels in (3GPP TS 23.038 and TS 23.040): each of them is paid for.

/// The alphabet of GSM 7 bit without the escape, which stands for no sign.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§\
                     ¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Signs that take an escape and a place in a second table.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// How a text message is written on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmsEncoding {
    /// GSM 7 bit: 160 signs in one part, 153 in each of several.
    Gsm7,
    /// UCS-2, for everything else: 70 and 67.
    Ucs2,
}

impl SmsEncoding {
    /// As people write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            SmsEncoding::Gsm7 => "GSM-7",
            SmsEncoding::Ucs2 => "UCS-2",
        }
    }

    /// Places in a part that is alone, and in one of several, which has to say which of them it is.
    const fn places(self) -> (usize, usize) {
        match self {
            SmsEncoding::Gsm7 => (160, 153),
            SmsEncoding::Ucs2 => (70, 67),
        }
    }
}

/// What a text comes to as a text message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// How it is written.
    pub encoding: SmsEncoding,
    /// How many parts it travels in.
    pub count: u32,
}

impl Segments {
    /// Counts the parts of a text. A network or a provider that replaces signs by similar ones may need fewer.
    ///
    /// ```
    /// use otp_core::message::{Segments, SmsEncoding};
    ///
    /// assert_eq!(Segments::of("481920 is your code"), Segments { encoding: SmsEncoding::Gsm7, count: 1 });
    /// assert_eq!(Segments::of(&"„“".repeat(36)), Segments { encoding: SmsEncoding::Ucs2, count: 2 });
    /// ```
    pub fn of(text: &str) -> Self {
        match text.chars().map(septets).collect::<Option<Vec<_>>>() {
            Some(widths) => Self::fill(SmsEncoding::Gsm7, &widths),
            None => Self::fill(SmsEncoding::Ucs2, &text.chars().map(char::len_utf16).collect::<Vec<_>>()),
        }
    }

    /// An escape and its sign, and the two halves of a surrogate pair, are in one part together.
    fn fill(encoding: SmsEncoding, widths: &[usize]) -> Self {
        let (alone, joined) = encoding.places();
        if widths.iter().sum::<usize>() <= alone {
            return Self { encoding, count: 1 };
        }
        let (mut count, mut filled) = (1, 0);
        for width in widths {
            if filled + width > joined {
                count += 1;
                filled = 0;
            }
            filled += width;
        }
        Self { encoding, count }
    }
}

fn septets(sign: char) -> Option<usize> {
    match sign {
        sign if BASIC.contains(sign) => Some(1),
        sign if EXTENSION.contains(sign) => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::SmsEncoding::{Gsm7, Ucs2};
    use super::*;

    fn of(text: &str) -> (SmsEncoding, u32) {
        let Segments { encoding, count } = Segments::of(text);
        (encoding, count)
    }

    #[test]
    fn the_alphabet_has_its_size() {
        assert_eq!((BASIC.chars().count(), EXTENSION.chars().count()), (127, 10));
        assert!(BASIC.chars().all(|sign| !EXTENSION.contains(sign)));
    }

    #[test]
    fn a_part_is_full_at_160_signs_and_several_at_153_each() {
        for (signs, count) in [(0, 1), (1, 1), (160, 1), (161, 2), (306, 2), (307, 3), (459, 3), (460, 4)] {
            assert_eq!(of(&"é".repeat(signs)), (Gsm7, count), "{signs}");
        }
    }

    #[test]
    fn a_sign_of_the_extension_takes_two_places_and_is_not_cut() {
        for sign in EXTENSION.chars() {
            let text = sign.to_string();
            assert_eq!((of(&text.repeat(80)), of(&text.repeat(81))), ((Gsm7, 1), (Gsm7, 2)), "{sign:?}");
        }
        // 153 places hold 76 of them, with one place left over.
        assert_eq!((of(&"€".repeat(152)), of(&"€".repeat(153))), ((Gsm7, 2), (Gsm7, 3)));
        let cut = format!("{}€{}", "a".repeat(152), "a".repeat(152));
        assert_eq!(of(&cut), (Gsm7, 3), "306 places, but the escape would be the last of the first part");
    }

    #[test]
    fn one_foreign_sign_makes_it_ucs2() {
        for (signs, count) in [(1, 1), (70, 1), (71, 2), (134, 2), (135, 3)] {
            assert_eq!(of(&"ç".repeat(signs)), (Ucs2, count), "{signs}");
        }
        assert_eq!(of(&format!("{}`", "a".repeat(69))), (Ucs2, 1));
        assert_eq!(of(&format!("{}`", "a".repeat(70))), (Ucs2, 2));
    }

    #[test]
    fn a_surrogate_pair_takes_two_places_and_is_not_cut() {
        assert_eq!((of(&"😀".repeat(35)), of(&"😀".repeat(36))), ((Ucs2, 1), (Ucs2, 2)));
        assert_eq!((of(&"😀".repeat(66)), of(&"😀".repeat(67))), ((Ucs2, 2), (Ucs2, 3)), "33 pairs in 67 places");
        let cut = format!("{}😀{}", "я".repeat(66), "я".repeat(66));
        assert_eq!(of(&cut), (Ucs2, 3), "134 places, but the pair would be cut");
    }
}
