//! The API over a Unix socket, or over loopback. Owns the sockets and their thread; must not know what is asked.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use kitaru_core::__private::{Accompaniment, Companion, inventory};
use kitaru_core::{Error, Kitaru, WeakKitaru};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use crate::actor::user;
use crate::place::{self, SocketPlace};
use crate::router::{Router, beside};

/// How long a client may take for the headers of a request.
const HEADERS: Duration = Duration::from_secs(10);
/// How long the server rests when it gets no further connection, for example because too many files are open.
const REST: Duration = Duration::from_millis(100);

/// A server of the control API. It serves until it is dropped.
#[must_use = "a server stops when it is dropped"]
pub struct Server {
    /// The thread ends when this is dropped.
    stop: Option<watch::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    socket: Option<PathBuf>,
    address: Option<SocketAddr>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("socket", &self.socket).field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Where a server of [`serve_tcp`] listens: with port 0 the system has chosen one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // The thread itself may drop the last handle of its store.
            if thread.thread().id() != thread::current().id() {
                // It has logged why, should it have panicked.
                let _ = thread.join();
            }
        }
        if let Some(socket) = &self.socket {
            let _ = fs::remove_file(socket);
        }
    }
}

/// Serves the control API of a store, with its actions, on a Unix socket that only the user of this process and root may open.
///
/// The server has a thread and a runtime of its own, so it survives the end of any other runtime. A socket that a dead process
/// has left is replaced.
///
/// # Errors
///
/// When the socket cannot be made: another process listens there, the path is too long for a socket (107 bytes on Linux), or
/// something else than a socket is there.
pub fn serve_unix(kitaru: &Kitaru, path: impl AsRef<Path>) -> Result<Server, Error> {
    listen(path.as_ref(), beside(&kitaru.downgrade()))
}

/// Serves each store on disk that the program opens.
fn accompany(kitaru: &WeakKitaru, folder: &Path) -> Option<Accompaniment> {
    let served = place::choose(folder)
        .map_err(|why| Error::msg(format!("cannot listen in {}: {why}", folder.display())))
        .and_then(|SocketPlace { path, is_in_folder }| {
            let runs = Box::new(listen(&path, beside(kitaru))?);
            Ok(Accompaniment { runs, place: (!is_in_folder).then_some(path) })
        });
    match served {
        Ok(served) => Some(served),
        Err(error) => {
            tracing::warn!("control: {error:#}; the store is open, and the command `kitaru` cannot see it");
            None
        }
    }
}

inventory::submit! { Companion(accompany) }

fn listen(path: &Path, router: Router) -> Result<Server, Error> {
    let cannot = |why: &dyn fmt::Display| Error::msg(format!("cannot listen on {}: {why}", path.display()));
    remove_stale(path).map_err(|why| cannot(&why))?;
    let listener = bind_privately(path).map_err(|why| cannot(&why))?;
    listener.set_nonblocking(true).map_err(|why| cannot(&why))?;
    let mut server = start(move || UnixListener::from_std(listener), router).map_err(|why| cannot(&why))?;
    server.socket = Some(path.to_owned());
    Ok(server)
}

/// Serves a router over TCP. `address` is on loopback: a server for other machines is your own one, with TLS, around the
/// [`Router`].
///
/// # Errors
///
/// When the address is not on loopback, or is taken.
pub fn serve_tcp(router: Router, address: SocketAddr) -> Result<Server, Error> {
    let cannot = |why: &dyn fmt::Display| Error::msg(format!("cannot listen on {address}: {why}"));
    if !address.ip().is_loopback() {
        return Err(cannot(&"it is not on loopback; mount the router in a server with TLS"));
    }
    let listener = StdTcpListener::bind(address).map_err(|why| cannot(&why))?;
    listener.set_nonblocking(true).map_err(|why| cannot(&why))?;
    let bound = listener.local_addr().map_err(|why| cannot(&why))?;
    let mut server = start(move || TcpListener::from_std(listener), router).map_err(|why| cannot(&why))?;
    server.address = Some(bound);
    Ok(server)
}

/// Removes a socket that a dead process has left.
fn remove_stale(path: &Path) -> io::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) => found.file_type(),
    };
    if !kind.is_socket() {
        return Err(io::Error::other("something else than a socket is there; remove it"));
    }
    match StdUnixStream::connect(path) {
        Ok(_) => Err(io::Error::other("another process listens there; stop it")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// Binds under a hidden name, and gives the socket its own name once only its owner may open it.
fn bind_privately(path: &Path) -> io::Result<StdUnixListener> {
    let mut hidden = path.as_os_str().to_owned();
    hidden.push("~");
    let hidden = PathBuf::from(hidden);
    let _ = fs::remove_file(&hidden);
    let listener = StdUnixListener::bind(&hidden)?;
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o600))?;
    fs::rename(&hidden, path)?;
    Ok(listener)
}

/// What gives connections.
trait Listener: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection of a user who may ask, and the number of the user, if known; none if this one may not.
    fn next(&self) -> impl Future<Output = io::Result<Option<(Self::Stream, Option<u32>)>>> + Send;
}

impl Listener for TcpListener {
    type Stream = tokio::net::TcpStream;

    async fn next(&self) -> io::Result<Option<(Self::Stream, Option<u32>)>> {
        self.accept().await.map(|(stream, _)| Some((stream, None)))
    }
}

impl Listener for UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn next(&self) -> io::Result<Option<(Self::Stream, Option<u32>)>> {
        let (stream, _) = self.accept().await?;
        let peer = stream.peer_cred()?.uid();
        let own = rustix::process::geteuid().as_raw();
        Ok((peer == own || peer == 0).then_some((stream, Some(peer))))
    }
}

fn start<L: Listener>(listener: impl FnOnce() -> io::Result<L> + Send + 'static, router: Router) -> io::Result<Server> {
    let (stop, mut stopped) = watch::channel(());
    // Here, since it blocks: these users alone may ask.
    let users = [0, rustix::process::geteuid().as_raw()].map(|uid| (uid, user(uid)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        listener()?
    };
    let serves = move || {
        runtime.spawn(serve(listener, router, users));
        // Until the server is dropped. What is under way then ends with the runtime.
        let _ = runtime.block_on(stopped.changed());
        runtime.shutdown_background();
    };
    let thread = thread::Builder::new().name("kitaru-control".to_owned()).spawn(serves)?;
    Ok(Server { stop: Some(stop), thread: Some(thread), socket: None, address: None })
}

async fn serve<L: Listener>(listener: L, router: Router, users: [(u32, Arc<str>); 2]) {
    loop {
        match listener.next().await {
            Ok(Some((stream, uid))) => {
                let peer = users.iter().find(|(known, _)| Some(*known) == uid).map(|(_, name)| name.clone());
                drop(tokio::spawn(connection(stream, router.of_peer(peer))));
            }
            Ok(None) => tracing::warn!("control: another user has asked, and was refused"),
            Err(error) => {
                tracing::warn!("control: cannot take a connection: {error}");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let service = service_fn(move |request| {
        let router = router.clone();
        async move { Ok::<_, std::convert::Infallible>(router.answer(request).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADERS);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        // A client that has gone away is none of the program's business.
        tracing::debug!("control: a connection has ended: {error}");
    }
}
