//! Italian.

use super::{Direction, Minutes, Words};

pub(super) const WORDS: Words = Words {
    tag: "it",
    direction: Direction::Ltr,
    minutes: Minutes::One { one: "{n} minuto", other: "{n} minuti" },
    subject: "Il suo codice {app}",
    intro: "Il suo codice {app}:",
    heading: "Ecco il suo codice",
    preview: "Scade tra {minutes}. Se non lo ha richiesto, ignori questo messaggio.",
    approving: "Sta approvando:",
    unwanted: "Se non è ciò che desidera fare, non inserisca il codice.",
    lifetime: "Scade tra *{minutes}* e può essere usato una sola volta.",
    only_on: "Lo inserisca solo su *{host}*.",
    secret: "*Non condivida mai questo codice:* nessuno di {app} glielo chiederà.",
    unasked: "Se non lo ha richiesto, ignori questo messaggio. Senza il codice non succede nulla.",
    requested: "Richiesto il {time}",
    from: "da {ip}",
    help: "Assistenza: {url}",
    help_link: "Assistenza di {app}",
    sms: "{code} è il suo codice {app}. Scade tra {minutes}. Non lo condivida mai.",
    sms_approving: "{code} è il suo codice {app}. Sta approvando: {context}. Scade tra {minutes}. \
                    Non lo condivida mai.",
};
