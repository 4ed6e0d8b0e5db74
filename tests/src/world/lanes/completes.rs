//! A lane of one of the templates for providers of chat completions, to a stand-in for it.

use crate::provider::Provider;
use crate::world::certificates::{self, Authority};
use crate::world::lanes::unejected;
use crate::world::processes::repository;
use anyhow::{Result, ensure};
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

/// A template.
#[derive(Debug, Clone)]
pub struct Completes {
    /// Its folder.
    pub folder: &'static str,
    /// The host as the template has it.
    host: &'static str,
    /// The key as the template has it; none where the server asks for none.
    key: Option<&'static str>,
}

/// The stand-ins' key.
const KEY: &str = "sk-e2e-canary-completions";

impl Completes {
    /// The one of `OpenAI`.
    pub const OPENAI: Self =
        Self { folder: "openai", host: "api.openai.com", key: Some("OPENAI_API_KEY") };
    /// The one of Azure.
    pub const AZURE: Self = Self {
        folder: "azure",
        host: "AZURE_RESOURCE.openai.azure.com",
        key: Some("AZURE_OPENAI_API_KEY"),
    };

    /// Starts the stand-in.
    pub async fn start(&self, authority: &Authority) -> Result<Provider> {
        let certificate = authority.certify(&[&Self::edited(self.host)])?;
        let tls = certificates::server(certificate.cert.as_bytes(), certificate.key.as_bytes())?;
        let listen = (Ipv4Addr::LOCALHOST, 0).into();

        Provider::completing(self.folder, listen, KEY, Some(tls)).await
    }

    /// The lane's listener.
    pub fn listener(&self) -> Result<String> {
        self.read("lanes.yaml")
    }

    /// Its clusters, the provider at this port.
    pub fn clusters(&self, port: u16, ejects: bool) -> Result<String> {
        let text = self.read("clusters.yaml")?;
        let at = format!("{{address: {}, port_value: 443}}", Self::edited(self.host));
        ensure!(text.matches(&at).count() == 1, "{}: {at}", self.folder);
        let text = text
            .replace(&at, &format!("{{address: 127.0.0.1, port_value: {port}}}"))
            .replace("/etc/ssl/certs/ca-certificates.crt", "tls/ca.pem");

        Ok(if ejects { text } else { unejected(&text) })
    }

    /// Writes its secrets.
    pub fn write_secrets(&self, run: &Path) -> Result<()> {
        let Some(key) = self.key else { return Ok(()) };
        let file = format!("secrets/{}.yaml", self.folder);

        Ok(fs::write(run.join(&file), self.read(&file)?.replace(key, KEY))?)
    }

    fn read(&self, file: &str) -> Result<String> {
        let folder = repository().join("envoy/providers").join(self.folder);

        Ok(Self::edited(&fs::read_to_string(folder.join(file))?))
    }

    fn edited(text: &str) -> String {
        text.replace("AZURE_RESOURCE", "e2e").replace("AZURE_DEPLOYMENT", "ours")
    }
}
