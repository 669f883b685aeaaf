//! Options for opening a store, and the opening itself.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "testkit")]
use tokio::runtime::Handle;

use crate::client::companion;
use crate::client::kitaru::Kitaru;
use crate::clock::{Clock, millis};
use crate::director::Direction;
use crate::engine::Engine;
use crate::engine::{Keeper, Logs};
use crate::error::{Error, Kind, cannot};
use crate::ledger::blocking;
use crate::ledger::{self, LedgerOptions};
use crate::log;
use crate::program;
use crate::runtime::{Counters, DEFAULT_MAX_OUTCOME_BYTES, Runtime, Watchers};
use crate::store::{self, Disk, Memory, Store};

/// Options for opening a store. Made by [`Kitaru::builder`].
#[derive(Clone, Debug)]
#[must_use = "options open nothing until open() is awaited"]
pub struct KitaruBuilder {
    place: Place,
    lock_timeout: Duration,
    max_outcome_bytes: usize,
    park_after: Option<Duration>,
    recovery: Option<usize>,
    retention: Option<Duration>,
    read_only: bool,
    clock: Clock,
    /// The paths of the registered functions.
    registered: Vec<&'static str>,
    #[cfg(feature = "testkit")]
    stage: Option<TestStage>,
}

/// Whether executions resume without a caller. See [`KitaruBuilder::recovery`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Recovery {
    /// Executions resume when the store is opened, or when their time comes.
    Automatic,
    /// Executions resume when their flow is called, or by [`Kitaru::resume`].
    Manual,
}

/// Puts all work on one thread, under the control of a test.
#[cfg(feature = "testkit")]
#[derive(Clone)]
pub(crate) struct TestStage {
    pub(crate) direction: Direction,
    pub(crate) pace: Arc<dyn store::Pace>,
    pub(crate) writer: store::WriterOptions,
}

#[cfg(feature = "testkit")]
impl fmt::Debug for TestStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestStage")
    }
}

#[derive(Clone)]
enum Place {
    Unset,
    Dir(PathBuf),
    Memory,
    #[cfg(feature = "testkit")]
    Own(Arc<dyn Store>),
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Unset => f.write_str("Unset"),
            Place::Dir(dir) => f.debug_tuple("Dir").field(dir).finish(),
            Place::Memory => f.write_str("Memory"),
            #[cfg(feature = "testkit")]
            Place::Own(_) => f.write_str("Own"),
        }
    }
}

impl Default for KitaruBuilder {
    fn default() -> Self {
        KitaruBuilder {
            place: Place::Unset,
            lock_timeout: store::OpenOptions::default().lock_timeout,
            max_outcome_bytes: DEFAULT_MAX_OUTCOME_BYTES,
            park_after: None,
            recovery: Some(DEFAULT_RECOVERY),
            retention: None,
            read_only: false,
            clock: Clock::system(),
            registered: Vec::new(),
            #[cfg(feature = "testkit")]
            stage: None,
        }
    }
}

/// How many executions may resume concurrently without a caller, unless set.
pub(super) const DEFAULT_RECOVERY: usize = 256;

/// How long a wait must be for its flow to be parked, unless set.
fn default_park_after() -> Duration {
    match std::env::var_os("KITARU_PARK").is_some_and(|park| park == "always") {
        true => Duration::ZERO,
        false => Duration::from_secs(10),
    }
}

impl Kitaru {
    /// Options for opening a store.
    pub fn builder() -> KitaruBuilder {
        KitaruBuilder::default()
    }
}

impl KitaruBuilder {
    /// Keeps executions in this folder, which is created if it is missing, for this user only. The path is resolved once, when
    /// the store is opened: a later change of the current folder has no effect. An empty path is an error.
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.place = Place::Dir(dir.as_ref().to_owned());
        self
    }

    /// Keeps executions in memory: they end with the process. For tests and trials.
    pub fn in_memory(mut self) -> Self {
        self.place = Place::Memory;
        self
    }

    /// How long to wait for a store that another process holds. During a deployment the old process holds it for a moment. 5
    /// seconds unless set.
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// The largest encoded outcome, input, signal or answer, in bytes. 64 MiB unless set; redb takes at most 3 GiB.
    pub fn max_outcome_bytes(mut self, bytes: usize) -> Self {
        self.max_outcome_bytes = bytes;
        self
    }

    /// A flow that only waits, for longer than this, is parked. 10 seconds unless set. `KITARU_PARK=always` in the environment
    /// sets it to zero for tests, so that flows are parked wherever possible.
    pub fn park_after(mut self, wait: Duration) -> Self {
        self.park_after = Some(wait);
        self
    }

    /// Whether interrupted executions resume when the store is opened, and parked ones when their time comes.
    /// [`Recovery::Automatic`] unless set; the implicit store is [`Recovery::Manual`].
    ///
    /// Only this program's flows with `#[flow]` resume. Other executions stay as they are.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// use kitaru::{Kitaru, Recovery};
    ///
    /// // A tool that only looks: it leaves every execution as it is.
    /// let kitaru = Kitaru::builder().in_memory().recovery(Recovery::Manual).open().await?;
    /// # kitaru.close().await }
    /// ```
    pub fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = match recovery {
            Recovery::Automatic => self.recovery.or(Some(DEFAULT_RECOVERY)),
            Recovery::Manual => None,
        };
        self
    }

    /// How many executions without a caller may run concurrently; the others follow. 256 unless set. Sets
    /// [`Recovery::Automatic`].
    ///
    /// # Panics
    ///
    /// When `count` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// use kitaru::Kitaru;
    ///
    /// // Each execution asks a service that takes eight requests at a time.
    /// let kitaru = Kitaru::builder().in_memory().max_concurrent_recoveries(8).open().await?;
    /// # kitaru.close().await }
    /// ```
    pub fn max_concurrent_recoveries(mut self, count: usize) -> Self {
        assert!(
            count > 0,
            "cannot recover 0 executions concurrently: none would resume; use .recovery(Recovery::Manual)"
        );
        self.recovery = Some(count);
        self
    }

    /// How long to keep completed and cancelled executions, and older generations of a flow that [continues as
    /// new](crate::FlowCall::continue_as_new). After that they are deleted with all their records. Unless set, they are kept
    /// forever.
    ///
    /// The store is scanned when it is opened, and then once per this duration: at least once an hour, at most once a second. Slow
    /// scans take at most a fifth of the time. The newest execution is deleted like any other.
    ///
    /// A deleted execution is unknown. A call of its flow starts over in a new generation, with new idempotency keys. Failed
    /// and stuck executions are kept, unless a newer generation replaces them. Children that their parent may still ask for are
    /// kept, too.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// use std::time::Duration;
    /// use kitaru::Kitaru;
    ///
    /// let month = Duration::from_secs(30 * 24 * 3_600);
    /// let kitaru = Kitaru::builder().in_memory().retention(month).open().await?;
    /// # kitaru.close().await }
    /// ```
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = Some(retention);
        self
    }

    /// Opens the store to look at it: nothing is written, nothing resumes, and every request that changes something is refused.
    ///
    /// A program that holds the store keeps it from being opened, and readers keep a program from opening it; several readers
    /// may have it open. What the last process had recorded before it was killed is seen.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kitaru::Kitaru;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path();
    /// Kitaru::builder().dir(dir).open().await?.close().await?;
    /// let kitaru = Kitaru::builder().dir(dir).read_only().open().await?;
    /// assert!(kitaru.executions().await?.is_empty());
    /// kitaru.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Registers a flow by the path of its function.
    pub(super) fn names(&mut self, function: &'static str) {
        self.registered.push(function);
    }

    /// The source of time. The system's clock unless set.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Keeps executions in a custom store, such as one that fails on purpose.
    #[cfg(feature = "testkit")]
    pub(crate) fn store(mut self, store: impl Store) -> Self {
        self.place = Place::Own(Arc::new(store));
        self
    }

    /// Runs all work on the thread of the runtime that opens the store, under the control of a test.
    #[cfg(feature = "testkit")]
    pub(crate) fn staged(mut self, stage: TestStage) -> Self {
        self.stage = Some(stage);
        self
    }

    /// Opens the store, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// When no place was given, or an empty path; when the folder cannot be made or written; when another process still holds
    /// the store after the lock timeout; when the files are not a store, are missing although there was one, are a link, are
    /// damaged, have a newer format, or lack acknowledged commits; or when two flows of the program have the same name. Nothing
    /// is overwritten.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped while it waits, a store that opens in the background is closed again.
    pub async fn open(self) -> Result<Kitaru, Error> {
        program::check_names()?;
        let KitaruBuilder {
            place,
            lock_timeout,
            max_outcome_bytes,
            park_after,
            recovery,
            retention,
            read_only,
            clock,
            registered,
            #[cfg(feature = "testkit")]
            stage,
        } = self;
        registered.iter().filter(|path| !program::has_function(path)).for_each(|path| log::not_registered(path));
        let logs = Logs::here();
        #[cfg(feature = "testkit")]
        let tasks = Handle::current();
        let (kitaru, open_to_others) = blocking(move || {
            let mut open_to_others = Vec::new();
            let mut on_disk = None;
            let store: Arc<dyn Store> = match place {
                Place::Dir(dir) if read_only => {
                    Arc::new(Disk::open_read_only(&dir, store::OpenOptions { lock_timeout })?)
                }
                Place::Dir(dir) => {
                    let disk = Arc::new(Disk::open(&dir, store::OpenOptions { lock_timeout })?);
                    open_to_others = disk.open_to_others();
                    on_disk = Some(disk.clone());
                    disk
                }
                Place::Memory => Arc::new(Memory::new()),
                #[cfg(feature = "testkit")]
                Place::Own(store) => store,
                Place::Unset => {
                    return Err(cannot!(
                        Kind::Misuse,
                        "open the store",
                        "no place was given",
                        "set .dir(path) or .in_memory()"
                    ));
                }
            };
            let park_after_ms = millis(park_after.unwrap_or_else(default_park_after));
            let driving = recovery.unwrap_or(DEFAULT_RECOVERY);
            let workers = || Workers::start(logs);
            #[cfg(feature = "testkit")]
            let workers = || stage.map_or_else(workers, |stage| Ok(stage.workers(tasks)));
            let kitaru = open(store, workers()?, clock, max_outcome_bytes, park_after_ms, driving)?;
            if let Some((disk, folder)) = on_disk.as_ref().and_then(|disk| Some((disk, disk.folder()?))) {
                companion::begin(&kitaru, folder, |place| disk.add_place(place));
            }
            Ok::<_, Error>((kitaru, open_to_others))
        })
        .await??;
        // Here, so that the caller's own subscriber receives it.
        log::open_to_others(&open_to_others);
        if !read_only {
            kitaru.inner.start(recovery.is_some(), retention);
        }
        Ok(kitaru)
    }
}

/// Who does the work of a store, and which test steers it.
struct Workers {
    keeper: Keeper,
    writer: store::WriterOptions,
    #[cfg(feature = "testkit")]
    pace: Option<Arc<dyn store::Pace>>,
    direction: Direction,
}

impl Workers {
    /// The store's own threads, without a test that steers them.
    fn start(logs: Logs) -> Result<Self, Error> {
        Ok(Workers {
            keeper: Keeper::start(logs)?,
            writer: store::WriterOptions::default(),
            #[cfg(feature = "testkit")]
            pace: None,
            direction: Direction::default(),
        })
    }
}

#[cfg(feature = "testkit")]
impl TestStage {
    fn workers(self, tasks: Handle) -> Workers {
        let TestStage { direction, pace, writer } = self;
        Workers { keeper: Keeper::Test(tasks), writer, pace: Some(pace), direction }
    }
}

fn open(
    store: Arc<dyn Store>,
    workers: Workers,
    clock: Clock,
    max_outcome_bytes: usize,
    park_after_ms: u64,
    driving: usize,
) -> Result<Kitaru, Error> {
    let Workers { keeper, direction, .. } = workers;
    let clock = match keeper.timers() {
        Some(timers) => clock.with_timers(timers),
        None => clock,
    };
    let options = LedgerOptions {
        max_outcome_bytes,
        clock: clock.clone(),
        writer: workers.writer,
        #[cfg(feature = "testkit")]
        pace: workers.pace,
    };
    let (archive, ledger) = ledger::open(store, options)?;
    let watchers = Watchers::default();
    let counters = Counters::since(clock.now_ms());
    let runtime = Runtime { archive, ledger, clock, max_outcome_bytes, park_after_ms, watchers, counters, direction };
    Ok(Kitaru { inner: Arc::new(Engine::new(Arc::new(runtime), keeper, driving)), by: None })
}
