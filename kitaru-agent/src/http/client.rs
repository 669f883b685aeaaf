//! The HTTP client.
//!
//! Owns TLS, timeouts, and the bound on what is read. Must not know the content.

use std::{
    pin::Pin,
    time::{Duration, SystemTime},
};

use futures::{Stream, StreamExt as _, stream};
use reqwest::{
    Response, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::dialect::configuration;
use super::extras::Extras;
use super::retry;
use crate::error::{ModelError, ModelErrorKind};

/// A larger answer is an error: no completion is that large.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
/// Sent by some servers in addition, and more exact.
const RETRY_AFTER_MS: &str = "retry-after-ms";
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

impl Reply {
    /// Whether it is an answer, not a refusal.
    pub(super) fn is_answer(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The bytes of an answer, as they arrive.
pub(super) type Chunks<'a> = Pin<Box<dyn Stream<Item = Result<bytes::Bytes, ModelError>> + Send + 'a>>;

/// An answer that has begun.
pub(super) enum Opened<'a> {
    Stream(Chunks<'a>),
    Refused(Reply),
}

impl Client {
    pub(super) fn new(base_url: &str, timeout: Duration, extras: &Extras) -> Result<Self, ModelError> {
        // The address itself is not quoted: it may contain a password.
        let mut base = Url::parse(base_url.trim_end_matches('/')).map_err(|error| {
            configuration(format!("cannot use the base URL: it is not an address ({error}); check it"))
        })?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(configuration("cannot use the base URL: it is not an http or https address; check it"));
        }
        extras.add_to(&mut base);
        let http = match extras.own_client() {
            Some(client) => client,
            None => plain(&base)?,
        };
        Ok(Self { http, base, timeout })
    }

    pub(super) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// Posts JSON and reads the whole answer.
    pub(super) async fn post(&self, path: &str, headers: HeaderMap, body: &[u8]) -> Result<Reply, ModelError> {
        let request = self.prepared(path, headers, body).timeout(self.timeout);
        self.whole(request.send().await.map_err(|error| self.broken(error))?).await
    }

    /// Posts JSON, and streams the answer if it is one.
    pub(super) async fn open(&self, path: &str, headers: HeaderMap, body: &[u8]) -> Result<Opened<'_>, ModelError> {
        let sent = self.prepared(path, headers, body).send();
        let Ok(sent) = tokio::time::timeout(self.timeout, sent).await else { return Err(self.late()) };
        let response = sent.map_err(|error| self.broken(error))?;
        if response.status().is_success() {
            return Ok(Opened::Stream(Box::pin(self.chunks(response).fuse())));
        }
        match tokio::time::timeout(self.timeout, self.whole(response)).await {
            Ok(reply) => reply.map(Opened::Refused),
            Err(_) => Err(self.late()),
        }
    }

    fn prepared(&self, path: &str, mut headers: HeaderMap, body: &[u8]) -> reqwest::RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.http.post(url).headers(headers).body(body.to_vec())
    }

    async fn whole(&self, mut response: Response) -> Result<Reply, ModelError> {
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(error))? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(self.too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, retry_after, body })
    }

    fn chunks(&self, response: Response) -> impl Stream<Item = Result<bytes::Bytes, ModelError>> + use<'_> {
        stream::unfold((response, 0), move |(mut response, read)| async move {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) if read + chunk.len() > MAX_BODY_BYTES => Err(self.too_large()),
                Ok(Some(chunk)) => Ok(chunk),
                Ok(None) => return None,
                Err(error) => Err(self.broken(error)),
            };
            let read = read + chunk.as_ref().map_or(0, bytes::Bytes::len);
            Some((chunk, (response, read)))
        })
    }

    fn too_large(&self) -> ModelError {
        let message = format!("cannot read the answer of {}: it is larger than {MAX_BODY_BYTES} bytes", self.host());
        ModelError::new(ModelErrorKind::InvalidResponse, message)
    }

    /// How long one try may take; for a stream, until its first word.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn late(&self) -> ModelError {
        let message = format!(
            "cannot reach {}: no answer arrived within {:?}; allow more with `.timeout()`",
            self.host(),
            self.timeout
        );
        ModelError::new(ModelErrorKind::TimedOut, message)
    }

    fn broken(&self, error: reqwest::Error) -> ModelError {
        let host = self.host();
        if error.is_timeout() && !error.is_connect() {
            return self.late();
        }
        // The address is left out: it may contain a password.
        let error = error.without_url();
        let why = if error.is_connect() { "" } else { "the connection broke: " };
        ModelError::new(ModelErrorKind::Unreachable, format!("cannot reach {host}: {why}{}", chain(&error)))
    }
}

/// How long a server asks clients to wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |value: Option<&HeaderValue>| Some(value?.to_str().ok()?.to_owned());
    let exact = text(headers.get(RETRY_AFTER_MS)).and_then(|value| retry::retry_after_ms(&value));
    exact.or_else(|| retry::retry_after(&text(headers.get(RETRY_AFTER))?, SystemTime::now()))
}

/// A client with this crate's TLS for the server at `base`.
pub(crate) fn plain(base: &Url) -> Result<reqwest::Client, ModelError> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls(base.scheme() == "https")?)
        .connect_timeout(CONNECT_TIMEOUT)
        // A redirected POST becomes a GET, which no API answers; the status says more.
        .redirect(redirect::Policy::none())
        .user_agent(concat!("kitaru-agent/", env!("CARGO_PKG_VERSION")));
    if matches!(base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| configuration(format!("cannot make an HTTP client: {}", chain(&error))))
}

/// TLS that trusts the certificates of this machine. It is passed to the client, not installed in the process, so that the
/// program can use another crypto library elsewhere.
fn tls(needed: bool) -> Result<ClientConfig, ModelError> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| configuration(format!("cannot set up TLS: {error}")))?;
    if !needed {
        // Reading the machine's certificates takes time, and a slim container has none.
        return Ok(versions.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    }
    let verifier = versions.with_platform_verifier().map_err(|error| {
        configuration(format!(
            "cannot set up TLS: {error}; install the system's certificates (the package ca-certificates)"
        ))
    })?;
    Ok(verifier.with_no_client_auth())
}

/// The most causes in one line.
const MOST_SOURCES: usize = 16;

/// An error and its causes in one line; reqwest's own text leaves out the cause.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    // An error may be its own source.
    for error in std::iter::successors(error.source(), |&error| error.source()).take(MOST_SOURCES) {
        text.push_str(": ");
        text.push_str(&error.to_string());
    }
    text
}
