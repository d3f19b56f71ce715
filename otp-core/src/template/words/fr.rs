//! French.

use super::{Direction, Minutes, Words};

pub(super) const WORDS: Words = Words {
    tag: "fr",
    direction: Direction::Ltr,
    minutes: Minutes::ZeroOne { one: "{n} minute", other: "{n} minutes" },
    subject: "Votre code {app}",
    intro: "Votre code {app}\u{a0}:",
    heading: "Voici votre code",
    preview: "Il expire dans {minutes}. Si vous ne l’avez pas demandé, ignorez ce message.",
    approving: "Vous approuvez\u{a0}:",
    unwanted: "Si ce n’est pas ce que vous souhaitez faire, ne saisissez pas le code.",
    lifetime: "Il expire dans *{minutes}* et ne peut être utilisé qu’une seule fois.",
    only_on: "Saisissez-le uniquement sur *{host}*.",
    secret: "*Ne communiquez jamais ce code\u{a0}:* personne chez {app} ne vous le demandera.",
    unasked: "Si vous ne l’avez pas demandé, ignorez ce message. Sans le code, rien ne se passe.",
    requested: "Demandé le {time}",
    from: "depuis {ip}",
    help: "Aide\u{a0}: {url}",
    help_link: "Obtenir de l’aide auprès de {app}",
    sms: "{code} est votre code {app}. Il expire dans {minutes}. Ne le communiquez jamais.",
    sms_approving: "{code} est votre code {app}. Vous approuvez : {context}. Il expire dans {minutes}. \
                    Ne le communiquez jamais.",
};
