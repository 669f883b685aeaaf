//! What a user adds to each request: headers, parameters of the address, a client of their own.
//!
//! Owns which headers a user may set, and that no value is shown: a gateway's header may hold a key. Must not know what they
//! mean.

use std::fmt;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::dialect::configuration;
use super::secret::Secrets;
use crate::error::ModelError;

/// Headers that make a request what it is.
const OWN_HEADERS: [&str; 7] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
];

/// What is added to each request.
#[derive(Clone, Default)]
pub(crate) struct Extras {
    headers: Vec<(String, String)>,
    query: Vec<(String, String)>,
    client: Option<reqwest::Client>,
}

impl Extras {
    pub(crate) fn header(&mut self, name: String, value: String) {
        self.headers.push((name, value));
    }

    pub(crate) fn query(&mut self, name: String, value: String) {
        self.query.push((name, value));
    }

    pub(crate) fn client(&mut self, client: reqwest::Client) {
        self.client = Some(client);
    }

    pub(super) fn own_client(&self) -> Option<reqwest::Client> {
        self.client.clone()
    }

    /// The headers, of which the last of each name counts.
    ///
    /// # Errors
    ///
    /// For a name or a value that no header can have, and for a header of the request itself.
    pub(super) fn headers(&self) -> Result<HeaderMap, ModelError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let Ok(known) = HeaderName::try_from(name.trim()) else {
                return Err(configuration(format!(
                    "cannot use the header `{}`: no header can have that name; check it",
                    name.escape_debug()
                )));
            };
            if OWN_HEADERS.contains(&known.as_str()) {
                return Err(configuration(format!(
                    "cannot use the header `{known}`: it is the client's own; leave it out"
                )));
            }
            // The value is not quoted: it may be a key.
            let Ok(mut value) = HeaderValue::try_from(value.trim()) else {
                return Err(configuration(format!(
                    "cannot use the header `{known}`: its value has characters that no header can have; check it"
                )));
            };
            value.set_sensitive(true);
            headers.insert(known, value);
        }
        Ok(headers)
    }

    /// Adds the parameters to an address.
    pub(super) fn add_to(&self, url: &mut Url) {
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
    }

    /// All values that may be secret. A value such as `Bearer …` counts without the word before the secret.
    pub(super) fn secrets(&self) -> Secrets {
        let values = self.headers.iter().chain(&self.query).map(|(_, value)| value.trim());
        Secrets::new(values.map(|value| value.rsplit(' ').next().unwrap_or(value)))
    }
}

impl fmt::Debug for Extras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |list: &[(String, String)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        f.debug_struct("Extras")
            .field("headers", &names(&self.headers))
            .field("query", &names(&self.query))
            .finish_non_exhaustive()
    }
}
