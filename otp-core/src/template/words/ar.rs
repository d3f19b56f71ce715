//! Arabic. The minutes are in the genitive, after „بعد”.

use super::{Direction, Minutes, Words};

pub(super) const WORDS: Words = Words {
    tag: "ar",
    direction: Direction::Rtl,
    minutes: Minutes::Arabic {
        zero: "{n} دقيقة",
        one: "دقيقة واحدة",
        two: "دقيقتين",
        few: "{n} دقائق",
        many: "{n} دقيقة",
        other: "{n} دقيقة",
    },
    subject: "رمز {app} الخاص بك",
    intro: "رمز {app} الخاص بك:",
    heading: "إليك الرمز",
    preview: "تنتهي صلاحيته بعد {minutes}. إذا لم تطلبه، فتجاهل هذه الرسالة.",
    approving: "أنت توافق على:",
    unwanted: "إذا لم يكن هذا ما تريد فعله، فلا تُدخل الرمز.",
    lifetime: "تنتهي صلاحيته بعد *{minutes}* ويُستخدم مرة واحدة فقط.",
    only_on: "أدخله على *{host}* فقط.",
    secret: "*لا تشارك هذا الرمز أبدًا:* لن يطلبه منك أي شخص من {app}.",
    unasked: "إذا لم تطلب هذا الرمز، فتجاهل هذه الرسالة. لن يحدث أي شيء من دون الرمز.",
    requested: "وقت الطلب: {time}",
    from: "من العنوان {ip}",
    help: "المساعدة: {url}",
    help_link: "الحصول على المساعدة من {app}",
    sms: "{code} هو رمز {app} الخاص بك. تنتهي صلاحيته بعد {minutes}. لا تشاركه مع أي شخص.",
    sms_approving: "{code} هو رمز {app} الخاص بك. أنت توافق على: {context}. تنتهي صلاحيته بعد {minutes}. \
                    لا تشاركه مع أي شخص.",
};
