//! A call of a flow in another flow's own code: a child execution, which its parent awaits or only starts. Owns what
//! the parent's record of it contains; must not know how an execution is driven.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context as TaskContext, Poll};

use crate::call::body::{Body, MoreTries, Site, WaitBody, sealed};
use crate::call::made::Call;
use crate::call::meta::{CheckpointMeta, Spec};
use crate::call::outcome::{Landing, Packing, Unpack};
use crate::context::{Child, Coming, Context, Executions};
use crate::error::{Error, Kind, cannot};
use crate::id::ExecutionId;
use crate::journal::{Class, Opening, OwnedPayload, Packed, ParentCall, Payload};
use crate::ledger::{Change, ForkStart};
use crate::machine::{Ask, Due, Exit, SlotId};
use crate::race::race;
use crate::request::{Request, RequestInput};
use crate::shown::short;
use crate::value::{ArgSink, Codec, Key};

/// The recorded result of a child, or the reason why there is none.
pub(crate) type ChildResult = Result<Arc<OwnedPayload>, Error>;

/// The place of a child among its parent's calls, claimed when the flow is called, before the call has its options.
pub(crate) struct Claimed(Call<Awaiting>);

impl Claimed {
    pub(crate) fn make(flow: &str, input: &RequestInput) -> Self {
        Claimed(Awaiting::call(flow, input))
    }

    /// The place of a call that awaits the result of a started child.
    pub(crate) fn result_of(execution: &ExecutionId, input: &RequestInput) -> Self {
        // Its name differs from that of the call that started the child, so that neither record answers the other.
        Claimed(Awaiting::call(&format!("{}.result", execution.flow), input))
    }

    /// The call, with its options.
    ///
    /// # Errors
    ///
    /// If a child does not support an option.
    pub(crate) fn call(self, asked: ChildOptions) -> Result<ChildCall, Error> {
        let ChildOptions { context, mut request, wish, detached } = asked;
        let mut call = self.0;
        let Some(identity) = call.identity() else { return Err(elsewhere(&request.spec.name)) };
        let taken_over = call.begun_by_original();
        let is_taken_over = taken_over.is_some();
        if is_taken_over {
            // It is the original's: its failure is not tried again here.
            request.ask = Ask::Outcome;
        }
        // A digest of the parent, its generation and the call. Two parents never share a child unless they set its id, or one is a
        // fork of the other.
        let own = || taken_over.map_or_else(|| identity.hex(), |child| child.id.to_string());
        let id = request.id.take().unwrap_or_else(own);
        let execution = ExecutionId::new(&request.spec.name, &id)?;
        request.id = Some(id);
        request.spec.ambiguous = false;
        request.parent = Some(ParentCall {
            journal: context.tenure.journal(),
            generation: context.attempt.generation,
            execution: context.attempt.execution.clone(),
            call: identity,
        });
        request.behind = Some(context.tenure.clone());
        request.fork = context.attempt.fork.is_some().then(|| Box::new(ForkStart::of_child()));
        let child = call.body_mut();
        child.wish = wish;
        child.execution = Some(execution.clone());
        child.request = Some(request);
        Ok(ChildCall { call, context, execution, identity, detached, is_taken_over })
    }
}

/// The options of a child.
pub(crate) struct ChildOptions {
    pub(crate) context: Arc<Context>,
    pub(crate) request: Request,
    pub(crate) wish: ChildWish,
    /// Whether the child continues when its parent is cancelled.
    pub(crate) detached: bool,
}

/// What a parent wants of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChildWish {
    /// The result of the child.
    Outcome,
    /// That the child exists.
    Start,
}

/// A call of a flow in another flow's own code.
pub(crate) struct ChildCall {
    call: Call<Awaiting>,
    context: Arc<Context>,
    pub(crate) execution: ExecutionId,
    identity: Key,
    detached: bool,
    /// The original of this fork began it.
    is_taken_over: bool,
}

impl ChildCall {
    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// The executions of the store that contains this one.
    pub(crate) fn executions(&self) -> Weak<dyn Executions> {
        self.context.executions.clone()
    }

    /// Whether the parent did not fail, crash or get resumed by a caller since the call was first made.
    pub(crate) fn is_of_this_run(&self) -> bool {
        self.is_taken_over || (self.call.is_of_this_run() && !self.context.attempt.after_crash)
    }

    /// Ends the attempt for this reason.
    pub(crate) fn leave_with(&self, exit: Exit) {
        self.context.leave_with(exit);
    }
}

impl Future for ChildCall {
    type Output = ChildResult;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<ChildResult> {
        Pin::new(&mut self.call).poll(cx)
    }
}

impl Drop for ChildCall {
    fn drop(&mut self) {
        if self.detached || !self.call.is_open() || !self.context.is_abandoning() {
            return;
        }
        // The parent stops here. The child is cancelled before any of the parent's work is undone.
        let Some(executions) = self.context.executions.upgrade() else { return };
        let cancel = executions.cancel_child(self.execution.clone(), self.identity);
        self.context.push_undo(Box::new(move || cancel));
    }
}

/// What a [`ChildCall`] waits with.
pub(crate) struct Awaiting {
    preview: String,
    digest: String,
    wish: ChildWish,
    execution: Option<ExecutionId>,
    /// Present until the child is launched.
    request: Option<Request>,
    running: Option<RunningChild>,
}

struct RunningChild {
    context: Arc<Context>,
    came: Pin<Box<dyn Future<Output = ChildResult> + Send>>,
}

impl Awaiting {
    fn call(flow: &str, input: &RequestInput) -> Call<Self> {
        const META: CheckpointMeta = CheckpointMeta::dynamic().child();
        let spec = Spec::own(flow.to_owned().into(), "".into(), META);
        let (preview, digest) = (input.preview.clone(), input.digest.hex());
        let child =
            Awaiting { preview, digest, wish: ChildWish::Outcome, execution: None, request: None, running: None };
        Call::new(spec, child)
    }

    /// Waits for the child's result, and says whether the parent may park meanwhile.
    async fn came(child: Arc<dyn Child>, context: Arc<Context>, slot: SlotId, parent: ParentCall) -> ChildResult {
        let mut parks = child.parks();
        let mut ended = child.clone().ended();
        loop {
            let is_parked = *parks.borrow_and_update();
            if is_parked && !child.notifies(parent.journal) {
                // Another parent began it. This one parks only when it is sure to be notified.
                child.clone().notify_when_ended(parent.clone()).await;
            }
            let due = if is_parked && child.notifies(parent.journal) { Due::Execution } else { Due::At(0) };
            context.replay().set_due(slot, due);
            let parked: Pin<Box<dyn Future<Output = Option<ChildResult>> + Send>> = Box::pin(async {
                // `child` is held here, so the channel stays open.
                let _ = parks.changed().await;
                None
            });
            let came: Pin<Box<dyn Future<Output = Option<ChildResult>> + Send>> =
                Box::pin(async { Some(ended.as_mut().await) });
            if let Some(came) = race((came, parked)).await {
                return came;
            }
        }
    }
}

impl sealed::Sealed for Awaiting {}

#[allow(private_interfaces)]
impl Body for Awaiting {
    type Output = ChildResult;

    fn describe(&self, sink: &mut ArgSink<'_>) {
        sink.shown("input", &self.digest, &self.preview);
    }

    fn as_wait(&mut self) -> Option<&mut dyn WaitBody> {
        Some(self)
    }

    fn begin(&mut self, _: MoreTries) -> bool {
        true
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<ChildResult> {
        let Some(running) = &mut self.running else { return Poll::Pending };
        match running.came.as_mut().poll(cx) {
            // A fault that stops the child stops its parent too. It is not an outcome.
            Poll::Ready(Err(fault)) if fault.is_store() => {
                running.context.leave_with(Exit::Fault(fault));
                Poll::Pending
            }
            came => came,
        }
    }

    fn end(&mut self) {
        self.running = None;
    }

    fn pack(value: ChildResult, _: &Packing) -> Landing<ChildResult> {
        landing(value)
    }

    fn pack_error(error: Error) -> Landing<ChildResult> {
        landing(Err(error))
    }

    fn unpack(payload: &Payload<'_>) -> Result<ChildResult, Unpack> {
        Ok(Ok(Arc::new(OwnedPayload::new(payload, ""))))
    }

    fn fail(error: Error) -> Result<ChildResult, Error> {
        Ok(Err(error))
    }

    fn failure(came: &ChildResult) -> Option<Error> {
        match came {
            Ok(payload) => payload.error(),
            Err(error) => Some(error.clone()),
        }
    }
}

#[allow(private_interfaces)]
impl WaitBody for Awaiting {
    fn opening(&mut self, _: &Site<'_>) -> Option<(Opening, Vec<Change>)> {
        let execution = self.execution.clone().expect("a child is polled with all that it asks for");
        Some((Opening::Execution(execution), Vec::new()))
    }

    fn open(&mut self, site: &Site<'_>, recorded: Option<Opening>) -> Due {
        let context = site.context;
        let mut request = self.request.take().expect("a child is launched once");
        // The child ended while its parent was parked. The parent gets the result that is in memory.
        if recorded.is_some() && context.attempt.after_park {
            request.ask = Ask::Outcome;
        }
        let parent = request.parent.clone();
        let Some(executions) = context.executions.upgrade() else {
            context.leave_with(Exit::Fault(closed()));
            return Due::At(0);
        };
        let launched = executions.launch(request);
        let came: Coming<ChildResult> = match self.wish {
            ChildWish::Start => Box::pin(async move { launched.await?.recorded().await.map(|()| Arc::new(started())) }),
            ChildWish::Outcome => {
                let parent = parent.expect("what is launched here has a parent");
                let (context, slot) = (context.clone(), site.slot);
                Box::pin(async move { Self::came(launched.await?, context, slot, parent).await })
            }
        };
        self.running = Some(RunningChild { context: context.clone(), came });
        // The parent stays in memory until the child is parked.
        Due::At(0)
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        self.end();
    }
}

/// The parent records what the child recorded.
fn landing(came: ChildResult) -> Landing<ChildResult> {
    let packed = match &came {
        Ok(payload) => Packed::of(payload),
        Err(error) => Packed::error(error),
    };
    Landing { packed, value: Ok(came) }
}

/// The record of a child that was only started: an empty payload.
fn started() -> OwnedPayload {
    OwnedPayload::new(&Payload { class: Class::Value, codec: Codec::Json, shape: 0, bytes: &[] }, "started")
}

fn closed() -> Error {
    cannot!(Kind::Closed, "call a flow", "the store was closed", "open it again to resume")
}

fn elsewhere(flow: &str) -> Error {
    let flow = short(flow);
    cannot!(
        Kind::Misuse,
        "await the call of flow `{flow}`",
        "another flow made it",
        "await it in the own code of that flow"
    )
}
