//! AWS Signature Version 4:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use std::fmt::Write as _;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, header};
use otp_core::Timestamp;
use sha2::{Digest, Sha256};

use super::AwsCredentials;
use crate::provider::hidden;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Signs a request whose path has nothing to escape and that has no query. All of its headers are signed.
pub(super) fn sign(request: &mut Request<Bytes>, credentials: &AwsCredentials, region: &str, now: Timestamp) {
    let time = basic_format(now);
    let scope = format!("{}/{region}/ses/aws4_request", &time[..8]);
    let headers = request.headers_mut();
    headers.insert("x-amz-date", time.parse().expect("digits and letters"));
    if let Some(token) = &credentials.token {
        headers.insert("x-amz-security-token", hidden(token.expose()));
    }
    let mut named: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    named.sort_unstable();
    let names = named.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String =
        named.iter().map(|(name, value)| format!("{name}:{}\n", String::from_utf8_lossy(value))).collect();
    let (method, path, digest) = (request.method(), request.uri().path(), hex(Sha256::digest(request.body())));
    let canonical = format!("{method}\n{path}\n\n{lines}\n{names}\n{digest}");
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{}", hex(Sha256::digest(canonical)));

    let key = format!("AWS4{}", credentials.key.expose());
    let steps = [&time[..8], region, "ses", "aws4_request", &to_sign];
    let signature = steps.iter().fold(key.into_bytes(), |key, step| hmac(&key, step));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={}",
        credentials.id,
        hex(signature)
    );
    request.headers_mut().insert(header::AUTHORIZATION, hidden(&authorization));
}

/// `20260131T081530Z`
fn basic_format(at: Timestamp) -> String {
    let seconds: String = at.to_string().chars().take(19).filter(|sign| !matches!(sign, '-' | ':')).collect();
    seconds + "Z"
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("every length will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What boto3 1.44.5 sent and signed.
    const BODY: &str = concat!(
        r#"{"Destination": {"ToAddresses": ["a@b.c"]}, "Content": {"Raw": {"Data": "aGk="}}, "#,
        r#""EmailTags": [{"Name": "message_id", "Value": "msg_1"}], "ConfigurationSetName": "otp"}"#
    );
    const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIA/20261121/eu-central-1/ses/aws4_request, \
                          SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, \
                          Signature=43eadf2f81bf099470d0ac92896a1ecd10e233764cc896b5587c747043d77cf7";

    #[test]
    fn a_request_is_signed_as_amazons_own_library_does() {
        let mut request = Request::post("http://127.0.0.1:45173/v2/email/outbound-emails")
            .header(header::HOST, "127.0.0.1:45173")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(BODY))
            .unwrap();
        let credentials = AwsCredentials::of("AKIA".to_owned(), "hush".to_owned(), Some("s".to_owned())).unwrap();
        sign(&mut request, &credentials, "eu-central-1", "2026-11-21T14:28:47Z".parse().unwrap());
        assert_eq!(request.headers()["x-amz-date"], "20261121T142847Z");
        assert_eq!(request.headers()["authorization"], SIGNED);
        assert!(!format!("{:?}", request.headers()).contains("43eadf"), "no log shows it");
    }
}
