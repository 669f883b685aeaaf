//! A store by its folder: the process that holds it answers or, where none does, this one opens it for one request. Owns which of
//! the two; must not know what is asked.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use kitaru_core::{Error, Kitaru, Recovery};
use tokio::net::UnixStream;

use crate::access::READ_ONLY;
use crate::actor::ACTOR;
use crate::place;
use crate::problem::Problem;

/// How long another process may hold the store without a socket: a command does for a moment, and a program while it opens it.
const LOCK: Duration = Duration::from_secs(2);
/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// A store on disk.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

/// Who answers.
pub(crate) enum Holder {
    /// The process at the other end.
    Other(UnixStream),
    /// This process, with the store open for one request.
    This(Kitaru),
}

impl Folder {
    pub(crate) fn new(dir: &Path) -> Self {
        Folder(dir.to_owned())
    }

    /// Finds out who answers. The store is opened to be read only unless the request `acts`.
    pub(crate) async fn holder(&self, acts: bool) -> Result<Holder, Problem> {
        let until = Instant::now() + LOCK;
        loop {
            let silent = match self.connect().await {
                Ok(stream) => return Ok(Holder::Other(stream)),
                Err(silent) => silent,
            };
            let detail = match self.open(acts).await {
                Ok(kitaru) => return Ok(Holder::This(kitaru)),
                // A process that opens the store serves its socket a moment after it has the lock.
                Err(error) if error.is_locked() && Instant::now() < until => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) if error.is_locked() => format!(
                    "cannot reach the store: the process that holds it serves no socket ({silent}); build it with the feature \
                     `control`, or end it"
                ),
                Err(error) => format!("{error:#}"),
            };
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unreachable", detail));
        }
    }

    /// Connects to the process that holds the store.
    async fn connect(&self) -> io::Result<UnixStream> {
        let dir = self.0.clone();
        let places = tokio::task::spawn_blocking(move || place::find(&dir)).await.unwrap_or_default();
        let mut silent = io::Error::other("its folder names none");
        for place in places {
            match UnixStream::connect(place).await {
                Ok(stream) => return Ok(stream),
                Err(why) => silent = why,
            }
        }
        Err(silent)
    }

    async fn open(&self, acts: bool) -> Result<Kitaru, Error> {
        let builder = Kitaru::builder().dir(&self.0).lock_timeout(PAUSE).recovery(Recovery::Manual);
        let shown = builder.clone().read_only().open().await?;
        if !acts {
            return Ok(shown);
        }
        // Only a store that is there: to open one that is not makes it.
        shown.close().await?;
        builder.open().await
    }
}

/// Passes a request on, with who asks, and the answer back as it comes.
pub(crate) async fn forward(
    stream: UnixStream,
    head: &Parts,
    body: Bytes,
    (actions, by): (bool, Option<HeaderValue>),
) -> Result<Response<Incoming>, Problem> {
    let broken = |why: hyper::Error| {
        let detail = format!("cannot reach the process that holds the store: {why}; ask again");
        Problem::new(StatusCode::BAD_GATEWAY, "unreachable", detail)
    };
    let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = head.method.clone();
    *request.uri_mut() =
        path.parse().map_err(|_| Problem::misuse("cannot read the path: it is malformed; encode it"))?;
    let headers = request.headers_mut();
    headers.insert(http::header::HOST, HeaderValue::from_static("localhost"));
    if !actions {
        headers.insert(READ_ONLY, HeaderValue::from_static("1"));
    }
    headers.extend(by.map(|by| (HeaderName::from_static(ACTOR), by)));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends with the answer.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(broken)
}
