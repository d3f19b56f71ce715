//! Dutch.

use super::{Direction, Minutes, Words};

pub(super) const WORDS: Words = Words {
    tag: "nl",
    direction: Direction::Ltr,
    minutes: Minutes::One { one: "{n} minuut", other: "{n} minuten" },
    subject: "Uw code voor {app}",
    intro: "Uw code voor {app}:",
    heading: "Dit is uw code",
    preview: "De code verloopt over {minutes}. Hebt u er niet om gevraagd, negeer dit bericht dan.",
    approving: "U keurt goed:",
    unwanted: "Als u dat niet wilt, voer de code dan niet in.",
    lifetime: "De code verloopt over *{minutes}* en werkt één keer.",
    only_on: "Voer de code alleen in op *{host}*.",
    secret: "*Deel deze code nooit:* niemand van {app} zal u erom vragen.",
    unasked: "Hebt u er niet om gevraagd, negeer dit bericht dan. Zonder de code gebeurt er niets.",
    requested: "Aangevraagd op {time}",
    from: "vanaf {ip}",
    help: "Hulp: {url}",
    help_link: "Hulp van {app}",
    sms: "{code} is uw code voor {app}. De code verloopt over {minutes}. Deel de code nooit.",
    sms_approving: "{code} is uw code voor {app}. U keurt goed: {context}. De code verloopt over {minutes}. \
                    Deel de code nooit.",
};
