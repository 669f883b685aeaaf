//! Asks a server of the control API. Owns the way of a question to the socket and back; must not know what it is asked for.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::api;
use crate::query::encode;
use crate::router::{Router, trusted};
use crate::routes::BACKUP;

/// Asks a server of the control API, over a new connection each time.
///
/// # Errors
///
/// Each question fails with a [`ClientError`]: the server cannot be reached, it refuses the question and says why, or its answer
/// cannot be read.
///
/// # Cancel safety
///
/// A question that is dropped may be carried out nevertheless.
///
/// # Examples
///
/// ```no_run
/// use kitaru_control::{Client, api};
///
/// # async fn example() -> Result<(), kitaru_control::ClientError> {
/// let client = Client::unix(".kitaru/control.sock");
/// let failed = api::ListQuery { status: vec!["failed".into()], ..Default::default() };
/// for execution in client.executions(&failed).await?.executions {
///     println!("{}/{}", execution.flow, execution.id);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    place: Place,
    token: Option<String>,
}

#[derive(Clone, Debug)]
enum Place {
    Unix(PathBuf),
    Tcp(String),
    Here(Router),
}

/// Without the token.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Why a question got no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// No server is there.
    #[non_exhaustive]
    Unreachable {
        /// Where it was asked.
        place: String,
        /// Why it could not be.
        source: io::Error,
    },
    /// The server has refused it, or could not carry it out.
    Refused(Box<api::Problem>),
    /// The connection broke, or what came is not an answer of this API. An action may have been carried out.
    #[non_exhaustive]
    Broken {
        /// What happened.
        why: String,
    },
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Unreachable { place, source } => {
                write!(f, "cannot ask {place}: {source}; is the program running?")
            }
            ClientError::Refused(problem) => f.write_str(&problem.detail),
            ClientError::Broken { why } => {
                write!(f, "cannot read the answer: {why}; look whether the request was carried out")
            }
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ClientError::Unreachable { source, .. } => Some(source),
            ClientError::Refused(_) | ClientError::Broken { .. } => None,
        }
    }
}

impl Client {
    /// Asks the server of this socket.
    pub fn unix(socket: impl AsRef<Path>) -> Self {
        Client { place: Place::Unix(socket.as_ref().to_owned()), token: None }
    }

    /// Asks the server at this host and port, such as `127.0.0.1:8080`, with its token.
    pub fn tcp(address: impl Into<String>, token: impl Into<String>) -> Self {
        Client { place: Place::Tcp(address.into()), token: Some(token.into()) }
    }

    /// Asks the store in a folder: the process that holds it or, where none does, this process opens it for each question, to
    /// read it only unless the question changes something.
    pub fn folder(dir: impl AsRef<Path>) -> Self {
        Client { place: Place::Here(trusted(dir.as_ref())), token: None }
    }

    /// Who holds the store.
    pub async fn status(&self) -> Result<api::Status, ClientError> {
        self.get("/v1/status".to_owned()).await
    }

    /// A page of executions, newest first.
    pub async fn executions(&self, query: &api::ListQuery) -> Result<api::Page, ClientError> {
        self.get(format!("/v1/executions?{}", query.write())).await
    }

    /// One execution, without its records; an error with the code `not_found` if there is none.
    pub async fn execution(&self, flow: &str, id: &str) -> Result<api::Execution, ClientError> {
        self.get(path(flow, id, "")).await
    }

    /// A page of an execution's records, in the order in which they were written.
    pub async fn records(&self, flow: &str, id: &str, query: api::RecordsQuery) -> Result<api::Records, ClientError> {
        self.get(format!("{}?{}", path(flow, id, "/records"), query.write())).await
    }

    /// What the program that holds the store has logged in an execution, oldest first; an error with the code `no_logs` if it
    /// keeps no log.
    pub async fn logs(&self, flow: &str, id: &str, query: api::LogsQuery) -> Result<api::Logs, ClientError> {
        self.get(format!("{}?{}", path(flow, id, "/logs"), query.write())).await
    }

    /// How the store and the process that holds it are doing, in numbers.
    pub async fn stats(&self) -> Result<api::Stats, ClientError> {
        self.get("/v1/stats".to_owned()).await
    }

    /// The open questions, oldest first.
    pub async fn waits(&self) -> Result<api::Waits, ClientError> {
        self.get("/v1/waits".to_owned()).await
    }

    /// The history of an execution, for a test.
    pub async fn export(&self, flow: &str, id: &str) -> Result<serde_json::Value, ClientError> {
        self.get(path(flow, id, "/export")).await
    }

    /// Answers an open question.
    pub async fn answer(&self, flow: &str, id: &str, answer: &api::Answer) -> Result<(), ClientError> {
        self.post(path(flow, id, "/answer"), answer).await
    }

    /// Sends a signal.
    pub async fn signal(&self, flow: &str, id: &str, signal: &api::Signal) -> Result<(), ClientError> {
        self.post(path(flow, id, "/signal"), signal).await
    }

    /// Cancels an execution.
    pub async fn cancel(&self, flow: &str, id: &str, cancel: api::Cancel) -> Result<(), ClientError> {
        self.post(path(flow, id, "/cancel"), &cancel).await
    }

    /// Resumes an execution.
    pub async fn resume(&self, flow: &str, id: &str, resume: &api::Resume) -> Result<(), ClientError> {
        self.post(path(flow, id, "/resume"), resume).await
    }

    /// Deletes an execution that has ended.
    pub async fn delete(&self, flow: &str, id: &str) -> Result<(), ClientError> {
        self.post(path(flow, id, "/delete"), &api::Delete {}).await
    }

    /// Deletes executions whose retention is over, or counts them.
    pub async fn gc(&self, gc: api::Gc) -> Result<api::Collected, ClientError> {
        self.post_for("/v1/gc".to_owned(), &gc).await
    }

    /// Who deleted what.
    pub async fn audit(&self) -> Result<api::Audit, ClientError> {
        self.get("/v1/audit".to_owned()).await
    }

    /// What a look at every row finds.
    pub async fn checkup(&self) -> Result<api::Checkup, ClientError> {
        self.get("/v1/checkup".to_owned()).await
    }

    /// Has the process that holds the store write a backup, to a file whose path is absolute. Over a Unix socket only.
    pub async fn backup(&self, file: &str) -> Result<api::Backup, ClientError> {
        self.post_for(BACKUP.to_owned(), &api::BackUp { file: file.to_owned() }).await
    }

    /// Begins a fork, or says what it would be.
    pub async fn fork(&self, flow: &str, id: &str, fork: &api::Fork) -> Result<api::Forked, ClientError> {
        let body = serde_json::to_vec(fork).map_err(|why| ClientError::Broken { why: why.to_string() })?;
        self.ask(Method::POST, path(flow, id, "/fork"), body.into()).await
    }

    /// Compares an execution with another one.
    pub async fn diff(&self, flow: &str, id: &str, query: &api::DiffQuery) -> Result<api::Diff, ClientError> {
        self.get(format!("{}?{}", path(flow, id, "/diff"), query.write())).await
    }

    /// Cancels the executions of a page.
    pub async fn cancel_many(&self, many: &api::CancelMany) -> Result<api::ManyDone, ClientError> {
        self.post_for("/v1/executions/cancel".to_owned(), many).await
    }

    /// Resumes the executions of a page.
    pub async fn resume_many(&self, many: &api::ResumeMany) -> Result<api::ManyDone, ClientError> {
        self.post_for("/v1/executions/resume".to_owned(), many).await
    }

    async fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, ClientError> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    async fn post(&self, path: String, body: &impl Serialize) -> Result<(), ClientError> {
        let api::Done {} = self.post_for(path, body).await?;
        Ok(())
    }

    async fn post_for<T: DeserializeOwned>(&self, path: String, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|why| ClientError::Broken { why: why.to_string() })?;
        self.ask(Method::POST, path, body.into()).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: String, body: Bytes) -> Result<T, ClientError> {
        let unreachable = |place: &dyn fmt::Display| {
            let place = place.to_string();
            move |source| ClientError::Unreachable { place, source }
        };
        match &self.place {
            Place::Unix(socket) => {
                let stream = UnixStream::connect(socket).await.map_err(unreachable(&socket.display()))?;
                self.ask_over(stream, "localhost", method, path, body).await
            }
            Place::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(unreachable(address))?;
                self.ask_over(stream, address, method, path, body).await
            }
            Place::Here(router) => {
                let request = self.request("localhost", method, path, body)?;
                read(router.answer(request).await).await
            }
        }
    }

    async fn ask_over<T: DeserializeOwned>(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        host: &str,
        method: Method,
        path: String,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let request = self.request(host, method, path, body)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|why| broken(&why))?;
        // It ends when the sender is dropped.
        tokio::spawn(connection);
        read(sender.send_request(request).await.map_err(|why| broken(&why))?).await
    }

    fn request(
        &self,
        host: &str,
        method: Method,
        path: String,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, host);
        request = request.header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        request.body(Full::new(body)).map_err(|why| broken(&why))
    }
}

fn broken(why: &dyn fmt::Display) -> ClientError {
    ClientError::Broken { why: why.to_string() }
}

/// Reads an answer, or the problem that is there in its place.
async fn read<T: DeserializeOwned, B>(response: Response<B>) -> Result<T, ClientError>
where
    B: http_body::Body,
    B::Error: fmt::Display,
{
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|why| broken(&why))?.to_bytes();
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|why| broken(&why));
    }
    match serde_json::from_slice(&body) {
        Ok(problem) => Err(ClientError::Refused(Box::new(problem))),
        Err(_) => Err(broken(&format_args!("it has status {status} and is not of this API"))),
    }
}

fn path(flow: &str, id: &str, tail: &str) -> String {
    format!("/v1/executions/{}/{}{tail}", encode(flow), encode(id))
}
