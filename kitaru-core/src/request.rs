//! What a caller requests of an execution: a call of its flow, or a request by its id. Owns everything that decides
//! which execution is meant and what happens to it; must not know how that is carried out.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, Kind, cannot};
use crate::id::{Actor, ExecutionId};
use crate::journal::{ForkWay, Header, ParentCall};
use crate::ledger::{ForkStart, Stored, Tenure};
use crate::machine::{Ask, Reuse};
use crate::program::OnDivergence;
use crate::program::{self, FlowFuture, FlowMeta};

pub(crate) use crate::program::RequestInput;
use crate::shown::{is_no_part_of_a_name, short};
use crate::value::{Codec, Encoded, Key};

/// The most bytes that a tag may have.
pub const MAX_TAG_BYTES: usize = 128;
/// The most tags that an execution may have.
pub const MAX_TAGS: usize = 16;

/// Everything that decides which execution a call identifies and what happens to it.
pub(crate) struct Request {
    pub(crate) spec: FlowSpec,
    pub(crate) body: FlowBody,
    pub(crate) id: Option<String>,
    pub(crate) ask: Ask,
    pub(crate) input: RequestInput,
    /// When a new generation begins.
    pub(crate) start_at_ms: Option<u64>,
    /// Its deadline, counted from then on.
    pub(crate) deadline: Option<Duration>,
    /// The tags of a new generation.
    pub(crate) tags: BTreeSet<String>,
    /// The call of the parent, for a child.
    pub(crate) parent: Option<ParentCall>,
    /// The journal of the parent, which records that the child is called.
    pub(crate) behind: Option<Arc<Tenure>>,
    /// The records that a resumed execution forgets.
    pub(crate) forget: Vec<Forget>,
    /// Who asks, if known.
    pub(crate) by: Option<Actor>,
    /// What a new generation begins with that is a fork, or a part of one.
    pub(crate) fork: Option<Box<ForkStart>>,
}

impl Request {
    /// The same request again, if its flow can begin without its caller.
    pub(crate) fn again(&self) -> Option<Request> {
        let FlowBody::Registered(meta) = self.body else { return None };
        let RequestInput { digest, preview, encoded } = &self.input;
        Some(Request {
            spec: FlowSpec::of(meta),
            body: FlowBody::Registered(meta),
            id: self.id.clone(),
            ask: Ask::Reuse(Reuse::Always),
            input: RequestInput { digest: *digest, preview: preview.clone(), encoded: encoded.clone() },
            start_at_ms: self.start_at_ms,
            deadline: self.deadline,
            tags: self.tags.clone(),
            parent: None,
            behind: None,
            forget: Vec::new(),
            by: None,
            fork: None,
        })
    }

    /// The digest that identifies the input, if the input counts.
    pub(crate) fn input_digest(&self) -> Option<Key> {
        (!matches!(self.ask, Ask::Cancel | Ask::Abandon | Ask::Delete)).then_some(self.input.digest)
    }

    /// A request to an execution with any input.
    pub(crate) fn steering(execution: &ExecutionId, ask: Ask) -> Self {
        let (spec, body) = match program::find(&execution.flow) {
            Some(meta) => (FlowSpec::of(meta), FlowBody::Registered(meta)),
            None => {
                let spec = FlowSpec {
                    name: Cow::Owned(execution.flow.to_string()),
                    version: Cow::Borrowed(""),
                    source: 0,
                    on_divergence: None,
                    ambiguous: false,
                };
                (spec, FlowBody::Own(Box::new(|_| unreachable!("a flow that is not registered is not driven"))))
            }
        };
        let encoded = Encoded { codec: Codec::Json, shape: None, bytes: Vec::new() };
        let input = RequestInput { digest: Key([0; 16]), preview: String::new(), encoded };
        Self::new(spec, body, Some(execution.id.to_string()), ask, input)
    }

    /// Resumes an execution of a flow of this program from its records.
    pub(crate) fn resuming(meta: &'static FlowMeta, stored: &Stored) -> Self {
        let Header { execution, input_digest, input_preview, input_codec, .. } = &stored.header;
        let encoded = Encoded { codec: *input_codec, shape: None, bytes: Vec::new() };
        let input = RequestInput { digest: *input_digest, preview: input_preview.clone(), encoded };
        let id = Some(execution.id.to_string());
        Self::new(FlowSpec::of(meta), FlowBody::Registered(meta), id, Ask::Recover, input)
    }

    pub(crate) fn new(spec: FlowSpec, body: FlowBody, id: Option<String>, ask: Ask, input: RequestInput) -> Self {
        let (start_at_ms, deadline, parent, behind, forget) = (None, None, None, None, Vec::new());
        let (tags, fork) = (BTreeSet::new(), None);
        Request { spec, body, id, ask, input, start_at_ms, deadline, tags, parent, behind, forget, by: None, fork }
    }
}

/// A fork, as it is asked for.
pub(crate) struct ForkOrder {
    pub(crate) original: ExecutionId,
    /// The id of the fork, unless it is one with a number.
    pub(crate) id: Option<String>,
    pub(crate) way: ForkWay,
    /// The visible name of the first record that runs again.
    pub(crate) from: Option<String>,
    /// The values that are set, by the visible names of their records.
    pub(crate) set: Vec<(String, Value)>,
    pub(crate) input: Option<Value>,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) mail: MailWish,
    pub(crate) by: Option<Actor>,
}

/// Whether a fork has what was sent to the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MailWish {
    Keep,
    Forget,
}

impl ForkOrder {
    pub(crate) fn of(original: ExecutionId) -> Self {
        let (id, way, from, set) = (None, ForkWay::Prefix, None, Vec::new());
        ForkOrder { original, id, way, from, set, input: None, tags: BTreeSet::new(), mail: MailWish::Keep, by: None }
    }
}

/// A record to forget, by its visible name.
#[derive(Clone)]
pub(crate) enum Forget {
    Error(String),
    After(String),
}

/// A flow, as one call sees it.
pub(crate) struct FlowSpec {
    pub(crate) name: Cow<'static, str>,
    pub(crate) version: Cow<'static, str>,
    pub(crate) source: u64,
    pub(crate) on_divergence: Option<OnDivergence>,
    /// Whether a recorded result may surprise: the flow has no arguments and no policy of its own.
    pub(crate) ambiguous: bool,
}

/// Where the flow's function comes from.
pub(crate) enum FlowBody {
    /// It begins from its recorded input, in this process as in any other.
    Registered(&'static FlowMeta),
    /// It exists only in its caller, and only the caller can continue it.
    Own(Box<dyn FnOnce(usize) -> FlowFuture + Send>),
}

impl FlowSpec {
    pub(crate) fn of(meta: &FlowMeta) -> Self {
        FlowSpec {
            name: Cow::Borrowed(meta.name),
            version: Cow::Borrowed(meta.version),
            source: meta.source,
            on_divergence: meta.on_divergence,
            ambiguous: false,
        }
    }
}

/// Refuses an input over the bound of the store.
pub(crate) fn check_size(request: &Request, limit: usize) -> Result<(), Error> {
    match request.input.encoded.bytes.len() {
        size if size > limit => Err(RequestInput::too_large(&request.spec.name, size, limit)),
        _ => Ok(()),
    }
}

/// Refuses tags over their bounds, and those with invisible characters.
pub(crate) fn check_tags(request: &Request) -> Result<(), Error> {
    let flow = short(&request.spec.name);
    if request.tags.len() > MAX_TAGS {
        let count = request.tags.len();
        return Err(cannot!(
            Kind::TooLarge,
            "tag a call of flow `{flow}`",
            "it has {count} tags, the bound is {MAX_TAGS}",
            "use fewer"
        ));
    }
    for tag in &request.tags {
        if tag.is_empty() {
            return Err(cannot!(Kind::Misuse, "tag a call of flow `{flow}`", "a tag is empty", "give it a text"));
        }
        if tag.len() > MAX_TAG_BYTES {
            let size = tag.len();
            return Err(cannot!(
                Kind::TooLarge,
                "tag a call of flow `{flow}`",
                "a tag has {size} bytes, the bound is {MAX_TAG_BYTES}",
                "shorten it"
            ));
        }
        if let Some(hidden) = tag.chars().find(|char| is_no_part_of_a_name(*char)) {
            let code = u32::from(hidden);
            return Err(cannot!(
                Kind::Misuse,
                "tag a call of flow `{flow}`",
                "a tag has an invisible or control character, U+{code:04X}",
                "leave it out"
            ));
        }
    }
    Ok(())
}

/// Refuses a request that a store with this bound on inputs cannot serve.
pub(crate) fn check(request: &Request, limit: usize) -> Result<(), Error> {
    check_size(request, limit)?;
    check_tags(request)?;
    let name = short(&request.spec.name);
    if request.start_at_ms.is_some() && matches!(request.body, FlowBody::Own(_)) {
        return Err(cannot!(
            Kind::Misuse,
            "start flow `{name}` later",
            "it has no #[flow], so it cannot begin by itself",
            "call it at that time"
        ));
    }
    if request.deadline.is_some_and(|deadline| deadline.is_zero()) {
        return Err(cannot!(Kind::Misuse, "call flow `{name}`", "its deadline is zero", "set a longer one"));
    }
    Ok(())
}
