//! The API as a service. Owns the way of a request from its headers to its answer; must not know how bytes come and go.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use kitaru_core::{Kitaru, WeakKitaru};

use crate::access::{Access, Who};
use crate::endpoints::{self, Answered, Asked};
use crate::problem::Problem;
use crate::routes;

/// The longest body that is read, in bytes: 4 MiB.
const MOST_BODY: usize = 4 << 20;

/// The body of an answer.
pub type Body = Full<Bytes>;

/// The control API of a store, to mount in your own server: a `tower` service over `http` types.
///
/// It answers nobody until it has a [`token`](Self::token) or is told that the
/// [outer server authenticates](Self::outer_server_authenticates), and only shows until
/// [`allow_actions`](Self::allow_actions).
///
/// # Examples
///
/// ```
/// use http::{Request, StatusCode};
/// use http_body_util::Empty;
/// use kitaru_core::{Kitaru, WeakKitaru};
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
}

/// The store of a router.
#[derive(Clone, Debug)]
enum Store {
    /// The router keeps it open.
    Kept(Kitaru),
    /// The router ends with it.
    Beside(WeakKitaru),
}

impl Store {
    fn open(&self) -> Result<Kitaru, Problem> {
        let open = match self {
            Store::Kept(kitaru) => Some(kitaru.clone()),
            Store::Beside(kitaru) => kitaru.upgrade(),
        };
        open.ok_or_else(closed)
    }
}

fn closed() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "closed",
        "cannot answer: the store was closed; ask again once it is open",
    )
}

/// The control API of a store. See [`Router`].
pub fn router(kitaru: &Kitaru) -> Router {
    Router { store: Store::Kept(kitaru.clone()), access: Access { who: Who::Nobody, actions: false } }
}

/// As [`router`], for the program itself.
pub(crate) fn trusted(kitaru: &Kitaru) -> Router {
    Router { store: Store::Kept(kitaru.clone()), access: Access { who: Who::Socket, actions: true } }
}

/// As [`router`], of a store that it does not keep open, for whoever comes through a socket that only its owner may open.
pub(crate) fn beside(kitaru: &WeakKitaru) -> Router {
    Router { store: Store::Beside(kitaru.clone()), access: Access { who: Who::Socket, actions: true } }
}

impl Router {
    /// Answers requests that carry this token, as `Authorization: Bearer …`, and name one of these hosts, such as
    /// `localhost:8080`.
    ///
    /// # Panics
    ///
    /// If the token is empty: it would let everybody in.
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

    /// Answers one request.
    ///
    /// # Cancel safety
    ///
    /// An action that was submitted to the store is durable although the answer is lost.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let is_head = request.method() == Method::HEAD;
        let answered = self.carry_out(request).await;
        let (status, kind, body) = match answered {
            Ok(json) => (StatusCode::OK, "application/json", json),
            Err(problem) => {
                let body = serde_json::to_vec(&problem.body()).unwrap_or_default();
                (problem.status, "application/problem+json", body)
            }
        };
        let mut response = Response::new(Full::from(if is_head { Vec::new() } else { body }));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    async fn carry_out<B>(&self, request: Request<B>) -> Answered
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        self.access.check(&head.method, &head.uri, &head.headers)?;
        let found = routes::find(&head.method, head.uri.path())?;
        let body = read(body).await?;
        let query = head.uri.query().unwrap_or("");
        let kitaru = self.store.open()?;
        let asked = Asked { found, query: query.to_owned(), body, actions: self.access.actions };
        if matches!(head.method, Method::GET | Method::HEAD) {
            return endpoints::answer(&kitaru, asked).await;
        }
        // Not by this task: what is resumed is not to be driven by the runtime of a server.
        let answering = kitaru.clone();
        kitaru.apart(async move { endpoints::answer(&answering, asked).await }).await.unwrap_or_else(|| Err(closed()))
    }
}

async fn read<B>(body: B) -> Result<Bytes, Problem>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
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
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
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
