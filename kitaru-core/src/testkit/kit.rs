//! The handle of a test: it runs flows, moves the clock, sends answers and signals, and stubs checkpoints.

mod steering;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::client::{FlowCall, Handle, Kitaru};
use crate::clock::millis;
use crate::error::{Error, Kind, cannot};
use crate::testkit::chance;
use crate::testkit::house::{Fault, House, ParkingMode};
use crate::testkit::post::{Command, Delivery, Outbox, Posted, What};
use crate::testkit::process::{Process, turn};
use crate::testkit::table::JournalTable;
use crate::testkit::vigil::Vigil;
use crate::view::ExecutionRef;

pub use steering::KitResumeRequest;

/// How much real time other threads of a test have to move what a handle waits for, several times over.
const GRACE: Duration = Duration::from_millis(100);

/// A store in memory, with a clock that the test moves, and control over what runs. Everything runs on one thread, in an order
/// that repeats. No real time passes, except in bodies that need it.
///
/// Each method that starts something returns when nothing moves any more. A body that waits for something outside (a socket,
/// another thread, `tokio::time`) does not move. [`wait_for_bodies`](Self::wait_for_bodies), [`run`](Self::run),
/// [`fast_forward`](Self::fast_forward) and the handle of a flow wait for it, each for 10 s of real time unless
/// [`patience`](Self::patience) sets another bound. A wait in vain never hangs: it panics, and shows the journals.
///
/// A test of a flow that waits a month takes milliseconds:
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
/// use std::time::Duration;
/// use kitaru::testkit::Testkit;
/// # use kitaru::{Error, dynamic::{checkpoint, flow}};
/// # let remind = || flow("remind").run(|| async {
/// #     kitaru::sleep(Duration::from_secs(30 * 86_400)).await;
/// #     checkpoint("mail").run(|| async { Ok::<_, Error>("sent".to_owned()) }).await
/// # });
///
/// let kit = Testkit::new();
/// let reminder = kit.start(remind()).await?;
/// kit.advance(Duration::from_secs(29 * 86_400)).await;
/// assert_eq!(kit.executed("mail"), 0);
/// kit.advance(Duration::from_secs(86_400)).await;
/// assert_eq!(kit.executed("mail"), 1);
/// assert_eq!(reminder.await?, "sent");
/// # Ok(()) }
/// ```
pub struct Testkit {
    house: Arc<House>,
    process: Process,
    posted: Arc<Posted>,
    outbox: Arc<Outbox>,
    /// How much time this process's test has let pass.
    elapsed_ms: AtomicU64,
    vigil: Vigil,
    /// The process's thread ends when this is dropped.
    _end: Option<oneshot::Sender<()>>,
}

impl Testkit {
    /// A new kit with a store of its own.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::alone(House::new(chance::seed(), ParkingMode::Plain))
    }

    /// A kit in which a flow is parked wherever it waits, and resumes by replay. What holds in a kit of [`new`](Self::new) also
    /// holds here.
    pub fn always_parking() -> Self {
        Self::alone(House::new(chance::seed(), ParkingMode::Always))
    }

    pub(super) fn alone(house: Arc<House>) -> Self {
        let (process, end) = Process::on_a_thread(&house);
        Testkit { _end: Some(end), ..Self::in_process(house, process, Arc::default()) }
    }

    pub(super) fn in_process(house: Arc<House>, process: Process, posted: Arc<Posted>) -> Self {
        let vigil = Vigil::new(&house, &process);
        Testkit { house, process, posted, outbox: Arc::default(), elapsed_ms: AtomicU64::new(0), vigil, _end: None }
    }

    /// The kit's store. Use it to look at executions. To start something, use a method of the kit, which runs it on the kit's
    /// thread: [`run`](Self::run), [`start`](Self::start), [`answer`](Self::answer), [`signal`](Self::signal),
    /// [`cancel`](Self::cancel), [`resume`](Self::resume), [`fork`](Self::fork).
    pub fn kitaru(&self) -> &Kitaru {
        &self.process.kitaru
    }

    // ---- running flows ----

    /// Runs a flow to its end, and returns its result. No time passes.
    ///
    /// # Panics
    ///
    /// When nothing moves before the flow ends, because it waits for a time, an answer or a signal. Then [`start`](Self::start)
    /// it and send that, or use [`fast_forward`](Self::fast_forward). Also when a body never ends, or waits for something
    /// outside longer than [10 s of real time](Self::patience). The message shows the journals.
    ///
    /// # Cancel safety
    ///
    /// Dropping it detaches; the flow continues.
    pub async fn run<R: Send + 'static>(&self, call: FlowCall<R>) -> R {
        self.to_its_end(call, || false).await
    }

    /// Runs a flow to its end. Whenever nothing moves, the clock moves to the next time that something waits for.
    ///
    /// # Panics
    ///
    /// When the flow waits for something that time does not bring: an answer, a signal, or something outside for longer than
    /// [10 s of real time](Self::patience). A timeout ends a body that never ends, if it has one. Order a body to
    /// [hang](Self::hang) instead of letting it wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping it detaches; the flow continues.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() {
    /// # use kitaru::{Error, dynamic::{checkpoint, flow}, testkit::Testkit};
    /// # use std::time::Duration;
    /// # let patient = || flow("patient").run(|| async {
    /// #     let before = kitaru::now();
    /// #     kitaru::sleep(Duration::from_secs(86_400)).await;
    /// #     Ok::<_, Error>(kitaru::now().duration_since(before).unwrap().as_secs())
    /// # });
    /// let kit = Testkit::new();
    /// assert_eq!(kit.fast_forward(patient()).await.unwrap(), 86_400);
    /// # }
    /// ```
    pub async fn fast_forward<R: Send + 'static>(&self, call: FlowCall<R>) -> R {
        let clock = &self.house.clock;
        let came = self.to_its_end(call, || match clock.next_due_ms() {
            Some(due_ms) => {
                clock.advance(Duration::from_millis(due_ms.saturating_sub(clock.steady_ms())));
                true
            }
            None => false,
        });
        let came = came.await;
        self.elapsed_ms.fetch_max(self.since_start_ms(), Ordering::SeqCst);
        came
    }

    /// Starts a flow, and lets it run until nothing moves.
    ///
    /// # Panics
    ///
    /// When a [stub](Self::stub) is wrong. The handle panics when it is awaited, as [`run`](Self::run) does if the flow does
    /// not end.
    ///
    /// # Errors
    ///
    /// As [`FlowCall::start`].
    ///
    /// # Cancel safety
    ///
    /// The flow may be started, whether or not this is polled to its end.
    pub async fn start<R: Send + 'static>(&self, call: FlowCall<R>) -> Result<Handle<R>, Error> {
        self.vigil.ask();
        let started = self.process.tasks.spawn(call.on(&self.process.kitaru).start());
        let started = self.vigil.task(started).await;
        self.vigil.settled().await;
        // In a test of crashes, the loop that runs the processes notices that nothing moves.
        let Some(_) = self._end else { return started };
        let vigil = self.vigil.with_grace(GRACE);
        started.map(|handle| handle.waited_for(|ended| async move { vigil.until(ended, || false).await }))
    }

    async fn to_its_end<R: Send + 'static>(&self, call: FlowCall<R>, moves_on: impl FnMut() -> bool) -> R {
        self.vigil.ask();
        let flow = self.process.tasks.spawn(call.on(&self.process.kitaru));
        self.vigil.until_moved(flow, moves_on).await
    }

    /// Waits until nothing moves, except bodies that wait for something outside.
    ///
    /// # Panics
    ///
    /// When a [stub](Self::stub) is wrong.
    ///
    /// # Cancel safety
    ///
    /// Dropping it has no effect.
    pub async fn settle(&self) {
        self.vigil.ask();
        self.vigil.settled().await;
    }

    /// Waits until nothing moves, and no body waits for something outside: for tests whose bodies do real I/O, or sleep.
    ///
    /// # Panics
    ///
    /// When a body waits for something outside longer than [10 s of real time](Self::patience).
    ///
    /// # Cancel safety
    ///
    /// Dropping it has no effect.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # use std::time::Duration;
    /// # use kitaru::{Error, dynamic::{checkpoint, flow}, testkit::Testkit};
    /// # let fetches = || flow("fetches").run(|| async {
    /// #     let body = || async { tokio::time::sleep(Duration::from_millis(1)).await; Ok::<_, Error>(()) };
    /// #     checkpoint("fetch").run(body).await?;
    /// #     kitaru::wait::<bool>("approval").await
    /// # });
    /// let kit = Testkit::new();
    /// let job = kit.start(fetches()).await?; // its body waits for a server
    /// kit.wait_for_bodies().await;
    /// assert!(kit.journal().to_string().contains("approval  waiting"));
    /// kit.answer(&job, "approval", &true).await?;
    /// assert!(job.await?);
    /// # Ok(()) }
    /// ```
    pub async fn wait_for_bodies(&self) {
        self.vigil.ask();
        self.vigil.quiet().await;
    }

    /// How much real time a body may wait for something outside, while no body moves, before the test's wait for it panics. 10
    /// s unless set. [`fast_forward`](Self::fast_forward) moves the clock instead of panicking if there is a next time, such as
    /// the timeout of the body.
    pub fn patience(&self, patience: Duration) {
        self.house.be_patient(patience);
    }

    // ---- what comes from outside ----

    /// Lets time pass: the clock moves to each time that something waits for, one after another. Before each move, it waits
    /// until nothing moves any more.
    ///
    /// # Cancel safety
    ///
    /// The time passes, whether or not this is polled to its end.
    pub async fn advance(&self, by: Duration) {
        self.vigil.ask();
        let elapsed_ms = self.elapsed_ms.fetch_add(millis(by), Ordering::SeqCst).saturating_add(millis(by));
        // After a crash the test starts over, and time does not.
        let target_ms = self.house.start_ms().saturating_add(elapsed_ms);
        let (house, idle) = (self.house.clone(), self.process.idle.clone());
        self.vigil.task(self.process.tasks.spawn(async move { turn(&house, &idle, target_ms).await })).await;
    }

    /// Answers a wait of an execution. As [`Kitaru::answer`].
    ///
    /// # Errors
    ///
    /// As [`Kitaru::answer`].
    ///
    /// # Cancel safety
    ///
    /// The answer may be given, whether or not this is polled to its end.
    pub async fn answer<T: Serialize + ?Sized>(
        &self,
        execution: impl Into<ExecutionRef>,
        wait: &str,
        answer: &T,
    ) -> Result<(), Error> {
        self.vigil.ask();
        let answer = json(answer)?;
        let (target, wait) = (own(&execution.into()), wait.to_owned());
        let command = self.outbox.next(&target, What::Answer, &wait);
        let kitaru = self.process.kitaru.clone();
        self.post(command, async move { kitaru.answer((&*target.0, &*target.1), &wait, &answer).await }).await
    }

    /// Sends a signal to an execution. As [`Kitaru::signal`].
    ///
    /// # Errors
    ///
    /// As [`Kitaru::signal`].
    ///
    /// # Cancel safety
    ///
    /// The signal may be sent, whether or not this is polled to its end.
    pub async fn signal<T: Serialize + ?Sized>(
        &self,
        execution: impl Into<ExecutionRef>,
        signal: &str,
        value: &T,
    ) -> Result<(), Error> {
        self.vigil.ask();
        let value = json(value)?;
        let (target, signal) = (own(&execution.into()), signal.to_owned());
        let command = self.outbox.next(&target, What::Signal, &signal);
        let key = format!("testkit-{}", command.nth);
        let kitaru = self.process.kitaru.clone();
        self.post(command, async move { kitaru.signal((&*target.0, &*target.1), &signal, &value).key(key).await }).await
    }

    /// Sends something once, however often the test starts over after a crash.
    async fn post<S>(&self, command: Command, send: S) -> Result<(), Error>
    where
        S: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let was_begun = match self.posted.begin(&command) {
            Delivery::Sent => return Ok(()),
            stands => matches!(stands, Delivery::Perhaps),
        };
        let (posted, outbox) = (self.posted.clone(), self.outbox.clone());
        let send = async move {
            let sent = match send.await {
                // It was durable when the process crashed or its store failed, and the flow may have gone past it.
                Err(error) if was_begun && error.is_misuse() => Ok(()),
                sent => sent,
            };
            posted.end(&outbox, command, &sent);
            sent
        };
        let sent = self.vigil.task(self.process.tasks.spawn(send)).await;
        self.vigil.settled().await;
        sent
    }

    // ---- stubs and faults ----

    /// Replaces a checkpoint's body from now on. The stub receives the arguments in the checkpoint's key, by name. Its value is
    /// read as the checkpoint's return type. Return an `Err` for an error of the body.
    ///
    /// A wrong stub (it panics, or returns what its checkpoint does not) fails the test: the method that the test awaits
    /// panics, and no try follows. For a panic of the body, use [`panic`](Self::panic).
    ///
    /// For the tool of an agent, return the tool's value as it is: `kit.stub("lookup_order_tool", |_| json!("shipped"))`.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() {
    /// # use kitaru::{Error, dynamic::{checkpoint, flow}, testkit::Testkit};
    /// # let order = || flow("order").run(|| async {
    /// #     let body = || async { Err::<String, _>(Error::msg("there is no till here")) };
    /// #     checkpoint("charge").arg("amount", &12).run(body).await
    /// # });
    /// let kit = Testkit::new();
    /// kit.stub("charge", |args| serde_json::json!(format!("charged {}", args["amount"])));
    /// assert_eq!(kit.run(order()).await.unwrap(), "charged 12");
    /// # }
    /// ```
    pub fn stub<R: Stubbed>(&self, checkpoint: &str, stub: impl Fn(Value) -> R + Send + Sync + 'static) {
        self.house.stub(checkpoint, Arc::new(move |args| stub(args).into_outcome()));
    }

    /// Lets the next `times` tries of a checkpoint's body fail with this error.
    pub fn fail(&self, checkpoint: &str, times: u32, error: impl fmt::Display) {
        self.house.fault(checkpoint, times, &Fault::Fails(Error::msg(error)));
    }

    /// Lets the next try of a checkpoint's body panic.
    pub fn panic(&self, checkpoint: &str, message: impl fmt::Display) {
        self.house.fault(checkpoint, 1, &Fault::Panics(message.to_string()));
    }

    /// Lets the next try of a checkpoint's body hang. Its timeout ends it.
    pub fn hang(&self, checkpoint: &str) {
        self.house.fault(checkpoint, 1, &Fault::Hangs);
    }

    /// Refuses the next `times` commits of the store, as a broken disk does.
    pub fn refuse_writes(&self, times: usize) {
        self.refuse(times, || {
            cannot!(Kind::Store, "write", "the store of the testkit refuses to, as the test ordered")
        });
    }

    /// Refuses the next `times` commits of the store, as a full disk does.
    pub fn fill_disk(&self, times: usize) {
        self.refuse(times, || {
            cannot!(Kind::StorageFull, "write", "the disk of the testkit is full, as the test ordered")
        });
    }

    fn refuse(&self, times: usize, refusal: impl Fn() -> Error) {
        self.house.store_faults(|faults| faults.refusals.extend((0..times).map(|_| refusal())));
    }

    /// Delays each commit of the store by this time from now on.
    pub fn slow_writes(&self, by: Duration) {
        self.house.store_faults(|faults| faults.commit_delay = by);
    }

    /// Delays the acknowledgement of each durable commit by this time from now on.
    pub fn late_acknowledgements(&self, by: Duration) {
        self.house.store_faults(|faults| faults.acknowledgement_delay = by);
    }

    // ---- inspection ----

    /// How often a body of this checkpoint ran. Each try counts, stubs included.
    pub fn executed(&self, checkpoint: &str) -> u64 {
        self.house.executed(checkpoint)
    }

    /// How often a record answered a call of this checkpoint.
    pub fn replayed(&self, checkpoint: &str) -> u64 {
        self.house.replayed(checkpoint)
    }

    /// All records, as a table for people. It has no time and no id, so it is the same on every run of the test: use it for a
    /// snapshot.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() {
    /// # use kitaru::{Error, dynamic::{checkpoint, flow}, testkit::Testkit};
    /// # let report = || flow("report").input("topic", "tides").run(|| async {
    /// #     let notes = checkpoint("research").arg("topic", "tides")
    /// #         .run(|| async { Ok::<_, Error>("notes on tides".to_owned()) }).await?;
    /// #     checkpoint("draft").arg("notes", &notes).run(|| async { Ok::<_, Error>("NOTES".to_owned()) }).await
    /// # });
    /// let kit = Testkit::new();
    /// kit.run(report()).await.unwrap();
    /// assert_eq!(kit.journal().to_string(), r#"
    /// report(topic="tides") is completed: "NOTES"
    ///   research  completed  topic="tides"           "notes on tides"
    ///   draft     completed  notes="notes on tides"  "NOTES"
    /// "#.trim_start());
    /// # }
    /// ```
    pub fn journal(&self) -> JournalTable {
        JournalTable::of(&self.house)
    }

    fn since_start_ms(&self) -> u64 {
        self.house.clock.now_ms().saturating_sub(self.house.start_ms())
    }
}

impl fmt::Debug for Testkit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Testkit").field("seed", &self.house.seed).finish_non_exhaustive()
    }
}

/// What a [stub](Testkit::stub) may return: a JSON value, or a `Result` of one. Sealed.
pub trait Stubbed: sealed::Sealed {
    /// The outcome of the body.
    ///
    /// # Errors
    ///
    /// The error of the body.
    fn into_outcome(self) -> Result<Value, Error>;
}

mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for Value {}
impl sealed::Sealed for Result<Value, Error> {}

impl Stubbed for Value {
    fn into_outcome(self) -> Result<Value, Error> {
        Ok(self)
    }
}

impl Stubbed for Result<Value, Error> {
    fn into_outcome(self) -> Result<Value, Error> {
        self
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<Value, Error> {
    serde_json::to_value(crate::value::shallow(value)).map_err(|why| {
        cannot!(Kind::Unreadable, "send the value", "it cannot be serialized: {why}", "serialize it as another type")
    })
}

fn own(execution: &ExecutionRef) -> (String, String) {
    (execution.flow().to_owned(), execution.id().to_owned())
}
