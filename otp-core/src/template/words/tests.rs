//! What holds for every language.

use super::*;
use crate::clock::Timestamp;
use crate::template::{MessageContext, render, render_sms};

const VALUES: [&str; 8] = ["app", "host", "time", "ip", "url", "code", "minutes", "context"];

impl Words {
    fn sentences(&self) -> [(&'static str, &'static str); 16] {
        let Words { tag: _, direction: _, minutes: _, subject, intro, heading, preview, approving, unwanted, .. } =
            self;
        let Words { lifetime, only_on, secret, unasked, requested, from, help, help_link, .. } = *self;
        let Words { sms, sms_approving, .. } = *self;
        [
            (subject, "app"),
            (intro, "app"),
            (heading, ""),
            (preview, "minutes"),
            (approving, ""),
            (unwanted, ""),
            (lifetime, "minutes"),
            (only_on, "host"),
            (secret, "app"),
            (unasked, ""),
            (requested, "time"),
            (from, "ip"),
            (help, "url"),
            (help_link, "app"),
            (sms, "app code minutes"),
            (sms_approving, "app code context minutes"),
        ]
    }
}

fn names(sentence: &str) -> String {
    let mut names: Vec<_> = sentence.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
    names.sort_unstable();
    names.join(" ")
}

fn message(language: Language, minutes: u32) -> MessageContext {
    MessageContext {
        language,
        app_name: "Acme".to_owned(),
        otp: "123456789".to_owned().into(),
        expires_in_minutes: minutes,
        context: Some("Pay 5".to_owned()),
        request_ip: Some("203.0.113.7".to_owned()),
        request_time: Timestamp::from_millis(1_769_847_330_123),
        support_url: Some("https://acme.example/help".to_owned()),
        user_email: "ann@example.org".to_owned(),
        logo_url: None,
        brand_color: None,
        footer_text: None,
        host: Some("acme.example".to_owned()),
    }
}

#[test]
fn every_sentence_has_its_values_and_is_of_its_own_language() {
    let mut seen = std::collections::HashMap::new();
    for language in Language::ALL {
        let words = language.words();
        assert_eq!(*language, Language::of([words.tag]));
        for (number, (sentence, expected)) in words.sentences().into_iter().enumerate() {
            assert_eq!(names(sentence), expected, "{}: {sentence}", words.tag);
            assert!(!sentence.trim().is_empty() && sentence.matches('*').count() % 2 == 0, "{sentence}");
            let other = seen.insert((number, sentence), words.tag);
            assert_eq!(other, None, "{sentence}");
        }
    }
    assert_eq!(Language::ALL.len(), 12);
}

/// The layouts have no words of their own: with the tables, the samples and the markup taken away, nothing is left.
#[test]
fn no_layout_has_a_word_of_its_own() {
    for language in Language::ALL {
        let words = language.words();
        let message = message(*language, 10);
        let mail = render(&message).unwrap();
        let body = mail.html.split_once("<body").unwrap().1.replace("&nbsp;&zwnj;", "").replace("&#x27;", "'");
        let shown: Vec<_> = body.split('<').filter_map(|tag| tag.split_once('>')).map(|(_, text)| text).collect();
        for text in [shown.join("\n"), mail.text, render_sms(&message).unwrap()] {
            let mut rest = text;
            let minutes = words.minutes.of(10);
            let mut known: Vec<String> = Vec::new();
            for (sentence, _) in words.sentences() {
                let pieces = sentence.split(['*', '{', '}']).map(str::to_owned);
                known.extend(pieces.filter(|piece| !VALUES.contains(&&**piece)));
            }
            known.extend([minutes, "Acme".to_owned(), "acme.example".to_owned(), "Pay".to_owned(), "UTC".to_owned()]);
            known.push("https://acme.example/help".to_owned());
            known.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
            for piece in known.iter().filter(|piece| piece.trim().chars().count() > 1) {
                rest = rest.replace(piece, " ");
            }
            let left: String = rest.chars().filter(|c| c.is_alphabetic()).collect();
            assert_eq!(left, "", "{}: {rest}", words.tag);
        }
    }
}

/// The forms are those of CLDR 48, `plurals.xml`.
#[test]
fn minutes_have_the_form_of_their_number() {
    for (language, expected) in [
        (Language::English, "0 minutes|1 minute|2 minutes|5 minutes|11 minutes|21 minutes|60 minutes"),
        (Language::German, "0 Minuten|1 Minute|2 Minuten|5 Minuten|11 Minuten|21 Minuten|60 Minuten"),
        (Language::French, "0 minute|1 minute|2 minutes|5 minutes|11 minutes|21 minutes|60 minutes"),
        (Language::Spanish, "0 minutos|1 minuto|2 minutos|5 minutos|11 minutos|21 minutos|60 minutos"),
        (Language::Portuguese, "0 minuto|1 minuto|2 minutos|5 minutos|11 minutos|21 minutos|60 minutos"),
        (Language::Italian, "0 minuti|1 minuto|2 minuti|5 minuti|11 minuti|21 minuti|60 minuti"),
        (Language::Dutch, "0 minuten|1 minuut|2 minuten|5 minuten|11 minuten|21 minuten|60 minuten"),
        (Language::Polish, "0 minut|1 minutę|2 minuty|5 minut|11 minut|21 minut|60 minut"),
        (Language::Turkish, "0 dakika|1 dakika|2 dakika|5 dakika|11 dakika|21 dakika|60 dakika"),
        (Language::Japanese, "0分|1分|2分|5分|11分|21分|60分"),
        (Language::Chinese, "0 分钟|1 分钟|2 分钟|5 分钟|11 分钟|21 分钟|60 分钟"),
        (Language::Arabic, "0 دقيقة|دقيقة واحدة|دقيقتين|5 دقائق|11 دقيقة|21 دقيقة|60 دقيقة"),
    ] {
        let forms = [0, 1, 2, 5, 11, 21, 60].map(|n| language.words().minutes.of(n));
        assert_eq!(forms.join("|"), expected);
    }
    let polish = |n| Language::Polish.words().minutes.of(n);
    assert_eq!([12, 14, 22, 24, 25, 34, 44, 112, 122].map(polish).join(" "), {
        "12 minut 14 minut 22 minuty 24 minuty 25 minut 34 minuty 44 minuty 112 minut 122 minuty"
    });
    let arabic = |n| Language::Arabic.words().minutes.of(n);
    assert_eq!([3, 10, 99, 100, 102, 103, 111].map(arabic).join("|"), {
        "3 دقائق|10 دقائق|99 دقيقة|100 دقيقة|102 دقيقة|103 دقائق|111 دقيقة"
    });
}

#[test]
fn every_sentence_about_time_has_the_form() {
    for language in Language::ALL {
        let words = language.words();
        for minutes in [1, 2, 5, 10, 22] {
            let mail = render(&message(*language, minutes)).unwrap();
            let form = words.minutes.of(minutes);
            assert!(mail.text.contains(&form) && mail.html.matches(&form).count() == 2, "{}: {form}", words.tag);
            assert!(render_sms(&message(*language, minutes)).unwrap().contains(&form), "{}: {form}", words.tag);
        }
    }
}

#[test]
fn arabic_is_written_from_right_to_left_and_the_code_is_not() {
    let arabic = message(Language::Arabic, 10);
    let mail = render(&arabic).unwrap();
    assert!(mail.html.contains(r#"<html lang="ar" dir="rtl">"#), "{}", mail.html);
    // Programs that take a mail's body out of its page leave this.
    assert!(mail.html.contains(r#"<td class="card" lang="ar" dir="rtl" align="right""#), "{}", mail.html);
    assert!(mail.html.contains("border-right:4px") && !mail.html.contains("border-left:"));
    let code = mail.html.split(r#"<td class="box code" dir="ltr""#).nth(1).unwrap();
    assert_eq!(code.split(['>', '<']).nth(1), Some("123 456 789"), "nothing invisible is copied with it");
    // Groups of digits are put in the order of the text around them, which is from right to left.
    let sms = render_sms(&arabic).unwrap();
    for text in [&mail.text, &sms] {
        assert!(text.contains("123456789") && !text.contains("123 456"), "{text}");
        assert!(text.contains("\u{2068}Acme\u{2069}") && text.contains("\u{2068}Pay 5\u{2069}"), "{text}");
    }
    assert!(sms.ends_with("\n\n@acme.example #123456789"), "{sms}");
    assert!(mail.text.lines().any(|line| line.ends_with("https://acme.example/help")), "{}", mail.text);
    for language in Language::ALL.iter().filter(|language| **language != Language::Arabic) {
        let mail = render(&message(*language, 10)).unwrap();
        let page = format!(r#"<html lang="{}" dir="ltr">"#, language.tag());
        assert!(mail.html.contains(&page) && mail.text.contains("123 456 789"), "{}", mail.text);
        assert!(!mail.text.contains(ISOLATE) && !mail.html.contains(ISOLATE), "{}", mail.text);
    }
}

#[test]
fn the_first_tag_that_is_a_language_decides() {
    assert_eq!(Language::of(["de-CH", "de", "fr"]), Language::German);
    assert_eq!(Language::of(["sw", "fr"]), Language::French);
    assert_eq!(Language::of(["sw"]), Language::English);
    assert_eq!(Language::of([]), Language::English);
}
