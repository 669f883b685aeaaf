//! What the endpoints do. Owns how a request becomes a call of the library, and its result an answer; must not know paths or
//! who may ask.

mod bulk;
mod exposition;
mod filtered;
mod forks;
mod shown;
mod upkeep;

use bytes::Bytes;
use http::StatusCode;
use kitaru_core::{Execution, ExecutionRef, Kitaru, Status};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::problem::Problem;
use crate::routes::{Endpoint, Match};
use crate::{api, logs};
use filtered::filtered;

/// How many records a page has unless the request says, and how many it has at most.
const RECORDS: usize = 100;
const MOST_RECORDS: usize = 1_000;
/// How many waiting executions are looked at for the list of open questions.
const MOST_WAITING: usize = 1_000;

/// A request that may be carried out.
pub(crate) struct Asked {
    pub(crate) found: Match,
    pub(crate) query: String,
    pub(crate) body: Bytes,
    /// Whether the server carries out actions.
    pub(crate) actions: bool,
}

/// What is sent back: JSON, unless the endpoint has another type.
pub(crate) type Answered = Result<Vec<u8>, Problem>;

/// Carries out a request.
pub(crate) async fn answer(kitaru: &Kitaru, asked: Asked) -> Answered {
    let Asked { found: Match { endpoint, named }, query, body, actions } = asked;
    let named = || ExecutionRef::new(&named[0], &named[1]);
    match endpoint {
        Endpoint::Status => json(&status(actions)),
        Endpoint::List => json(&list(kitaru, &api::ListQuery::read(&query)?).await?),
        Endpoint::Waits => json(&waits(kitaru).await?),
        Endpoint::Show => json(&show(kitaru, &named(), api::RecordsQuery::read(&query)?.generation).await?),
        Endpoint::Records => json(&records(kitaru, &named(), api::RecordsQuery::read(&query)?).await?),
        Endpoint::Export => {
            let wanted = named();
            check(kitaru, &wanted).await?;
            json(&kitaru.export(wanted).await?)
        }
        Endpoint::Logs => json(&logs(kitaru, &named(), &api::LogsQuery::read(&query)?).await?),
        Endpoint::Answer => done(act(kitaru, named(), Action::Answer(read(&body)?)).await),
        Endpoint::Signal => done(act(kitaru, named(), Action::Signal(read(&body)?)).await),
        Endpoint::Cancel => done(act(kitaru, named(), Action::Cancel(read(&body)?)).await),
        Endpoint::Resume => done(act(kitaru, named(), Action::Resume(read(&body)?)).await),
        Endpoint::Delete => done(act(kitaru, named(), Action::Delete(read(&body)?)).await),
        Endpoint::Gc => json(&upkeep::collect(kitaru, read(&body)?).await?),
        Endpoint::Audit => json(&upkeep::audit(kitaru).await?),
        Endpoint::Checkup => json(&upkeep::check_up(kitaru).await?),
        Endpoint::Backup => json(&upkeep::back_up(kitaru, &read(&body)?).await?),
        Endpoint::Fork => json(&fork(kitaru, &named(), &read(&body)?).await?),
        Endpoint::Diff => json(&diff(kitaru, &named(), &api::DiffQuery::read(&query)?).await?),
        Endpoint::CancelMany => json(&bulk::cancel(kitaru, &read(&body)?).await?),
        Endpoint::ResumeMany => json(&bulk::resume(kitaru, &read(&body)?).await?),
        Endpoint::Stats => json(&stats(kitaru).await?),
        Endpoint::Metrics => Ok(exposition::text(&stats(kitaru).await?).into_bytes()),
    }
}

/// Begins a fork of an execution that is there.
pub(crate) async fn fork(kitaru: &Kitaru, original: &ExecutionRef, fork: &api::Fork) -> Result<api::Forked, Problem> {
    check(kitaru, original).await?;
    forks::fork(kitaru, original, fork).await
}

/// Compares two executions, record by record.
pub(crate) async fn diff(kitaru: &Kitaru, first: &ExecutionRef, query: &api::DiffQuery) -> Result<api::Diff, Problem> {
    let second: ExecutionRef = query.with.parse()?;
    let (first, second) = (find(kitaru, first, None).await?, find(kitaru, &second, None).await?);
    Ok(forks::compared(&first, &second))
}

/// Something that changes an execution.
pub(crate) enum Action {
    Answer(api::Answer),
    Signal(api::Signal),
    Cancel(api::Cancel),
    Resume(api::Resume),
    Delete(api::Delete),
}

/// Carries out an action. It is durable when this returns.
pub(crate) async fn act(kitaru: &Kitaru, wanted: ExecutionRef, action: Action) -> Result<(), Problem> {
    check(kitaru, &wanted).await?;
    match action {
        Action::Answer(api::Answer { wait, value }) => kitaru.answer(wanted, &wait, &value).await?,
        Action::Signal(api::Signal { signal, value, key }) => {
            let request = kitaru.signal(wanted, &signal, &value);
            match key {
                Some(key) => request.key(key).await?,
                None => request.await?,
            }
        }
        Action::Delete(api::Delete {}) => kitaru.delete(wanted).await?,
        Action::Cancel(api::Cancel { without_undo: true }) => kitaru.cancel(wanted).without_undo().await?,
        Action::Cancel(api::Cancel { without_undo: false }) => kitaru.cancel(wanted).await?,
        Action::Resume(api::Resume { forget, after }) => {
            let request = forget.into_iter().fold(kitaru.resume(wanted), kitaru_core::ResumeRequest::forget);
            match after {
                Some(after) => request.after(after).await?,
                None => request.await?,
            }
        }
    }
    Ok(())
}

fn json(answer: &impl Serialize) -> Answered {
    serde_json::to_vec(answer).map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", format!("cannot write the answer as JSON: {error}"))
    })
}

fn done(done: Result<(), Problem>) -> Answered {
    done.and_then(|()| json(&api::Done {}))
}

/// Reads a body; an empty one is an empty object.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| Problem::misuse(format!("cannot read the body: {error}; openapi.json has its fields")))
}

/// What process this is.
pub(crate) fn status(actions: bool) -> api::Status {
    let (api, version) = ("v1".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    api::Status { api, version, pid: std::process::id(), actions }
}

/// How the store and its process are doing, in numbers.
pub(crate) async fn stats(kitaru: &Kitaru) -> Result<api::Stats, Problem> {
    Ok(shown::stats(&kitaru.metrics().await?))
}

/// A page of executions.
pub(crate) async fn list(kitaru: &Kitaru, query: &api::ListQuery) -> Result<api::Page, Problem> {
    Ok(shown::page(&filtered(kitaru, query)?.await?))
}

/// Checks that an execution is there. Reads no record.
pub(crate) async fn check(kitaru: &Kitaru, wanted: &ExecutionRef) -> Result<(), Problem> {
    kitaru.pulse(wanted).await?.map(drop).ok_or_else(|| missing(wanted))
}

fn missing(wanted: &ExecutionRef) -> Problem {
    Problem::not_found(format!("cannot find execution {wanted}: the store has none; look at the list"))
}

async fn find(kitaru: &Kitaru, wanted: &ExecutionRef, generation: Option<u32>) -> Result<Execution, Problem> {
    let request = kitaru.execution(wanted);
    let found = match generation {
        Some(generation) => request.generation(generation).await?,
        None => request.await?,
    };
    found.ok_or_else(|| match generation {
        Some(generation) => Problem::not_found(format!(
            "cannot find generation {generation} of execution {wanted}: the store has none; leave the generation out for the newest"
        )),
        None => missing(wanted),
    })
}

/// One execution, without its records.
pub(crate) async fn show(
    kitaru: &Kitaru,
    wanted: &ExecutionRef,
    generation: Option<u32>,
) -> Result<api::Execution, Problem> {
    Ok(shown::execution(&find(kitaru, wanted, generation).await?))
}

/// A page of records.
pub(crate) async fn records(
    kitaru: &Kitaru,
    wanted: &ExecutionRef,
    query: api::RecordsQuery,
) -> Result<api::Records, Problem> {
    Ok(page_of(&find(kitaru, wanted, query.generation).await?, query))
}

/// One execution, and a page of its records, as they stood at one moment.
pub(crate) async fn show_with_records(
    kitaru: &Kitaru,
    wanted: &ExecutionRef,
    query: api::RecordsQuery,
) -> Result<(api::Execution, api::Records), Problem> {
    let execution = find(kitaru, wanted, query.generation).await?;
    Ok((shown::execution(&execution), page_of(&execution, query)))
}

fn page_of(execution: &Execution, query: api::RecordsQuery) -> api::Records {
    let limit = query.limit.map_or(RECORDS, |limit| (limit as usize).clamp(1, MOST_RECORDS));
    let all = execution.records();
    let first = query.after.map_or(0, |after| all.partition_point(|record| record.number() <= after));
    let page = &all[first..all.len().min(first + limit)];
    let more = first + page.len() < all.len();
    api::Records {
        records: page.iter().map(shown::record).collect(),
        next_after: page.last().filter(|_| more).map(kitaru_core::Record::number),
    }
}

/// What the program has logged in an execution.
async fn logs(kitaru: &Kitaru, wanted: &ExecutionRef, query: &api::LogsQuery) -> Result<api::Logs, Problem> {
    check(kitaru, wanted).await?;
    logs::read(wanted, query).ok_or_else(|| {
        let detail = format!(
            "cannot show the log of execution {wanted}: the program keeps none; add `kitaru::log_layer()`, of the feature \
             `logs`, to its subscriber"
        );
        Problem::new(StatusCode::CONFLICT, "no_logs", detail)
    })
}

/// The open questions of the store, oldest first.
pub(crate) async fn waits(kitaru: &Kitaru) -> Result<api::Waits, Problem> {
    let page = kitaru.executions().status(Status::Waiting).limit(MOST_WAITING).await?;
    let mut waits = Vec::new();
    for summary in page.iter().rev() {
        // One that has ended meanwhile asks nothing.
        let Some(execution) = kitaru.execution(summary).await? else { continue };
        waits.extend(execution.waits().iter().map(|wait| shown::wait(&execution, wait)));
    }
    waits.sort_by_key(|wait| wait.since_ms);
    Ok(api::Waits { waits, more: page.next_cursor().is_some() })
}
