//! Portuguese, in words that are at home on both sides of the Atlantic.

use super::{Direction, Minutes, Words};

pub(super) const WORDS: Words = Words {
    tag: "pt",
    direction: Direction::Ltr,
    minutes: Minutes::ZeroOne { one: "{n} minuto", other: "{n} minutos" },
    subject: "O seu código de {app}",
    intro: "O seu código de {app}:",
    heading: "Aqui está o seu código",
    preview: "Expira em {minutes}. Se não o solicitou, ignore esta mensagem.",
    approving: "Este código aprova:",
    unwanted: "Se não é isso que deseja fazer, não insira o código.",
    lifetime: "Expira em *{minutes}* e só pode ser usado uma vez.",
    only_on: "Insira-o apenas em *{host}*.",
    secret: "*Nunca revele este código:* ninguém de {app} irá pedi-lo.",
    unasked: "Se não o solicitou, ignore esta mensagem. Sem o código, nada acontece.",
    requested: "Solicitado em {time}",
    from: "a partir de {ip}",
    help: "Ajuda: {url}",
    help_link: "Obter ajuda de {app}",
    sms: "{code} é o seu código de {app}. Expira em {minutes}. Nunca o revele.",
    sms_approving: "{code} é o seu código de {app}. Este código aprova: {context}. Expira em {minutes}. Nunca o revele.",
};
