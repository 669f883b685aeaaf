//! The routes of the API. Owns which path and method lead to which endpoint; must not know what an endpoint does.

use http::Method;

use crate::problem::Problem;
use crate::query::decoded;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Status,
    List,
    Waits,
    Show,
    Records,
    Export,
    Logs,
    Answer,
    Signal,
    Cancel,
    Resume,
    Delete,
    Gc,
    Audit,
    Checkup,
    Backup,
    Fork,
    Diff,
    CancelMany,
    ResumeMany,
    Stats,
    Metrics,
}

impl Endpoint {
    /// The type of what it sends back.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Endpoint::Metrics => "text/plain; version=0.0.4; charset=utf-8",
            _ => "application/json",
        }
    }
}

/// A path and its method. `{flow}` and `{id}` stand for one percent-encoded segment each.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) endpoint: Endpoint,
}

const fn route(method: Method, path: &'static str, endpoint: Endpoint) -> Route {
    Route { method, path, endpoint }
}

/// What only the owner of a store may ask for: all of it, sensitive values and the secret included.
pub(crate) const BACKUP: &str = "/v1/backup";

pub(crate) static ROUTES: &[Route] = &[
    route(Method::GET, "/v1/status", Endpoint::Status),
    route(Method::GET, "/v1/waits", Endpoint::Waits),
    route(Method::GET, "/v1/stats", Endpoint::Stats),
    route(Method::GET, "/metrics", Endpoint::Metrics),
    route(Method::GET, "/v1/executions", Endpoint::List),
    route(Method::POST, "/v1/executions/cancel", Endpoint::CancelMany),
    route(Method::POST, "/v1/executions/resume", Endpoint::ResumeMany),
    route(Method::GET, "/v1/executions/{flow}/{id}", Endpoint::Show),
    route(Method::GET, "/v1/executions/{flow}/{id}/records", Endpoint::Records),
    route(Method::GET, "/v1/executions/{flow}/{id}/export", Endpoint::Export),
    route(Method::GET, "/v1/executions/{flow}/{id}/logs", Endpoint::Logs),
    route(Method::POST, "/v1/executions/{flow}/{id}/answer", Endpoint::Answer),
    route(Method::POST, "/v1/executions/{flow}/{id}/signal", Endpoint::Signal),
    route(Method::POST, "/v1/executions/{flow}/{id}/cancel", Endpoint::Cancel),
    route(Method::POST, "/v1/executions/{flow}/{id}/resume", Endpoint::Resume),
    route(Method::POST, "/v1/executions/{flow}/{id}/delete", Endpoint::Delete),
    route(Method::POST, "/v1/gc", Endpoint::Gc),
    route(Method::GET, "/v1/audit", Endpoint::Audit),
    route(Method::GET, "/v1/checkup", Endpoint::Checkup),
    route(Method::POST, BACKUP, Endpoint::Backup),
    route(Method::POST, "/v1/executions/{flow}/{id}/fork", Endpoint::Fork),
    route(Method::GET, "/v1/executions/{flow}/{id}/diff", Endpoint::Diff),
];

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) endpoint: Endpoint,
    /// What stands for `{flow}` and `{id}`, decoded.
    pub(crate) named: Vec<String>,
}

/// Finds the endpoint of a request.
pub(crate) fn find(method: &Method, path: &str) -> Result<Match, Problem> {
    let mut allowed = Vec::new();
    for route in ROUTES {
        let Some(named) = fits(route.path, path)? else { continue };
        // What may be read may be asked for without its body.
        if route.method == *method || (*method == Method::HEAD && route.method == Method::GET) {
            return Ok(Match { endpoint: route.endpoint, named });
        }
        allowed.push(route.method.as_str());
    }
    if allowed.is_empty() {
        return Err(Problem::not_found("cannot find the path: no route has it; look at openapi.json"));
    }
    let detail = format!("cannot {method} this path: it takes {}", allowed.join(", "));
    Err(Problem::new(http::StatusCode::METHOD_NOT_ALLOWED, "misuse", detail))
}

/// What the names of a pattern stand for, if the path fits it.
fn fits(pattern: &str, path: &str) -> Result<Option<Vec<String>>, Problem> {
    let (mut named, mut given) = (Vec::new(), path.split('/'));
    for expected in pattern.split('/') {
        let Some(segment) = given.next() else { return Ok(None) };
        if expected.starts_with('{') {
            named.push(segment);
        } else if expected != segment {
            return Ok(None);
        }
    }
    if given.next().is_some() {
        return Ok(None);
    }
    named.into_iter().map(decoded).collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_leads_to_its_endpoint_with_its_names_decoded() {
        let found = find(&Method::GET, "/v1/executions/shop%2Forder/a%20b").unwrap();
        assert_eq!(found, Match { endpoint: Endpoint::Show, named: vec!["shop/order".into(), "a b".into()] });
        assert_eq!(find(&Method::HEAD, "/v1/status").unwrap().endpoint, Endpoint::Status);
    }

    #[test]
    fn path_of_no_route_is_not_found_and_a_wrong_method_learns_the_right_one() {
        for path in ["/", "/v1", "/v1/status/", "/v2/status", "/v1/executions/a", "/v1/executions/a/b/c"] {
            assert_eq!(find(&Method::GET, path).unwrap_err().status, http::StatusCode::NOT_FOUND, "{path}");
        }
        let wrong = find(&Method::GET, "/v1/executions/a/b/cancel").unwrap_err();
        assert!(wrong.body().detail.contains("POST") && wrong.status == http::StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(find(&Method::GET, "/v1/executions/%ff/b").unwrap_err().status, http::StatusCode::BAD_REQUEST);
    }
}
