//! The tools of an assistant. Owns their names, what they take, and which requests of the API they are; must not know what
//! protocol the assistant speaks.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use kitaru_core::ExecutionRef;
use rmcp::model::{Tool, ToolAnnotations};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fitting::{MOST_BYTES, beginning, cut, fitted};
use crate::api;
use crate::assistant::Ask;
use crate::query::encode;

/// How many items a tool gives unless it is asked for another number, and at most.
const ITEMS: u32 = 20;
const MOST_ITEMS: u32 = 50;
/// The longest piece of a value, in bytes.
const PIECE: usize = 20_000;
/// How much is given of a single item that is longer than a result, in bytes. JSON escapes it once more.
const MOST_BEGINNING: usize = MOST_BYTES / 4;
/// The longest reason why a tool fails, in bytes.
const MOST_REASON: usize = 4_000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct List {
    /// Only this flow.
    flow: Option<String>,
    /// Only ids that begin with this.
    id_prefix: Option<String>,
    /// Only these statuses: queued, running, waiting, interrupted, completed, failed, cancelled, stuck, continued_as_new.
    #[serde(default)]
    status: Vec<String>,
    /// Only executions that carry all of these tags.
    #[serde(default)]
    tag: Vec<String>,
    /// Only children of this execution, as flow/id.
    parent: Option<String>,
    /// The next_cursor of the page before.
    cursor: Option<String>,
    /// How many executions, 1 to 50; 20 unless set.
    limit: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Show {
    /// The execution, as flow/id.
    execution: String,
    /// Of this generation; the newest unless set.
    generation: Option<u32>,
    /// Only records behind this number: the next_after of the page before.
    after: Option<u64>,
    /// How many records, 1 to 50; 20 unless set.
    limit: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ValueOf {
    /// The execution, as flow/id.
    execution: String,
    /// Of this generation; the newest unless set.
    generation: Option<u32>,
    /// What: `input`, `result`, or the number of a record.
    of: String,
    /// The next_offset of the piece before.
    #[serde(default)]
    offset: usize,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Waits {
    /// Only questions of this execution, as flow/id.
    execution: Option<String>,
    /// The next_cursor of the page before.
    cursor: Option<String>,
    /// How many questions, 1 to 50; 20 unless set.
    limit: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Answer {
    /// The execution, as flow/id.
    execution: String,
    /// The name of the wait.
    wait: String,
    /// The answer. It fits the schema of the question.
    value: Value,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Cancel {
    /// The execution, as flow/id.
    execution: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Resume {
    /// The execution, as flow/id.
    execution: String,
    /// Failed records to run again, by name.
    #[serde(default)]
    forget: Vec<String>,
    /// Everything behind this record runs again.
    after: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Stats {}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Diff {
    /// The first execution, as flow/id.
    first: String,
    /// The second execution, as flow/id.
    second: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Fork {
    /// The execution whose records are taken over, as flow/id. It stays as it is.
    execution: String,
    /// The first record that runs again, by name.
    from: Option<String>,
    /// Values in the place of recorded ones, by the names of records.
    #[serde(default)]
    set: BTreeMap<String, Value>,
    /// Another input: the list of the flow's arguments, or an object with their names.
    input: Option<Value>,
    /// Whether all records answer calls with equal arguments, and only other calls run.
    #[serde(default)]
    by_key: bool,
    /// The id of the fork; the original's with a number unless set.
    id: Option<String>,
    /// Whether nothing begins, and only what would run again is said.
    #[serde(default)]
    dry_run: bool,
}

/// The tools of an assistant that may act, or only look.
pub(super) fn all(acts: bool) -> Vec<Tool> {
    let looks = |tool: Tool| tool.with_annotations(ToolAnnotations::new().read_only(true).open_world(false));
    let mut tools: Vec<_> = [
        tool::<List>("list", "Executions, newest first: status, tags, input."),
        tool::<Show>("show", "One execution and its records: what it did, why it waits, why it failed."),
        tool::<ValueOf>("value", "A whole value of an execution as JSON, in pieces: where `show` gives its beginning."),
        tool::<Waits>("waits", "Open questions, oldest first, with the schema of their answers."),
        tool::<Stats>("stats", "How many executions of which flow have which status, how long they take, what is due."),
        tool::<Diff>("diff", "Two executions, record by record: what differs between an execution and its fork."),
    ]
    .map(looks)
    .into();
    if acts {
        let changes = |destroys: bool| ToolAnnotations::new().read_only(false).destructive(destroys).open_world(false);
        tools.extend([
            tool::<Answer>(
                "answer",
                "Answers an open question. Ask the person first, unless they have said what to answer.",
            )
            .with_annotations(changes(true)),
            tool::<Cancel>("cancel", "Cancels an execution; its undo steps run. It never resumes.")
                .with_annotations(changes(true)),
            tool::<Fork>(
                "fork",
                "Begins a new execution with records of another one. What is behind them runs again, effects included.",
            )
            .with_annotations(changes(true)),
            tool::<Resume>("resume", "Resumes an execution that has failed, is stuck or was interrupted.")
                .with_annotations(changes(false)),
        ]);
    }
    tools
}

/// The tools that are given only to an assistant that may act.
const ACTIONS: [&str; 4] = ["answer", "cancel", "fork", "resume"];

fn tool<Arguments: JsonSchema>(name: &'static str, description: &'static str) -> Tool {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = SchemaGenerator::new(settings).into_root_schema_for::<Arguments>();
    schema.remove("title");
    let schema = schema.as_object().cloned().unwrap_or_default();
    Tool::new(name, description, Arc::new(schema))
}

/// Calls a tool. The result is JSON; why it fails is for the model, with what to do.
pub(super) async fn call(ask: &Ask, acts: bool, name: &str, arguments: Value) -> Result<String, String> {
    if ACTIONS.contains(&name) && !acts {
        return Err(format!(
            "cannot call {name}: this server only looks; a person may start it with --allow-write, or do it themselves"
        ));
    }
    let called = match name {
        "list" => list(ask, read(arguments)?).await,
        "show" => show(ask, read(arguments)?).await,
        "value" => value(ask, read(arguments)?).await,
        "waits" => waits(ask, read(arguments)?).await,
        "stats" => stats(ask, read(arguments)?).await,
        "diff" => diff(ask, read(arguments)?).await,
        "fork" => fork(ask, read(arguments)?).await,
        "answer" => answer(ask, read(arguments)?).await,
        "cancel" => cancel(ask, read(arguments)?).await,
        "resume" => resume(ask, read(arguments)?).await,
        _ => {
            Err(format!("cannot call {:?}: it is not a tool of this server; list the tools", cut(name.to_owned(), 100)))
        }
    };
    called.map(|result| result.to_string()).map_err(|why| cut(why, MOST_REASON))
}

fn read<Arguments: DeserializeOwned>(arguments: Value) -> Result<Arguments, String> {
    serde_json::from_value(arguments)
        .map_err(|why| format!("cannot read the arguments: {why}; the schema of the tool has its fields"))
}

async fn get<T: DeserializeOwned>(ask: &Ask, path: String) -> Result<T, String> {
    let answer = ask(Method::GET, path, Bytes::new()).await?;
    serde_json::from_slice(&answer).map_err(|why| format!("cannot read the answer: {why}; look at the versions"))
}

async fn post(ask: &Ask, path: String, body: &impl Serialize) -> Result<Value, String> {
    let body = serde_json::to_vec(body).map_err(|why| format!("cannot write the request: {why}"))?;
    let answer = ask(Method::POST, path, body.into()).await?;
    serde_json::from_slice(&answer).map_err(|why| format!("cannot read the answer: {why}; look at the versions"))
}

fn done(what: String) -> Value {
    json!({ "done": what })
}

/// Where the API has an execution.
fn path(execution: &str, tail: &str) -> Result<String, String> {
    let named: ExecutionRef = execution.parse().map_err(|why: kitaru_core::Error| format!("{why:#}"))?;
    Ok(format!("/v1/executions/{}/{}{tail}", encode(named.flow()), encode(named.id())))
}

/// Asks for fewer items until what they are fits a result.
async fn fit<F: Future<Output = Result<Value, String>>>(
    limit: Option<u32>,
    page: impl Fn(u32) -> F,
) -> Result<Value, String> {
    let mut limit = limit.unwrap_or(ITEMS).clamp(1, MOST_ITEMS);
    loop {
        let value = page(limit).await?;
        let bytes = value.to_string();
        if bytes.len() <= MOST_BYTES {
            return Ok(value);
        }
        if limit == 1 {
            return Ok(with_continuation(bounded(value.clone()), &value));
        }
        limit /= 2;
    }
}

/// A result that is cut, and where the next page begins.
fn with_continuation(mut cut: Value, whole: &Value) -> Value {
    for name in ["next_cursor", "next_after"] {
        if let Some(next) = whole.get(name) {
            cut[name] = next.clone();
        }
    }
    cut
}

async fn list(ask: &Ask, list: List) -> Result<Value, String> {
    let List { flow, id_prefix, status, tag, parent, cursor, limit } = list;
    let query = api::ListQuery { flow, id_prefix, status, tag, parent, cursor, ..Default::default() };
    let query = &query;
    fit(limit, |limit| async move {
        let query = api::ListQuery { limit: Some(limit), ..query.clone() };
        Ok(fitted(get(ask, format!("/v1/executions?{}", query.write())).await?))
    })
    .await
}

async fn show(ask: &Ask, show: Show) -> Result<Value, String> {
    let Show { execution, generation, after, limit } = show;
    let of_generation = api::RecordsQuery { generation, ..Default::default() };
    let mut shown: Value = get(ask, format!("{}?{}", path(&execution, "")?, of_generation.write())).await?;
    // The tool `waits` has the questions and their schemas.
    for wait in shown["waits"].as_array_mut().into_iter().flatten() {
        *wait = json!({ "name": wait["name"] });
    }
    let (shown, records) = (&fitted(shown), &path(&execution, "/records")?);
    fit(limit, |limit| async move {
        let query = api::RecordsQuery { generation, after, limit: Some(limit) };
        let records: Value = get(ask, format!("{records}?{}", query.write())).await?;
        let mut page = fitted(records);
        page["execution"] = shown.clone();
        Ok(page)
    })
    .await
}

async fn value(ask: &Ask, value_of: ValueOf) -> Result<Value, String> {
    let ValueOf { execution, generation, of, offset } = value_of;
    let missing = |what: &str| Err(format!("cannot find {what} of {execution}: it has none yet; look with `show`"));
    let shown = match &*of {
        "input" | "result" => {
            let query = api::RecordsQuery { generation, ..Default::default() };
            let shown: api::Execution = get(ask, format!("{}?{}", path(&execution, "")?, query.write())).await?;
            match (&*of, shown.value) {
                ("input", _) => shown.input,
                (_, Some(result)) => result,
                (_, None) => return missing("the result"),
            }
        }
        number => {
            let number: u64 = number.parse().map_err(|_| {
                format!("cannot read of={number:?}: it is not `input`, `result` or the number of a record")
            })?;
            let query = api::RecordsQuery { generation, after: Some(number.saturating_sub(1)), limit: Some(1) };
            let page: api::Records = get(ask, format!("{}?{}", path(&execution, "/records")?, query.write())).await?;
            match page.records.into_iter().find(|record| record.number == number).map(|record| record.value) {
                Some(Some(value)) => value,
                Some(None) => return missing(&format!("the value of record {number}")),
                None => return missing(&format!("record {number}")),
            }
        }
    };
    let api::Shown::Json { json } = shown else {
        return serde_json::to_value(&shown).map(fitted).map_err(|why| format!("cannot show the value: {why}"));
    };
    let text = json.to_string();
    let Some(rest) = text.get(offset..) else {
        return Err(format!("cannot begin at offset {offset}: use the next_offset of the piece before, or 0"));
    };
    let piece = beginning(rest, PIECE);
    let next = offset + piece.len();
    match next < text.len() {
        true => Ok(json!({ "piece": piece, "bytes": text.len(), "next_offset": next })),
        false => Ok(json!({ "piece": piece, "bytes": text.len() })),
    }
}

async fn waits(ask: &Ask, wanted: Waits) -> Result<Value, String> {
    let Waits { execution, cursor, limit } = wanted;
    let api::Waits { mut waits, more } = match &execution {
        None => get(ask, "/v1/waits".to_owned()).await?,
        Some(execution) => {
            let shown: api::Execution = get(ask, path(execution, "")?).await?;
            api::Waits { waits: shown.waits, more: false }
        }
    };
    waits.sort_by_key(place);
    if let Some(cursor) = &cursor {
        let behind = read_place(cursor)
            .ok_or_else(|| format!("cannot read the cursor {cursor:?}: use the next_cursor of the page before"))?;
        waits.retain(|wait| place(wait) > behind);
    }
    let waits = &waits;
    fit(limit, |limit| async move {
        let page = &waits[..waits.len().min(limit as usize)];
        let mut given = json!({ "waits": fitted(json!(page)) });
        if let Some(last) = page.last().filter(|_| page.len() < waits.len()) {
            let (since, execution, name) = place(last);
            given["next_cursor"] = json!(format!("{since} {execution} {name}"));
        } else if more {
            given["more"] = json!("there are more executions than were looked at; answer these first");
        }
        Ok(given)
    })
    .await
}

/// Where a question is in the list: since when, in which execution, its name.
type Place = (u64, String, String);

fn place(wait: &api::Wait) -> Place {
    // Each text without a space, so that a cursor can be taken apart.
    (wait.since_ms, format!("{}/{}", encode(&wait.flow), encode(&wait.id)), encode(&wait.name))
}

fn read_place(cursor: &str) -> Option<Place> {
    let mut parts = cursor.split(' ');
    let place = (parts.next()?.parse().ok()?, parts.next()?.to_owned(), parts.next()?.to_owned());
    parts.next().is_none().then_some(place)
}

async fn stats(ask: &Ask, Stats {}: Stats) -> Result<Value, String> {
    Ok(bounded(fitted(get(ask, "/v1/stats".to_owned()).await?)))
}

async fn diff(ask: &Ask, diff: Diff) -> Result<Value, String> {
    let Diff { first, second } = diff;
    let with = encode(&second);
    let mut diff: Value = get(ask, format!("{}?with={with}", path(&first, "/diff")?)).await?;
    // What is equal is only counted.
    if let Some(records) = diff["records"].as_array_mut() {
        let all = records.len();
        records.retain(|record| record["state"] != "equal");
        let equal = all - records.len();
        diff["equal_records"] = json!(equal);
    }
    Ok(bounded(fitted(diff)))
}

async fn fork(ask: &Ask, fork: Fork) -> Result<Value, String> {
    let Fork { execution, from, set, input, by_key, id, dry_run } = fork;
    let order = api::Fork { from, set, input, by_key, id, dry_run, ..Default::default() };
    Ok(bounded(fitted(post(ask, path(&execution, "/fork")?, &order).await?)))
}

/// A result, or the beginning of one that is too long.
fn bounded(result: Value) -> Value {
    let bytes = result.to_string();
    match bytes.len() <= MOST_BYTES {
        true => result,
        false => json!({ "beginning": beginning(&bytes, MOST_BEGINNING), "bytes": bytes.len() }),
    }
}

async fn answer(ask: &Ask, answer: Answer) -> Result<Value, String> {
    let Answer { execution, wait, value } = answer;
    let what = done(format!("answered {wait} of {execution}"));
    post(ask, path(&execution, "/answer")?, &api::Answer { wait, value }).await.map(|_| what)
}

async fn cancel(ask: &Ask, cancel: Cancel) -> Result<Value, String> {
    let Cancel { execution } = cancel;
    let what = done(format!("cancelled {execution}"));
    post(ask, path(&execution, "/cancel")?, &api::Cancel::default()).await.map(|_| what)
}

async fn resume(ask: &Ask, resume: Resume) -> Result<Value, String> {
    let Resume { execution, forget, after } = resume;
    let what = done(format!("resumed {execution}"));
    post(ask, path(&execution, "/resume")?, &api::Resume { forget, after }).await.map(|_| what)
}
