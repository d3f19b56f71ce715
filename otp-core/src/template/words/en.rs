//! English.

use super::{Direction, Minutes, Words};

pub(super) const WORDS: Words = Words {
    tag: "en",
    direction: Direction::Ltr,
    minutes: Minutes::One { one: "{n} minute", other: "{n} minutes" },
    subject: "Your {app} code",
    intro: "Your {app} code:",
    heading: "Here is your code",
    preview: "It expires in {minutes}. If you did not ask for it, ignore this message.",
    approving: "You are approving:",
    unwanted: "If that is not what you want to do, do not enter the code.",
    lifetime: "It expires in *{minutes}* and works once.",
    only_on: "Enter it only on *{host}*.",
    secret: "*Never share this code:* nobody from {app} will ask you for it.",
    unasked: "If you did not ask for it, ignore this message. Without the code nothing happens.",
    requested: "Requested on {time}",
    from: "from {ip}",
    help: "Help: {url}",
    help_link: "Get help from {app}",
    sms: "{code} is your {app} code. It expires in {minutes}. Never share it.",
    sms_approving: "{code} is your {app} code. You are approving: {context}. It expires in {minutes}. Never share it.",
};
