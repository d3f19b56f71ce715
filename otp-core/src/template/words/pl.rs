//! Polish. The minutes are in the accusative, after „za”.

use super::{Direction, Minutes, Words};

pub(super) const WORDS: Words = Words {
    tag: "pl",
    direction: Direction::Ltr,
    minutes: Minutes::Polish { one: "{n} minutę", few: "{n} minuty", many: "{n} minut" },
    subject: "Twój kod {app}",
    intro: "Twój kod {app}:",
    heading: "Oto Twój kod",
    preview: "Wygasa za {minutes}. Jeśli to nie Ty prosisz o kod, zignoruj tę wiadomość.",
    approving: "Zatwierdzasz:",
    unwanted: "Jeśli nie chcesz tego zrobić, nie wpisuj kodu.",
    lifetime: "Wygasa za *{minutes}* i działa tylko raz.",
    only_on: "Wpisz go wyłącznie na stronie *{host}*.",
    secret: "*Nigdy nie udostępniaj tego kodu:* nikt z {app} o niego nie poprosi.",
    unasked: "Jeśli to nie Ty prosisz o kod, zignoruj tę wiadomość. Bez kodu nic się nie stanie.",
    requested: "Czas żądania: {time}",
    from: "Adres: {ip}",
    help: "Pomoc: {url}",
    help_link: "Uzyskaj pomoc od {app}",
    sms: "{code} to Twój kod {app}. Wygasa za {minutes}. Nikomu go nie udostępniaj.",
    sms_approving: "{code} to Twój kod {app}. Zatwierdzasz: {context}. Wygasa za {minutes}. Nikomu go nie udostępniaj.",
};
