//! A certificate authority that lives for one test.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber,
};
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

pub use tokio_rustls::rustls::{ClientConfig, SupportedProtocolVersion, version};

/// A certificate authority, with its certificate and everything it issued as PEM files in a folder that
/// goes when the authority goes.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its private key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The PEM file of the certificate.
    pub certificate: PathBuf,
    /// The PEM file of the private key (PKCS #8).
    pub key: PathBuf,
    /// The certificate's PEM text.
    pub certificate_pem: String,
    /// The private key's PEM text.
    pub key_pem: String,
}

impl Authority {
    /// A new authority with a new key. Two authorities do not trust each other's certificates.
    ///
    /// # Panics
    /// When the folder cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key pair");
        let params = authority_params("Portcullis test authority", 1);
        Self::of(CertifiedIssuer::self_signed(params, key).expect("a self-signed authority"))
    }

    /// An authority that this one vouches for. What it issues comes without its own certificate; see [`Identity::with`].
    ///
    /// # Panics
    /// When the folder cannot be written.
    #[must_use]
    pub fn intermediate(&self) -> Self {
        let key = KeyPair::generate().expect("a key pair");
        let mut params = authority_params("Portcullis test intermediate", 0);
        params.use_authority_key_identifier_extension = true;
        Self::of(CertifiedIssuer::signed_by(params, key, &self.issuer).expect("an authority"))
    }

    fn of(issuer: CertifiedIssuer<'static, KeyPair>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("write ca.pem");
        Self { folder, issuer }
    }

    /// The authority's own certificate as PEM text.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A list of the certificates with these serial numbers, as PEM text: made in 2020, and to be followed by another on the
    /// first of January of this year.
    ///
    /// # Panics
    /// When it cannot be signed.
    #[must_use]
    pub fn revocation_list(&self, revoked: &[u64], next_update: i32) -> String {
        let made = rcgen::date_time_ymd(2020, 1, 1);
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: made,
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: made,
            next_update: rcgen::date_time_ymd(next_update, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("a signed list").pem().expect("a list as PEM text")
    }

    /// A certificate for clients that is as `shape` has it.
    ///
    /// # Panics
    /// When it cannot be made or written.
    #[must_use]
    pub fn shaped_client(&self, name: &str, shape: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        shape(&mut params);
        self.sign(name, params)
    }

    /// The PEM file of the authority's own certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The folder with all PEM files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A server's certificate for these DNS names and IP addresses.
    ///
    /// # Panics
    /// When a name is not a DNS name or an address.
    #[must_use]
    pub fn server(&self, names: &[&str]) -> Identity {
        self.issue(names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client's certificate, with the name as common name and as DNS name.
    ///
    /// # Panics
    /// When the name is not a DNS name.
    #[must_use]
    pub fn client(&self, name: &str) -> Identity {
        self.issue(&[name], ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A client that trusts this authority alone, offers these protocols by ALPN and shows `identity`.
    ///
    /// # Panics
    /// When the identity's PEM text is not a certificate with its key.
    #[must_use]
    pub fn client_config(&self, identity: Option<&Identity>, alpn: &[&str]) -> Arc<ClientConfig> {
        self.client_config_with(identity, alpn, &[&version::TLS13, &version::TLS12])
    }

    /// The same with these versions of TLS alone.
    ///
    /// # Panics
    /// When the identity's PEM text is not a certificate with its key.
    #[must_use]
    pub fn client_config_with(
        &self,
        identity: Option<&Identity>,
        alpn: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("the authority's own certificate");
        let builder = ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                builder.with_client_auth_cert(identity.chain(), identity.private_key()).expect("an identity")
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    fn issue(&self, names: &[&str], purpose: ExtendedKeyUsagePurpose) -> Identity {
        let name = *names.first().expect("at least one name");
        let owned: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(owned).expect("DNS names or addresses");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![purpose];
        self.sign(name, params)
    }

    fn sign(&self, name: &str, mut params: CertificateParams) -> Identity {
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key pair");
        let certificate = params.signed_by(&key, &self.issuer).expect("a signed certificate");

        // The count tells apart the files of several certificates for one name.
        let count = std::fs::read_dir(self.folder.path()).expect("the folder").count();
        let identity = Identity {
            certificate: self.folder.path().join(format!("{name}-{count}.pem")),
            key: self.folder.path().join(format!("{name}-{count}.key.pem")),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        };
        std::fs::write(&identity.certificate, &identity.certificate_pem).expect("write a certificate");
        std::fs::write(&identity.key, &identity.key_pem).expect("write a key");
        identity
    }
}

fn authority_params(name: &str, depth: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(depth));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Identity {
    /// A TLS server that shows this identity, asks for no client certificate and offers these protocols.
    ///
    /// # Panics
    /// When certificate and key do not belong together.
    #[must_use]
    pub fn server_config(&self, alpn: &[&str]) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(self.chain(), self.private_key())
            .expect("a certificate with its key");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// The same with the certificate of an authority between it and the one that is trusted.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn with(mut self, intermediate: &Authority) -> Self {
        self.certificate_pem.push_str(&intermediate.pem());
        std::fs::write(&self.certificate, &self.certificate_pem).expect("write a certificate");
        self
    }

    /// The certificate and those that follow it, in DER.
    ///
    /// # Panics
    /// When they are not PEM.
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        let chain = CertificateDer::pem_slice_iter(self.certificate_pem.as_bytes());
        chain.collect::<Result<_, _>>().expect("certificates in PEM")
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).expect("a private key in PEM")
    }
}
