//! Turkish. What is counted stays in the singular.

use super::{Direction, Minutes, Words};

pub(super) const WORDS: Words = Words {
    tag: "tr",
    direction: Direction::Ltr,
    minutes: Minutes::Same("{n} dakika"),
    subject: "{app} kodunuz",
    intro: "{app} kodunuz:",
    heading: "İşte kodunuz",
    preview: "Kod {minutes} sonra geçersiz olur. Kodu siz istemediyseniz bu iletiyi dikkate almayın.",
    approving: "Onayladığınız işlem:",
    unwanted: "Yapmak istediğiniz bu değilse kodu girmeyin.",
    lifetime: "Kod *{minutes}* sonra geçersiz olur ve yalnızca bir kez kullanılabilir.",
    only_on: "Kodu yalnızca *{host}* adresinde girin.",
    secret: "*Bu kodu asla kimseyle paylaşmayın:* {app} çalışanları bu kodu sizden istemez.",
    unasked: "Kodu siz istemediyseniz bu iletiyi dikkate almayın. Kod olmadan hiçbir işlem yapılmaz.",
    requested: "İstek zamanı: {time}",
    from: "İsteğin geldiği adres: {ip}",
    help: "Yardım: {url}",
    help_link: "{app} yardım sayfası",
    sms: "{app} kodunuz: {code}. Kod {minutes} sonra geçersiz olur. Kimseyle paylaşmayın.",
    sms_approving: "{app} kodunuz: {code}. Onayladığınız işlem: {context}. Kod {minutes} sonra geçersiz olur. \
                    Kimseyle paylaşmayın.",
};
