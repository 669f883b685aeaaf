//! The settings of a model over HTTP.
//!
//! Owns the settings of all such models, and the environment. Must not know the requests.

use std::{env, fmt, time::Duration};

use super::client::Client;
use super::dialect::{Dialect, configuration};
use super::extras::Extras;
use super::model::HttpModel;
use super::retry::Patience;
use super::secret::Secret;
use crate::error::ModelError;

/// The settings of any model over HTTP.
pub(crate) struct Settings {
    pub(crate) key: Secret,
    pub(crate) base_url: String,
    pub(crate) model: String,
    pub(crate) timeout: Duration,
    pub(crate) stall: Duration,
    pub(crate) patience: Patience,
    pub(crate) extras: Extras,
}

impl Settings {
    pub(crate) fn new(key: String, base_url: &str, model: &str) -> Self {
        Self {
            key: Secret::new(key),
            base_url: base_url.to_owned(),
            model: model.to_owned(),
            timeout: Duration::from_secs(300),
            stall: Duration::from_secs(60),
            patience: Patience::default(),
            extras: Extras::default(),
        }
    }

    /// The host of its address; empty for one that is invalid.
    #[cfg(feature = "openai")]
    pub(crate) fn host(&self) -> String {
        reqwest::Url::parse(&self.base_url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }

    pub(crate) fn build<D: Dialect>(self, dialect: D) -> Result<HttpModel<D>, ModelError> {
        if !self.key.fits_a_header() {
            let variable = dialect.key_variable();
            return Err(configuration(format!(
                "cannot use the API key: it has characters that a key cannot have; check {variable}"
            )));
        }
        if self.model.is_empty() {
            return Err(configuration(
                "cannot make the model: no name is set, and its server has many; call `.model()`",
            ));
        }
        let client = Client::new(&self.base_url, self.timeout, &self.extras)?;
        let Self { key, model, patience, stall, extras, .. } = self;
        let (headers, secrets) = (extras.headers()?, extras.secrets());
        Ok(HttpModel { model, dialect, key, headers, secrets, client, patience, stall })
    }
}

impl fmt::Debug for Settings {
    // The address is left out: it may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("key", &self.key)
            .field("model", &self.model)
            .field("extras", &self.extras)
            .finish_non_exhaustive()
    }
}

/// The methods of all builders of models over HTTP.
macro_rules! builder {
    ($builder:ident) => {
        impl $builder {
            /// The address of the server, `/v1` included.
            pub fn base_url(mut self, url: impl Into<String>) -> Self {
                self.settings.base_url = url.into();
                self
            }

            /// The name of the model.
            pub fn model(mut self, model: impl Into<String>) -> Self {
                self.settings.model = model.into();
                self
            }

            /// Adds a header to each request, for a gateway or a provider's option. The last value of a name counts; a header
            /// that carries the key may be replaced. Values are not a part of a durable run's question, and no log,
            /// record or `Debug` has them; in what a server quotes of them, those of 16 bytes and more are hidden.
            pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
                self.settings.extras.header(name.into(), value.into());
                self
            }

            /// Adds a parameter to the address of each request, such as `api-version`. Values are treated as those of
            /// headers.
            pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
                self.settings.extras.query(name.into(), value.into());
                self
            }

            /// Sends the requests by this client, for a proxy, certificates or TLS of its own. It decides how to connect and
            /// whether to follow redirects; the timeouts of this builder still apply.
            pub fn http_client(mut self, client: reqwest::Client) -> Self {
                self.settings.extras.client(client);
                self
            }

            /// How long one try may take, the answer included; 5 minutes unless set. A streamed answer has this long to its
            /// first word or thought, and for each event after that.
            pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
                self.settings.timeout = timeout;
                self
            }

            /// How long a streamed answer that has begun may pause; a minute unless set. A comment, which keeps the connection
            /// open, ends a pause.
            pub fn stall_timeout(mut self, timeout: std::time::Duration) -> Self {
                self.settings.stall = timeout;
                self
            }

            /// How many times to retry a request that the server refused for now, that broke off, or that took too long; 3
            /// unless set. A server that was still working may charge for each try. In a durable run the run itself retries;
            /// see [`KitaruAgent::wait_for_model`](crate::KitaruAgent::wait_for_model). An answer that was cut by its bound on
            /// tokens is not requested again.
            pub fn retries(mut self, retries: u32) -> Self {
                self.settings.patience.retries = retries;
                self
            }

            /// The longest wait before a retry; a minute unless set. If a server asks for more, the request is not retried, and
            /// the error contains the time.
            pub fn max_retry_wait(mut self, wait: std::time::Duration) -> Self {
                self.settings.patience.max_wait = wait;
                self
            }
        }
    };
}

pub(crate) use builder;

/// A variable of the environment; an empty one counts as not set.
pub(crate) fn set(name: &str) -> Option<String> {
    env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_tries_of_a_model_over_http_are_those_of_the_docs_unless_set() {
        let Settings { timeout, stall, patience, .. } = Settings::new("key".into(), "http://localhost", "model");
        assert_eq!((timeout, stall), (Duration::from_secs(5 * 60), Duration::from_secs(60)));
        assert_eq!((patience.retries, patience.max_wait), (3, Duration::from_secs(60)));
    }
}
