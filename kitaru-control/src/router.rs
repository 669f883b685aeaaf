//! The API as a service. Owns the way of a request from its headers to its answer; must not know how bytes come and go.

use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderName, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use kitaru_core::{Kitaru, WeakKitaru};

use crate::access::{Access, TOKEN_COOKIE, Who, may};
use crate::actor::{ACTOR, actor, sole_name, user};
use crate::assistant::Ask;
use crate::body::{Body, BodyError, MOST_BODY, full, passed_on};
use crate::endpoints::{self, Asked};
use crate::folder::{Folder, Holder, forward};
use crate::live::Live;
use crate::mcp;
use crate::pages;
use crate::problem::Problem;
use crate::query::pairs;
use crate::routes::BACKUP;
use crate::{api, routes};

/// The control API of a store, to mount in your own server: a `tower` service over `http` types.
///
/// It refuses every request until it has a [`token`](Self::token) or its
/// [outer server authenticates](Self::outer_server_authenticates), and only shows until
/// [`allow_actions`](Self::allow_actions).
///
/// # Examples
///
/// ```
/// use http::{Request, StatusCode};
/// use http_body_util::Empty;
/// use kitaru::Kitaru;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let kitaru = Kitaru::builder().in_memory().open().await?;
/// let router = kitaru_control::router(&kitaru).token("a long random text", ["localhost:8080"]);
///
/// let request = Request::get("http://localhost:8080/v1/executions")
///     .header("authorization", "Bearer a long random text")
///     .body(Empty::<bytes::Bytes>::new())?;
/// assert_eq!(router.answer(request).await.status(), StatusCode::OK);
/// # kitaru.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Router {
    store: Store,
    access: Access,
    /// Whether assistants may act where others may.
    assistants_act: bool,
    /// The user at the other end, if a Unix socket says it.
    peer: Option<Arc<str>>,
    live: Live,
}

/// The store of a router.
#[derive(Clone, Debug)]
enum Store {
    /// The router keeps it open.
    Kept(Kitaru),
    /// The router ends with it.
    Beside(WeakKitaru),
    /// Another process may have it open.
    Folder(Folder),
}

/// The control API of a store. See [`Router`].
pub fn router(kitaru: &Kitaru) -> Router {
    Router {
        store: Store::Kept(kitaru.clone()),
        access: Access { who: Who::Closed, actions: false },
        assistants_act: false,
        peer: None,
        live: Live::default(),
    }
}

/// The control API of the store in a folder. Each request is passed on to the socket of the process that holds the store.
/// Where no process does, the store is opened for the request, to be read only unless it acts. See [`Router`].
///
/// # Examples
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use kitaru_control::{folder, serve_tcp};
///
/// let router = folder(".kitaru").token("a long random text", ["localhost:7421"]);
/// let server = serve_tcp(router, "127.0.0.1:0".parse()?)?;
/// println!("{}", server.address().expect("a server of serve_tcp has one"));
/// # Ok(())
/// # }
/// ```
pub fn folder(dir: impl AsRef<Path>) -> Router {
    Router {
        store: Store::Folder(Folder::new(dir.as_ref())),
        access: Access { who: Who::Closed, actions: false },
        assistants_act: false,
        peer: None,
        live: Live::default(),
    }
}

/// As [`folder`], for this process.
pub(crate) fn trusted(dir: &Path) -> Router {
    let peer = Some(user(rustix::process::geteuid().as_raw()));
    Router { access: Access { who: Who::Socket, actions: true }, peer, ..folder(dir) }
}

/// As [`router`], of a store that it does not keep open, behind a socket that only its owner may open.
pub(crate) fn beside(kitaru: &WeakKitaru) -> Router {
    Router {
        store: Store::Beside(kitaru.clone()),
        access: Access { who: Who::Socket, actions: true },
        assistants_act: false,
        peer: None,
        live: Live::default(),
    }
}

impl Router {
    /// Answers requests that carry this token, as `Authorization: Bearer …`, and name one of these hosts, such as
    /// `localhost:8080`.
    ///
    /// # Panics
    ///
    /// If the token is empty: it would admit every client.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let token = token.into();
        assert!(!token.is_empty(), "the token must not be empty; use a long random text");
        self.access.who = Who::Token { token, hosts: hosts.into_iter().map(Into::into).collect() };
        self
    }

    /// Answers every request that names one of these hosts: the server around the router has authenticated it.
    #[must_use]
    pub fn outer_server_authenticates(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.access.who = Who::OuterServer { hosts: hosts.into_iter().map(Into::into).collect() };
        self
    }

    /// Carries out requests that change something: answers, signals, cancelling, resuming. Without this they are refused.
    #[must_use]
    pub fn allow_actions(mut self) -> Self {
        self.access.actions = true;
        self
    }

    /// Lets assistants act as well, which speak MCP at `/mcp` with the token of the router. Without this they are given tools that
    /// only show, although actions are allowed. `/mcp` needs the feature `mcp`.
    #[must_use]
    pub fn allow_assistants_to_act(mut self) -> Self {
        self.assistants_act = true;
        self
    }

    /// The same, for the user at the other end of a connection.
    pub(crate) fn of_peer(&self, peer: Option<Arc<str>>) -> Self {
        Router { peer, ..self.clone() }
    }

    /// Answers one request.
    ///
    /// # Cancel safety
    ///
    /// An action that was submitted to the store is durable although the answer is lost.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body,
        B::Error: Into<BodyError>,
    {
        let (head, body) = request.into_parts();
        let mut response = match self.carry_out(&head, body).await {
            Ok(response) => response,
            Err(problem) if is_api(&head) || head.uri.path() == MCP => {
                let body = serde_json::to_vec(&problem.body()).unwrap_or_default();
                whole(problem.status, "application/problem+json", body)
            }
            Err(problem) if problem.status == StatusCode::UNAUTHORIZED && self.access.has_token() => see("/login"),
            Err(problem) => html(problem.status, pages::problem(&problem)),
        };
        if head.method == Method::HEAD {
            *response.body_mut() = full(Bytes::new());
        }
        let headers = response.headers_mut();
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        response
    }

    async fn carry_out<B>(&self, head: &Parts, body: B) -> Result<Response<Body>, Problem>
    where
        B: http_body::Body,
        B::Error: Into<BodyError>,
    {
        if let Some((text, kind)) = pages::asset(head.uri.path()) {
            let mut response = Response::new(full(text));
            response.headers_mut().insert(CONTENT_TYPE, kind);
            let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
            response.headers_mut().insert(CACHE_CONTROL, forever);
            return Ok(response);
        }
        if head.uri.path() == "/login" {
            return self.login(head, &read(body).await?);
        }
        let actions = self.access.identify(&head.method, &head.uri, &head.headers)?;
        if head.uri.path() == MCP {
            let (ask, acts) = self.clone().for_assistant(actions, sole_name(&head.headers).cloned());
            return mcp::answer(ask, acts, head, read(body).await?).await;
        }
        may(&head.method, actions)?;
        self.pass(head, read(body).await?, actions).await
    }

    /// Passes a request that may be carried out to the process that has the store open.
    async fn pass(&self, head: &Parts, body: Bytes, actions: bool) -> Result<Response<Body>, Problem> {
        if head.uri.path() == BACKUP && !matches!(self.access.who, Who::Socket) {
            let detail = "cannot back up the store: a backup has its secret and all values; ask over its Unix socket";
            return Err(Problem::new(StatusCode::FORBIDDEN, "read_only", detail));
        }
        let by = actor(&self.access.who, self.peer.as_ref(), &head.headers);
        match &self.store {
            Store::Kept(kitaru) => self.ask(&kitaru.by(by), head, body, actions).await,
            Store::Beside(kitaru) => {
                let kitaru = kitaru.upgrade().ok_or_else(Problem::closed)?;
                self.ask(&kitaru.by(by), head, body, actions).await
            }
            Store::Folder(folder) => match folder.holder(!matches!(head.method, Method::GET | Method::HEAD)).await? {
                Holder::Other(stream) => {
                    // The other process knows the user of this one, and adds it.
                    let by = match self.access.who {
                        Who::Socket => sole_name(&head.headers).cloned(),
                        _ => HeaderValue::from_bytes(by.as_bytes()).ok(),
                    };
                    Ok(forward(stream, head, body, (actions, by)).await?.map(passed_on))
                }
                Holder::This(kitaru) => {
                    let response = self.ask(&kitaru.by(by), head, body, actions).await;
                    kitaru.close().await?;
                    response
                }
            },
        }
    }

    /// How the assistant asks the API that has started this process, and whether it may act. An audit names the user of the process.
    #[cfg(feature = "mcp")]
    pub(crate) fn for_own_assistant(mut self) -> (Ask, bool) {
        if let Who::Closed = self.access.who {
            self.access.who = Who::Socket;
            self.peer = Some(user(rustix::process::geteuid().as_raw()));
        }
        self.for_assistant(true, Some(HeaderValue::from_static("assistant")))
    }

    /// How an assistant that was admitted asks the API, and whether it may act. `by` is whom its request names.
    fn for_assistant(self, actions: bool, by: Option<HeaderValue>) -> (Ask, bool) {
        let acts = actions && self.access.actions && self.assistants_act;
        let ask: Ask = Arc::new(move |method, path, body| {
            let (router, by) = (self.clone(), by.clone());
            Box::pin(async move { router.ask_whole((method, path, by), body, acts).await })
        });
        (ask, acts)
    }

    /// Asks the API, and reads the answer to its end.
    async fn ask_whole(
        &self,
        (method, path, by): (Method, String, Option<HeaderValue>),
        body: Bytes,
        acts: bool,
    ) -> Result<Bytes, String> {
        let asked = async {
            may(&method, acts)?;
            let request = Request::builder().method(method).uri(path).body(());
            let (mut head, ()) = request.map_err(|why| Problem::misuse(format!("cannot ask: {why}")))?.into_parts();
            head.headers.extend(by.map(|by| (HeaderName::from_static(ACTOR), by)));
            self.pass(&head, body, acts).await
        };
        let response = asked.await.map_err(|problem| problem.body().detail)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|why| format!("cannot read the answer: {why}"))?;
        let body = body.to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        let problem = serde_json::from_slice::<api::Problem>(&body);
        Err(problem
            .map_or_else(|_| format!("cannot read the answer: it has status {status}"), |problem| problem.detail))
    }

    /// Asks an open store.
    async fn ask(&self, kitaru: &Kitaru, head: &Parts, body: Bytes, actions: bool) -> Result<Response<Body>, Problem> {
        let query = head.uri.query().unwrap_or("");
        if is_api(head) {
            let found = routes::find(&head.method, head.uri.path())?;
            let kind = found.endpoint.media_type();
            let asked = Asked { found, query: query.to_owned(), body, actions };
            let answer = match head.method {
                Method::GET | Method::HEAD => endpoints::answer(kitaru, asked).await?,
                // Not by this task: what is resumed is not to be driven by the runtime of a server.
                _ => {
                    let answering = kitaru.clone();
                    let answered = kitaru.apart(async move { endpoints::answer(&answering, asked).await });
                    answered.await.unwrap_or_else(|| Err(Problem::closed()))?
                }
            };
            return Ok(whole(StatusCode::OK, kind, answer));
        }
        let asked = pages::Asked { method: &head.method, path: head.uri.path(), query, body, actions };
        match pages::answer(kitaru, asked).await? {
            pages::Answer::Page(page) => Ok(html(StatusCode::OK, page)),
            pages::Answer::See(path) => Ok(see(&path)),
            pages::Answer::Live(execution) => {
                let events = self.live.watch(kitaru.downgrade(), execution);
                let mut response = Response::new(events.map_err(|never| match never {}).boxed_unsync());
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                Ok(response)
            }
        }
    }

    /// Asks a browser for the token, and keeps it in a cookie that no other site's page can use.
    fn login(&self, head: &Parts, body: &[u8]) -> Result<Response<Body>, Problem> {
        if head.method != Method::POST {
            return Ok(html(StatusCode::OK, pages::login(false)));
        }
        let form = std::str::from_utf8(body).unwrap_or("");
        let token = pairs(form).filter_map(Result::ok).find(|(name, _)| name == "token").map(|(_, token)| token);
        let token = token.unwrap_or_default();
        if !self.access.admits(&head.uri, &head.headers, &token)? {
            return Ok(html(StatusCode::UNAUTHORIZED, pages::login(true)));
        }
        let mut response = see("/");
        let cookie = format!("{TOKEN_COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        Ok(response)
    }
}

/// Where assistants ask.
const MCP: &str = "/mcp";

fn is_api(head: &Parts) -> bool {
    let path = head.uri.path();
    path == "/v1" || path.starts_with("/v1/") || path == "/metrics"
}

/// Nothing from elsewhere, no script and no style in the page itself.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

fn whole(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn html(status: StatusCode, page: maud::Markup) -> Response<Body> {
    whole(status, "text/html; charset=utf-8", page.into_string())
}

/// Another page is to be shown.
fn see(path: &str) -> Response<Body> {
    let mut response = whole(StatusCode::SEE_OTHER, "text/plain", Bytes::new());
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}

async fn read<B>(body: B) -> Result<Bytes, Problem>
where
    B: http_body::Body,
    B::Error: Into<BodyError>,
{
    match Limited::new(body, MOST_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let detail = format!("cannot read the body: it is longer than {MOST_BODY} bytes; send less");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail))
        }
        Err(error) => Err(Problem::misuse(format!("cannot read the body: {error}; send it again"))),
    }
}

impl<B> tower_service::Service<Request<B>> for Router
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let router = self.clone();
        Box::pin(async move { Ok(router.answer(request).await) })
    }
}
