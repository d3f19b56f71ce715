//! The words of the built-in messages: one table for each language, and what all languages need to be put into one layout.
//!
//! In a sentence `{name}` is a value and `*…*` is what stands out where there is emphasis. A table without a sentence, or
//! without a form that its plural needs, does not compile.

#[cfg(test)]
mod tests;

use serde::Serialize;

/// What surrounds a value in a text that is written from right to left, so that neither turns the other around
/// (Unicode Standard Annex 9: first strong isolate, pop directional isolate).
const ISOLATE: [char; 2] = ['\u{2068}', '\u{2069}'];

/// What the built-in messages say in one language.
pub(super) struct Words {
    /// The language, as a tag.
    pub tag: &'static str,
    /// Where its lines begin.
    pub direction: Direction,
    /// A number of minutes, as it stands in the sentences about what is to come.
    pub minutes: Minutes,
    /// The subject, of `{app}`.
    pub subject: &'static str,
    /// What stands above the code in the plain text, of `{app}`.
    pub intro: &'static str,
    /// What stands above the code in the HTML part.
    pub heading: &'static str,
    /// What a list of mails shows beside the subject, of `{minutes}`.
    pub preview: &'static str,
    /// What stands before what is being approved.
    pub approving: &'static str,
    /// What to do if that is not wanted.
    pub unwanted: &'static str,
    /// How long the code is good, of `{minutes}`.
    pub lifetime: &'static str,
    /// Where it is to be entered, of `{host}`.
    pub only_on: &'static str,
    /// That it is nobody else's business, of `{app}`.
    pub secret: &'static str,
    /// What to do if it was not asked for.
    pub unasked: &'static str,
    /// When it was asked for, of `{time}`.
    pub requested: &'static str,
    /// From where, of `{ip}`.
    pub from: &'static str,
    /// Where there is help, of `{url}`.
    pub help: &'static str,
    /// The same as a link, of `{app}`.
    pub help_link: &'static str,
    /// The text message, of `{code}`, `{app}` and `{minutes}`.
    pub sms: &'static str,
    /// The text message about what is being approved, of `{context}` as well.
    pub sms_approving: &'static str,
}

/// Where lines begin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Ltr,
    Rtl,
}

impl Direction {
    /// The value of the attribute `dir`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ltr => "ltr",
            Self::Rtl => "rtl",
        }
    }

    /// The side of the beginning.
    pub fn start(self) -> &'static str {
        match self {
            Self::Ltr => "left",
            Self::Rtl => "right",
        }
    }
}

/// A number of minutes by the plural rules of CLDR; `{n}` is the number. The categories of fractions and of millions are
/// left out.
pub(super) enum Minutes {
    /// One form for every number.
    Same(&'static str),
    /// 1, and all others.
    One { one: &'static str, other: &'static str },
    /// 0 and 1, and all others.
    ZeroOne { one: &'static str, other: &'static str },
    /// 1; those that end in 2 to 4, but not in 12 to 14; all others.
    Polish { one: &'static str, few: &'static str, many: &'static str },
    /// 0, 1 and 2; those that end in 03 to 10; those that end in 11 to 99; all others.
    Arabic {
        zero: &'static str,
        one: &'static str,
        two: &'static str,
        few: &'static str,
        many: &'static str,
        other: &'static str,
    },
}

impl Minutes {
    pub fn of(&self, n: u32) -> String {
        let form = match self {
            Self::Same(form) => form,
            Self::One { one, other } => [other, one][usize::from(n == 1)],
            Self::ZeroOne { one, other } => [other, one][usize::from(n <= 1)],
            Self::Polish { one, few, many } => match (n, n % 10, n % 100) {
                (1, ..) => one,
                (_, 2..=4, hundred) if !(12..=14).contains(&hundred) => few,
                _ => many,
            },
            Self::Arabic { zero, one, two, few, many, other } => match (n, n % 100) {
                (0, _) => zero,
                (1, _) => one,
                (2, _) => two,
                (_, 3..=10) => few,
                (_, 11..=99) => many,
                _ => other,
            },
        };
        form.replace("{n}", &n.to_string())
    }
}

macro_rules! languages {
    ($($(#[$about:meta])* $language:ident = $table:ident;)*) => {
        $(mod $table;)*

        /// A language that the built-in messages are written in.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum Language {
            $($(#[$about])* $language,)*
        }

        impl Language {
            /// All of them.
            pub const ALL: &'static [Language] = &[$(Language::$language,)*];

            pub(super) fn words(self) -> &'static Words {
                match self { $(Self::$language => &$table::WORDS,)* }
            }
        }
    };
}

languages! {
    /// English.
    #[default]
    English = en;
    /// German.
    German = de;
    /// French.
    French = fr;
    /// Spanish.
    Spanish = es;
    /// Portuguese, as it is read in Brazil and in Portugal.
    Portuguese = pt;
    /// Italian.
    Italian = it;
    /// Dutch.
    Dutch = nl;
    /// Polish.
    Polish = pl;
    /// Turkish.
    Turkish = tr;
    /// Japanese.
    Japanese = ja;
    /// Chinese, in simplified characters.
    Chinese = zh;
    /// Arabic.
    Arabic = ar;
}

impl Language {
    /// Its tag.
    pub fn tag(self) -> &'static str {
        self.words().tag
    }

    /// The first that is one of these; English, if none is.
    pub fn of<'a>(tags: impl IntoIterator<Item = &'a str>) -> Self {
        let named = |tag: &str| Self::ALL.iter().copied().find(|language| language.tag() == tag);
        tags.into_iter().find_map(named).unwrap_or_default()
    }
}

/// A sentence with its values, piece by piece and as a whole.
#[derive(Serialize)]
pub(super) struct Said {
    pieces: Vec<Piece>,
    plain: String,
}

#[derive(Serialize)]
struct Piece {
    text: String,
    strong: bool,
}

impl Words {
    /// The sentence with these values.
    pub fn say(&self, sentence: &str, values: &[(&str, &str)]) -> Said {
        let said = |(number, part): (usize, &str)| Piece { text: self.fill(part, values), strong: number % 2 == 1 };
        let pieces: Vec<Piece> =
            sentence.split('*').enumerate().map(said).filter(|said| !said.text.is_empty()).collect();
        let plain = pieces.iter().map(|piece| piece.text.as_str()).collect();
        Said { pieces, plain }
    }

    /// The value as it stands in a sentence.
    pub fn isolated(&self, value: &str) -> String {
        let [open, close] = ISOLATE;
        match self.direction {
            Direction::Ltr => value.to_owned(),
            Direction::Rtl => format!("{open}{value}{close}"),
        }
    }

    fn fill(&self, part: &str, values: &[(&str, &str)]) -> String {
        let mut text = String::new();
        let mut rest = part;
        while let Some((before, (name, after))) =
            rest.split_once('{').and_then(|(before, behind)| Some((before, behind.split_once('}')?)))
        {
            text.push_str(before);
            match values.iter().find(|(known, _)| *known == name) {
                // A number is at home in every direction, and what follows an address could be read into it.
                Some(("minutes" | "url" | "code", value)) => text.push_str(value),
                Some((_, value)) => text.push_str(&self.isolated(value)),
                None => debug_assert!(false, "`{name}` has no value in `{part}`"),
            }
            rest = after;
        }
        text + rest
    }
}

impl Said {
    /// As plain text.
    pub fn into_plain(self) -> String {
        self.plain
    }
}
