//! Spanish.

use super::{Direction, Minutes, Words};

pub(super) const WORDS: Words = Words {
    tag: "es",
    direction: Direction::Ltr,
    minutes: Minutes::One { one: "{n} minuto", other: "{n} minutos" },
    subject: "Su código de {app}",
    intro: "Su código de {app}:",
    heading: "Este es su código",
    preview: "Caduca en {minutes}. Si no lo ha solicitado, ignore este mensaje.",
    approving: "Está aprobando:",
    unwanted: "Si no es lo que desea hacer, no introduzca el código.",
    lifetime: "Caduca en *{minutes}* y solo se puede usar una vez.",
    only_on: "Introdúzcalo únicamente en *{host}*.",
    secret: "*No comparta nunca este código:* nadie de {app} se lo pedirá.",
    unasked: "Si no lo ha solicitado, ignore este mensaje. Sin el código no ocurre nada.",
    requested: "Solicitado el {time}",
    from: "desde {ip}",
    help: "Ayuda: {url}",
    help_link: "Obtener ayuda de {app}",
    sms: "{code} es su código de {app}. Caduca en {minutes}. No lo comparta nunca.",
    sms_approving: "{code} es su código de {app}. Está aprobando: {context}. Caduca en {minutes}. No lo comparta nunca.",
};
