//! Backups of a store. Owns that one ends with its store, however slow its writer is; must not know what is in it.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use crate::engine::state::Engine;
use crate::error::{Error, Kind, cannot};
use crate::ledger::{self, Backup, blocking};

/// How many pieces of a backup wait for a slow writer.
const PIECES: usize = 2;
/// How often to look whether the store is being closed while they wait.
const PAUSE: Duration = Duration::from_millis(20);

impl Engine {
    /// Writes all of the store.
    pub(crate) async fn back_up(self: Arc<Self>, writer: impl Write + Send + 'static) -> Result<Backup, Error> {
        self.check_open()?;
        // What was acknowledged is there.
        self.runtime.ledger.flush().await?;
        blocking(move || {
            let now_ms = self.runtime.clock.now_ms();
            let pipe = BackupPipe::to(writer, || self.check_open())?;
            let backup = self.runtime.archive.back_up(pipe, now_ms, || self.check_open());
            // Why the pipe has given up.
            backup.map_err(|error| self.check_open().err().unwrap_or(error))
        })
        .await?
    }
}

/// Makes a store of a backup.
pub(crate) async fn restore(reader: impl Read + Send + 'static, dir: PathBuf) -> Result<Backup, Error> {
    blocking(move || ledger::restore(reader, &dir)).await?
}

/// A backup on its way to a thread of its own, which alone waits for the writer. The thread that reads the store does not: a store
/// that is read cannot be closed.
struct BackupPipe<C> {
    /// None once the writer has been given all.
    pieces: Option<SyncSender<Vec<u8>>>,
    written: Receiver<io::Result<()>>,
    /// Whether the store is still open.
    check: C,
}

impl<C: Fn() -> Result<(), Error>> BackupPipe<C> {
    fn to(mut writer: impl Write + Send + 'static, check: C) -> Result<Self, Error> {
        let (pieces, given) = sync_channel::<Vec<u8>>(PIECES);
        let (says, written) = channel();
        let work = move || {
            let done = given.iter().try_for_each(|piece| writer.write_all(&piece)).and_then(|()| writer.flush());
            // Unless the backup was given up.
            let _ = says.send(done);
        };
        thread::Builder::new().name("kitaru-backup".to_owned()).spawn(work).map_err(|why| {
            cannot!(Kind::Store, "write the backup", "the system gives no thread for it", "raise the limit of threads")
                .because(why)
        })?;
        Ok(BackupPipe { pieces: Some(pieces), written, check })
    }

    fn check(&self) -> io::Result<()> {
        (self.check)().map_err(io::Error::other)
    }

    /// Why the thread takes no more.
    fn failure(&self) -> io::Error {
        let panicked = || io::Error::other("the writer panicked");
        self.written.try_recv().map_or_else(|_| panicked(), |done| done.err().unwrap_or_else(panicked))
    }
}

impl<C: Fn() -> Result<(), Error>> Write for BackupPipe<C> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(pieces) = &self.pieces else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let mut piece = bytes.to_vec();
        loop {
            match pieces.try_send(piece) {
                Ok(()) => return Ok(bytes.len()),
                Err(TrySendError::Disconnected(_)) => return Err(self.failure()),
                Err(TrySendError::Full(waits)) => {
                    self.check()?;
                    thread::sleep(PAUSE);
                    piece = waits;
                }
            }
        }
    }

    /// Waits until the writer has all.
    fn flush(&mut self) -> io::Result<()> {
        self.pieces = None;
        loop {
            match self.written.recv_timeout(PAUSE) {
                Ok(done) => return done,
                Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("the writer panicked")),
                Err(RecvTimeoutError::Timeout) => self.check()?,
            }
        }
    }
}
