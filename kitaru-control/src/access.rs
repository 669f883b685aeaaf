//! Who may ask, and for what. Owns the token, the hosts, and whether actions are allowed; must not know what is asked.

use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use http::{HeaderMap, Method, StatusCode, Uri};

use crate::problem::Problem;

/// Who may ask a router.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) who: Who,
    /// Whether requests that change something are carried out.
    pub(crate) actions: bool,
}

/// Says that a server in between passes requests on that may only look.
pub(crate) const READ_ONLY: &str = "kitaru-read-only";

/// How a request shows that it may be answered.
#[derive(Clone)]
pub(crate) enum Who {
    /// No request may: neither a token nor an outer server that authenticates was set.
    Closed,
    /// It has this token, and names one of these hosts.
    Token { token: String, hosts: Vec<String> },
    /// The server around the router has authenticated it.
    OuterServer { hosts: Vec<String> },
    /// It came through a socket that only its owner may open.
    Socket,
}

/// Without the token.
impl std::fmt::Debug for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Who::Closed => f.write_str("Closed"),
            Who::Token { hosts, .. } => f.debug_struct("Token").field("hosts", hosts).finish_non_exhaustive(),
            Who::OuterServer { hosts } => f.debug_struct("OuterServer").field("hosts", hosts).finish(),
            Who::Socket => f.write_str("Socket"),
        }
    }
}

impl Access {
    /// Whether this is the token, for a page of this server that asks for it.
    pub(crate) fn admits(&self, uri: &Uri, headers: &HeaderMap, given: &str) -> Result<bool, Problem> {
        match &self.who {
            Who::Token { token, hosts } => {
                check_host(uri, headers, hosts)?;
                Ok(is_equal(given.as_bytes(), token.as_bytes()))
            }
            Who::Closed | Who::OuterServer { .. } | Who::Socket => Ok(false),
        }
    }

    /// Whether a token admits its sender.
    pub(crate) fn has_token(&self) -> bool {
        matches!(self.who, Who::Token { .. })
    }

    /// Checks who asks, before anything of a request is carried out. Returns whether they may act.
    pub(crate) fn identify(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<bool, Problem> {
        match &self.who {
            Who::Closed => {
                let detail =
                    "cannot answer: the router has no token; set .token(…), or say that the outer server authenticates";
                return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail));
            }
            Who::Token { token, hosts } => {
                check_host(uri, headers, hosts)?;
                check_token(method, headers, token)?;
            }
            Who::OuterServer { hosts } => check_host(uri, headers, hosts)?,
            Who::Socket => {}
        }
        Ok(self.actions && !headers.contains_key(READ_ONLY))
    }
}

/// Checks that a request only looks, unless who asks may act.
pub(crate) fn may(method: &Method, actions: bool) -> Result<(), Problem> {
    if reads(method) || actions {
        return Ok(());
    }
    let detail = "cannot act: this server is read-only; ask one that allows actions";
    Err(Problem::new(StatusCode::FORBIDDEN, "read_only", detail))
}

/// A page of another host, whose name leads here, is refused (DNS rebinding), and so is a request that a page of another origin
/// makes.
fn check_host(uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> Result<(), Problem> {
    let named = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = named.or_else(|| uri.authority().map(http::uri::Authority::as_str));
    let is_ours = |host: &str| hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
    let refused = |what: &str, given: &str| {
        let detail =
            format!("cannot answer {what} {given:?}: it is not one of this server; ask {}", hosts.join(" or "));
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", detail))
    };
    match host {
        Some(host) if is_ours(host) => {}
        other => return refused("host", other.unwrap_or("")),
    }
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or("");
    match origin.split_once("://") {
        Some((_, host)) if is_ours(host) => Ok(()),
        _ => refused("origin", origin),
    }
}

/// The name of the cookie that holds the token of a browser.
pub(crate) const TOKEN_COOKIE: &str = "kitaru_token";

fn check_token(method: &Method, headers: &HeaderMap, token: &str) -> Result<(), Problem> {
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|given| given.to_str().ok())
        .and_then(|given| given.strip_prefix("Bearer "));
    if given.is_some_and(|given| is_equal(given.as_bytes(), token.as_bytes())) {
        return Ok(());
    }
    let cookies = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split("; "));
    let mut tokens = cookies.filter_map(|cookie| cookie.strip_prefix(TOKEN_COOKIE)?.strip_prefix('='));
    if tokens.any(|given| is_equal(given.as_bytes(), token.as_bytes())) {
        // A browser sends a cookie by itself: only a page of this server may act. Whose origin is there is checked before.
        return match reads(method) || headers.contains_key(ORIGIN) {
            true => Ok(()),
            false => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "wrong_host",
                "cannot act: the request has no origin; send it from a page of this server",
            )),
        };
    }
    let detail = "cannot answer: the token is missing or wrong; send `Authorization: Bearer …`, or log in at /login";
    Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail))
}

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// In a time that says nothing of where they differ.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let differs = one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other));
    one.len() == other.len() && std::hint::black_box(differs) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(http::HeaderName, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn status(access: &Access, method: &Method, all: &[(http::HeaderName, &str)]) -> u16 {
        let identified = access.identify(method, &Uri::from_static("/v1/status"), &headers(all));
        identified.and_then(|actions| may(method, actions)).map_or_else(|p| p.status.as_u16(), |()| 200)
    }

    #[test]
    fn request_needs_the_token_and_a_host_of_the_server() {
        let who = Who::Token { token: "secret".into(), hosts: vec!["127.0.0.1:7000".into()] };
        let access = Access { who, actions: true };
        let host = (HOST, "127.0.0.1:7000");
        let token = (AUTHORIZATION, "Bearer secret");
        assert_eq!(status(&access, &Method::GET, &[host.clone(), token.clone()]), 200);
        assert_eq!(status(&access, &Method::GET, std::slice::from_ref(&host)), 401);
        for wrong in ["Bearer secre", "Bearer secrets", "secret", "Bearer "] {
            assert_eq!(status(&access, &Method::GET, &[host.clone(), (AUTHORIZATION, wrong)]), 401, "{wrong}");
        }
        assert_eq!(status(&access, &Method::GET, &[(HOST, "evil.example:7000"), token.clone()]), 421);
        assert_eq!(status(&access, &Method::GET, std::slice::from_ref(&token)), 421);
        let foreign = (ORIGIN, "http://evil.example");
        assert_eq!(status(&access, &Method::POST, &[host.clone(), token.clone(), foreign]), 421);
        assert_eq!(status(&access, &Method::POST, &[host.clone(), token.clone(), (ORIGIN, "null")]), 421);
        let own = (ORIGIN, "http://127.0.0.1:7000");
        assert_eq!(status(&access, &Method::POST, &[host.clone(), token, own.clone()]), 200);
        let cookie = (COOKIE, "theme=dark; kitaru_token=secret");
        assert_eq!(status(&access, &Method::GET, &[host.clone(), cookie.clone()]), 200);
        assert_eq!(status(&access, &Method::POST, &[host.clone(), cookie.clone()]), 403, "no origin");
        assert_eq!(status(&access, &Method::POST, &[host.clone(), cookie, own]), 200);
        assert_eq!(status(&access, &Method::GET, &[host, (COOKIE, "kitaru_token=secre")]), 401);
    }

    #[test]
    fn router_without_a_token_is_closed_and_one_without_actions_only_shows() {
        let closed = Access { who: Who::Closed, actions: true };
        assert_eq!(status(&closed, &Method::GET, &[]), 401);
        let shows = Access { who: Who::Socket, actions: false };
        assert_eq!(status(&shows, &Method::GET, &[]), 200);
        let acts = Access { who: Who::Socket, actions: true };
        let told = (http::HeaderName::from_static(READ_ONLY), "1");
        assert_eq!(status(&acts, &Method::POST, &[]), 200);
        assert_eq!(status(&acts, &Method::POST, &[told]), 403, "the server in between is read-only");
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            assert_eq!(status(&shows, &method, &[]), 403, "{method}");
        }
    }

    #[test]
    fn token_is_absent_from_debug_output() {
        let who = Who::Token { token: "secret".into(), hosts: Vec::new() };
        assert!(!format!("{:?}", Access { who, actions: false }).contains("secret"));
    }
}
