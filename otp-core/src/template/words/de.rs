//! German.

use super::{Direction, Minutes, Words};

pub(super) const WORDS: Words = Words {
    tag: "de",
    direction: Direction::Ltr,
    minutes: Minutes::One { one: "{n} Minute", other: "{n} Minuten" },
    subject: "Ihr Code für {app}",
    intro: "Ihr Code für {app}:",
    heading: "Hier ist Ihr Code",
    preview: "Er läuft in {minutes} ab. Wenn Sie ihn nicht angefordert haben, ignorieren Sie diese Nachricht.",
    approving: "Sie bestätigen damit:",
    unwanted: "Wenn Sie das nicht möchten, geben Sie den Code nicht ein.",
    lifetime: "Er läuft in *{minutes}* ab und gilt nur einmal.",
    only_on: "Geben Sie ihn nur auf *{host}* ein.",
    secret: "*Geben Sie diesen Code nie weiter:* Niemand von {app} wird Sie danach fragen.",
    unasked: "Wenn Sie ihn nicht angefordert haben, ignorieren Sie diese Nachricht. Ohne den Code geschieht nichts.",
    requested: "Angefordert am {time}",
    from: "von {ip}",
    help: "Hilfe: {url}",
    help_link: "Hilfe von {app}",
    sms: "{code} ist Ihr Code für {app}. Er läuft in {minutes} ab. Geben Sie ihn nie weiter.",
    sms_approving: "{code} ist Ihr Code für {app}. Sie bestätigen damit: {context}. Er läuft in {minutes} ab. \
                    Geben Sie ihn nie weiter.",
};
