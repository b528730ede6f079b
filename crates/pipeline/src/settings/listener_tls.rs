//! The TLS of a listener: which certificates it shows, which it asks for.

use std::path::PathBuf;

use portcullis_core::{ConfigFolder, KeyPath, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listener::existing;

/// A listener's TLS. Its files are read again when they change; connections that are there stay as they are.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawListenerTls {
    /// PEM file with the certificate, followed by those of its issuers. Clients see it that name a host (SNI) which none of
    /// `more_certificates` is for, or none at all.
    pub certificate: String,
    /// PEM file with the private key.
    pub key: String,
    /// Certificates for other hosts: each is for the DNS names that stand in it, wildcards among them. Default none.
    #[serde(default)]
    pub more_certificates: Vec<RawServerCertificate>,
    /// The oldest version that clients may speak: `1.2` or `1.3`. Default `1.2`.
    #[serde(default)]
    pub minimum_version: TlsVersion,
    /// Has clients asked for a certificate. Default: they are not.
    #[serde(default)]
    pub client_certificates: Option<RawClientCertificates>,
}

/// A certificate for some hosts.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawServerCertificate {
    /// PEM file with the certificate, followed by those of its issuers.
    pub certificate: String,
    /// PEM file with the private key.
    pub key: String,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2 and later.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 and later.
    #[serde(rename = "1.3")]
    Tls13,
}

/// Which certificates clients may show, and whether they must.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawClientCertificates {
    /// `required` ends the handshake with clients that show none; `optional` leaves that to the routes. A certificate that is
    /// shown must be right either way. Default `required`.
    #[serde(default)]
    pub mode: ClientCertificateMode,
    /// PEM files with the certificates of the authorities that clients may have theirs from; each may hold several.
    pub ca: Vec<String>,
    /// PEM files with revocation lists of these authorities, and of those between them and the clients. Default none.
    #[serde(default)]
    pub crl: Vec<String>,
    /// Which certificates are looked up in the lists: `chain` for the client's and those of its issuers, `leaf` for the
    /// client's alone. Default `chain`.
    #[serde(default)]
    pub crl_scope: CrlScope,
    /// What becomes of a certificate for whose issuer there is no list: `refuse` or `accept`. Default `refuse`.
    #[serde(default)]
    pub unlisted: Leniency,
    /// What becomes of certificates once their list is past its time for an update: `refuse` or `accept`. Default `refuse`.
    #[serde(default)]
    pub expired_crl: Leniency,
}

/// Whether clients must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificateMode {
    /// There is no connection without one.
    #[default]
    Required,
    /// They may.
    Optional,
}

/// How much of a chain is looked up in revocation lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CrlScope {
    /// All of it but the authority.
    #[default]
    Chain,
    /// The client's certificate.
    Leaf,
}

/// What to do when something cannot be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Leniency {
    /// Refuse.
    #[default]
    Refuse,
    /// Accept.
    Accept,
}

/// The compiled TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// The certificate to show when no other one is for the host.
    pub default: ServerCertificate,
    /// The others.
    pub more: Vec<ServerCertificate>,
    /// The oldest version.
    pub minimum_version: TlsVersion,
    /// What clients are asked for.
    pub clients: Option<ClientCertificates>,
}

/// The files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerCertificate {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// The compiled rules for certificates of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Whether there must be one.
    pub mode: ClientCertificateMode,
    /// Files with authorities.
    pub ca: Vec<PathBuf>,
    /// Files with revocation lists.
    pub crl: Vec<PathBuf>,
    /// What is looked up in them.
    pub crl_scope: CrlScope,
    /// What becomes of those for which there is no list.
    pub unlisted: Leniency,
    /// What becomes of those whose list is too old.
    pub expired_crl: Leniency,
}

impl ListenerTls {
    /// Checks that the files are there; what is in them shows when they are used.
    #[must_use]
    pub fn compile(
        raw: &RawListenerTls,
        folder: &ConfigFolder,
        path: &KeyPath,
        problems: &mut Problems,
    ) -> Self {
        let mut file = |named: &str, place: KeyPath| existing(folder, named, &place, problems);
        let default = ServerCertificate {
            certificate: file(&raw.certificate, path.key("certificate")),
            key: file(&raw.key, path.key("key")),
        };
        let more = raw.more_certificates.iter().enumerate().map(|(index, raw)| {
            let path = path.key("more_certificates").index(index);
            ServerCertificate {
                certificate: file(&raw.certificate, path.key("certificate")),
                key: file(&raw.key, path.key("key")),
            }
        });
        let more = more.collect();
        let clients = raw
            .client_certificates
            .as_ref()
            .map(|raw| ClientCertificates::compile(raw, folder, &path.key("client_certificates"), problems));
        Self { default, more, minimum_version: raw.minimum_version, clients }
    }

    /// Every certificate that is shown.
    pub fn certificates(&self) -> impl Iterator<Item = &ServerCertificate> {
        std::iter::once(&self.default).chain(&self.more)
    }

    /// Every file that it is made of.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let shown = self.certificates().flat_map(|it| [&it.certificate, &it.key]);
        shown.chain(self.clients.iter().flat_map(|clients| clients.ca.iter().chain(&clients.crl)))
    }
}

impl ClientCertificates {
    fn compile(
        raw: &RawClientCertificates,
        folder: &ConfigFolder,
        path: &KeyPath,
        problems: &mut Problems,
    ) -> Self {
        if raw.ca.is_empty() {
            problems
                .error(&path.key("ca"), "there is no authority, so no certificate could be right")
                .suggest("name a PEM file with the certificates of your authorities");
        }
        if raw.crl.is_empty() {
            for (key, is_set) in [
                ("crl_scope", raw.crl_scope != CrlScope::default()),
                ("unlisted", raw.unlisted != Leniency::default()),
                ("expired_crl", raw.expired_crl != Leniency::default()),
            ] {
                if is_set {
                    problems
                        .warning(
                            &path.key(key),
                            format!("`{key}` has no effect: there is no revocation list"),
                        )
                        .suggest("name lists in `crl`, or remove it");
                }
            }
        }
        let mut files = |named: &[String], key: &str| {
            let path = path.key(key);
            let named = named.iter().enumerate();
            named.map(|(index, name)| existing(folder, name, &path.index(index), problems)).collect()
        };
        Self {
            mode: raw.mode,
            ca: files(&raw.ca, "ca"),
            crl: files(&raw.crl, "crl"),
            crl_scope: raw.crl_scope,
            unlisted: raw.unlisted,
            expired_crl: raw.expired_crl,
        }
    }
}
