//! A lane as one of the templates in `envoy/providers/` has it, to a stand-in for its provider.

use crate::provider::clouds::sigv4::Keys;
use crate::provider::clouds::{Account, Cloud, Credential, Kind};
use crate::world::certificates::{self, Authority};
use crate::world::lanes::unejected;
use crate::world::processes::repository;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

/// Microsoft's resource of ours.
const FOUNDRY: &str = "e2e.services.ai.azure.com";

/// A template, and what an operator writes into it.
#[derive(Debug, Clone)]
pub struct Shipped {
    /// Its folder.
    pub folder: &'static str,
    /// Its file of clusters.
    pub clusters: &'static str,
    /// What the provider knows its customer by.
    pub account: Account,
    /// Its files below `secrets/`.
    pub secrets: Vec<(&'static str, String)>,
    /// More edits of all its files: what stands there, and what shall.
    pub edits: Vec<(String, String)>,
}

/// Keys of AWS for this service.
pub fn keys(id: &str, service: &str) -> Keys {
    Keys {
        id: id.to_owned(),
        secret: format!("marked-secret-of-{id}"),
        region: "us-east-1".to_owned(),
        service: service.to_owned(),
        session: None,
    }
}

/// A credentials file with these keys.
pub fn credentials(keys: &Keys) -> Result<String> {
    let file = repository().join("envoy/providers/bedrock/secrets/aws/credentials");
    let shipped = fs::read_to_string(file)?;

    Ok(shipped
        .replace("AWS_ACCESS_KEY_ID", &keys.id)
        .replace("AWS_SECRET_ACCESS_KEY", &keys.secret))
}

impl Shipped {
    /// One of the templates that sign, for these keys: the first of them are in the file.
    pub fn signed(folder: &'static str, ids: &[&str]) -> Result<Self> {
        let (host, service, kind) = match folder {
            "bedrock" => ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock", Kind::Bedrock),
            "mantle" => ("bedrock-mantle.us-east-1.api.aws", "bedrock-mantle", Kind::Mantle),
            _ => (
                "aws-external-anthropic.us-east-1.api.aws",
                "aws-external-anthropic",
                Kind::Platform,
            ),
        };
        let all: Vec<_> = ids.iter().map(|id| keys(id, service)).collect();
        let first = credentials(all.first().context("a key")?)?;
        let any = Credential::Any(all.into_iter().map(Credential::Signature).collect());

        Ok(Self { secrets: vec![("aws/credentials", first)], ..Self::new(folder, host, kind, any) })
    }

    /// Google's, for these tokens; the sidecar writes the secret.
    pub fn vertex(tokens: &[String]) -> Self {
        let bearer =
            |token: &String| Credential::Header("authorization", format!("Bearer {token}"));
        let any = Credential::Any(tokens.iter().map(bearer).collect());

        Self::new("vertex", "us-east5-aiplatform.googleapis.com", Kind::Vertex, any)
    }

    /// Microsoft's, with its key.
    pub fn foundry(key: &str) -> Result<Self> {
        let credential = Credential::Header("api-key", key.to_owned());
        let secret = secret("foundry/secrets/foundry.yaml", "FOUNDRY_API_KEY", key)?;

        Ok(Self {
            secrets: vec![("foundry.yaml", secret)],
            ..Self::new("foundry", FOUNDRY, Kind::Foundry, credential)
        })
    }

    /// The same with Entra's tokens, which a server at this port gives for this secret.
    pub fn entra(port: u16, client_secret: &str, tokens: &[String]) -> Result<Self> {
        let bearer =
            |token: &String| Credential::Header("authorization", format!("Bearer {token}"));
        let any = Credential::Any(tokens.iter().map(bearer).collect());
        let secret = secret("foundry/secrets/entra.yaml", "ENTRA_CLIENT_SECRET", client_secret)?;
        let from = "{address: login.microsoftonline.com, port_value: 443}".to_owned();
        let to = format!("{{address: 127.0.0.1, port_value: {port}}}");

        Ok(Self {
            clusters: "clusters-entra.yaml",
            secrets: vec![("entra.yaml", secret)],
            edits: vec![(from, to)],
            ..Self::new("foundry", FOUNDRY, Kind::Foundry, any)
        })
    }

    fn new(folder: &'static str, host: &str, kind: Kind, credential: Credential) -> Self {
        let region = if folder == "vertex" { "us-east5" } else { "us-east-1" };
        let project = "e2e-project".to_owned();
        let (authority, region) = (host.to_owned(), region.to_owned());
        let account = Account { kind, credential, authority, region, project };

        Self { folder, clusters: "clusters.yaml", account, secrets: Vec::new(), edits: Vec::new() }
    }

    /// Starts the stand-in.
    pub async fn start(&self, authority: &Authority) -> Result<Cloud> {
        let certificate = authority.certify(&[&self.account.authority])?;
        let tls = certificates::server(certificate.cert.as_bytes(), certificate.key.as_bytes())?;

        Cloud::start((Ipv4Addr::LOCALHOST, 0).into(), self.account.clone(), Some(tls)).await
    }

    /// The lane's listener.
    pub fn listener(&self) -> Result<String> {
        Ok(self.edited(&self.read("lanes.yaml")?))
    }

    /// Its clusters, the provider at this port.
    pub fn clusters(&self, port: u16, ejects: bool) -> Result<String> {
        let text = self.edited(&self.read(self.clusters)?);
        let at = format!("{{address: {}, port_value: 443}}", self.account.authority);
        ensure!(text.matches(&at).count() == 1, "{}: {at}", self.folder);
        let text = text
            .replace(&at, &format!("{{address: 127.0.0.1, port_value: {port}}}"))
            .replace("/etc/ssl/certs/ca-certificates.crt", "tls/ca.pem");

        Ok(if ejects { text } else { unejected(&text) })
    }

    /// Writes its secrets.
    pub fn write_secrets(&self, run: &Path) -> Result<()> {
        for (path, text) in &self.secrets {
            let path = run.join("secrets").join(path);
            fs::create_dir_all(path.parent().context("a folder")?)?;
            fs::write(path, text)?;
        }

        Ok(())
    }

    fn edited(&self, text: &str) -> String {
        let mut text = text
            .replace("AWS_WORKSPACE", &self.account.project)
            .replace("GOOGLE_PROJECT", &self.account.project)
            .replace("FOUNDRY_RESOURCE", "e2e");
        for (from, to) in &self.edits {
            text = text.replace(from, to);
        }

        text
    }

    fn read(&self, file: &str) -> Result<String> {
        let folder = repository().join("envoy/providers").join(self.folder);

        Ok(fs::read_to_string(folder.join(file))?)
    }
}

fn secret(path: &str, from: &str, to: &str) -> Result<String> {
    let shipped = fs::read_to_string(repository().join("envoy/providers").join(path))?;

    Ok(shipped.replace(from, to))
}
