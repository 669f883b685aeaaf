//! Where a store's own work is done, and where flows run that nobody has called. Owns that neither ends with a runtime of
//! the program's; must not know what the work is.
//!
//! A thread of the store's own waits for times, looks for what a dead process has left, wakes what is parked and closes the
//! store. It runs no code of a flow, so none can hold it up.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use tokio::runtime::{Builder, Handle, Id, Runtime, RuntimeFlavor};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::Dispatch;
use tracing::dispatcher::{get_default, set_default};
use tracing::subscriber::NoSubscriber;

use crate::error::{Error, Kind};
use crate::runtime::lock;

pub(crate) enum Keeper {
    Thread(Box<Keep>),
    /// Where a test has everything on one thread: the runtime that has opened the store.
    #[cfg(feature = "testkit")]
    Test(Handle),
}

/// The thread, as others hold it. Dropped, it ends.
pub(crate) struct Keep {
    tasks: Handle,
    stop: Arc<Notify>,
    logs: Logs,
    /// The last of the program's runtimes that can be relied on to move what is spawned on it.
    program: Mutex<Option<Handle>>,
    /// Where flows run that nobody has called, if there is none. Nothing, where the system gives none.
    own: OnceLock<Option<Runtime>>,
}

/// Where log lines go that are written on the store's own threads: where those go of the thread that opens it.
#[derive(Clone)]
pub(crate) struct Logs(Option<Dispatch>);

impl Logs {
    /// Those of this thread.
    pub(crate) fn here() -> Self {
        // A program may yet say where they go.
        Logs(get_default(|dispatch| (!dispatch.is::<NoSubscriber>()).then(|| dispatch.clone())))
    }

    /// Has those of this thread go there until it ends.
    fn take_over(&self) {
        if let Some(dispatch) = &self.0 {
            std::mem::forget(set_default(dispatch));
        }
    }
}

impl Keeper {
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(crate) fn start(logs: Logs) -> Result<Self, Error> {
        let runtime = Builder::new_current_thread().enable_time().thread_name("kitaru-keeper").build();
        let runtime = runtime.map_err(no_thread)?;
        let (tasks, stop) = (runtime.handle().clone(), Arc::new(Notify::new()));
        let (stopped, own) = (stop.clone(), logs.clone());
        let keep = move || {
            own.take_over();
            runtime.block_on(stopped.notified());
        };
        thread::Builder::new().name("kitaru-keeper".to_owned()).spawn(keep).map_err(no_thread)?;
        Ok(Keeper::Thread(Box::new(Keep { tasks, stop, logs, program: Mutex::default(), own: OnceLock::new() })))
    }

    /// Does work of the store's own, whatever becomes of the runtime that this is called on.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        match self {
            Keeper::Thread(keep) => drop(keep.tasks.spawn(work)),
            #[cfg(feature = "testkit")]
            Keeper::Test(tasks) => drop(tasks.spawn(work)),
        }
    }

    /// Has an attempt driven: on the runtime that calls it; and where nobody does, on one of the program's that moves by
    /// itself, or else on the store's own.
    pub(crate) fn drive(&self, attempt: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        match self {
            Keeper::Thread(keep) => keep.home().spawn(attempt).abort_handle(),
            #[cfg(feature = "testkit")]
            Keeper::Test(_) => tokio::spawn(attempt).abort_handle(),
        }
    }

    /// The runtime that this is called on is one of the program's.
    pub(crate) fn meet(&self) {
        if let (Keeper::Thread(keep), Ok(current)) = (self, Handle::try_current()) {
            keep.meet(&current);
        }
    }

    /// This runtime of the program's has come to its end; nothing, where it was found so when an attempt was to begin on it.
    /// Whether the store's work goes on without it.
    pub(crate) fn outlives(&self, runtime: Option<Id>) -> bool {
        match self {
            Keeper::Thread(keep) => {
                let mut program = lock(&keep.program);
                if runtime.is_none_or(|runtime| program.as_ref().is_some_and(|known| known.id() == runtime)) {
                    *program = None;
                }
                true
            }
            #[cfg(feature = "testkit")]
            Keeper::Test(_) => false,
        }
    }

    /// The timers that go on whatever becomes of the program's runtimes.
    pub(crate) fn timers(&self) -> Option<Handle> {
        match self {
            Keeper::Thread(keep) => Some(keep.tasks.clone()),
            #[cfg(feature = "testkit")]
            Keeper::Test(_) => None,
        }
    }
}

impl Keep {
    fn home(&self) -> Handle {
        if let Ok(current) = Handle::try_current()
            && current.id() != self.tasks.id()
        {
            self.meet(&current);
            return current;
        }
        let program = lock(&self.program).clone();
        program.or_else(|| self.own().map(|own| own.handle().clone())).unwrap_or_else(|| self.tasks.clone())
    }

    fn meet(&self, current: &Handle) {
        // A runtime on one thread moves only while somebody waits on that.
        let moves_by_itself = current.runtime_flavor() == RuntimeFlavor::MultiThread;
        let is_own = self.own.get().and_then(Option::as_ref).is_some_and(|own| own.handle().id() == current.id());
        if !moves_by_itself || is_own {
            return;
        }
        let mut program = lock(&self.program);
        if program.as_ref().is_none_or(|known| known.id() != current.id()) {
            *program = Some(current.clone());
        }
    }

    fn own(&self) -> Option<&Runtime> {
        let build = || {
            let logs = self.logs.clone();
            let start = move || logs.take_over();
            Builder::new_multi_thread().enable_all().thread_name("kitaru-flows").on_thread_start(start).build().ok()
        };
        self.own.get_or_init(build).as_ref()
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(own) = self.own.take().flatten() {
            // This may be one of its threads.
            own.shutdown_background();
        }
    }
}

fn no_thread(why: io::Error) -> Error {
    Error::new(
        Kind::Store,
        "cannot open the store: the system gives no thread for its own work; raise the limit of threads or of open files",
    )
    .because(why)
}
