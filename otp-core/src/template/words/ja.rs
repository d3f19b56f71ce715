//! Japanese.

use super::{Direction, Minutes, Words};

pub(super) const WORDS: Words = Words {
    tag: "ja",
    direction: Direction::Ltr,
    minutes: Minutes::Same("{n}分"),
    subject: "{app} の確認コード",
    intro: "{app} の確認コード：",
    heading: "確認コードのお知らせ",
    preview: "有効期限は{minutes}です。お心当たりがない場合は、このメッセージを無視してください。",
    approving: "承認する内容：",
    unwanted: "この操作を行うつもりがない場合は、コードを入力しないでください。",
    lifetime: "有効期限は*{minutes}*で、一度だけ使用できます。",
    only_on: "コードは *{host}* でのみ入力してください。",
    secret: "*このコードは誰にも教えないでください。*{app} の担当者がコードをお尋ねすることはありません。",
    unasked: "お心当たりがない場合は、このメッセージを無視してください。コードが入力されない限り、何も起こりません。",
    requested: "リクエスト日時：{time}",
    from: "送信元：{ip}",
    help: "ヘルプ: {url}",
    help_link: "{app} のサポートを受ける",
    sms: "{app} の確認コードは {code} です。有効期限は{minutes}です。誰にも教えないでください。",
    sms_approving: "{app} の確認コードは {code} です。承認する内容：{context}。有効期限は{minutes}です。\
                    誰にも教えないでください。",
};
