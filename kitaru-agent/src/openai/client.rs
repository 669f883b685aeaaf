//! The HTTP client.
//!
//! Owns TLS, timeouts, and the bound on what is read. Must not know what is said over it.

use std::time::{Duration, SystemTime};

use reqwest::{
    Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER},
    redirect,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::{configuration, retry, secret::Secret};
use crate::{ModelError, ModelErrorKind};

/// An answer larger than this is an error: no completion is.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    timeout: Duration,
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

impl Client {
    pub(super) fn new(base_url: &str, timeout: Duration) -> Result<Self, ModelError> {
        // The address itself is not quoted: it may hold a password.
        let base = Url::parse(base_url.trim_end_matches('/')).map_err(|error| {
            configuration(format!("the base URL is not an address ({error}); check OPENAI_BASE_URL"))
        })?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(configuration("the base URL is not an http or https address; check OPENAI_BASE_URL"));
        }
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(base.scheme() == "https")?)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            // A redirected POST becomes a GET, which no API answers; the status says more.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("kitaru-agent/", env!("CARGO_PKG_VERSION")));
        if matches!(base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| configuration(format!("no HTTP client: {}", chain(&error))))?;
        Ok(Self { http, base, timeout })
    }

    pub(super) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    pub(super) fn is_openai_itself(&self) -> bool {
        self.host() == "api.openai.com"
    }

    /// Posts JSON and reads the whole answer.
    pub(super) async fn post(&self, path: &str, key: &Secret, body: &[u8]) -> Result<Reply, ModelError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        let mut headers = HeaderMap::new();
        headers.extend(key.header().map(|value| (AUTHORIZATION, value)));
        headers.insert(CONTENT_TYPE, reqwest::header::HeaderValue::from_static("application/json"));
        let sent = self.http.post(url).headers(headers).body(body.to_vec()).send().await;
        let mut response = sent.map_err(|error| self.broken(error))?;

        let status = response.status().as_u16();
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|value| retry::retry_after(value, SystemTime::now()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(error))? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                let message = format!("the answer of {} is larger than {MAX_BODY_BYTES} bytes", self.host());
                return Err(ModelError::new(ModelErrorKind::InvalidResponse, message));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, retry_after, body })
    }

    fn broken(&self, error: reqwest::Error) -> ModelError {
        let host = self.host();
        if error.is_timeout() && !error.is_connect() {
            let message = format!("no answer from {host} within {:?}; allow more with `.timeout()`", self.timeout);
            return ModelError::new(ModelErrorKind::TimedOut, message);
        }
        // The address is left out: it may hold a password.
        let error = error.without_url();
        let what = if error.is_connect() { "cannot reach" } else { "the connection broke while talking to" };
        ModelError::new(ModelErrorKind::Unreachable, format!("{what} {host}: {}", chain(&error)))
    }
}

/// TLS that trusts what this machine trusts. It is given to the client, not installed in the process: which crypto a
/// program uses elsewhere is its own business.
fn tls(needed: bool) -> Result<ClientConfig, ModelError> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| configuration(format!("no TLS: {error}")))?;
    if !needed {
        // Reading the machine's certificates takes time, and a slim container has none.
        return Ok(versions.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    }
    let verifier = versions.with_platform_verifier().map_err(|error| {
        configuration(format!("no TLS: {error}; install the system's certificates (the package ca-certificates)"))
    })?;
    Ok(verifier.with_no_client_auth())
}

/// An error and its causes in one line; reqwest's own text leaves out the cause.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
