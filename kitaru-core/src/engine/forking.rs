//! Forks: what one takes over of its original, and how it begins. Owns the choice of its records; must not know how an attempt is
//! driven.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::engine::naming::{Misnomer, named};
use crate::engine::rehearsal::{Rehearsal, SetCall};
use crate::engine::state::Engine;
use crate::error::{Error, Kind, cannot};
use crate::id::{ExecutionId, Seq};
use crate::journal::{AuditAction, CallFrame, ForkWay, Lineage, Original, SIGNAL_CHECKPOINT, call_identity};
use crate::ledger::{Archive, ForkStart, Stored, blocking, malformed};
use crate::machine::{Ask, ForkCut, ForkableCall, ForkableJournal, ForkedJournal, RecordIx, SetValue};
use crate::program::{self, FlowMeta, RequestInput};
use crate::request::{FlowBody, FlowSpec, ForkOrder, MailWish, Request, check};
use crate::shown::short;
use crate::value::{Encoded, Key, Shape, clip};
use crate::view::{ExecutionRef, ForkEffect, ForkPlan};

/// How often a fork takes the next number because another one has taken its id meanwhile.
const TRIES: u32 = 16;

/// A fork that may begin.
struct PreparedFork {
    execution: ExecutionId,
    start: ForkStart,
    input: RequestInput,
    set: Vec<SetCall>,
    plan: ForkPlan,
}

impl Engine {
    /// What a fork would take over and run again.
    pub(crate) async fn plan_fork(self: &Arc<Self>, order: ForkOrder) -> Result<ForkPlan, Error> {
        Ok(self.prepare_fork(Arc::new(order)).await?.plan)
    }

    /// Begins a fork.
    pub(crate) async fn fork(self: &Arc<Self>, order: ForkOrder) -> Result<ExecutionId, Error> {
        self.check_open()?;
        let meta = flow(&order.original)?;
        let order = Arc::new(order);
        let mut tries = 0;
        loop {
            let prepared = self.prepare_fork(order.clone()).await?;
            tries += 1;
            match self.begin_fork(meta, prepared, &order).await {
                // Another fork was faster.
                Err(error) if error.is_conflict() && order.id.is_none() && tries < TRIES => {}
                begun => return begun,
            }
        }
    }

    async fn begin_fork(
        self: &Arc<Self>,
        meta: &'static FlowMeta,
        prepared: PreparedFork,
        order: &ForkOrder,
    ) -> Result<ExecutionId, Error> {
        let PreparedFork { execution, start, input, set, .. } = prepared;
        let rehearsal = Rehearsal {
            meta,
            fork: execution.clone(),
            row: start.row.clone(),
            journal: start.journal.clone(),
            input: input.encoded.clone(),
            seed: self.runtime.ledger.seed(&execution, 1),
            set,
        };
        let (spec, body) = (FlowSpec::of(meta), FlowBody::Registered(meta));
        let request = Request {
            tags: order.tags.clone(),
            fork: Some(Box::new(start)),
            ..Request::new(spec, body, Some(execution.id.to_string()), Ask::Fork, input)
        };
        check(&request, self.runtime.max_outcome_bytes)?;
        self.rehearse(rehearsal).await?;
        let (execution, active) = self.launch(request)?.settled().await?;
        active.recorded().await?;
        Ok(execution)
    }

    async fn prepare_fork(self: &Arc<Self>, order: Arc<ForkOrder>) -> Result<PreparedFork, Error> {
        let engine = self.clone();
        blocking(move || {
            let archive = &engine.runtime.archive;
            loop {
                let original = &order.original;
                let stored = archive.newest(original)?.ok_or_else(|| unknown(original))?;
                let prepared = prepare(&engine, &stored, &order);
                // One that was deleted meanwhile is looked up again, and not found.
                if archive.has(&stored)? {
                    return prepared;
                }
            }
        })
        .await?
    }
}

fn flow(original: &ExecutionId) -> Result<&'static FlowMeta, Error> {
    program::find(&original.flow).ok_or_else(|| {
        cannot!(
            Kind::Misuse,
            "fork execution {original}",
            "this program has no such #[flow]",
            "run the program that has it, or use KitaruBuilder::register"
        )
    })
}

fn unknown(original: &ExecutionId) -> Error {
    cannot!(
        Kind::Misuse,
        "fork execution {original}",
        "the store has no execution of this flow and id",
        "look at Kitaru::executions"
    )
}

fn misnamed(original: &ExecutionId, name: &str, misnomer: Misnomer) -> Error {
    let name = short(name);
    match misnomer {
        Misnomer::Empty => cannot!(
            Kind::Misuse,
            "fork execution {original}",
            "it has no record `{name}`, and no other",
            "fork it without a name, or call its flow"
        ),
        Misnomer::Unknown { names } => {
            cannot!(Kind::Misuse, "fork execution {original}", "it has no record `{name}`", "its records are {names}")
        }
        Misnomer::Shared { first, of_first, second, of_second } => {
            let (of_first, of_second) = (short(&of_first), short(&of_second));
            cannot!(
                Kind::Misuse,
                "fork execution {original}",
                "records {first} of `{of_first}` and {second} of `{of_second}` share the name `{name}`",
                "name another record"
            )
        }
    }
}

/// Reads an execution, and chooses what a fork of it begins with.
fn prepare(engine: &Engine, stored: &Stored, order: &ForkOrder) -> Result<PreparedFork, Error> {
    let (archive, original) = (&engine.runtime.archive, &order.original);
    let journal = archive.journal(stored)?;
    let bad = |why| malformed(original, "journal", why);
    let forkable = ForkableJournal::of(&journal).map_err(bad)?;
    let find =
        |name: &str| named(&journal, forkable.behind(), name).map_err(|misnomer| misnamed(original, name, misnomer));
    let point = order.from.as_deref().map(find).transpose()?;
    if point.is_some() && order.way != ForkWay::Prefix {
        return Err(cannot!(
            Kind::Misuse,
            "fork execution {original}",
            "a fork by key takes over all records, and one is named",
            "leave out .from(…), or .by_key()"
        ));
    }
    let mut set = BTreeMap::new();
    for (name, value) in &order.set {
        let at = find(name)?;
        if point.is_some_and(|point| at > point) {
            let name = short(name);
            return Err(cannot!(
                Kind::Misuse,
                "fork execution {original}",
                "the record `{name}` is behind the point, and its value is set",
                "set values of records up to the point"
            ));
        }
        let json = serde_json::to_vec(value).map_err(Error::msg)?;
        let preview = clip(&String::from_utf8_lossy(&json)).to_string();
        if set.insert(at, SetValue { json, preview, set_ms: engine.runtime.clock.now_ms() }).is_some() {
            let name = short(name);
            return Err(cannot!(
                Kind::Misuse,
                "fork execution {original}",
                "two values are set for `{name}`",
                "set one"
            ));
        }
    }
    let before = match (point, set.keys().max()) {
        (Some(point), _) => journal.seq(point),
        _ if order.way != ForkWay::Prefix => forkable.end(),
        (None, Some(last)) => journal.seq(*last),
        (None, None) if order.input.is_some() => Seq(0),
        (None, None) => forkable.end(),
    };
    let asks_again =
        |call: &CallFrame<'_>| order.way != ForkWay::Prefix && order.mail == MailWish::Forget && is_asked(call);
    let point = point.filter(|point| !set.contains_key(point));
    let forking = ForkCut { before, point, set: &set, leaves_out: &asks_again };
    let forked = forkable.fork(&forking).map_err(bad)?;
    let input = input(stored, order)?;
    let execution = ExecutionId::new(&original.flow, &id(engine, order)?)?;
    let mail = match order.mail {
        MailWish::Forget => Vec::new(),
        MailWish::Keep => {
            let waits = waits(&forkable, &forked, stored);
            archive.mail_for_fork(stored, |signal| forked.took(signal), |wait| waits.get(&wait).copied())?
        }
    };
    let row = Lineage {
        way: order.way,
        from: order.from.clone().unwrap_or_default(),
        set: order.set.iter().map(|(name, _)| name.clone()).collect(),
        originals: originals(archive, stored, &forked)?,
    };
    let (runs_again, may_run_again) = effects(&forkable, &forked, &set, order);
    let plan = ForkPlan {
        original: ExecutionRef::of(original),
        fork: ExecutionRef::of(&execution),
        taken_over: forked.last().0,
        answers: mail.len() as u64,
        runs_again,
        may_run_again,
    };
    let set = set.keys().filter_map(|at| journal.call(*at));
    let set = set.map(|call| SetCall { name: call.name(), key: call.key, occurrence: call.occurrence }).collect();
    let about = ExecutionRef::of(original).to_string();
    let audit = order.by.as_ref().map(|by| by.did(AuditAction::Forked, &about, engine.runtime.clock.now_ms()));
    let start = ForkStart { row, journal: Arc::new(forked.journal), audit, mail };
    Ok(PreparedFork { execution, start, input, set, plan })
}

/// The input of a fork.
fn input(stored: &Stored, order: &ForkOrder) -> Result<RequestInput, Error> {
    let header = &stored.header;
    match &order.input {
        Some(given) => flow(&order.original)?.read_input(given.clone()),
        None => Ok(RequestInput {
            digest: header.input_digest,
            preview: header.input_preview.clone(),
            encoded: Encoded {
                codec: header.input_codec,
                // The store has its text.
                shape: (header.input_shape != 0)
                    .then(|| Shape { fingerprint: header.input_shape, text: String::new() }),
                bytes: header.input.clone(),
            },
        }),
    }
}

/// The id of a fork: the one that is set, or the first one with a number that is free.
fn id(engine: &Engine, order: &ForkOrder) -> Result<String, Error> {
    if let Some(id) = &order.id {
        return Ok(id.clone());
    }
    let original = &order.original;
    for number in 1u64.. {
        let id = format!("{}-fork-{number}", original.id);
        let wanted = ExecutionId::new(&original.flow, &id)?;
        // It may be on its way to the store.
        if engine.registry.driven(&wanted).is_none() && engine.runtime.archive.newest(&wanted)?.is_none() {
            return Ok(id);
        }
    }
    unreachable!("a store has fewer executions than there are numbers")
}

/// Whose records a fork has, the oldest first.
fn originals(archive: &Archive, stored: &Stored, forked: &ForkedJournal) -> Result<Vec<Original>, Error> {
    let header = &stored.header;
    let row = archive.fork(stored)?.filter(|row| row.way != ForkWay::Inherited);
    // A fork by key draws as its original does.
    let seed = row.as_ref().and_then(|row| row.seed(Seq(u64::MAX)).copied()).unwrap_or(header.seed);
    let earlier = row.into_iter().flat_map(|row| row.originals);
    let mut originals: Vec<Original> =
        earlier.map(|original| Original { last: forked.number(original.last), ..original }).collect();
    let (execution, generation) = (header.execution.clone(), header.generation);
    originals.push(Original { last: forked.last(), execution, generation, seed });
    Ok(originals)
}

/// The waits for answers that a fork begins again: their calls, by the identities of the waits of its original.
fn waits(forkable: &ForkableJournal<'_>, forked: &ForkedJournal, stored: &Stored) -> HashMap<Key, (Key, u32)> {
    let header = &stored.header;
    let again = forkable.calls().filter(|known| known.call.checkpoint == WAIT && !forked.has(&known.call));
    let identities = again.map(|ForkableCall { call, .. }| {
        let identity = call_identity(&header.execution, header.generation, call.key, call.occurrence);
        (identity, (call.key, call.occurrence))
    });
    identities.collect()
}

/// What of the recorded effects happens again, and what may.
fn effects(
    forkable: &ForkableJournal<'_>,
    forked: &ForkedJournal,
    set: &BTreeMap<RecordIx, SetValue>,
    order: &ForkOrder,
) -> (Vec<ForkEffect>, Vec<ForkEffect>) {
    let first_set = set.keys().min().copied();
    let (mut again, mut perhaps) = (Vec::new(), Vec::new());
    for known in forkable.calls() {
        let ForkableCall { at, seq, call, begins_child, .. } = known;
        // A wait has no effect, nor has the call that awaits a child.
        if call.checkpoint.starts_with(OWN) || begins_child == Some(false) || set.contains_key(&at) {
            continue;
        }
        let may_differ =
            order.way != ForkWay::Prefix || order.input.is_some() || first_set.is_some_and(|first| at > first);
        let list = match forked.has(&call) {
            false if order.way == ForkWay::Prefix => &mut again,
            true if !may_differ => continue,
            _ => &mut perhaps,
        };
        list.push(ForkEffect {
            name: call.name(),
            checkpoint: call.checkpoint.to_owned(),
            number: seq.0,
            child: begins_child.is_some(),
        });
    }
    (again, perhaps)
}

/// What the checkpoints of the library's own waits begin with.
const OWN: &str = "kitaru::";
/// The checkpoint of a wait for an answer.
const WAIT: &str = "kitaru::wait";

/// Whether a call waits for what a person or another program sends.
fn is_asked(call: &CallFrame<'_>) -> bool {
    matches!(call.checkpoint, WAIT | SIGNAL_CHECKPOINT)
}
