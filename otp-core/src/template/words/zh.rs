//! Chinese, in simplified characters.

use super::{Direction, Minutes, Words};

pub(super) const WORDS: Words = Words {
    tag: "zh",
    direction: Direction::Ltr,
    minutes: Minutes::Same("{n} 分钟"),
    subject: "您的 {app} 验证码",
    intro: "您的 {app} 验证码：",
    heading: "这是您的验证码",
    preview: "验证码将在 {minutes}后失效。如非您本人请求，请忽略此消息。",
    approving: "您正在批准：",
    unwanted: "如果这不是您想进行的操作，请勿输入验证码。",
    lifetime: "验证码将在 *{minutes}*后失效，且只能使用一次。",
    only_on: "请仅在 *{host}* 上输入验证码。",
    secret: "*切勿将此验证码告诉任何人：*{app} 的工作人员不会向您索要。",
    unasked: "如非您本人请求，请忽略此消息。没有验证码，不会执行任何操作。",
    requested: "请求时间：{time}",
    from: "来源：{ip}",
    help: "帮助: {url}",
    help_link: "获取 {app} 的帮助",
    sms: "{code} 是您的 {app} 验证码，将在 {minutes}后失效。请勿告诉任何人。",
    sms_approving: "{code} 是您的 {app} 验证码。您正在批准：{context}。验证码将在 {minutes}后失效。请勿告诉任何人。",
};
