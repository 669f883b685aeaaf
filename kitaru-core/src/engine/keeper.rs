//! Where a store's own work runs, and where flows run that have no caller. Owns that neither ends with a runtime of the
//! program; must not know what the work is.
//!
//! One thread of the store waits for times, looks for interrupted executions, wakes parked flows and closes the store. It runs
//! no code of a flow, so no flow can hold it up; only where the system gives no thread for the flows, they run on it.

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

use crate::error::{Error, Kind, cannot};
use crate::runtime::lock;

pub(crate) enum Keeper {
    Thread(Box<Keep>),
    /// A test has everything on one thread: the runtime that opened the store.
    #[cfg(feature = "testkit")]
    Test(Handle),
}

/// A handle to the thread. The thread ends when the handle is dropped.
pub(crate) struct Keep {
    tasks: Handle,
    stop: Arc<Notify>,
    logs: Logs,
    /// The last runtime of the program that reliably polls what is spawned on it.
    program: Mutex<Option<Handle>>,
    /// Where flows without a caller run if the program has no such runtime. `None` if the system provides no thread.
    own: OnceLock<Option<Runtime>>,
}

/// Where log lines of the store's own threads go: where those of the opening thread go.
#[derive(Clone)]
pub(crate) struct Logs(Option<Dispatch>);

impl Logs {
    /// The log of this thread.
    pub(crate) fn here() -> Self {
        // The program may still set where they go.
        Logs(get_default(|dispatch| (!dispatch.is::<NoSubscriber>()).then(|| dispatch.clone())))
    }

    /// Sends this thread's log lines there until the thread ends.
    fn take_over(&self) {
        if let Some(dispatch) = &self.0 {
            std::mem::forget(set_default(dispatch));
        }
    }
}

impl Keeper {
    /// # Errors
    ///
    /// When the system provides no thread.
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

    /// Runs work of the store. It survives the runtime that this is called on.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        match self {
            Keeper::Thread(keep) => drop(keep.tasks.spawn(work)),
            #[cfg(feature = "testkit")]
            Keeper::Test(tasks) => drop(tasks.spawn(work)),
        }
    }

    /// Drives an attempt: on the runtime of the caller; without a caller, on a runtime of the program that polls by itself, or
    /// else on the store's own runtime.
    pub(crate) fn drive(&self, attempt: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        match self {
            Keeper::Thread(keep) => keep.home().spawn(attempt).abort_handle(),
            #[cfg(feature = "testkit")]
            Keeper::Test(_) => tokio::spawn(attempt).abort_handle(),
        }
    }

    /// The runtime that this is called on belongs to the program.
    pub(crate) fn meet(&self) {
        if let (Keeper::Thread(keep), Ok(current)) = (self, Handle::try_current()) {
            keep.meet(&current);
        }
    }

    /// This runtime of the program has shut down; `None` if an attempt was to begin on it and found it shut down. Returns
    /// whether the store's work continues without it.
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

    /// Timers that do not depend on the program's runtimes.
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
        // A runtime on one thread polls only while the program blocks on it.
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
            // This thread may be one of that runtime's own.
            own.shutdown_background();
        }
    }
}

fn no_thread(why: io::Error) -> Error {
    cannot!(Kind::Store, "open the store", "the system gives no thread", "raise the limit of threads or of open files")
        .because(why)
}
