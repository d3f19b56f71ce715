//! The settings by name. This table is what the file's keys, the variables and the flags are made from.

macro_rules! settings {
    ($($(#[doc = $help:literal])+ $name:ident = $key:literal, $flag:literal, $variable:literal, $value:literal;)*) => {
        /// A setting.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Setting {$(
            $(#[doc = $help])+
            $name,
        )*}

        impl Setting {
            /// All of them, in the order of the default file.
            pub const ALL: &[Setting] = &[$(Setting::$name),*];

            /// Its key in `otp.toml`.
            pub const fn key(self) -> &'static str {
                match self { $(Setting::$name => $key),* }
            }

            /// Its flag, without the dashes.
            pub const fn flag(self) -> &'static str {
                match self { $(Setting::$name => $flag),* }
            }

            /// Its environment variable.
            pub const fn variable(self) -> &'static str {
                match self { $(Setting::$name => $variable),* }
            }

            /// What `--help` calls its value.
            pub const fn value_name(self) -> &'static str {
                match self { $(Setting::$name => $value),* }
            }

            /// What it is, in one sentence.
            pub const fn help(self) -> &'static str {
                match self { $(Setting::$name => concat!($($help),+).trim_ascii()),* }
            }
        }
    };
}

settings! {
    /// Where the API listens
    Listen = "listen", "listen", "OTP_LISTEN", "IP:PORT";
    /// Where metrics and detailed health are served; empty turns it off
    AdminListen = "admin_listen", "admin-listen", "OTP_ADMIN_LISTEN", "IP:PORT";
    /// The URL that clients know the server by; tokens name it as their issuer
    PublicUrl = "public_url", "public-url", "OTP_PUBLIC_URL", "URL";
    /// Networks of reverse proxies whose X-Forwarded-For and Forwarded headers are believed
    TrustedProxies = "trusted_proxies", "trusted-proxies", "OTP_TRUSTED_PROXIES", "NETWORK,…";
    /// Connections at a time
    MaxConnections = "max_connections", "max-connections", "OTP_MAX_CONNECTIONS", "COUNT";
    /// Connections at a time from one client network
    MaxConnectionsPerIp =
        "max_connections_per_ip", "max-connections-per-ip", "OTP_MAX_CONNECTIONS_PER_IP", "COUNT";
    /// Where the master key and the default database are
    DataDir = "data_dir", "data-dir", "OTP_DATA_DIR", "DIR";
    /// Where the data is: sqlite:PATH, postgres://USER:PASSWORD@HOST/DATABASE or memory:
    DatabaseUrl = "database_url", "database-url", "OTP_DATABASE_URL", "URL";
    /// The master key ring; prefer the variable, flags show in the process list
    MasterKey = "master_key", "master-key", "OTP_MASTER_KEY", "KID:BASE64,…";
    /// The platform administrator's token; prefer the variable, flags show in the process list
    AdminToken = "admin_token", "admin-token", "OTP_ADMIN_TOKEN", "TOKEN";
    /// Where mail goes: mailbox:, smtp://USER:PASSWORD@HOST:PORT or file:DIR
    MailUrl = "mail_url", "mail-url", "OTP_MAIL_URL", "URL";
    /// Who mail comes from
    MailFrom = "mail_from", "mail-from", "OTP_MAIL_FROM", "SENDER";
    /// Where text messages go: mailbox:
    SmsUrl = "sms_url", "sms-url", "OTP_SMS_URL", "URL";
    /// The name server that sender domains are looked up at; the system's if empty
    DnsServer = "dns_server", "dns-server", "OTP_DNS_SERVER", "IP:PORT";
    /// Whether events may be sent by http and to private networks: true or false
    WebhookAllowPrivate =
        "webhook_allow_private", "webhook-allow-private", "OTP_WEBHOOK_ALLOW_PRIVATE", "true|false";
    /// A TOML file of plans in place of the built-in ones
    Plans = "plans", "plans", "OTP_PLANS", "FILE";
    /// Whether anybody may sign up as a customer: open or closed
    Signup = "signup", "signup", "OTP_SIGNUP", "open|closed";
    /// Days for which the audit trail is kept, 1 to 3650
    AuditDays = "audit_days", "audit-days", "OTP_AUDIT_DAYS", "DAYS";
    /// What is logged: a level, or levels by module
    Log = "log", "log", "OTP_LOG", "FILTER";
    /// How it is written: text or json
    LogFormat = "log_format", "log-format", "OTP_LOG_FORMAT", "FORMAT";
}

impl Setting {
    /// The setting with this key in `otp.toml`.
    pub fn named(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|setting| setting.key() == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_flag_and_variable_are_one_name() {
        for setting in Setting::ALL {
            assert_eq!(setting.flag(), setting.key().replace('_', "-"));
            assert_eq!(setting.variable(), format!("OTP_{}", setting.key().to_uppercase()));
            assert_eq!(Setting::named(setting.key()), Some(*setting));
        }
    }
}
