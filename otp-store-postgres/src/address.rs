//! `postgres://` addresses, and how far each trusts the server it leads to.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::OpenError;

/// How long a server that answers nothing any more is waited for.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Where a database is.
pub(crate) struct Address {
    pub config: Config,
    pub tls: MakeRustlsConnect,
}

/// Whose certificate is accepted.
#[derive(Debug, PartialEq, Eq)]
enum Trust {
    /// Anybody's: encrypted, but perhaps not with the server.
    Anybody,
    /// One for the name in the address, by an authority that this machine trusts.
    Platform,
    /// One for the name in the address, by an authority of this file.
    File(String),
}

impl Address {
    pub fn parse(url: &str) -> Result<Self, OpenError> {
        let (config, trust) = split(url)?;
        Ok(Self { config, tls: MakeRustlsConnect::new(tls(&trust)?) })
    }
}

/// Takes out what tokio-postgres does not know: the modes of `sslmode` that check certificates, and `sslrootcert`.
fn split(url: &str) -> Result<(Config, Trust), OpenError> {
    let refused = |reason: &str| OpenError::Address(reason.to_owned());
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(refused("it does not begin with postgres://"));
    }
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut checked, mut roots, mut rest) = (SslMode::Prefer, false, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", "disable")) => mode = SslMode::Disable,
            Some(("sslmode", "allow" | "prefer")) => mode = SslMode::Prefer,
            Some(("sslmode", "require")) => mode = SslMode::Require,
            Some(("sslmode", "verify-ca" | "verify-full")) => (mode, checked) = (SslMode::Require, true),
            Some(("sslmode", _)) => return Err(refused("sslmode is disable, prefer, require or verify-full")),
            Some(("sslrootcert", path)) => {
                let path = percent_decode_str(path).decode_utf8().map_err(|_| refused("sslrootcert is not UTF-8"))?;
                roots = Some(path.into_owned());
            }
            _ => rest.push(pair),
        }
    }
    let trust = match roots {
        Some(path) if path != "system" => Trust::File(path),
        Some(_) => Trust::Platform,
        None if checked => Trust::Platform,
        None => Trust::Anybody,
    };
    let parsed = format!("{place}?{}", rest.join("&")).parse::<Config>();
    let mut config = parsed.map_err(|error| match std::error::Error::source(&error) {
        Some(source) => refused(&source.to_string()),
        None => refused(&error.to_string()),
    })?;
    config.ssl_mode(mode).tcp_user_timeout(SILENCE).keepalives_idle(SILENCE).keepalives_interval(SILENCE);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(SILENCE);
    }
    if config.get_application_name().is_none() {
        config.application_name("otp");
    }
    Ok((config, trust))
}

fn tls(trust: &Trust) -> Result<ClientConfig, OpenError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| OpenError::Tls(error);
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Anybody => Arc::new(AcceptAny(Arc::clone(&provider))),
        Trust::Platform => Arc::new(Verifier::new(Arc::clone(&provider)).map_err(|error| failed(error.into()))?),
        Trust::File(path) => {
            let roots = Arc::new(roots(path).map_err(failed)?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            verifier.map_err(|error| failed(error.into()))?
        }
    };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| failed(error.into()))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn roots(path: &str) -> Result<RootCertStore, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path)? {
        roots.add(certificate?)?;
    }
    Ok(roots)
}

/// What `sslmode=prefer` and `require` mean everywhere: nobody can listen in who does not put himself between.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_tells_whose_certificate_is_accepted() {
        let file = || Trust::File("/etc/ca certs.pem".into());
        for (query, mode, trust) in [
            ("", SslMode::Prefer, Trust::Anybody),
            ("?sslmode=disable", SslMode::Disable, Trust::Anybody),
            ("?sslmode=require&connect_timeout=3", SslMode::Require, Trust::Anybody),
            ("?application_name=x&sslmode=verify-full", SslMode::Require, Trust::Platform),
            ("?sslmode=verify-ca&sslrootcert=system", SslMode::Require, Trust::Platform),
            ("?sslmode=verify-full&sslrootcert=/etc/ca%20certs.pem", SslMode::Require, file()),
            // As in libpq: whoever names a file wants it looked at.
            ("?sslmode=require&sslrootcert=/etc/ca%20certs.pem", SslMode::Require, file()),
        ] {
            let (config, found) = split(&format!("postgres://otp:secret@db.example.org/otp{query}")).unwrap();
            assert_eq!((config.get_ssl_mode(), found), (mode, trust), "{query}");
            assert_eq!(config.get_dbname(), Some("otp"));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for url in ["mysql://u:secret@h/d", "postgres://u:secret@h/d?sslmode=maybe", "postgres://u:secret@h:port/d"] {
            let refused = Address::parse(url).map(drop).unwrap_err();
            assert!(matches!(refused, OpenError::Address(_)), "{refused:?}");
            assert!(!format!("{refused} {refused:?}").contains("secret"));
        }
    }
}
