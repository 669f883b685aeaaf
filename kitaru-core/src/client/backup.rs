//! Whole stores on their way out and in. Owns what the caller gives; must not know which rows a backup has.

use std::future::Future;
use std::io::{Read, Write};
use std::path::Path;

use crate::client::kitaru::Kitaru;
use crate::engine::{self, Backup};
use crate::error::Error;

impl Kitaru {
    /// Writes a backup: the whole store as it is at one moment, while it is used. [`restore`](Self::restore) makes a store of it,
    /// for every kind of store.
    ///
    /// It has everything: records, values of `sensitive` checkpoints, messages, memos, and the secret from which random values
    /// derive. Keep it as you keep the store. A backup that was cut off is refused by `restore`; after this returns, all of it
    /// was given to the writer, which is flushed.
    ///
    /// # Errors
    ///
    /// When the writer fails, a row of the store is damaged, or the store is closed meanwhile.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, it continues in the background until it ends.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kitaru::{Error, dynamic::flow};
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path();
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # flow("report").run(|| async { Ok::<_, Error>(7) }).id("job-42").on(&kitaru).await?;
    /// use std::fs::File;
    /// use kitaru::Kitaru;
    ///
    /// kitaru.backup(File::create(dir.join("backup"))?).await?;
    /// Kitaru::restore(File::open(dir.join("backup"))?, dir.join("store")).await?;
    ///
    /// let restored = Kitaru::builder().dir(dir.join("store")).open().await?;
    /// assert!(restored.execution(("report", "job-42")).await?.is_some());
    /// # restored.close().await?;
    /// # Ok(()) }
    /// ```
    pub fn backup(&self, writer: impl Write + Send + 'static) -> impl Future<Output = Result<Backup, Error>> + Send {
        self.inner.clone().back_up(writer)
    }

    /// Makes the store of a [`backup`](Self::backup) in a folder, which is created if it is missing. The folder holds a store
    /// only if all of the backup was read and is right.
    ///
    /// Only one of the two stores may continue: both would run the same executions, with the same idempotency keys.
    ///
    /// # Errors
    ///
    /// When the folder holds a store already; when the backup is truncated, damaged or of a newer version; when a file cannot be
    /// written. There is no store then.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, it continues in the background until it ends. If the process ends, the folder holds a part of a store,
    /// which no program opens; restore again.
    ///
    /// # Examples
    ///
    /// See [`backup`](Self::backup).
    pub fn restore(
        reader: impl Read + Send + 'static,
        dir: impl AsRef<Path>,
    ) -> impl Future<Output = Result<Backup, Error>> + Send {
        engine::restore(reader, dir.as_ref().to_owned())
    }
}
