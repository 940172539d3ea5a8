//! Encryption on the way to PostgreSQL, by the words of the address that libpq users know.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Error;

/// Takes `sslmode` and `sslrootcert` out of the address: `disable`, `prefer` (the default) and `require` mean what
/// they mean to libpq, and `verify-full` checks the server's certificate and name against the given roots or the
/// system's.
pub(super) fn configure(url: &str) -> Result<(String, MakeRustlsConnect, SslMode), Error> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut mode = "prefer".to_owned();
    let mut roots = None;
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = decoded(value)?,
            Some(("sslrootcert", value)) => roots = Some(decoded(value)?),
            Some(("sslcert" | "sslkey" | "sslcrl", _)) => {
                return Err(Error::Config("sslcert, sslkey and sslcrl are not supported".to_owned()));
            }
            _ => kept.push(pair),
        }
    }
    let url = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Config(error.to_string()))?;
    let (mode, verified) = match mode.as_str() {
        "disable" => (SslMode::Disable, false),
        "prefer" | "allow" => (SslMode::Prefer, false),
        // With roots given, libpq verifies under `require` as well; we then check the name too.
        "require" => (SslMode::Require, roots.is_some()),
        "verify-full" => (SslMode::Require, true),
        other => {
            return Err(Error::Config(format!(
                "sslmode {other} is not supported: use disable, prefer, require or verify-full"
            )));
        }
    };
    let builder = if verified {
        builder.with_root_certificates(root_store(roots.as_deref())?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
    };
    Ok((url, MakeRustlsConnect::new(builder.with_no_client_auth()), mode))
}

fn root_store(file: Option<&str>) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    match file {
        Some(file) if file != "system" => {
            let wrong =
                |error: rustls::pki_types::pem::Error| Error::Config(format!("sslrootcert {file}: {error}"));
            for certificate in CertificateDer::pem_file_iter(file).map_err(wrong)? {
                store
                    .add(certificate.map_err(wrong)?)
                    .map_err(|error| Error::Config(format!("sslrootcert {file}: {error}")))?;
            }
        }
        _ => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        return Err(Error::Config("no root certificates to verify the database server with".to_owned()));
    }
    Ok(store)
}

fn decoded(text: &str) -> Result<String, Error> {
    let wrong = || Error::Config("the address holds a broken percent code".to_owned());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or_else(wrong);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// Encrypts without asking who the server is: `prefer` and `require` promise no more.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
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
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
